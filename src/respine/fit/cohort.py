"""Targets read over virtual people: shares of responders, mean changes and their spread, with fixed random numbers.

Every parameter vector meets the same people, the same days and the same raters, so that a difference between vectors is
due to the parameters alone and the objective is smooth enough to go downhill on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from respine import population, trial
from respine.fit import smooth
from respine.fit.recipe import Free, Settings, Target, experiment
from respine.fit.values import Place
from respine.model.system import Quantity, System
from respine.population import People
from respine.population.sample import vary
from respine.protocol import resolve
from respine.protocol.output_times import output_times, rating_times
from respine.protocol.protocol import FELT
from respine.protocol.settings import FIT_RTOL
from respine.study import expectancy as expectancy_file
from respine.study import load, scales
from respine.study.expectancy import without_trial_terms
from respine.study.schema import Study
from respine.trial import expectancy
from respine.trial.endpoints import Endpoint, arms_needed, estimate, of_study, per_person, sample_of
from respine.trial.observe import baseline_scores, hardly_ill, residual, strongest_felt, true_scores, with_effect
from respine.trial.setting import exaggeration, regression


class CohortTargets:
    """All targets of one study that are read from its endpoints."""

    def __init__(
        self,
        study: str,
        targets: Sequence[Target],
        free: Sequence[Free],
        settings: Settings,
        threads: int | None = None,
        *,
        trial_terms: bool = False,
        rtol: float = FIT_RTOL,
    ) -> None:
        self.targets, self.free, self.threads = list(targets), list(free), threads
        self.trial_terms, self.rtol = trial_terms, rtol
        self.people, self.replicates, self.still = settings.people, settings.replicates, bool(settings.still)
        self.protocol = resolve(load(experiment(study)))
        self.study, self.system = self.protocol.study, self.protocol.system
        known = self.protocol.symbols
        self.endpoints = {e.name: e for e in of_study(self.study)}
        wanted = [self.endpoints[t.endpoint] for t in targets]
        everyone = list(self.study.arms)
        self.arms = list(
            dict.fromkeys(a for t, e in zip(targets, wanted, strict=True) for a in arms_needed(e, t.arm, everyone))
        )
        self.scales = list(dict.fromkeys(e.of for e in wanted))
        needed = outputs_of([self.protocol.scale(name) for name in self.scales], self.protocol.scale(FELT), known)
        self.moving = [f for f in free if f.moves(self.system)]
        self.rating = rating_times(self.study)
        self.times = _coarse(
            output_times(self.protocol),
            self.rating,
            [t for a in self.study.arms.values() for d in a.doses for t in d.at],
        )
        self.begin = min(self.protocol.begin, float(self.times[0]))
        self.cohort = {
            arm: self.protocol.arm(arm).people(range(self.people), draw_parameters=False) for arm in self.arms
        }
        self.traits: np.ndarray | None = None
        if trial_terms:
            self.cohort = {arm: evened(people, self.system) for arm, people in self.cohort.items()}
            self.traits = even(population.normals(self.study.seed, "expectancy of the person", 0, self.people, 1)[:, 0])
        columns = dict.fromkeys(
            [*(str(c) for p in self.cohort.values() for c in p.parameters), *(f.place.id for f in self.moving)]
        )
        self.columns = [c for c in columns if c in self.system.parameters]
        self.outputs = needed

    def predict(self, vectors: Mapping[str, np.ndarray], n: int) -> list[np.ndarray]:
        """For each target ``(n,)``."""
        paths = self._paths(vectors, n)
        predicted = np.full((len(self.targets), n), np.nan)
        for k in range(n):
            values = {name: float(column[k]) for name, column in vectors.items()}
            panel = self._panel({arm: paths[arm][k] for arm in self.arms}, values)
            if panel is None:
                continue
            for j, target in enumerate(self.targets):
                well = target.statistic == "hardly-ill"
                predicted[j, k] = (
                    self._hardly_ill(target, paths[target.arm][k]) if well else self._number(target, panel)
                )
        return list(predicted)

    def _paths(self, vectors: Mapping[str, np.ndarray], n: int) -> dict[str, np.ndarray]:
        """Trajectories ``(n, n_people, n_times, n_outputs)`` per arm; equal biology is solved once."""
        table = np.column_stack([vectors[f.name] for f in self.moving]) if self.moving else np.zeros((n, 0))
        unique, back = np.unique(table, axis=0, return_inverse=True)
        back = np.asarray(back).reshape(-1)
        result = {}
        for arm in self.arms:
            people = self._tiled(arm, unique)
            solved = self.protocol.arm(arm).solve(
                people,
                self.outputs,
                self.times,
                vary=self.columns,
                begin=self.begin,
                rtol=self.rtol,
                threads=self.threads,
            )
            values = solved.values
            values[np.asarray(solved.status) != 0] = np.nan
            result[arm] = values.reshape(len(unique), self.people, len(self.times), len(self.outputs))[back]
        return result

    def _tiled(self, arm: str, table: np.ndarray) -> People:
        """The people of an arm once for every row of ``table``, their parameters moved as the row says."""
        base, k = self.cohort[arm], len(table)
        covariates = pd.concat([base.covariates] * k, ignore_index=True)
        fixed = {**self.study.parameters, **self.study.arms[arm].parameters}
        numbers: dict[str, np.ndarray] = {}
        for id in self.columns:
            column = (
                base.parameters[id].to_numpy(float)
                if id in base.parameters
                else np.full(self.people, float(fixed.get(id, self.system.parameters[id])))
            )
            own = [(f.place, table[:, j]) for j, f in enumerate(self.moving) if f.place.id == id]
            numbers[id] = (
                np.tile(column, k) if not own or id in fixed else moved(self.system.quantities[id], column, own, k)
            )
        return People(covariates, pd.DataFrame(numbers), np.zeros(len(covariates), np.int64))

    def _panel(self, paths: Mapping[str, np.ndarray], values: Mapping[str, float]) -> trial.Panel | None:
        """What raters would have written, ``replicates`` times for everybody."""
        if not all(np.isfinite(p).all() for p in paths.values()):
            return None
        held = {name: with_numbers(self.protocol.scale(name), values) for name in (*self.scales, FELT)}
        base = self.protocol.expectancy if self.trial_terms else without_trial_terms(self.protocol.expectancy)
        belief = expectancy_with(base, values)
        if self.trial_terms:
            belief = in_trial(self.study, belief, values)
        index = np.searchsorted(self.times, self.rating - 1e-9)
        subjects = np.arange(self.people)
        cells: dict[tuple[str, str], np.ndarray] = {}
        for arm in self.arms:
            path, people = paths[arm], self.cohort[arm]
            gain = None
            for name in self.scales:
                scale = held[name]
                output = path[:, :, self.outputs.index(scale.output)][:, index]
                output = np.broadcast_to(output[:, :1], output.shape) if self.still else output
                if scale.rule == "severity" and gain is None:
                    felt = self._felt(path, held[FELT], subjects, index)
                    gain = expectancy.strength(
                        self.protocol.arm(arm), subjects, self.rating, felt, model=belief, traits=self.traits
                    )
                if scale.rule == "severity":
                    output = with_effect(output, belief.numbers.get("effect", 1.0))
                true = true_scores(
                    self.study, scale, people, subjects, output, gain if scale.rule == "severity" else None
                )
                many = np.arange(self.people * self.replicates)
                noise = residual(self.study, scale, arm, many, self.rating)
                if self.trial_terms and scale.rule == "severity":
                    entry = np.tile(baseline_scores(self.study, scale, people, subjects), self.replicates)
                    noise = noise + regression(self.study, scale, many, self.rating, entry, belief.numbers)
                cells[arm, name] = np.clip(
                    np.tile(true, (self.replicates, 1)) + noise, scale.low, scale.high
                )  # not in whole points
        count = self.people * self.replicates
        return trial.Panel(np.arange(count), np.zeros(count, np.int64), dict.fromkeys(self.scales, self.rating), cells)

    def _felt(
        self, path: np.ndarray, scale: scales.Scale, subjects: np.ndarray, index: np.ndarray
    ) -> np.ndarray | None:
        if scale.output not in self.outputs:
            return None
        return strongest_felt(self.study, scale, subjects, path[:, :, self.outputs.index(scale.output)])[:, index]

    def _hardly_ill(self, target: Target, path: np.ndarray) -> float:
        """Percent of people who are hardly ill at the first visit, by as many floors of the scale as the recipe says."""
        scale = self.protocol.scale(self.endpoints[target.endpoint].of)
        first = path[:, int(np.searchsorted(self.times, self.study.start - 1e-9)), self.outputs.index(scale.output)]
        return 100 * float(np.mean(hardly_ill(first, scale, target.floors)))

    def _number(self, target: Target, panel: trial.Panel) -> float:
        endpoint: Endpoint = self.endpoints[target.endpoint]
        if target.statistic == "sd":
            spread = float(np.nanstd(per_person(endpoint, panel, target.arm)))
            return 100 * spread if endpoint.is_share else spread
        if smooth.is_smooth(endpoint) and (target.arm, endpoint.of) in panel.values:
            value = smooth.share(endpoint, panel, target.arm)
        else:
            needed = [a for a in arms_needed(endpoint, target.arm, self.arms) if (a, endpoint.of) in panel.values]
            value = float(estimate(endpoint, target.arm, sample_of(endpoint, panel, needed)))
        return value / 24 if endpoint.unit("") == "h" and target.row.get("unit") == "days" else value


def outputs_of(chosen: Sequence[scales.Scale], felt_by: scales.Scale, known: set[str]) -> list[str]:
    """Model outputs that these scales read, and what people feel."""
    outputs, felt = [s.output for s in chosen], felt_by.output
    if any(s.rule == "severity" for s in chosen) and felt in known:
        outputs.append(felt)
    return list(dict.fromkeys(outputs))


def _coarse(grid: np.ndarray, rating: np.ndarray, doses: Sequence[float]) -> np.ndarray:
    """Ratings, and the hours after each dose in which something is felt: the rest of the grid is for plots."""
    near = [t for t in grid if any(d < t <= d + 2.0 for d in doses)]
    return np.unique([*rating, *near])


def moved(quantity: Quantity, column: np.ndarray, changes: Sequence[tuple[Place, np.ndarray]], k: int) -> np.ndarray:
    """Values of people when the typical value or the spread between them becomes another, ``(k * n_people,)``.

    Everybody keeps the distance from the typical person that the random numbers gave, in units of the spread.
    """
    value, spread = float(quantity.value or 0.0), quantity.variability
    new = {place.field: numbers for place, numbers in changes}
    centre = new.get("value", np.full(k, value))[:, None]
    width = new.get("variability", np.full(k, spread))[:, None]
    kind = quantity.distribution
    if kind == "lognormal":
        eta = np.log(column / value) / np.sqrt(np.log1p(spread**2)) if spread else np.zeros_like(column)
        return np.asarray(centre * np.exp(np.sqrt(np.log1p(width**2)) * eta)).ravel()
    if kind == "logitnormal":
        logit = np.log(column / (1 - column)) - np.log(value / (1 - value))
        eta = logit / spread if spread else np.zeros_like(column)
        return np.asarray(1 / (1 + np.exp(-(np.log(centre / (1 - centre)) + width * eta)))).ravel()
    eta = (column - value) / spread if spread else np.zeros_like(column)
    return np.asarray(centre + width * eta).ravel()


def with_numbers(scale: scales.Scale, values: Mapping[str, float]) -> scales.Scale:
    """A scale with numbers replaced that a vector names ``SCALE.number``."""
    own = {name.partition(".")[2]: v for name, v in values.items() if name.partition(".")[0] == scale.name}
    return dataclasses.replace(scale, numbers={**scale.numbers, **own}) if own else scale


def even(normal: np.ndarray) -> np.ndarray:
    """Standard normal numbers at even quantiles in the order of these: few people then stand for many."""
    rank = np.argsort(np.argsort(normal, kind="stable"), kind="stable")
    return population.inverse_normal((rank + 0.5) / len(normal))


def evened(people: People, system: System) -> People:
    """The people with each parameter that differs between them at even quantiles of its distribution, in their order."""
    columns = {}
    for name in map(str, people.parameters.columns):
        column, quantity = people.parameters[name].to_numpy(float), system.quantities.get(name)
        if quantity is not None and quantity.variability > 0 and len(np.unique(column)) == len(column):
            column = vary(quantity, np.full(len(column), float(quantity.value or 0.0)), even(column))
        columns[name] = column
    return People(people.covariates, pd.DataFrame(columns), people.draw)


def in_trial(
    study: Study, model: expectancy_file.Expectancy, values: Mapping[str, float]
) -> expectancy_file.Expectancy:
    """Expectancy with the setting and effect of this trial: ``trial.setting:STUDY`` and ``trial.effect:STUDY`` of a vector are
    standard normal; in a pool of k trials their mean over trials varies by the root of k less.
    """
    own = {}
    for name in ("setting", "effect"):
        z = values.get(f"trial.{name}:{study.name}", 0.0) / np.sqrt(study.pooled_trials)
        own[name] = float(np.exp(model.numbers[f"{name}_sd"] * z))
    own["effect"] *= float(exaggeration(study, model.numbers))
    return dataclasses.replace(model, numbers={**model.numbers, **own})


def expectancy_with(base: expectancy_file.Expectancy, values: Mapping[str, float]) -> expectancy_file.Expectancy:
    """Expectancy with the numbers replaced that a vector names ``expectancy.number``."""
    numbers, belief = dict(base.numbers), {kind: dict(block) for kind, block in base.belief.items()}
    for name, value in values.items():
        parts = name.split(".")
        if parts[0] == "expectancy" and parts[1] == "belief":
            belief[parts[2]][parts[3]] = value
        elif parts[0] == "expectancy":
            numbers[parts[1]] = value
    return dataclasses.replace(base, numbers=numbers, belief=belief)
