"""Prediction beside publication: every row of the evidence tables that a study names, compared or listed with the
reason.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from respine.published.bars import Published, number, published
from respine.published.matching import Match, matches
from respine.published.measures import COMPLEMENTS
from respine.published.reasons import About, NotCompared, Reason, Remark, note
from respine.published.rows import is_benefit, text_of
from respine.study.endpoints import Contrast, Endpoint, Relapse, RelapseFree
from respine.study.schema import Study
from respine.trial.endpoints import Units, arms_needed, why_not
from respine.trial.panel import Panel
from respine.trial.predict import COLUMNS
from respine.trial.setting import laboratory_factors
from respine.trial.trials import TRIALS, Interval, in_trials_of_published_size

HOURS = {"h": 1.0, "hours": 1.0, "d": 24.0, "days": 24.0, "weeks": 168.0, "months": 730.5}
TEST_STATISTICS = ("f", "t", "p")


class Results(Protocol):
    """Anything that holds the observations of a run."""

    @property
    def panel(self) -> Panel: ...


@dataclass(frozen=True)
class Comparison:
    """A published row beside its prediction, or with the reason why it has none.

    ``interval`` is in ``unit``, that of the row; ``result`` is None where the row holds no single number.
    """

    match: Match
    result: Published | None
    unit: str
    interval: Interval | None = None
    reason: Reason | None = None
    remarks: tuple[Remark, ...] = ()

    @property
    def time_h(self) -> float:
        """The time of the endpoint, hours; the row's where there is no endpoint."""
        if self.match.endpoint is not None:
            return self.match.endpoint.time
        time = number(self.match.row.get("time_h") or "")
        return math.nan if time is None else time

    @property
    def inside(self) -> bool | None:
        """Whether the published value lies in the 90 % interval; None where one of the two is missing."""
        if self.interval is None or self.result is None or not math.isfinite(self.interval.median):
            return None
        return bool(self.interval.p05 <= self.result.value <= self.interval.p95)

    @property
    def note(self) -> str:
        """The reason, or the remarks, as one line for people."""
        return self.reason.text if self.reason is not None else note(self.remarks)

    def to_row(self, study: str) -> dict[str, object]:
        """The columns of ``compare``."""
        endpoint, result, interval = self.match.endpoint, self.result, self.interval
        median, p05, p95 = (interval.median, interval.p05, interval.p95) if interval else (np.nan, np.nan, np.nan)
        return {
            "study": study, "arm": self.match.arm, "endpoint": endpoint.name if endpoint else text_of(self.match.row),
            "time_h": self.time_h, "median": median, "p05": p05, "p95": p95,
            "published": result.value if result else np.nan, "inside": self.inside,
            "role": self.match.row.get("role") or "",
            "published_low": result.low if result else np.nan, "published_high": result.high if result else np.nan,
            "published_text": "" if result else self.match.row.get("value") or "", "unit": self.unit,
            "n": result.n if result else None,
            "against": next(iter(endpoint.reference_arms), "") if endpoint else "", "note": self.note,
        }  # fmt: skip


def compare(study: Study, results: Results, *, trials: int = TRIALS) -> pd.DataFrame:
    """Predicted interval beside published value for every row of the tables named under ``compare``.

    First columns ``study, arm, endpoint, time_h, median, p05, p95, published, inside, role``; then the published error
    bar (95 %), what was printed in place of a number, ``unit``, ``n``, the reference arm and ``note``. ``inside`` says
    whether the published value lies in [p05, p95]; it is None in a row that could not be matched, and ``note`` says why: no
    row is dropped. Rows of every role are shown, none is fitted here.
    """
    units = Units(study)
    rows = [beside(study, results.panel, match, trials, units).to_row(study.name) for match in matches(study)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def beside(study: Study, panel: Panel, match: Match, trials: int = TRIALS, units: Units | None = None) -> Comparison:
    """One published row beside its prediction."""
    row, endpoint, result = match.row, match.endpoint, published(match.row)
    printed_unit = row.get("unit") or ""

    def none(reason: Reason | None) -> Comparison:
        return Comparison(match, result, printed_unit, reason=reason)

    if endpoint is None:
        return none(match.reason)
    if problem := why_not(endpoint, panel, match.arm):
        return none(NotCompared.NOT_OBSERVED.because(problem))
    # a table with its range in columns has it in the unit of the endpoint; a row without a number has no unit to convert
    in_its_unit = result is not None and not (row.get("low") and row.get("high"))
    factor, unit, problem = _to_unit(endpoint, (units or Units(study)).of(endpoint), printed_unit, in_its_unit)
    if problem:
        return none(NotCompared.OTHER_UNIT.because(problem))
    sizes, remark = _sizes(study, match, result)
    interval = in_trials_of_published_size(
        endpoint, match.arm, panel, sizes, study.seed, arms=list(study.arms), trials=trials,
        laboratory=laboratory_factors(study, endpoint, trials),
    )  # fmt: skip
    if not math.isfinite(interval.median):
        return none(NotCompared.NOTHING_COMPUTED.because(interval.note))
    remarks = [remark, Remark(About.INTERVAL, interval.note)]
    if result is not None and result.bar.how:
        remarks.insert(0, Remark(About.ERROR_BAR, f"error bar: {result.bar.how}"))
    if (row.get("measure") or "") in COMPLEMENTS and isinstance(endpoint, RelapseFree):
        interval = _scaled(interval, -1.0, 100.0)
        remarks[-1] = Remark(About.INTERVAL, f"share with relapse; {interval.note}")
    if is_benefit(row):
        factor = -factor
        remarks.insert(0, Remark(About.SIGN, "a positive number is read as a benefit"))
    if result is None:
        text = f'the published result is "{row.get("value")}", not one number'
        remarks.insert(0, Remark(About.RESULT, text))
    return Comparison(match, result, unit, _scaled(interval, factor), remarks=tuple(r for r in remarks if r.text))


def _sizes(study: Study, match: Match, result: Published | None) -> tuple[dict[str, int], Remark]:
    """People per arm of the simulated trials, and what is to be said where a number had to be taken from elsewhere.

    A row has the people that stand behind it: those its link tells, else those it prints for its own arm where they are
    fewer than the arm has (who was left at a visit). Of a relapse they are responders, whom a simulated trial counts itself.
    """
    assert match.endpoint is not None
    sizes = {name: arm.n_published for name, arm in study.arms.items() if arm.n_published}
    if match.people is not None:
        sizes = dict.fromkeys(study.arms, match.people)
    elif result is not None and result.n and not isinstance(match.endpoint, Contrast | Relapse):
        sizes[match.arm] = min(result.n, sizes.get(match.arm, result.n))
    elif match.arm not in sizes and result is not None and result.n:
        sizes[match.arm] = result.n
    # arms of a trial are of like size: an arm without a number takes that of the others
    without = [arm for arm in arms_needed(match.endpoint, match.arm, list(study.arms)) if arm not in sizes]
    others = max(sizes.values(), default=0)
    sizes |= dict.fromkeys(without, others) if others else {}
    if not without:
        return sizes, Remark(About.SIZE, "")
    taken = f"{others}, as in the other arm" if others else "as many as were simulated per parameter draw"
    return sizes, Remark(About.SIZE, f"no number of people is given for {', '.join(without)}; taken: {taken}")


def _scaled(interval: Interval, factor: float, shift: float = 0.0) -> Interval:
    """The interval of ``factor`` times the endpoint, plus ``shift``."""
    fields = ("p05", "p25", "median", "p75", "p95")
    values = sorted(getattr(interval, name) * factor + shift for name in fields)
    quantiles = tuple(sorted(q * factor + shift for q in interval.quantiles))
    return dataclasses.replace(interval, **dict(zip(fields, values, strict=True)), quantiles=quantiles)


def _to_unit(endpoint: Endpoint, ours: str, unit: str, printed: bool) -> tuple[float, str, str]:
    """Factor from respine's unit to the row's, the unit to print, and what speaks against comparing.

    ``printed``: the row's number is in the row's unit.
    """
    if not printed:
        return 1.0, ours if ours == "%" else unit or ours, ""
    plain = unit.strip().lower()
    if endpoint.unit("") == "h":
        return (
            (1 / HOURS[unit], unit, "")
            if unit in HOURS
            else (1.0, ours, f'the row is in "{unit}", the endpoint a time')
        )
    if ours == "%" and not endpoint.is_share and plain.split(" ")[0] in ("fold", "ratio"):
        return 0.01, unit, ""
    if ours == "%" and not ("%" in unit or plain in ("percentage points", "points of percent", "percent")):
        text = f'the row is in "{unit}"' if unit else "the row has no unit"
        return 1.0, ours, f"{text}, the endpoint {'is ' if not unit else ''}in %"
    if ours != "%" and "%" in unit:
        return 1.0, ours, f"the row is in %, the endpoint in {ours}"
    if ours == "SD" and plain in TEST_STATISTICS:
        return 1.0, ours, f'the row is in "{unit}", a test statistic, the endpoint in SD'
    return 1.0, unit or ours, ""


def summary(table: pd.DataFrame) -> str:
    """One sentence: how many published rows were compared and how many lie inside."""
    compared = table["inside"].notna()
    inside = int(table.loc[compared, "inside"].astype(bool).sum())
    left = int((~compared).sum())
    return f"{inside} of {int(compared.sum())} published values lie inside; {left} rows could not be compared"
