"""One arm of a protocol: its people, its doses, and the one place where a study's equations are solved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from respine.population import People
from respine.protocol import ledger, people, schedule
from respine.protocol.doses import DoseRecord, PlannedDose, PlannedExposure, Taken, dose_record, occasions
from respine.protocol.rule_doses import Given, Possible, decision_times, possible, rules_of
from respine.protocol.settings import NONNEGATIVE, PRECISION, RUN_RTOL
from respine.study.rules import Rule
from respine.study.schema import Arm as AskedArm
from respine.study.schema import Dose
from respine.study.treatments import straight_into

if TYPE_CHECKING:
    import pandas

    from respine.engine import Schedule, Solution, Solver
    from respine.protocol.protocol import Protocol

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Arm:
    """One arm of a protocol, by name; ``asked`` is the arm as the study writes it."""

    protocol: Protocol
    name: str

    @property
    def asked(self) -> AskedArm:
        """The arm as the study writes it."""
        return self.protocol.study.arms[self.name]

    # -- what is given ---------------------------------------------------------------------------------------------

    @cached_property
    def planned(self) -> tuple[PlannedDose, ...]:
        """Every dose that is written, with its times: what engine, ledger, expectancy and output grid all read."""
        fields = (
            ("doses", "scheduled", self.asked.doses),
            ("co_medication", "co-medication", self.asked.co_medication),
        )
        return tuple(
            self.plan(f"arms.{self.name}.{field}[{i}]", why, dose)
            for field, why, doses in fields
            for i, dose in enumerate(doses)
        )

    def plan(self, place: str, why: str, dose: Dose) -> PlannedDose:
        """A dose with the drug file and route behind it and its times."""
        if dose.into is not None:
            drug, route = straight_into(dose.into)
            return PlannedDose(place, why, dose, drug, route, occasions(dose))
        drug = self.protocol.drugs[dose.drug]
        return PlannedDose(place, why, dose, drug, drug.species[self.protocol.species][dose.route], occasions(dose))

    @cached_property
    def exposures(self) -> tuple[PlannedExposure, ...]:
        """Stress, exercise, ECT ... of the arm with the files behind them."""
        files = self.protocol.exposures
        return tuple(
            PlannedExposure(f"arms.{self.name}.exposures[{i}]", exposure, files[exposure.exposure], occasions(exposure))
            for i, exposure in enumerate(self.asked.exposures)
        )

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The rules of the study that act in this arm."""
        return tuple(rules_of(self.protocol.study, self.name))

    @cached_property
    def possible(self) -> tuple[Possible, ...]:
        """Every dose and course that rules could give in this arm."""
        return tuple(possible(self.protocol.study, self.name))

    @cached_property
    def decision_times(self) -> np.ndarray:
        """Hours, ascending, at which rules are asked."""
        return decision_times(self.protocol.study, self.name)

    def doses(self, people: People, given: Sequence[Given] = (), taken: Taken | None = None) -> tuple[DoseRecord, ...]:
        """The dose records of these people: the written doses they have ``taken``, then those that rules have ``given``."""
        written = [dose_record(dose, people, None if taken is None else taken.times(dose)) for dose in self.planned]
        written += () if taken is None else taken.more
        by_rule = [
            dose_record(self.plan(dose.place, f"rule {dose.rule}", dose.dose), people, [dose.time]) for dose in given
        ]
        return (*written, *by_rule)

    # -- people and their trajectories -----------------------------------------------------------------------------

    def people(
        self, subjects: range | np.ndarray, draw_parameters: bool = True, *, n_draws: int = 200,
        draw: np.ndarray | None = None,
    ) -> People:  # fmt: skip
        """The people of the arm with these numbers; the same in every arm but for genotype and parameters it sets."""
        return people.people(self, subjects, draw_parameters, n_draws=n_draws, draw=draw)

    def schedule(
        self, people: People, *, given: Sequence[Given] | None = None, since: float = -np.inf, until: float = np.inf,
        taken: Taken | None = None,
    ) -> Schedule:  # fmt: skip
        """What happens to these people in the engine's terms; see ``schedule.schedule``. Raises InputError."""
        return schedule.schedule(self, people, given=given, since=since, until=until, taken=taken)

    def ledger(self, people: People, given: Sequence[Given] = (), taken: Taken | None = None) -> pandas.DataFrame:
        """What each person was given, when and why: one row a person and occasion."""
        return ledger.ledger(self.name, people, self.doses(people, given, taken))

    def parameters(self, people: People, vary: Sequence[str]) -> np.ndarray:
        """``(n_people, n_vary)``: the people's values, the arm's or the model's where they do not differ."""
        system, own = self.protocol.system, {**self.protocol.study.parameters, **self.asked.parameters}
        table, values = np.empty((len(people), len(vary))), people.values
        for k, name in enumerate(vary):
            table[:, k] = values[name] if name in values else float(own.get(name, system.parameters[name]))
        return table

    def solve(
        self, people: People, outputs: Sequence[str], times: np.ndarray, *, vary: Sequence[str] | None = None,
        begin: float | None = None, schedule: Schedule | None = None, rtol: float = RUN_RTOL, threads: int | None = None,
        progress: Progress | None = None, keep_all: bool = False, initial: dict[str, np.ndarray] | None = None,
        precision: str = PRECISION,
    ) -> Solution:  # fmt: skip
        """Trajectories of these people, ``(n_people, n_times, n_outputs)`` with a status each.

        ``times`` hours; ``vary``: parameters that differ (those of ``people``); ``begin``: when their story starts (that of
        the study); ``schedule``: what happens to them, where it is not the arm's own; ``precision`` float64 or float32.
        Raises InputError for an arm whose doses depend on rules.
        """
        vary = tuple(map(str, people.parameters.columns)) if vary is None else tuple(vary)
        solver = self.protocol.solver(outputs, vary, keep_all=keep_all, precision=precision)
        more: dict[str, Any] = {} if initial is None else {"initial": initial}
        return solver.solve(
            self.parameters(people, vary), self.schedule(people) if schedule is None else schedule, times,
            start=self.protocol.begin if begin is None else begin, rtol=rtol, threads=threads, progress=progress, **more,
        )  # fmt: skip


def build_solver(system: Any, outputs: Sequence[str], vary: Sequence[str], keep_all: bool, precision: str) -> Solver:
    """A solver with the settings all studies share; what a study does not use is cut from the equations."""
    from respine import engine  # late: it brings the compiler

    options = engine.Options(precision=precision, nonnegative=NONNEGATIVE, keep_all=keep_all)
    return engine.build(system, outputs=tuple(outputs), vary=tuple(vary), options=options)
