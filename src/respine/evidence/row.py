"""One published row beside what the model says: the shape of everything ``respine evidence`` gives."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from respine.files import yaml_file
from respine.files.constants import Z90
from respine.library import BUILT_IN
from respine.published.reasons import NotCompared, Reason
from respine.published.rows import text_of
from respine.study.selection import place_of

Row = Mapping[str, str]
ROLES = ("fit", "validate", "context")
NAN = float("nan")


@dataclass(frozen=True)
class ComparedRow:
    """A row of an evidence table with its prediction, or with the reason why there is none.

    ``kind``: ``trial`` (a result of a simulated study), ``direction`` (a published direction), ``exposure`` (a
    pharmacokinetic experiment), ``parameter`` (the model's own number beside a published one), ``people`` (virtual
    people beside an input); empty without prediction. ``predicted`` is the median, ``low`` ... ``high`` hold 90 %,
    ``q25`` ... ``q75`` 50 %; ``published_low`` ... ``published_high`` the published 95 % bar. ``rule`` says what makes
    ``inside`` true. ``z`` = (published - predicted) / SD of the prediction, with the published SE added where the
    prediction does not hold sampling itself. ``remarks`` are what a reader should look at before trusting the comparison (they
    stand in ``note`` as well). In a row without prediction ``not_compared`` is the kind of reason and ``reason`` its text.
    A ``trial`` row also has its ``arm_type`` (``active``, ``control`` or ``contrast``), its ``kin`` (treatment, measure and time:
    rows alike are of one class) and ``quantiles`` of its prediction at ``trial.trials.LEVELS``.
    """

    id: str
    table: str
    system: str
    what: str
    role: str
    kind: str = ""
    study: str = ""
    arm: str = ""
    time_h: float = NAN
    unit: str = ""
    predicted: float = NAN
    low: float = NAN
    high: float = NAN
    q25: float = NAN
    q75: float = NAN
    published: float = NAN
    published_low: float = NAN
    published_high: float = NAN
    published_text: str = ""
    n: int | None = None
    inside: bool | None = None
    inside_50: bool | None = None
    z: float = NAN
    rule: str = ""
    note: str = ""
    remarks: tuple[str, ...] = ()
    not_compared: NotCompared | None = None
    reason: str = ""
    where: str = ""
    year: int | None = None
    arm_type: str = ""
    kin: str = ""
    quantiles: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values by name; numbers that are not there become None."""
        values = {field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self)}
        return values | {"not_compared": self.not_compared.value if self.not_compared else None}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> ComparedRow:
        """The row of ``to_dict``."""
        numbers = {f.name for f in dataclasses.fields(cls) if f.type == "float"}
        filled: dict[str, Any] = {n: NAN if value is None and n in numbers else value for n, value in values.items()}
        kind = filled["not_compared"]
        filled |= {"quantiles": tuple(filled.get("quantiles") or ())}
        filled |= {"remarks": tuple(filled["remarks"]), "not_compared": None if kind is None else NotCompared(kind)}
        return cls(**filled)

    @property
    def counted_by(self) -> str:
        """The reason without its particulars: what rows without prediction are counted by."""
        if self.not_compared in (None, NotCompared.EXPLAINED):
            return self.reason
        return self.not_compared.value


def about(row: Row, table: str) -> dict[str, Any]:
    """What every line says of its row, whether it can be predicted or not."""
    text = text_of(row) or row.get("measure") or ""
    arm = row.get("arm") or ""
    if table == "clinical" and arm:
        text = f"{text}, {arm}"
    study = f"{row.get('study', '')} {row.get('year', '')}".strip()
    year = (row.get("year") or "").strip()
    return {
        "year": int(year) if year.isdigit() else None,
        "id": row.get("id") or place_of(row), "table": table, "system": system_of(row, table),
        "what": text, "role": row.get("role") or "", "study": study, "arm": arm, "unit": row.get("unit") or "",
        "published_text": row.get("value") or "", "where": place_of(row),
    }  # fmt: skip


def unpredicted(row: Row, table: str, reason: Reason) -> ComparedRow:
    """A row without prediction."""
    return ComparedRow(**about(row, table), not_compared=reason.kind, reason=reason.text)


def _rules() -> tuple[str, list[dict[str, str]]]:
    file = BUILT_IN.top("systems.yaml")

    def parse() -> tuple[str, list[dict[str, str]]]:
        data = yaml_file.read(file, "systems").data
        return str(data["otherwise"]), [{k: str(v) for k, v in rule.items()} for rule in data["rules"]]

    return BUILT_IN.parsed((_rules, file), [file], parse)


def systems() -> list[str]:
    """Names of all systems, in the order of ``library/systems.yaml``."""
    otherwise, rules = _rules()
    return list(dict.fromkeys([*(rule["system"] for rule in rules), otherwise]))


def system_of(row: Row, table: str) -> str:
    """The system of the field a row speaks of; a user's row (``_table``) says it in a column, or is of none."""
    otherwise, rules = _rules()
    if "_table" in row:
        return row.get("system") or otherwise
    for rule in rules:
        if all(
            value == table if key == "table" else re.search(value, row.get(key) or "", re.IGNORECASE)
            for key, value in rule.items()
            if key != "system"
        ):
            return rule["system"]
    return otherwise


def score(published: float, predicted: float, low: float, high: float, se: float = 0.0) -> float:
    """z: how far the published value lies from the predicted median, in SDs of the 90 % interval and of ``se``."""
    sd = math.hypot((high - low) / (2 * Z90), se if math.isfinite(se) else 0.0)
    return (published - predicted) / sd if sd > 0 and math.isfinite(sd) else NAN


def within(value: float, low: float, high: float) -> bool | None:
    """Whether a value lies in an interval; None where one of the three is missing."""
    return bool(low <= value <= high) if all(map(math.isfinite, (value, low, high))) else None


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, tuple):
        return list(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def counted(lines: Sequence[ComparedRow]) -> tuple[int, int]:
    """How many lines were judged, and how many of them hold."""
    judged = [line for line in lines if line.inside is not None]
    return len(judged), sum(bool(line.inside) for line in judged)
