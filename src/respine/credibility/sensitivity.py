"""Which numbers of the model decide its answers: all sourced ranges varied at once, read-outs of the typical subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from respine import population
from respine.credibility.question import Readout, read
from respine.credibility.ranks import chance_band, explained_alone, partial_rank_correlations
from respine.model.system import System
from respine.population.random import inverse_normal
from respine.population.sample import belief
from respine.protocol import Arm, Protocol, resolve
from respine.protocol.typical import TypicalStudy, typical_parameters, typical_people
from respine.study import scales
from respine.trial.observe import true_scores

SPARE = 100  # vectors beyond the parameters that a rank regression needs to be worth anything
STILL = 1e-9  # a read-out that moves less than this share of its size does not move


def uncertain(arm: Arm) -> list[str]:
    """Parameters with a 90 % belief about the typical value that neither population nor arm sets."""
    fixed = typical_parameters(arm)
    return [
        q.id for q in arm.protocol.system.quantities.values()
        if q.role == "parameter" and q.id not in fixed and q.low is not None and q.high is not None and q.low < q.high
    ]  # fmt: skip


def hypercube(seed: int, purpose: str, n: int, names: Sequence[str]) -> np.ndarray:
    """A Latin hypercube ``(n, n_names)`` in (0, 1); a column depends on its own name, the seed and n alone."""
    columns = []
    for name in names:
        order, place = population.uniforms(seed, f"{purpose}:{name}", 0, n, 2).T
        columns.append((np.argsort(np.argsort(order, kind="stable"), kind="stable") + place) / n)
    return np.column_stack(columns) if columns else np.zeros((n, 0))


def experiment(name: str, n: int, seed: int, threads: int | None = None) -> dict[str, Any]:
    """All read-outs of one experiment over ``n`` vectors of uncertain parameters (at least ``SPARE`` more than those).

    Keys ``experiment, readouts, failures``; a read-out has ``name, label, unit, n, k, value, median, p05, p95, r2,
    band, effects`` with ``effects`` a list of ``parameter, prcc, alone``, the strongest first. ``band`` is the PRCC that
    95 % of parameters without effect stay below; ``alone`` the share of variance explained by this parameter alone.
    """
    question = read()
    readouts = question.of_experiment(name)
    protocol = resolve(question.study(name))
    system = protocol.system
    facts: list[dict[str, Any]] = []
    failures: list[str] = []
    for arm in dict.fromkeys(readout.arm for readout in readouts):
        of_arm = [readout for readout in readouts if readout.arm == arm]
        ids = uncertain(protocol.arm(arm))
        z = inverse_normal(hypercube(seed, "sensitivity", max(n, len(ids) + SPARE), ids))
        drawn = [belief(system.quantities[id], system.parameters[id], z[:, k]) for k, id in enumerate(ids)]
        centre = np.array([[system.parameters[id] for id in ids]])
        courses = Courses(protocol, arm, of_arm, ids, threads)
        values = courses.values(np.vstack([centre, np.column_stack(drawn)]))
        failures += courses.typical.failures
        for k, readout in enumerate(of_arm):
            facts.append(readout_facts(readout, courses.units[k], ids, z, values[1:, k], float(values[0, k])))
    order = [readout.name for readout in readouts]
    return {
        "experiment": name,
        "failures": failures,
        "readouts": sorted(facts, key=lambda row: order.index(row["name"])),
    }


class Courses:
    """Read-outs of the typical subject of one arm for many parameter vectors; ``units`` names each read-out's unit."""

    def __init__(
        self, protocol: Protocol, arm: str, readouts: Sequence[Readout], vary: Sequence[str], threads: int | None = None
    ) -> None:
        self.protocol, self.arm, self.readouts = protocol, protocol.arm(arm), readouts
        library = protocol.study.library
        self.scales = {
            readout.of: scales.load(library, readout.of) for readout in readouts if scales.is_scale(library, readout.of)
        }
        outputs = list(dict.fromkeys(self.output(readout) for readout in readouts))
        times = np.unique([t for readout in readouts for t in readout.needed])
        self.typical = TypicalStudy(protocol, outputs, times, vary, arms=[arm], threads=threads)
        self.units = [self._unit(readout, protocol.system) for readout in readouts]

    def output(self, readout: Readout) -> str:
        """The model output behind a read-out."""
        return self.scales[readout.of].output if readout.of in self.scales else readout.of

    def values(self, table: np.ndarray) -> np.ndarray:
        """Read-outs ``(n, n_readouts)`` of vectors ``(n, n_vary)``; NaN where a vector cannot be solved."""
        return self.of_courses(self.typical.predict(table)[:, 0])

    def of_courses(self, solved: np.ndarray) -> np.ndarray:
        """Read-outs ``(n, n_readouts)`` of trajectories ``(n, n_times, n_outputs)``."""
        columns = []
        for readout in self.readouts:
            course = solved[:, :, self.typical.outputs.index(self.output(readout))]
            if readout.of in self.scales:
                course = self._scores(readout.of, course)
            with np.errstate(invalid="ignore", divide="ignore"):
                columns.append(readout.of_course(self.typical.times, course))
        return np.column_stack(columns)

    def _scores(self, name: str, course: np.ndarray) -> np.ndarray:
        """True scores of the typical person, without expectation and rater's error."""
        n = len(course)
        people = typical_people(self.arm, n)
        return true_scores(self.protocol.study, self.scales[name], people, np.zeros(n, np.int64), course, None)

    def _unit(self, readout: Readout, system: System) -> str:
        if readout.relation == "over":
            return "ratio to before"
        if readout.of in self.scales:
            return self.scales[readout.of].unit
        unit = system.quantities[readout.of].unit
        return "1" if unit in ("", "dimensionless") else unit


def readout_facts(
    readout: Readout, unit: str, ids: Sequence[str], z: np.ndarray, values: np.ndarray, centre: float
) -> dict[str, Any]:
    """What a cloud of vectors ``z`` ``(n, k)`` with read-outs ``values`` ``(n,)`` says; keys as of ``experiment``."""
    good = np.isfinite(values)
    n = int(good.sum())
    facts: dict[str, Any] = {"name": readout.name, "label": readout.label, "unit": unit, "n": n, "k": len(ids), "value": centre,
                             "median": None, "p05": None, "p95": None, "r2": None, "band": None, "effects": []}  # fmt: skip
    if n < len(ids) + SPARE // 2:
        return facts
    x, y = z[good], values[good]
    low, middle, high = np.quantile(y, [0.05, 0.5, 0.95])
    facts |= {"p05": float(low), "median": float(middle), "p95": float(high)}
    if np.ptp(y) <= STILL * max(1.0, abs(float(middle))):
        return facts
    prcc, r2 = partial_rank_correlations(x, y)
    alone = explained_alone(x, y)
    order = np.argsort(-np.abs(prcc), kind="stable")
    effects = [{"parameter": ids[k], "prcc": float(prcc[k]), "alone": float(alone[k])} for k in order]
    return facts | {"r2": r2, "band": chance_band(n, len(ids)), "effects": effects}


def readout_table(experiments: Sequence[Mapping[str, Any]], order: Sequence[str]) -> pd.DataFrame:
    """One row a read-out: what the sourced ranges do to it, and how much ranks explain."""
    columns = ["name", "label", "unit", "n", "k", "value", "median", "p05", "p95", "r2", "band"]
    rows = [{name: readout[name] for name in columns} for readout in _ordered(experiments, order)]
    return pd.DataFrame(rows, columns=columns)


def effect_table(experiments: Sequence[Mapping[str, Any]], order: Sequence[str]) -> pd.DataFrame:
    """Rows ``readout, label, rank, parameter, prcc, alone, beyond_chance``: every parameter of every read-out."""
    rows = [
        {"readout": readout["name"], "label": readout["label"], "rank": k + 1, **effect,
         "beyond_chance": abs(effect["prcc"]) > readout["band"]}
        for readout in _ordered(experiments, order) for k, effect in enumerate(readout["effects"])
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["readout", "label", "rank", "parameter", "prcc", "alone", "beyond_chance"])


def _ordered(experiments: Sequence[Mapping[str, Any]], order: Sequence[str]) -> list[Mapping[str, Any]]:
    rows = [readout for experiment in experiments for readout in experiment["readouts"]]
    return sorted(rows, key=lambda readout: order.index(readout["name"]))
