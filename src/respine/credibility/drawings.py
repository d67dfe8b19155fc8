"""The drawings of the page: name, title, caption with units and n, figure, and the table behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from respine import evidence
from respine.credibility import plots, plots_results, validation
from respine.credibility.text import span

if TYPE_CHECKING:
    from respine.credibility.assess import Assessment

Drawing = tuple[str, str, str, Any, pd.DataFrame]


def drawings(a: Assessment) -> Iterator[Drawing]:
    """Every drawing that can be made."""
    yield from _inputs(a)
    yield from _calibration(a)
    yield from _validation(a)
    yield from _sensitivity(a)


def _inputs(a: Assessment) -> Iterator[Drawing]:
    t = a.tables
    most = int(t["links"]["symbols"].max()) if len(t["links"]) else 0
    words = (
        f"Each arc: quantities of one module stand in the equations of another; the thicker, the more quantities (at most "
        f"{most}). n = {len(t['links'])} arcs."
    )
    yield "chain", "The chain of modules", words, plots.chain(t["modules"], t["links"]), t["links"]
    own = t["provenance"][(t["provenance"]["of"] == a.system.name) & (t["provenance"]["role"] == "parameter")]
    words = f"Parameters of the {a.system.name} model by the table they stand in, n = {len(own)}."
    yield "status", "Parameters by status", words, plots.statuses(own), own


def _calibration(a: Assessment) -> Iterator[Drawing]:
    t = a.tables
    if len(t["targets"]):
        words = (
            f"One dot a target, in standard errors; grey: 1.64, which holds 90 %. A curve of several points is one dot, never "
            f"negative. n = {len(t['targets'])}; triangles lie beyond 6."
        )
        yield "misfit", "Fit rows at the library's values", words, plots.targets(t["targets"]), t["targets"]
    if len(t["calibrated"]):
        informed = float(a.question.data["informed"])
        words = (
            f"In standard deviations of the prior on its own scale; grey: the prior's 90 %. Dot and bar: library value and "
            f"90 % interval from rows and prior together. Orange: the rows remove less than {100 * informed:.0f} % of the "
            f"prior's variance, or nothing was computed. n = {len(t['calibrated'])}; triangles lie beyond {plots.EDGE:g}."
        )
        figure = plots.calibrated(t["calibrated"], informed)
        yield "beliefs", "Calibrated numbers and their priors", words, figure, t["calibrated"]
    if len(t["identifiability"]):
        words = (
            "Eigenvalues of the Fisher information of the fit rows, in units of the priors' (no unit; those below 0.001 are "
            "drawn there). Right of 1 (blue) the rows say more than the prior, left of it (orange) the prior says more. "
            "n: parameters of the block."
        )
        figure = plots.information(a.blocks)
        yield "information", "What the fit rows decide in each block", words, figure, t["identifiability"]


def _validation(a: Assessment) -> Iterator[Drawing]:
    numbers = validation.with_numbers(a.lines)
    table = validation.table(numbers)
    figure = plots_results.shares(a.tables["by_role"])
    if figure is not None:
        words = "Share of published results of trials and experiments inside the predicted intervals, by role."
        yield "shares", "Are the intervals honest?", words, figure, a.tables["by_role"]
    figure = plots_results.published(numbers)
    if figure is not None:
        words = (
            f"A point a result (n = {len(numbers)}), with the predicted 90 % interval; line: agreement. The commonest units "
            f"have a panel; the table holds all."
        )
        yield "published", "Predicted against published", words, figure, table
    figure = plots_results.distances(numbers, evidence.systems())
    if figure is not None:
        words = (
            f"z of each result by system and role (n = {len(numbers)}); grey: 1.64, which holds 90 % where intervals are "
            f"honest. Triangles lie beyond 6."
        )
        yield "distances", "How far results lie from predictions", words, figure, table


def _sensitivity(a: Assessment) -> Iterator[Drawing]:
    t = a.tables
    figure = plots_results.sensitivity(t["readouts"], t["effects"])
    if figure is not None:
        words = (
            f"The {plots_results.MOST_BARS} strongest parameters of each read-out by partial rank correlation (PRCC, no unit, "
            f"-1 to 1): blue, the read-out rises with the parameter; orange, it falls. Grey: 95 % of parameters without any "
            f"effect stay inside. n = {span(t['readouts']['n'])} vectors each."
        )
        yield "sensitivity", "What decides each read-out", words, figure, t["effects"]
