"""Prediction beside publication: every row of the evidence tables that a study names, matched or listed with the
reason.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from respine.library import Library
from respine.study.schema import Compare, Study, Tie
from respine.trial import endpoints as ep
from respine.trial import published as pub
from respine.trial import scales
from respine.trial.endpoints import Endpoint
from respine.trial.panel import Panel
from respine.trial.trials import TRIALS, in_trials_of_published_size

COLUMNS = ("study", "arm", "endpoint", "time_h", "median", "p05", "p95", "published", "inside", "role",
           "published_low", "published_high", "unit", "n", "note")  # fmt: skip


class Results(Protocol):
    """Anything that holds the observations of a run."""

    @property
    def panel(self) -> Panel: ...


@dataclass(frozen=True)
class Match:
    """One published row with the arm and endpoint it is shown beside, or the reason why there is none."""

    row: Mapping[str, str]
    arm: str = ""
    endpoint: Endpoint | None = None
    reason: str = ""
    note: str = ""


def compare(study: Study, results: Results, *, trials: int = TRIALS) -> pd.DataFrame:
    """Predicted interval beside published value for every row of the tables named under ``compare``.

    First columns ``study, arm, endpoint, time_h, median, p05, p95, published, inside, role``; then the published error
    bar (95 %), ``unit``, ``n`` and ``note``. ``inside`` says whether the published value lies in [p05, p95]; it is None
    in a row that could not be matched, and ``note`` says why: no row is dropped. Rows of every role are shown, none is
    fitted here.
    """
    rows = [line(study, results.panel, match, trials) for match in matches(study)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def matches(study: Study) -> list[Match]:
    """Every published row the study names, with its arm and endpoint or the reason why it has none."""
    result: list[Match] = []
    for block in study.compare:
        for row in evidence_rows(study.library, block):
            result += _matched(study, block, row)
    return result


def evidence_rows(library: Library, block: Compare) -> list[dict[str, str]]:
    """Rows of the evidence table that belong to the study a compare block names, and those it names by id."""
    ids = {tie.id for tie in block.rows if tie.id}
    wanted, year = (block.study or "").strip(), block.year
    if wanted and year is None and (found := re.fullmatch(r"(.+?)\s+((?:19|20)\d\d)", wanted)):
        wanted, year = found[1], int(found[2])
    return [row for row in library.rows("evidence", block.table) if _belongs(row, wanted, year) or row.get("id") in ids]


def _belongs(row: Mapping[str, str], study: str, year: int | None) -> bool:
    if not study or (row.get("study") or "").strip().lower() != study.lower():
        return False
    of_row = pub.number(row.get("year") or "")
    return year is None or of_row is None or int(of_row) == year


def _matched(study: Study, block: Compare, row: dict[str, str]) -> list[Match]:
    text, arm_text = row.get("endpoint") or row.get("quantity") or "", (row.get("arm") or "").strip()
    tied = [tie for tie in block.rows if _ties(tie, row, text)]
    if tied:
        return [match for tie in tied for match in _from_tie(study, block, row, tie, arm_text)]
    if arm_text in block.leave_out:
        return [Match(row, arm_text, reason=f'arm "{arm_text}" is left out by the study')]
    arm, reference = _arms(study, block, arm_text)
    if not arm:
        return [Match(row, arm_text, reason=f'arm "{arm_text}" is none of the study: name it under compare.arms')]
    first = next(
        (
            scales.load(n, study.library).name
            for n in study.observe
            if scales.load(n, study.library).rule in ("severity", "relative")
        ),
        "",
    )
    reading = pub.read_row(row, study.start, first)
    if reading.endpoint is None:
        return [Match(row, arm, reason=reading.reason)]
    endpoint = _as_in_study(study, reading.endpoint)
    if endpoint.kind in ep.AGAINST and endpoint.arm is None:
        reference = reference or _only_control(study, arm)
        if not reference:
            return [
                Match(row, arm, reason="the row does not say against which arm: name an endpoint under compare.rows")
            ]
        endpoint = ep.with_reference(endpoint, reference)
    return [Match(row, arm, endpoint, note=reading.note)]


def _ties(tie: Tie, row: Mapping[str, str], text: str) -> bool:
    if tie.id is not None:
        return tie.id == row.get("id")
    if tie.row is None or tie.row != text:
        return False
    time = pub.number(row.get("time_h") or "")
    return tie.time is None or time is None or abs(tie.time - time) <= max(0.05, 0.01 * abs(time))


def _from_tie(study: Study, block: Compare, row: dict[str, str], tie: Tie, arm_text: str) -> list[Match]:
    endpoint = next((e for e in ep.of_study(study) if e.name == tie.endpoint), None)
    arm = tie.arm or _arms(study, block, arm_text)[0]
    if endpoint is None:
        return [Match(row, arm or arm_text, reason=f'the study has no endpoint "{tie.endpoint}"')]
    if arm not in study.arms:
        return [Match(row, arm_text, reason=f'arm "{arm_text}" is none of the study: give arm in compare.rows')]
    return [Match(row, arm, endpoint)]


def _arms(study: Study, block: Compare, text: str) -> tuple[str, str]:
    """Arm and reference arm of the study that an evidence arm means ("ketamine - midazolam" names both); empty if
    none.
    """
    by_evidence = {theirs.lower(): ours for ours, theirs in block.arms.items()}
    lower = {name.lower(): name for name in study.arms}

    def one(name: str) -> str:
        name = name.strip().lower()
        return by_evidence.get(name) or lower.get(name, "")

    if whole := one(text):
        return whole, ""
    parts = re.split(r"\s+(?:-|−|vs\.?|versus|minus)\s+", text)
    if len(parts) == 2 and one(parts[0]) and one(parts[1]):
        return one(parts[0]), one(parts[1])
    return "", ""


def _only_control(study: Study, arm: str) -> str:
    controls = [
        n for n, a in study.arms.items() if n != arm and a.control is not None and a.control.kind != "open-label"
    ]
    return controls[0] if len(controls) == 1 else ""


def _as_in_study(study: Study, endpoint: Endpoint) -> Endpoint:
    """The study's own endpoint of the same meaning (it may name an analysis), else the one read from the row."""

    def meaning(e: Endpoint) -> tuple[Any, ...]:
        drop = round(e.drop, 6) if e.kind == "response" else None
        below = e.below if e.kind == "remission" else None
        return (
            e.of,
            e.kind,
            round(e.at, 1) if e.at is not None else None,
            round(e.by, 1) if e.by is not None else None,
            drop,
            below,
        )

    return next((e for e in ep.of_study(study) if meaning(e) == meaning(endpoint)), endpoint)


def line(study: Study, panel: Panel, match: Match, trials: int = TRIALS) -> dict[str, object]:
    """One published row beside its prediction: the columns of ``compare`` and the quartiles ``p25`` and ``p75``."""
    row, endpoint = match.row, match.endpoint
    number = pub.published(row)
    text = row.get("endpoint") or row.get("quantity") or ""
    time = pub.number(row.get("time_h") or "")
    told: dict[str, object] = {
        "study": study.name, "arm": match.arm, "endpoint": endpoint.name if endpoint else text,
        "time_h": endpoint.time if endpoint else (np.nan if time is None else time),
        "median": np.nan, "p05": np.nan, "p95": np.nan,
        "published": number.value if number else np.nan, "inside": None, "role": row.get("role") or "",
        "published_low": number.low if number else np.nan, "published_high": number.high if number else np.nan,
        "unit": row.get("unit") or "", "n": number.n if number else None, "note": match.reason,
    }  # fmt: skip
    if endpoint is None:
        return told
    reason = ep.why_not(endpoint, panel, match.arm)
    if reason:
        return told | {"note": reason}
    # a table with its range in columns has it in the unit of the endpoint; a row without a number has no unit to convert
    plain = number is not None and not (row.get("low") and row.get("high"))
    factor, unit, problem = _to_unit(endpoint, row.get("unit") or "", plain)
    if problem:
        return told | {"note": problem}
    sizes = {name: a.n_published for name, a in study.arms.items() if a.n_published}
    if match.arm not in sizes and number and number.n:
        sizes[match.arm] = number.n
    # arms of a trial are of like size: an arm without a number takes that of the others
    sizeless = [a for a in ep.arms_needed(endpoint, match.arm, list(study.arms)) if a not in sizes]
    others = max(sizes.values(), default=0)
    sizes |= dict.fromkeys(sizeless, others) if others else {}
    found = in_trials_of_published_size(
        endpoint, match.arm, panel, sizes, study.seed, arms=list(study.arms), trials=trials
    )
    if (
        endpoint.kind == "relapse-free"
        and re.search(r"relapse", text.lower())
        and not re.search(r"\bnot|free", text.lower())
    ):
        # the row counts those who relapsed
        found = dataclasses.replace(
            found, p05=100 - found.p95, p25=100 - found.p75, median=100 - found.median, p75=100 - found.p25, p95=100 - found.p05,
            note=f"share with relapse; {found.note}",
        )  # fmt: skip
    turned = number is not None and _benefit_is_positive(endpoint, text, number.value)
    factor = -factor if turned else factor
    p05, p25, median, p75, p95 = sorted(x * factor for x in (found.p05, found.p25, found.median, found.p75, found.p95))
    notes = [
        match.note, "remark: a positive number is read as a benefit" if turned else "",
        f"error bar: {number.how}" if number and number.how else "",
        _sizeless(sizeless, others),
        found.note,
    ]  # fmt: skip
    told |= {"median": median, "p05": p05, "p95": p95, "unit": unit, "note": "; ".join(n for n in notes if n)}
    told |= {"p25": p25, "p75": p75}
    if number is None:
        return told | {"note": f'the published result is "{row.get("value")}", not one number; ' + str(told["note"])}
    if np.isfinite(median):
        told["inside"] = bool(p05 <= number.value <= p95)
    return told


def _sizeless(arms: list[str], others: int) -> str:
    if not arms:
        return ""
    taken = f"{others}, as in the other arm" if others else "as many as were simulated per parameter draw"
    return f"remark: no number of people is given for {', '.join(arms)}; taken: {taken}"


def _benefit_is_positive(endpoint: Endpoint, text: str, published: float) -> bool:
    """Whether a row prints a fall of symptoms as a positive number: a reduction, or an effect size in favour of the treatment."""
    if published <= 0 or not (scales.is_scale(endpoint.of) and scales.load(endpoint.of).rule == "severity"):
        return False
    if endpoint.kind == "effect-size":
        return True
    falls = re.search(r"reduc|decreas|improv|decline|\bfall\b|\bdrop\b", text.lower()) is not None
    return falls and endpoint.kind in ("change", "percent-change", "difference", "difference-in-change")


def _to_unit(endpoint: Endpoint, unit: str, printed: bool = True) -> tuple[float, str, str]:
    """Factor from respine's unit to the row's, the unit to print, and what speaks against comparing.

    ``printed``: the row's number is in the row's unit.
    """
    ours = ep.unit(endpoint)
    if not printed:
        return 1.0, ours if ours == "%" else unit or ours, ""
    if endpoint.kind == "time-to-relapse":
        hours = {"h": 1.0, "hours": 1.0, "d": 24.0, "days": 24.0, "weeks": 168.0, "months": 730.5}
        if unit not in hours:
            return 1.0, ours, f'the row is in "{unit}", the endpoint a time'
        return 1 / hours[unit], unit, ""
    plain = unit.strip().lower()
    if ours == "%" and endpoint.kind.startswith("percent") and plain.split(" ")[0] in ("fold", "ratio"):
        return 0.01, unit, ""
    if ours == "%" and not ("%" in unit or plain in ("percentage points", "points of percent", "percent")):
        return (
            1.0,
            ours,
            f'the row is in "{unit}", the endpoint in %' if unit else "the row has no unit, the endpoint is in %",
        )
    if ours != "%" and "%" in unit:
        return 1.0, ours, f"the row is in %, the endpoint in {ours}"
    return 1.0, unit or ours, ""


def summary(table: pd.DataFrame) -> str:
    """One sentence: how many published rows were compared and how many lie inside."""
    compared = table["inside"].notna()
    inside = int(table.loc[compared, "inside"].astype(bool).sum())
    left = int((~compared).sum())
    return f"{inside} of {int(compared.sum())} published values lie inside; {left} rows could not be compared"


def predict(study: Study, panel: Panel, *, trials: int = TRIALS) -> pd.DataFrame:
    """The study's own endpoints in every arm, in the columns of ``compare`` and with the values over all virtual
    people.

    Further columns: ``scale, kind, n_simulated, value, sd, se``.
    """
    sizes = {name: a.n_published for name, a in study.arms.items() if a.n_published}
    found = {e.name: e for e in ep.of_study(study)}
    rows = []
    for row in ep.endpoints(study, panel).to_dict("records"):
        endpoint, arm = found[str(row["endpoint"])], str(row["arm"])
        nothing = dict.fromkeys(("median", "p05", "p95", "published", "published_low", "published_high"), np.nan)
        line = {
            "study": study.name,
            "endpoint": endpoint.name,
            "inside": None,
            "role": "",
            "n": sizes.get(arm),
        } | nothing
        line |= {name: row[name] for name in ("arm", "time_h", "unit", "note", "scale", "kind", "value", "sd", "se")}
        line["n_simulated"] = row["n"]
        if row["n"]:
            got = in_trials_of_published_size(
                endpoint, arm, panel, sizes, study.seed, arms=list(study.arms), trials=trials
            )
            note = "; ".join(part for part in (str(row["note"]), got.note) if part)
            line |= {"median": got.median, "p05": got.p05, "p95": got.p95, "note": note}
        rows.append(line)
    return pd.DataFrame(rows, columns=[*COLUMNS, "scale", "kind", "n_simulated", "value", "sd", "se"])
