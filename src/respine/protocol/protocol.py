"""A study resolved with its library: everything a simulation needs, as one value that needs no file any more."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from respine import model
from respine.files import store
from respine.files.html import card
from respine.library import Library
from respine.model import clock
from respine.model.system import System
from respine.population import Population, Posterior
from respine.population import posterior as posteriors
from respine.population.model_tables import is_own_model
from respine.population.read import with_covariates
from respine.protocol.arm import Arm, build_solver
from respine.protocol.people import begins
from respine.protocol.settings import PRECISION
from respine.study import expectancy, people_table, scales, treatments
from respine.study.expectancy import Expectancy
from respine.study.read import check_study, population_of, values_of
from respine.study.scales import Scale
from respine.study.schema import Study
from respine.study.treatments import Drug, ExposureFile

if TYPE_CHECKING:
    from respine.engine import Solver

CODE = ("files", "model", "engine", "population", "study", "protocol", "trial")
"""Rooms whose code decides what a protocol gives."""


@dataclass(frozen=True)
class Protocol:
    """A study, its population and every library file it uses, resolved; frozen, picklable, hashable by ``fingerprint``.

    ``population`` carries the study's own covariates; ``drugs``, ``exposures`` and ``scales`` are the files by the name the
    study writes; ``people`` the columns of the user's own table of people, empty where there is none; ``posterior`` the joint
    draws of the uncertain numbers, None where each is drawn from its own range.
    """

    study: Study
    population: Population
    system: System
    drugs: Mapping[str, Drug]
    exposures: Mapping[str, ExposureFile]
    scale_files: Mapping[str, Scale]
    expectancy: Expectancy
    people: Mapping[str, tuple[Any, ...]]
    posterior: Posterior | None = None

    @property
    def species(self) -> str:
        """Species of the model (``human``, ``rat``, ``mouse``; an own model's name)."""
        return self.population.species

    @cached_property
    def arms(self) -> dict[str, Arm]:
        """The arms by name, in the order of the study."""
        return {name: Arm(self, name) for name in self.study.arms}

    def arm(self, name: str) -> Arm:
        """An arm. Raises KeyError."""
        return self.arms[name]

    def is_scale(self, name: str) -> bool:
        """Whether what a study or endpoint names is a scale, not an output of the model."""
        return name in self.scale_files

    def scale(self, name: str) -> Scale:
        """The scale of a name the study uses. Raises KeyError."""
        return self.scale_files[name]

    @cached_property
    def begin(self) -> float:
        """Hours at which the story of everybody begins: before every history, dose, exposure and visit."""
        return begins(self.study, self.population)

    def solver(
        self, outputs: Sequence[str], vary: Sequence[str], *, keep_all: bool = False, precision: str = PRECISION
    ) -> Solver:
        """The solver for these outputs and varying parameters, made once: one for all arms of the study."""
        key = (tuple(outputs), tuple(vary), keep_all, precision)
        if key not in self._solvers:
            self._solvers[key] = build_solver(self.system, *key)
        return self._solvers[key]

    @cached_property
    def _solvers(self) -> dict[tuple[tuple[str, ...], tuple[str, ...], bool, str], Solver]:
        return {}

    @property
    def symbols(self) -> set[str]:
        """Everything the model can give as an output."""
        system = self.system
        return {*system.states, *system.rules, *system.parameters, *system.inputs}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all that decides the results: study, people, model, library files and code."""
        return store.fingerprint(*(f"{name}={value}" for name, value in self.facts.items()))

    @cached_property
    def facts(self) -> dict[str, str]:
        """What the fingerprint is made of, each part as a SHA-256 of its own, so that a difference can be named."""
        used = {name: form.model_dump_json() for files in (self.drugs, self.exposures) for name, form in files.items()}
        # the equations of an own model count below; the folder it lies in does not
        population = self.population.model_copy(update={"model": Path(self.population.model).name})
        return {
            "study": store.fingerprint(json.dumps(self.study.to_dict(), sort_keys=True)),
            "population": store.fingerprint(population.model_dump_json(), repr(sorted(self.people.items()))),
            "model": store.fingerprint(repr(_equations(self.system))),
            "library": store.fingerprint(
                json.dumps(used, sort_keys=True), repr(sorted(self.scale_files.items())), repr(_plain(self.expectancy))
            ),
            "uncertainty": self.posterior.digest if self.posterior else "prior",
            "code": store.code_fingerprint(*CODE),
        }

    def with_study(self, **changes: Any) -> Protocol:
        """The protocol with fields of its study changed that name no other file (``subjects``, ``seed``). Raises InputError."""
        return replace(self, study=self.study.replace(**changes))

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Protocol) and self.fingerprint == other.fingerprint

    def _repr_html_(self) -> str:
        facts = [("study", self.study.name), ("population", self.population.title), ("model", self.system.name),
                 ("species", self.species), ("begins", f"{self.begin:g} h"), ("fingerprint", self.fingerprint[:16])]  # fmt: skip
        rows = [
            (arm.name, dose.dose.drug, dose.dose.route, len(dose.times), dose.why)
            for arm in self.arms.values()
            for dose in arm.planned
        ]
        return card(f"Protocol of {self.study.name}", facts, ("arm", "drug", "route", "occasions", "why"), rows)

    def __repr__(self) -> str:
        return f"Protocol {self.study.name} {self.fingerprint[:12]}: {len(self.arms)} arms, {self.system.name} model"


def resolve(study: Study, library: Library | None = None, system: System | None = None) -> Protocol:
    """The protocol of a study: names looked up, files read, the model built, all checked.

    ``library`` stands in for the study's own; ``system`` for the model its population names. Raises InputError with every
    problem of the study and of the files it uses.
    """
    library = library or study.library
    check_study(study, library)
    population = population_of(study, library)
    population = with_covariates(population, study.covariates, library)
    drugs = {dose.drug for arm in study.arms.values() for dose in (*arm.doses, *arm.co_medication) if dose.into is None}
    drugs |= {dose.drug for rule in study.rules for dose in (rule.then.dose, rule.then.start) if dose is not None}
    if study.behaviour is not None and study.behaviour.rescue is not None and study.behaviour.rescue.dose is not None:
        drugs.add(study.behaviour.rescue.dose.drug)
    exposures = {exposure.exposure for arm in study.arms.values() for exposure in arm.exposures}
    names = {*study.observe, *(e.of for e in study.endpoints), *(_scales_of_rules(study)), FELT}
    chosen = {name: scales.load(library, name) for name in names if scales.is_scale(library, name)}
    chosen |= {scale.name: scale for scale in chosen.values()}
    own = people_table.read(values_of(study), study.people) if study.people is not None else {}
    return Protocol(
        study=study,
        population=population,
        system=system or _system(study, population, library),
        drugs={name: treatments.drug(library, name) for name in sorted(drugs)},
        exposures={name: treatments.exposure(library, name) for name in sorted(exposures)},
        scale_files=dict(sorted(chosen.items())),
        expectancy=expectancy.load(library),
        people=own,
        posterior=posteriors.load(library) if study.uncertainty == "posterior" else None,
    )


FELT = "CADSS"
"""The scale whose drug effect tells a person what was given."""


def _system(study: Study, population: Population, library: Library) -> System:
    """The equations, with time in hours: a file of a user's own may count in another unit."""
    loaded = model.load(population.model, library)
    return clock.in_hours(loaded) if is_own_model(population.model) else loaded


def _scales_of_rules(study: Study) -> set[str]:
    from respine.protocol.rule_doses import chain

    return {condition.scale for rule in study.rules for condition in chain(rule.when) if condition.scale is not None}


def _equations(system: System) -> tuple[Any, ...]:
    """The content of a system without the places its numbers stand at."""
    numbers = {
        id: (q.value, q.unit, q.low, q.high, q.distribution, q.variability) for id, q in system.quantities.items()
    }
    return (
        system.time_unit, dict(system.parameters), dict(system.inputs), dict(system.rules), dict(system.rates),
        dict(system.initial), system.events, numbers,
    )  # fmt: skip


def _plain(model: Expectancy) -> tuple[Any, ...]:
    """Expectancy with its sets in order: the order of a set differs from process to process."""
    sets = tuple(
        sorted(names)
        for names in (
            model.procedure_routes, model.procedure_exposures, model.treatment_exposures, model.antidepressants
        )
    )  # fmt: skip
    return dict(model.numbers), {k: dict(v) for k, v in model.belief.items()}, dict(model.ranges), sets
