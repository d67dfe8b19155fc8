"""Which endpoint a published row speaks of, from its columns; its text is for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from respine.library import BUILT_IN, Library
from respine.published.bars import Row, number
from respine.published.measures import AT_ANY_TIME, COMPUTED, MEASURES, NEED_MORE_TIMES, Measure
from respine.published.reasons import NotCompared, Reason
from respine.study import scales
from respine.study.endpoints import KINDS, Contrast, Endpoint, endpoint

SIGNS = ("", "measured", "benefit")
SIGNED = tuple(measure.kind for measure in MEASURES.values() if measure.signed)
TEST_STATISTICS = ("f", "t", "p")


@dataclass(frozen=True)
class Reading:
    """What a row says it measured: an endpoint, or why it is none of respine's. A contrast has no reference arm yet."""

    endpoint: Endpoint | None = None
    reason: Reason | None = None


def text_of(row: Row) -> str:
    """What a row says it measured, for people."""
    return row.get("endpoint") or row.get("quantity") or ""


def of_row(row: Row) -> str:
    """The scale or output that a row measured, as its column says."""
    return (row.get("scale") or row.get("output") or "").strip()


def read_row(row: Row, start: float, library: Library = BUILT_IN) -> Reading:
    """The endpoint a published row speaks of, counted from the study's ``start``, hours; ``library`` has its scale."""
    measure = (row.get("measure") or "").strip()
    known = MEASURES.get(measure)
    if not measure:
        return _no(NotCompared.LEFT_OPEN, "the row does not say what was measured: fill the column measure")
    if known is None or not known.kind:
        return _no(NotCompared.NO_ENDPOINT, f'respine does not compute "{measure}"{_instead(measure)}')
    if measure in NEED_MORE_TIMES:
        why = f"{known.kind} needs more than one time: name an endpoint of the study under compare.rows"
        return _no(NotCompared.LEFT_OPEN, why)
    time = number(row.get("time_h") or "")
    if time is None:
        return _no(NotCompared.LEFT_OPEN, "the row has no time")
    of = of_row(row)
    if not of:
        return _no(NotCompared.LEFT_OPEN, "the row names no scale: fill the column scale")
    scale = scales.load(library, of) if scales.is_scale(library, of) else None
    if scale is None and not row.get("output"):
        return _no(NotCompared.NO_SCALE, f'the library has no scale "{of}"')
    if problem := sign_problem(row, library):
        return _no(NotCompared.LEFT_OPEN, problem)
    return _endpoint(row, known, measure, of, scale, time, start)


def _endpoint(
    row: Row, known: Measure, measure: str, of: str, scale: scales.Scale | None, time: float, start: float
) -> Reading:
    fields: dict[str, Any] = {"name": text_of(row), "of": of if scale is None else scale.name}
    fields |= {"by": time} if measure in AT_ANY_TIME else {"at": time}
    cutoff = number(row.get(known.cutoff) or "") if known.cutoff else None
    if known.cutoff == "drop":
        share = None if cutoff is None else cutoff / 100
        fields["drop"] = share if share is not None else (0.5 if scale is None else scale.response_drop)
    elif known.cutoff == "below":
        fields["below"] = cutoff if cutoff is not None else (None if scale is None else scale.remission_at_most)
        if fields["below"] is None:
            why = f"nothing says which score of {of} counts as remission: fill the column below"
            return _no(NotCompared.LEFT_OPEN, why)
    if known.kind == "percent-restored":
        why = "percent-restored needs a damaged and a healthy arm: name an endpoint of the study under compare.rows"
        return _no(NotCompared.LEFT_OPEN, why)
    if issubclass(KINDS[known.kind], Contrast):
        fields["arm"] = ""
    return Reading(endpoint(known.kind, **fields).from_start(start))


def sign_problem(row: Row, library: Library = BUILT_IN, endpoint: Endpoint | None = None) -> str:
    """What the column ``sign`` must say and does not, or an empty text.

    A number above zero of a symptom scale may be a rise, or a fall that is printed as a benefit: the row says which. What
    was measured is what ``endpoint`` says, where the study names one for the row.
    """
    measure = MEASURES.get((row.get("measure") or "").strip())
    signed = measure is not None and measure.signed if endpoint is None else endpoint.kind in SIGNED
    value, sign, of = (
        number(row.get("value") or ""),
        row.get("sign") or "",
        of_row(row) if endpoint is None else endpoint.of,
    )
    if sign or not signed or value is None or value <= 0:
        return ""
    if not scales.is_scale(library, of) or scales.load(library, of).rule != "severity":
        return ""
    return f'{value:g} may be a rise of {of} or a fall: fill the column sign with "measured" or "benefit"'


def is_benefit(row: Row) -> bool:
    """Whether a fall of symptoms is printed as a positive number."""
    return (row.get("sign") or "") == "benefit"


def _instead(measure: str) -> str:
    """What the measure of a row could be called so that it is compared."""
    if measure == "ratio":
        return ": write response-ratio, response-odds-ratio, remission-ratio or remission-odds-ratio if it is one"
    if measure == "standardised-change":
        return ": people are compared with themselves, and effect sizes are computed between two arms"
    return "" if measure in MEASURES else f" ({', '.join(COMPUTED)} are)"


def _no(kind: NotCompared, text: str) -> Reading:
    return Reading(reason=kind.because(text))
