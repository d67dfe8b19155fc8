"""The table of ICH M15: every use and every arm type stands in it, as CSV and as Markdown."""

from __future__ import annotations

import csv
import io

import numpy as np

from respine.credibility import m15, question
from respine.evidence import forecasts
from tests.evidence.test_forecasts import row

LINES = forecasts.record([row(v, id=f"{k}{v:.3f}", study=f"{k}{v:.3f}", arm_type=k, role=r)
                          for k in forecasts.ARM_TYPES for r in ("fit", "validate")
                          for v in np.random.default_rng(1).normal(size=20)])  # fmt: skip


def test_every_use_has_influence_consequence_and_risk() -> None:
    rows = m15.assessment(LINES)
    for use in question.read().data["uses"]:
        elements = [element for name, element, _, _ in rows if name == use["use"]]
        assert elements == ["Model influence", "Consequence of wrong decision", "Model risk"]
    assert {"Question of interest", "Context of use"} <= {element for _, element, _, _ in rows}


def test_every_arm_type_is_evaluated_for_both_roles_against_the_stated_criterion() -> None:
    told = {element: text for _, element, text, _ in m15.assessment(LINES) if element.startswith("Model evaluation")}
    assert len(told) == 8
    assert all("inside the 90 % interval" in text and text.endswith(("met", "not met")) for text in told.values())


def test_the_table_reads_back_as_csv_and_has_a_line_a_row_as_markdown() -> None:
    rows = m15.assessment(LINES)
    back = list(csv.reader(io.StringIO(m15.text(rows, markdown=False))))
    assert back[0] == list(m15.HEADER) and [tuple(line) for line in back[1:]] == rows
    assert len(m15.text(rows, markdown=True).splitlines()) == len(rows) + 2
