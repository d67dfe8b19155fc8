"""The tables of the page, each with the columns that people read; the files behind them hold everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pandas as pd

from respine.credibility.tables import Column, Shown, missing, shown, with_intervals, written

if TYPE_CHECKING:
    from respine.credibility.assess import Assessment

OUTSIDE_SHOWN = 30
STRONGEST_SHOWN = 12


def _column(kind: str) -> Callable[..., Column]:
    return lambda name, header=None: Column(name, name.replace("_", " ") if header is None else header, kind)


text, code, number, count, share, signed, yes, time, span = map(
    _column, ("text", "code", "number", "count", "share", "signed", "yes", "time", "range")
)


def tables(a: Assessment) -> Iterator[Shown]:
    """Every table of the page."""
    yield from _inputs(a)
    yield from _calibration(a)
    yield from _verification(a)
    yield from _validation(a)
    yield from _sensitivity(a)
    yield from _failures(a)


def _inputs(a: Assessment) -> Iterator[Shown]:
    t = a.tables
    columns = [code("module"), text("what", "what it holds"), count("states"), count("rules"), count("inputs"),
               count("parameters", "parameters first used here")]  # fmt: skip
    yield shown("modules", t["modules"], columns)
    columns = [text("numbers", "numbers of"), count("n"), count("literature"), count("derived"), count("calibrated"),
               count("assumed"), share("assumed_share", "share assumed"), count("complete", "lack nothing")]  # fmt: skip
    yield shown("statuses", t["statuses"], columns)
    own = t["provenance"][~t["provenance"]["of"].isin(a.question.data["others"])]
    own = with_intervals(own.sort_values("lacks", key=lambda c: c == "", kind="stable"), belief=("low", "high"))
    columns = [
        code("symbol"), text("role"), number("value"), text("unit"), span("belief", "90 % belief"), text("status"),
        text("source"), text("where", "place"), text("note", "meaning or reason"), text("lacks"),
    ]  # fmt: skip
    yield shown("provenance", t["provenance"], columns, rows=own)


def _calibration(a: Assessment) -> Iterator[Shown]:
    t = a.tables
    columns = [
        text("block"), code("parameter"), number("value"), number("se", "SE"), text("scale", "SE on scale"),
        span("interval", "90 % interval"), number("prior", "prior median"), span("believed", "prior 90 %"),
        share("informed", "variance removed by the rows"), signed("step", "steps to optimum (SE)"), text("status"),
    ]  # fmt: skip
    rows = with_intervals(t["calibrated"], interval=("low", "high"), believed=("prior_low", "prior_high"))
    yield shown("calibrated", t["calibrated"], columns, rows=rows)
    columns = [
        text("block"), code("row"), text("study"), text("arm"), text("what", "read as"), time("time_h", "at"),
        text("asked"), number("published"), number("error", "SE"), number("predicted", "model"), signed("z", "z (SE)"),
        yes("within", "within 1.64 SE"),
    ]  # fmt: skip
    yield shown("targets", t["targets"], columns)
    columns = [
        text("block"), count("parameters"), count("targets"), number("largest", "largest eigenvalue"),
        number("smallest", "smallest"), number("condition", "condition number"), count("above_1", "above 1"),
        number("learned", "decided by rows"),
    ]  # fmt: skip
    yield shown("identifiability", t["identifiability"], columns)


def _verification(a: Assessment) -> Iterator[Shown]:
    t = a.tables
    columns = [
        text("label", "read-out"), text("unit"), number("value", "at the tolerance of use"), number("tight", "at 1e-10"),
        number("relative", "relative difference"), yes("same_bits", "same bits on 1 and 2 threads"),
    ]  # fmt: skip
    yield shown("numerical", t["numerical"], columns)
    if len(t["qualification"]):
        columns = [
            text("title", "suite"),
            count("passed"),
            count("bound", "of"),
            text("failed", "not passed"),
            code("file"),
        ]
        yield shown("qualification", t["qualification"], columns)


def _validation(a: Assessment) -> Iterator[Shown]:
    t = a.tables
    shares = [text("role"), count("rows"), count("predicted"), count("judged"), count("inside", "hold"), share("share"),
              count("numbers", "with a number"), share("inside_50", "inside 50 %"), share("inside_90", "inside 90 %"),
              number("rms_z", "root mean square of z")]  # fmt: skip
    yield shown("by_role", t["by_role"], shares)
    yield shown("by_system", t["by_system"], [text("system"), *shares])
    forecast = [text("role"), text("arm_type", "arms"), count("trials"), count("rows"), share("inside_90", "inside 90 %"),
                share("inside_50", "inside 50 %"), number("rms_z", "rms z"), share("above", "published above the median"),
                share("class mean skill", "CRPS skill against the class mean"),
                share("meta-analysis skill", "against a meta-analysis")]  # fmt: skip
    yield shown("forecasts", t["forecasts"], forecast)
    lines = _as_published(t["evidence"])
    columns = [
        text("system"), text("what", "result"), text("study"), time("time_h", "at"), text("unit"), count("n"),
        number("predicted"), span("range", "90 % interval"), span("result", "published"), span("bar", "published 95 %"),
        yes("inside"), signed("z"), text("kind"), code("id", "row"),
    ]  # fmt: skip
    for role in ("fit", "validate", "context"):
        of_role = lines[(lines["role"] == role) & (lines["reason"] == "")]
        yield shown(f"rows_{role}", t["evidence"][t["evidence"]["role"] == role], columns, rows=of_role)
    reasons = [{"reason": reason, "rows": n} for reason, n in a.facts["reasons"].items()]
    table = pd.DataFrame(reasons, columns=["reason", "rows"])
    yield shown("reasons", table, [text("reason", "why there is no prediction"), count("rows")])


def _as_published(table: pd.DataFrame) -> pd.DataFrame:
    """With intervals as words, and the published number, or its text where it is none, in ``result``."""
    bars = {"bar": ("published_low", "published_high")} if "published_low" in table else {}
    words = [
        str(written_text) if missing(value) else written(float(value))
        for value, written_text in zip(table["published"], table["published_text"], strict=True)
    ]
    return with_intervals(table, range=("low", "high"), **bars).assign(result=words)


def _sensitivity(a: Assessment) -> Iterator[Shown]:
    t = a.tables
    columns = [
        text("label", "read-out"), text("unit"), number("value", "library"), number("median", "median over ranges"),
        span("range", "5 to 95 %"), count("n"), share("r2", "of ranks explained"), number("band", "PRCC by chance"),
    ]  # fmt: skip
    yield shown("readouts", t["readouts"], columns, rows=with_intervals(t["readouts"], range=("p05", "p95")))
    columns = [text("label", "read-out"), count("rank"), code("parameter"), signed("prcc", "PRCC"),
               share("alone", "variance explained alone"), yes("beyond_chance", "beyond chance")]  # fmt: skip
    yield shown("effects", t["effects"], columns, rows=t["effects"][t["effects"]["rank"] <= STRONGEST_SHOWN])


def _failures(a: Assessment) -> Iterator[Shown]:
    t = a.tables
    first = [text("label", ""), text("title", "finding"), text("what", "checked"), text("target"), number("value", "model"),
             text("unit")]  # fmt: skip
    yield shown("failing", t["failing"], [*first, text("evidence")])
    yield shown("assertions", t["assertions"], [*first, yes("holds")])
    columns = [
        text("role"), text("system"), text("what", "result"), text("study"), text("unit"), number("predicted"),
        span("range", "90 % interval"), span("result", "published"), signed("z"),
    ]  # fmt: skip
    yield shown("outside", t["outside"], columns, rows=_as_published(t["outside"]), most=OUTSIDE_SHOWN)
