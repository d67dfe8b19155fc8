"""A published number with its error bar, from the columns of an evidence table."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from respine.files import numbers
from respine.files.constants import Z90, Z95
from respine.published.measures import MEASURES

Row = Mapping[str, str]
# normal quantiles of central intervals by their percent
LEVELS = {80.0: 1.2815515655446004, 90.0: Z90, 99.0: 2.5758293035489004}
IQR_PER_SD, SE_OF_MEDIAN = 1.3489795003921634, 1.2533141373155001  # of a normal distribution
DISPERSIONS = (r"sd", r"sem?", r"iqr", r"count", r"t", r"p", r"(?:80|90|95|99) ?% ?(?:ci|cri)", r"range.*", r"cohen d")

_NUMBER = r"[-+−]?\d+(?:\.\d+)?"


class BarKind(Enum):
    """What an error bar was made of."""

    NONE = "nothing printed"
    COUNT = "a printed count of people"
    PERCENT = "a percentage of people and their number"
    SD = "a standard deviation"
    SE = "a standard error"
    T = "a t statistic"
    EFFECT_SIZE = "a standardised effect"
    HALF_WIDTH = "half of an interval"
    QUARTILES = "quartiles"
    INTERVAL = "an interval"
    RANGE = "a range in place of a number"
    UNREAD = "something that is no error bar"


@dataclass(frozen=True)
class Bar:
    """A 95 % error bar (NaN without one), what it was made of, and the same in words."""

    low: float = math.nan
    high: float = math.nan
    kind: BarKind = BarKind.NONE
    how: str = ""


@dataclass(frozen=True)
class Published:
    """A published number with its error bar."""

    value: float
    bar: Bar
    unit: str
    n: int | None

    @property
    def low(self) -> float:
        """Lower end of the 95 % bar."""
        return self.bar.low

    @property
    def high(self) -> float:
        """Upper end of the 95 % bar."""
        return self.bar.high


def number(text: str) -> float | None:
    """The one number of a text, or None (``~50`` is 50; a range, a word or two numbers are none)."""
    plain = text.strip().replace("−", "-").lstrip("~≈<>=")
    try:
        value = numbers.number(plain.rstrip("%"))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def counts_people(row: Row) -> bool:
    """Whether a percentage of the row is one of people: its measure is, or the column ``counts`` says so."""
    measure = MEASURES.get((row.get("measure") or "").strip())
    return (measure is not None and measure.people) or row.get("counts") == "people"


def published(row: Row) -> Published | None:
    """The number of a row with its error bar, or None where the row holds no single number."""
    n = number(row.get("n") or "")
    people = int(n) if n is not None and n >= 1 and n == int(n) else None
    value, unit = number(row.get("value") or ""), row.get("unit") or ""
    low, high = number(row.get("low") or ""), number(row.get("high") or "")
    if low is not None and high is not None:  # tables that give the range as columns
        bar = Bar(low, high, BarKind.RANGE, "range as published") if low < high else Bar(low, high)
        return Published((low + high) / 2, bar, unit, people)
    if value is None:
        return None
    share = unit.strip() == "%" and counts_people(row)
    return Published(
        value, _bar(value, share, people, row.get("dispersion") or "", row.get("dispersion_type") or ""), unit, people
    )


def _bar(value: float, share: bool, n: int | None, dispersion: str, kind: str) -> Bar:
    """A 95 % error bar from what a paper prints; ``share``: the value is a percentage of people."""
    plain = kind.strip().lower()
    if plain == "count" and (count := re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", dispersion)):
        low, high = _wilson(int(count[1]) / int(count[2]), int(count[2]))
        return Bar(low, high, BarKind.COUNT, "Wilson interval of the printed count")
    if share and n and (not dispersion or plain == "count") and 0 <= value <= 100:
        return Bar(*_wilson(value / 100, n), BarKind.PERCENT, f"Wilson interval of {value:g} % of {n}")
    spread = number(dispersion)

    def around(se: float, origin: BarKind, how: str) -> Bar:
        return Bar(value - Z95 * se, value + Z95 * se, origin, how)

    if plain == "sd" and spread is not None and n:
        return around(spread / math.sqrt(n), BarKind.SD, f"1.96 SD / sqrt({n})")
    if (plain in ("se", "sem") or "se presumed" in plain) and spread is not None:
        return around(spread, BarKind.SE, "1.96 SE")
    if plain == "t" and (t := re.fullmatch(rf"\s*t\s*(?:\(\d+\))?\s*=\s*({_NUMBER})\s*", dispersion)) and float(t[1]):
        return around(abs(value / float(t[1])), BarKind.T, "1.96 SE, SE from the printed t")
    if plain == "cohen d" and spread and n:
        return around(abs(value / spread) / math.sqrt(n), BarKind.EFFECT_SIZE, "SD from the printed Cohen d")
    if "half-width" in plain and spread is not None:
        return Bar(value - spread, value + spread, BarKind.HALF_WIDTH, kind)
    if plain == "iqr" and n and (ends := _ends(dispersion)):
        error = (ends[1] - ends[0]) / IQR_PER_SD * SE_OF_MEDIAN / math.sqrt(n)
        return around(error, BarKind.QUARTILES, f"median; SE from its quartiles and {n} people")
    if (level := re.fullmatch(r"(\d\d(?:\.\d+)?)\s*% ?(?:ci|cri)\b.*", plain)) and level[1] != "95":
        return _other_level(value, float(level[1]), dispersion, kind)
    if plain.startswith(("95% ci", "95 % ci", "95% cri", "95 % cri", "range", "se; 95% ci")):
        return _interval(value, dispersion, kind)
    return _unread(dispersion, kind) if re.search(_NUMBER, dispersion.replace("−", "-")) else Bar()


def _other_level(value: float, level: float, text: str, kind: str) -> Bar:
    """An 80, 90 or 99 % interval, stretched to 95 %."""
    ends = _ends(text)
    if ends is None or level not in LEVELS:
        return _unread(text, kind)
    stretch = Z95 / LEVELS[level]
    low, high = (value + stretch * (end - value) for end in ends)
    return Bar(low, high, BarKind.INTERVAL, f"{kind}, as 95 %")


def _interval(value: float, text: str, kind: str) -> Bar:
    """``-12.7 to -3.2``, ``3.9-11.3`` (of a negative difference printed without its sign), ``0.61-1.16``."""
    ends = _ends(text)
    if ends is None:
        return _unread(text, kind)
    low, high = ends
    if not low <= value <= high and low <= -value <= high:
        return Bar(-high, -low, BarKind.INTERVAL, f"{kind}, printed without its sign")
    return Bar(low, high, BarKind.INTERVAL, kind)


def _unread(text: str, kind: str) -> Bar:
    return Bar(kind=BarKind.UNREAD, how=f"printed: {text} {kind}".strip())


def _ends(text: str) -> tuple[float, float] | None:
    """The two ends of a printed interval, the lower one first; brackets do not matter."""
    plain = text.replace("−", "-").replace("–", "-")
    plain = plain.split(";")[-1] if ";" in plain else plain
    plain = plain.strip().strip("()[]").replace("%", "")
    match = re.fullmatch(rf"\s*({_NUMBER})\s*(?:to|,|\.\.\.?|…)\s*({_NUMBER})\s*", plain)
    match = match or re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*-\s*(-?\d+(?:\.\d+)?)\s*", plain)
    if not match:
        return None
    low, high = sorted((float(match[1]), float(match[2])))
    return low, high


def fault_of(dispersion: str, kind: str) -> str:
    """What is wrong with a printed dispersion: "kind" if it is not known, "numbers" if they do not fit it, else empty."""
    plain = kind.strip().lower()
    if not any(re.fullmatch(pattern, plain) for pattern in DISPERSIONS):
        return "kind"
    if plain == "count":
        count = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", dispersion)
        return "" if count and int(count[2]) > 0 and int(count[1]) <= int(count[2]) else "numbers"
    if plain in ("sd", "se", "sem"):
        spread = number(dispersion)
        return "" if spread is not None and spread >= 0 else "numbers"
    if plain == "iqr" or "ci" in plain or "cri" in plain or plain.startswith("range"):
        return "" if _ends(dispersion) else "numbers"
    return ""


def _wilson(share: float, n: int) -> tuple[float, float]:
    """95 % interval of a share, in percent (Wilson 1927)."""
    middle = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * math.sqrt(share * (1 - share) / n + Z95**2 / (4 * n * n))
    return 100 * max(0.0, middle - half), 100 * min(1.0, middle + half)
