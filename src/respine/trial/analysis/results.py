"""What an analysis answers: rows of estimates, and how they came about."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

NAN = float("nan")


@dataclass(frozen=True)
class Row:
    """One estimate. ``group`` is an arm, or two ("DRUG - PLACEBO"); ``df`` is inf for normal quantiles, NaN where none apply."""

    quantity: str
    group: str = ""
    visit: str = ""
    estimate: float = NAN
    se: float = NAN
    df: float = NAN
    statistic: float = NAN
    p: float = NAN
    lower: float = NAN
    upper: float = NAN
    n: int | None = None
    note: str = ""


@dataclass
class Answer:
    """The result of one analysis. ``facts`` are figures by name (covariance, log-likelihood), ``notes`` sentences for people."""

    name: str
    method: str
    estimand: str = ""
    rows: list[Row] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass
class Results:
    """All answers of a plan."""

    title: str
    answers: list[Answer]

    def table(self) -> pd.DataFrame:
        """One row an estimate, with the name, method and estimand of its analysis."""
        import pandas as pd

        return pd.DataFrame([
            {"analysis": a.name, "method": a.method, "estimand": a.estimand, **asdict(row)}
            for a in self.answers
            for row in a.rows
        ])  # fmt: skip

    def plain(self) -> dict[str, Any]:
        """The results as nested dictionaries, for JSON."""
        return {
            "title": self.title,
            "analyses": [
                {"analysis": a.name, "method": a.method, "estimand": a.estimand, "facts": a.facts, "notes": a.notes,
                 "rows": [asdict(row) for row in a.rows]}
                for a in self.answers
            ],
        }  # fmt: skip
