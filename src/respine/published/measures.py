"""The words of the column ``measure`` of the evidence tables, and the endpoint that each is compared with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """What a word means.

    ``kind`` of endpoint, empty where respine computes none; ``of_scale``: the row needs its scale (or output);
    ``cutoff``: the column that says who counts (``drop`` or ``below``); ``signed``: a fall of symptoms may be printed as a
    positive number, which the column ``sign`` says; ``people``: a percentage counts people.
    """

    kind: str = ""
    of_scale: bool = True
    cutoff: str = ""
    signed: bool = False
    people: bool = False


_NOT_COMPUTED = Measure(of_scale=False)
_OTHER_PEOPLE = Measure(of_scale=False, people=True)
_RESPONSE = Measure("response", cutoff="drop", people=True)

MEASURES: dict[str, Measure] = {
    "score": Measure("score"),
    "change": Measure("change", signed=True),
    "percent-change": Measure("percent-change", signed=True),
    "response": _RESPONSE,
    "response-any-time": _RESPONSE,
    "response-maintained": _RESPONSE,
    "remission": Measure("remission", cutoff="below", people=True),
    "difference": Measure("difference-in-change", signed=True),
    "score-difference": Measure("difference", signed=True),
    "standardised-difference": Measure("effect-size", signed=True),
    "effect-size": Measure("effect-size", signed=True),
    **{f"response-{how}": Measure(f"response-{how}", cutoff="drop") for how in ("difference", "ratio", "odds-ratio")},
    **{f"remission-{how}": Measure(f"remission-{how}", cutoff="below") for how in ("difference", "ratio", "odds-ratio")},
    "percent-of-control": Measure("percent-of-control"),
    "percent-restored": Measure("percent-restored"),
    # these need more than one time: an endpoint of the study stands for them
    "time-to-relapse": Measure("time-to-relapse", of_scale=False),
    "relapse-free": Measure("relapse-free", of_scale=False, people=True),
    "relapsed": Measure("relapse-free", of_scale=False, people=True),
    "peak": Measure("peak"),
    "trough": Measure("trough"),
    # known, and not computed
    **dict.fromkeys(
        ("ratio", "standardised-change", "direction", "two-values", "class-mean", "time", "count", "level", "dose",
         "correlation", "share-of-effect", "peak-change", "change-between-visits", "other-change"),
        _NOT_COMPUTED,
    ),
    **dict.fromkeys(
        ("incidence", "dropout", "share", "cumulative-remission", "response-cgi", "response-from-screening",
         "in-remitters", "in-non-responders", "in-completers"),
        _OTHER_PEOPLE,
    ),
}  # fmt: skip

NEED_MORE_TIMES = ("time-to-relapse", "relapse-free", "relapsed", "peak", "trough")
AT_ANY_TIME = ("response-any-time",)
COMPLEMENTS = ("relapsed",)
"""Shares of those who are not counted by the endpoint."""

COMPUTED = tuple(word for word, measure in MEASURES.items() if measure.kind)
"""Words that are compared with a prediction."""
