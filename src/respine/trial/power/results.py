"""What a power calculation answers: tables of power, assurance and sizes, and where they surprise, why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from respine.files.html import card
from respine.study.schema import Study
from respine.trial.power import costs as cost_of
from respine.trial.power.curve import fit, size_and_error
from respine.trial.power.question import Comparison
from respine.trial.replicates.analyses import NONE

if TYPE_CHECKING:
    import pandas as pd

TARGETS = (0.8, 0.9)
SURPRISING = 0.05  # power less assurance, from which it is explained
CERTAIN = 0.995  # assurance that is as good as 1
FAR = 0.25  # of the typical effect: from which its distance to the mean over draws is told
POWER = ("arm", "against", "endpoint", "scale", "visit_h", "analysis", "n", "power", "power_error", "assurance",
         "assurance_error", "wrong", "cost")  # fmt: skip


@dataclass(frozen=True)
class Counts:
    """Simulated trials of one comparison: in ``given`` with typical parameters, in ``drawn`` with drawn ones.

    Each holds ``won`` and ``lost`` (R, sizes), the share of a replicate's trials that were significant for and against the arm;
    ``effect`` and ``se`` (R,) at the largest size; ``sd`` (R, 2) variances of the change in both arms and ``left`` (R, 2) the
    share without a score. ``weight`` (sizes,): trials a replicate was divided into; ``size`` the largest size.
    """

    comparison: Comparison
    replicates: int
    given: Mapping[str, np.ndarray]
    drawn: Mapping[str, np.ndarray]
    weight: np.ndarray
    fallbacks: Mapping[str, int]
    size: int


@dataclass(frozen=True)
class PowerResults:
    """Power and assurance of a study.

    ``table``: a row a comparison and size, with ``power`` given the typical parameters and ``assurance`` over them, each with its
    Monte Carlo standard error, and the share of trials that are significant the ``wrong`` way round. ``sizes``: people an arm for
    80 and 90 %, with the 5th to 95th percentile of the simulation's chance; infinite where no size is enough. ``effects``: the
    difference, its SD between parameter draws, and the SD of people within a draw, which is the one a formula for n needs.
    ``notes``: sentences.
    """

    study: Study
    table: pd.DataFrame
    sizes: pd.DataFrame
    effects: pd.DataFrame
    alpha: float
    replicates: int
    notes: tuple[str, ...] = ()
    curves: Mapping[tuple[str, str, float, str], Any] = field(default_factory=dict, repr=False)

    def plot(self) -> Any:
        """Power and assurance against n, a panel a comparison: a figure that hands back its table as ``.table``."""
        from importlib import import_module

        return import_module("respine.report").plot_power(self)  # a later room: asked for here, drawn there

    def plain(self) -> dict[str, Any]:
        """Everything as plain values for JSON."""
        return {
            "study": self.study.name, "alpha": self.alpha, "replicates": self.replicates,
            "power": self.table.to_dict("records"), "sizes": self.sizes.to_dict("records"),
            "effects": self.effects.to_dict("records"), "notes": list(self.notes),
        }  # fmt: skip

    def __repr__(self) -> str:
        return (
            f"Power of {self.study.name}: {len(self.table)} rows from {self.replicates} simulated trials; "
            ".table, .sizes, .effects, .notes, .plot()"
        )

    def _repr_html_(self) -> str:
        shown = [
            row[["arm", "against", "visit_h", "n", "power", "assurance"]].tolist() for _, row in self.table.iterrows()
        ]
        facts = [("alpha", self.alpha), ("simulated trials", self.replicates), ("notes", "; ".join(self.notes))]
        return card(
            f"Power of {self.study.name}", facts, ("arm", "against", "visit h", "n", "power", "assurance"), shown
        )


def results(
    study: Study, n: Sequence[int], counts: Sequence[Counts], alpha: float, costs: Mapping[str, float], asked: int
) -> PowerResults:
    """Tables and notes from the counts. Raises InputError for costs that mean nothing."""
    import pandas as pd
    from scipy.special import ndtri

    cost_of.check(costs)
    z = float(ndtri(1 - alpha / 2))
    rows: list[dict[str, Any]] = []
    reach: list[dict[str, Any]] = []
    effects: list[dict[str, Any]] = []
    notes: list[str] = []
    curves: dict[tuple[str, str, float, str], Any] = {}
    grid = np.array(n, float)
    for count in counts:
        head = _head(count)
        power, assurance = (part["won"].mean(axis=0) for part in (count.given, count.drawn))
        error = [part["won"].std(axis=0, ddof=1) / np.sqrt(count.replicates) for part in (count.given, count.drawn)]
        share = {"power": power, "assurance": assurance}
        for k, size in enumerate(n):
            cost = cost_of.expected(count, k, size, costs) if costs else float("nan")
            rows.append(head | {
                "n": size, "power": power[k], "power_error": error[0][k], "assurance": assurance[k],
                "assurance_error": error[1][k], "wrong": count.drawn["lost"].mean(axis=0)[k], "cost": cost,
            })  # fmt: skip
        for kind, part in (("power", count.given), ("assurance", count.drawn)):
            spread = kind == "assurance"
            curve = fit(grid, share[kind], count.replicates * count.weight, z, spread=spread)
            curves[count.comparison.arm, count.comparison.against, count.comparison.outcome.time, kind] = curve
            for target in TARGETS:
                least, low, high = size_and_error(grid, part["won"], count.weight, target, z, spread=spread)
                reach.append(head | {"for": kind, "target": target, "n": np.ceil(least), "low": np.ceil(low),
                                     "high": np.ceil(high), "simulated": bool(n[0] <= least <= n[-1]),
                                     "limit": float("nan") if curve is None else curve.limit})  # fmt: skip
        effects.append(head | _effects(count))
        notes += _notes(count, effects[-1], power, assurance, n, curves)
    if counts and counts[0].replicates < asked:
        notes.append(f"the budget was used up after {counts[0].replicates} of {asked} simulated trials")
    table = pd.DataFrame(rows, columns=list(POWER))
    if not costs:
        table = table.drop(columns=["cost"])
    done = counts[0].replicates if counts else 0
    return PowerResults(
        study, table, pd.DataFrame(reach), pd.DataFrame(effects), alpha, done, tuple(dict.fromkeys(notes)), curves
    )


def _head(counts: Counts) -> dict[str, Any]:
    outcome = counts.comparison.outcome
    return {"arm": counts.comparison.arm, "against": counts.comparison.against, "endpoint": outcome.name, "scale": outcome.scale,
            "visit_h": outcome.time, "analysis": outcome.method}  # fmt: skip


def _effects(counts: Counts) -> dict[str, Any]:
    """Effect with typical parameters; over draws its mean and SD without the chance of people; SD within draws, and pooled."""
    effect, se = counts.drawn["effect"], counts.drawn["se"]
    known = np.isfinite(effect)
    between = max(float(np.var(effect[known], ddof=1) - np.mean(se[known] ** 2)), 0.0)
    within = float(np.sqrt(np.nanmean(counts.drawn["sd"])))
    typical = float(np.nanmean(counts.given["effect"]))
    return {
        "effect": typical, "effect_error": float(np.nanstd(counts.given["effect"], ddof=1) / np.sqrt(counts.replicates)),
        "effect_over_draws": float(np.nanmean(effect)),
        "effect_over_draws_error": float(np.nanstd(effect, ddof=1) / np.sqrt(counts.replicates)),
        "sd_between_draws": float(np.sqrt(between)),
        "sd_within": float(np.sqrt(np.nanmean(counts.given["sd"]))), "sd_within_draws": within,
        "sd_analysis": float(np.sqrt(np.nanmean(counts.given["se"] ** 2) * counts.size / 2)),
        "missing_arm": float(np.nanmean(counts.given["left"][:, 0])),
        "missing_against": float(np.nanmean(counts.given["left"][:, 1])),
    }  # fmt: skip


def _notes(
    counts: Counts,
    effect: Mapping[str, Any],
    power: np.ndarray,
    assurance: np.ndarray,
    n: Sequence[int],
    curves: Mapping[Any, Any],
) -> list[str]:
    """Where the answers surprise, and why."""
    label, notes = counts.comparison.label, []
    outcome = counts.comparison.outcome
    when = f"{label}, {outcome.time / 24:g} d"
    curve = curves[counts.comparison.arm, counts.comparison.against, outcome.time, "assurance"]
    sign = -1 if outcome.lower_is_better else 1
    if curve is not None and power[-1] - assurance[-1] > SURPRISING:
        end = f"no size takes it above {100 * curve.limit:.0f} %" if curve.limit < CERTAIN else "it rises slowly with n"
        notes.append(
            f"{when}: assurance stays below power because the effect is not known: {effect['effect_over_draws']:.2f} with an "
            f"SD of {effect['sd_between_draws']:.2f} between parameter draws; {end}"
        )
    apart = abs(effect["effect"] - effect["effect_over_draws"])
    chance = np.hypot(effect["effect_error"], effect["effect_over_draws_error"])
    if apart > max(FAR * abs(effect["effect"]), 3 * chance):
        notes.append(
            f"{when}: the typical parameters give a difference of {effect['effect']:.2f}, their draws on average "
            f"{effect['effect_over_draws']:.2f}. Typical values are each number's own best guess; draws hold what the evidence "
            "says of all numbers together: decide by assurance"
        )
    if sign * effect["effect"] < 0:
        notes.append(f"{when}: the arm does worse than the one it is compared with, so that a trial can hardly be won")
    short = float(1 / np.sqrt(counts.replicates * counts.weight.min()) / 2)
    if short > 0.02:
        notes.append(
            f"{counts.replicates} simulated trials: a power near 50 % has a Monte Carlo error of {100 * short:.1f} points"
        )
    for name, count in counts.fallbacks.items():
        handling = "could not be fitted at all and counts as lost" if name == NONE else f"took the covariance {name}"
        notes.append(f"{label}: {count} mixed models {handling}, as an unstructured one could not be estimated")
    return notes
