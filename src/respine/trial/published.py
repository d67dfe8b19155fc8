"""Published rows: their value, their error bar and the endpoint they speak of, read from the evidence tables."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from respine.files.constants import Z95
from respine.trial import scales
from respine.trial.endpoints import KINDS, Endpoint

Row = Mapping[str, str]
LEVELS = {80.0: 1.2815515655446004, 90.0: 1.6448536269514722, 99.0: 2.5758293035489004}
IQR_PER_SD, SE_OF_MEDIAN = 1.3489795003921634, 1.2533141373155001  # of a normal distribution
DISPERSIONS = (r"sd", r"sem?", r"iqr", r"count", r"t", r"p", r"(?:80|90|95|99) ?% ?(?:ci|cri)", r"range.*", r"cohen d")

_NUMBER = r"[-+−]?\d+(?:\.\d+)?"
_MEASURES = {  # words of the `measure` column -> kinds of endpoints
    "score": "score", "change": "change", "response": "response", "remission": "remission", "difference": "difference",
    "response-any-time": "response", "response-maintained": "response", "response-difference": "difference",
    "time-to-relapse": "time-to-relapse", "relapse-free": "relapse-free", "percent-of-control": "percent-of-control",
    "percent-restored": "percent-restored", "percent-change": "percent-change", "effect-size": "effect-size",
    "standardised-difference": "effect-size", "remission-difference": "difference", "ratio": "ratio",
    "peak": "peak", "trough": "trough",
}  # fmt: skip


@dataclass(frozen=True)
class Published:
    """A published number with its 95 % error bar (NaN without one) and how the bar was made."""

    value: float
    low: float
    high: float
    unit: str
    n: int | None
    how: str


def number(text: str) -> float | None:
    """The one number of a text, or None (``~50`` is 50; a range, a word or two numbers are none)."""
    plain = text.strip().replace("−", "-").lstrip("~≈<>=")
    try:
        value = float(plain.rstrip("%").strip())
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def published(row: Row) -> Published | None:
    """The number of a row with its error bar, or None where the row holds no single number."""
    n = number(row.get("n") or "")
    people = int(n) if n is not None and n >= 1 and n == int(n) else None
    value, unit = number(row.get("value") or ""), row.get("unit") or ""
    low, high = number(row.get("low") or ""), number(row.get("high") or "")
    if low is not None and high is not None:  # tables that give the range as columns
        return Published((low + high) / 2, low, high, unit, people, "range as published" if low < high else "")
    if value is None:
        return None
    low, high, how = _bar(value, unit, people, row.get("dispersion") or "", row.get("dispersion_type") or "")
    return Published(value, low, high, unit, people, how)


def _bar(value: float, unit: str, n: int | None, dispersion: str, kind: str) -> tuple[float, float, str]:
    """A 95 % error bar from what a paper prints."""
    nothing = (math.nan, math.nan, "")
    found = re.findall(_NUMBER, dispersion.replace("−", "-"))
    kind_plain = kind.strip().lower()
    if kind_plain == "count" and (count := re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", dispersion)):
        return (*_wilson(int(count[1]) / int(count[2]), int(count[2])), "Wilson interval of the printed count")
    if unit.strip() == "%" and n and (not dispersion or kind_plain == "count") and 0 <= value <= 100:
        return (*_wilson(value / 100, n), f"Wilson interval of {value:g} % of {n}")
    one = number(dispersion)
    if kind_plain == "sd" and one is not None and n:
        return (value - Z95 * one / math.sqrt(n), value + Z95 * one / math.sqrt(n), f"1.96 SD / sqrt({n})")
    if (kind_plain in ("se", "sem") or "se presumed" in kind_plain) and one is not None:
        return (value - Z95 * one, value + Z95 * one, "1.96 SE")
    if (
        kind_plain == "t"
        and (t := re.fullmatch(rf"\s*t\s*(?:\(\d+\))?\s*=\s*({_NUMBER})\s*", dispersion))
        and float(t[1])
    ):
        error = abs(value / float(t[1]))
        return (value - Z95 * error, value + Z95 * error, "1.96 SE, SE from the printed t")
    if kind_plain == "cohen d" and one and n:
        error = abs(value / one) / math.sqrt(n)
        return (value - Z95 * error, value + Z95 * error, "SD from the printed Cohen d")
    if "half-width" in kind_plain and one is not None:
        return (value - one, value + one, kind)
    if kind_plain == "iqr" and n and (ends := _ends(dispersion)):
        error = (ends[1] - ends[0]) / IQR_PER_SD * SE_OF_MEDIAN / math.sqrt(n)
        return (value - Z95 * error, value + Z95 * error, f"median; SE from its quartiles and {n} people")
    if (level := re.fullmatch(r"(\d\d(?:\.\d+)?)\s*% ?(?:ci|cri)\b.*", kind_plain)) and level[1] != "95":
        if (ends := _ends(dispersion)) and float(level[1]) in LEVELS:
            stretch = Z95 / LEVELS[float(level[1])]
            return (value + stretch * (ends[0] - value), value + stretch * (ends[1] - value), f"{kind}, as 95 %")
        return (math.nan, math.nan, f"printed: {dispersion} {kind}")
    if kind_plain.startswith(("95% ci", "95 % ci", "95% cri", "95 % cri", "range", "se; 95% ci")):
        return _interval(value, dispersion, kind)
    return nothing if not found else (math.nan, math.nan, f"printed: {dispersion} {kind}".strip())


def _interval(value: float, text: str, kind: str) -> tuple[float, float, str]:
    """``-12.7 to -3.2``, ``3.9-11.3`` (of a negative difference printed without its sign), ``0.61-1.16``."""
    ends = _ends(text)
    if not ends:
        return (math.nan, math.nan, f"printed: {text} {kind}".strip())
    low, high = ends
    if not low <= value <= high and low <= -value <= high:
        return (-high, -low, f"{kind}, printed without its sign")
    return (low, high, kind)


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


def readable(dispersion: str, kind: str) -> str:
    """What is wrong with a printed dispersion, or an empty text: a kind that is not known, or numbers that do not fit it."""
    plain = kind.strip().lower()
    if not any(re.fullmatch(pattern, plain) for pattern in DISPERSIONS):
        return "kind"
    if plain == "count":
        found = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", dispersion)
        return "" if found and int(found[2]) > 0 and int(found[1]) <= int(found[2]) else "numbers"
    if plain in ("sd", "se", "sem"):
        one = number(dispersion)
        return "" if one is not None and one >= 0 else "numbers"
    if plain == "iqr" or "ci" in plain or "cri" in plain or plain.startswith("range"):
        return "" if _ends(dispersion) else "numbers"
    return ""


def _wilson(share: float, n: int) -> tuple[float, float]:
    """95 % interval of a share, in percent (Wilson 1927)."""
    middle = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * math.sqrt(share * (1 - share) / n + Z95**2 / (4 * n * n))
    return 100 * max(0.0, middle - half), 100 * min(1.0, middle + half)


@dataclass(frozen=True)
class Reading:
    """What a row says it measured: an endpoint, or why it is none of respine's (``reason``)."""

    endpoint: Endpoint | None
    reason: str = ""
    note: str = ""


def read_row(row: Row, start: float, default_scale: str) -> Reading:
    """The endpoint a published row speaks of, from its columns or, where these are blank, from its text."""
    text = row.get("endpoint") or row.get("quantity") or ""
    measure = (row.get("measure") or "").strip() or _measure_in(text)
    if not measure:
        return Reading(None, f'"{text}" is no endpoint that respine computes')
    kind = _MEASURES.get(measure)
    if kind is None:
        return Reading(None, f'respine does not compute "{measure}"')
    if kind in ("difference", "ratio", "effect-size") and (found := _contrast(row, text, measure)) != "difference":
        if found not in KINDS:
            return Reading(None, found)
        kind = found
    time = number(row.get("time_h") or "")
    if time is None:
        return Reading(None, "the row has no time")
    of, note = (row.get("scale") or row.get("output") or "").strip() or _scale_in(text), ""
    if not of:
        if not default_scale:
            return Reading(None, "the row names no scale and the study observes none")
        of, note = default_scale, f"the row names no scale; read as {default_scale}"
    if scales.is_scale(of):
        of = scales.load(of).name
    elif not row.get("output"):
        return Reading(None, f'the library has no scale "{of}"')
    return _endpoint(row, text, measure, kind, of, time, start, note)


def _endpoint(row: Row, text: str, measure: str, kind: str, of: str, time: float, start: float, note: str) -> Reading:
    scale = scales.load(of) if scales.is_scale(of) else None
    drop, below = number(row.get("drop") or ""), number(row.get("below") or "")
    if drop is None and (found := re.search(r">=\s*(\d+(?:\.\d+)?)\s*%", text)):
        drop = float(found[1])
    if below is None and (found := re.search(r"<=\s*(\d+(?:\.\d+)?)", text)):
        below = float(found[1])
    if below is None and scale is not None:
        below = scale.remission_at_most
    if kind == "difference" and not re.search(r"score|end", text.lower()):
        kind = "difference-in-change"
    endpoint = Endpoint(
        name=text, of=of, kind=kind, at=time, begin=start, below=below,
        drop=(drop / 100 if drop is not None else (scale.response_drop if scale else 0.5)),
    )  # fmt: skip
    if measure == "response-any-time":
        endpoint = dataclasses.replace(endpoint, at=None, by=time)
    if kind in ("time-to-relapse", "relapse-free", "peak", "trough"):
        why = f"{kind} needs more than one time: name an endpoint of the study under compare.rows"
        return Reading(None, why)
    return Reading(endpoint, "", note)


def _contrast(row: Row, text: str, measure: str) -> str:
    """The kind of endpoint that a difference, a ratio or an effect size is, or why respine does not compute it."""
    low, unit = text.lower(), (row.get("unit") or "").strip().lower()
    share = "remission" if "remi" in low or "remission" in measure else ""
    share = share or ("response" if re.search(r"respon|>=\s*\d+\s*%", low) or "response" in measure else "")
    if measure in ("response-difference", "remission-difference"):
        return f"{share}-difference"
    if measure == "difference":
        return "difference"
    if measure == "ratio":
        how = {"rr": "ratio", "or": "odds-ratio"}.get(unit.split(" ")[0] if unit else "")
        if share and how:
            return f"{share}-{how}"
        return f'respine does not compute "{text}" as {unit or "a ratio"}: only RR and OR of response or remission'
    if re.search(r"pre.?post|within", low) or unit in ("f", "t", "p"):
        return f'"{text}" compares people with themselves: respine computes effect sizes between two arms'
    return "effect-size"


def _measure_in(text: str) -> str:
    """The measure that a row's text names, or an empty text."""
    low = text.lower()
    if re.search(r"odds|ratio|\bor\b|risk|correlation|smd|hedges|dose|share of|effect.size|weighted|standardised", low):
        return ""
    if "some point" in low or "any time" in low:
        return "response-any-time"
    if "relapse" in low:
        return "time-to-relapse" if "time" in low else ("relapse-free" if "not relapsed" in low else "")
    if "difference" in low:
        return "difference"
    for word in ("remission", "response"):
        if word in low:
            return word
    if re.search(r"change|reduction|increase|rise", low):
        return "change"
    if _scale_in(text) and re.search(r"baseline|score|total|mean|^\S+(?:\s+item)?$", low):
        return "score"
    return ""


def _scale_in(text: str) -> str:
    """The library scale that a text names, the longest name first, or an empty text."""
    plain = re.sub(r"[^a-z0-9]+", " ", text.lower())
    known = [(alias, name) for name in scales.names() for alias in (name, *scales.load(name).aliases)]
    for alias, name in sorted(known, key=lambda pair: -len(pair[0])):
        words = re.sub(r"[^a-z0-9]+", " ", alias.lower()).strip()
        if re.search(rf"\b{words}\b", plain):
            return name
    return ""
