"""The assessment table of ICH M15 (general principles of model-informed drug development): what is asked, how much leans on the
model, and how it did, as a table to be handed on. Words are those of ``assessment.yaml``, numbers those of the forecast record.
"""

from __future__ import annotations

import csv
import io
import math

import pandas as pd

from respine.credibility import question
from respine.evidence import forecasts

HEADER = ("use", "element", "assessment", "rationale")


def assessment(lines: pd.DataFrame) -> list[tuple[str, str, str, str]]:
    """The table as rows of ``HEADER``: planning elements of every use, then the evaluation of the model, which all share."""
    data = question.read().data
    rows: list[tuple[str, str, str, str]] = [
        ("all", "Question of interest", str(data["question"]).strip(), ""),
        ("all", "Context of use", str(data["context"]).strip(), str(data["outside"]).strip()),
    ]
    for use in data["uses"]:
        name = str(use["use"])
        rows += [
            (name, "Model influence", str(use["influence"]), str(use["influence_why"])),
            (name, "Consequence of wrong decision", str(use["consequence"]), str(use["consequence_why"])),
            (name, "Model risk", str(use["risk"]), "influence and consequence together"),
        ]
    low, high = data["criteria"]["interval_90"]
    for role in ("fit", "validate"):
        for row in forecasts.by_arm_type(lines, role).to_dict("records"):
            share = float(row["inside_90"])
            verdict = "met" if low <= share <= high else "not met"
            rows.append((
                "all", f"Model evaluation: {row['arm_type']} arms, rows of role {role}",
                f"{100 * share:.0f} % of published results inside the 90 % interval "
                f"({row['trials']} trials, {row['rows']} rows): {verdict}",
                f"asked for {100 * low:.0f} to {100 * high:.0f} %; rms z {row['rms_z']:.2f}; CRPS skill against the mean of the "
                f"class {_share(row['class mean skill'])}, against random effects {_share(row['meta-analysis skill'])}",
            ))  # fmt: skip
    return rows


def _share(value: float) -> str:
    return f"{100 * value:.0f} %" if math.isfinite(value) else "not computed: too few results of the class"


def text(rows: list[tuple[str, str, str, str]], markdown: bool) -> str:
    """The table as Markdown or CSV."""
    if markdown:
        cells = [" | ".join(cell.replace("\n", " ").replace("|", "/") for cell in row) for row in [HEADER, *rows]]
        cells.insert(1, " | ".join("---" for _ in HEADER))
        return "\n".join(f"| {line} |" for line in cells) + "\n"
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([HEADER, *rows])
    return out.getvalue()
