"""A data set that was read: its records, observations and covariates, solved and set beside predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from respine.engine import Options, Records, Solution, build
from respine.errors import InputError, Problem
from respine.files.html import card
from respine.files.suggest import nearest
from respine.interop.nonmem_rows import OBSERVATION, Event, code
from respine.model.expression import symbols
from respine.model.system import System

if TYPE_CHECKING:
    import pandas as pd

Outputs = str | Sequence[str] | Mapping[Any, str]


@dataclass(frozen=True, eq=False)
class NonmemData:
    """A NONMEM data set, made by `read_nonmem`.

    ``records``: doses, times and changing covariates of all subjects, to be solved by the engine; ``reading``: for each
    row of the table the record that reads it, (n_rows,). ``subjects``: IDs as written. ``parameters``: covariates that a
    subject keeps, name -> (n_subjects,); ``changing``: names of those that change; ``columns``: the column behind each.
    ``notes``: what was decided while
    reading; ``unused``: columns that nothing names. Tables: ``observations``, ``covariates``, ``doses``.
    """

    file: Path
    subjects: tuple[str, ...]
    records: Records = field(repr=False)
    reading: np.ndarray = field(repr=False)
    events: tuple[Event, ...] = field(repr=False)
    parameters: Mapping[str, tuple[float, ...]] = field(repr=False)
    changing: tuple[str, ...]
    columns: Mapping[str, str] = field(repr=False)
    notes: tuple[str, ...]
    unused: tuple[str, ...]
    states: tuple[str, ...]

    @property
    def start(self) -> float:
        """Time of the first record of all, hours; the integration begins there."""
        return min(event.time for event in self.events)

    @cached_property
    def observations(self) -> pd.DataFrame:
        """Rows with EVID 0: ``ID, TIME, DV, MDV``, ``CMT`` and ``DVID`` and columns of censoring where the table has them,
        and ``LINE`` of the file; DV is NaN where MDV is 1 and none was written."""
        return self._table([event for event in self.events if event.evid == OBSERVATION])

    @cached_property
    def doses(self) -> pd.DataFrame:
        """Rows that dose: ``ID, TIME, EVID, CMT, AMT, RATE, ADDL, II, SS, LINE``."""
        import pandas as pd

        rows = [(self._id(e), e.time, e.evid, e.compartment, e.amount, e.rate, e.additional, e.interval, e.steady, e.line)
                for e in self.events if e.doses]  # fmt: skip
        return pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "CMT", "AMT", "RATE", "ADDL", "II", "SS", "LINE"])

    @cached_property
    def covariates(self) -> pd.DataFrame:
        """Covariates over time by their names in the model: ``ID, TIME`` and a column each, NaN where not measured."""
        import pandas as pd

        rows = [
            {"ID": self._id(e), "TIME": e.time, **{n: e.values[c] for n, c in self.columns.items()}}
            for e in self.events
        ]
        return pd.DataFrame(rows, columns=["ID", "TIME", *self.columns])

    def _id(self, event: Event) -> int | str:
        return int(event.subject) if self._whole_ids else event.subject

    @cached_property
    def _whole_ids(self) -> bool:
        return all(subject.lstrip("-").isdigit() for subject in self.subjects)

    def _table(self, events: Sequence[Event], **more: Any) -> pd.DataFrame:
        import pandas as pd

        columns: dict[str, Any] = {"ID": [self._id(e) for e in events], "TIME": [e.time for e in events]}
        columns |= {"DV": [e.dv for e in events]} | more
        for name, values in (("DVID", [e.dvid for e in events]), ("CMT", [e.compartment for e in events])):
            if any(values):
                columns[name] = values
        columns["MDV"] = [e.mdv for e in events]
        for name in events[0].censoring if events else ():
            columns[name] = [e.censoring[name] for e in events]
        return pd.DataFrame(columns | {"LINE": [e.line for e in events]})

    def solve(
        self, system: System | str, outputs: Outputs, *, parameters: Mapping[str, float | Sequence[float]] | None = None,
        options: Options | None = None, rtol: float = 1e-6, atol: float | Mapping[str, float] | None = None,
        threads: int | None = None,
    ) -> Predictions:  # fmt: skip
        """Solve a system (or a library model by name) for every subject, read at every row of the table.

        ``outputs``: what the observations measure; one output for all, or by DVID (by CMT where the table has no DVID):
        ``{1: "plasma_ketamine", 2: "plasma_norketamine"}``; a list records several without saying which is observed.
        ``parameters``: other values, a number for all or (n_subjects,) each. AMT is in the unit of the states (mg in library
        models), TIME in hours; every subject begins at rest with its first row. Raises InputError for names that the
        system does not have.
        """
        from respine import model

        system = model.load(system) if isinstance(system, str) else system
        given = dict(parameters or {})
        wanted = (
            [outputs]
            if isinstance(outputs, str)
            else list(outputs.values() if isinstance(outputs, Mapping) else outputs)
        )
        problems = [*self._unknown(system, wanted, given), *self._unmapped(outputs)]
        if problems:
            raise InputError(*problems)
        vary = {**self.parameters, **{n: tuple(np.ravel(v)) for n, v in given.items() if np.ndim(v)}}
        fixed = {n: float(np.asarray(v)) for n, v in given.items() if not np.ndim(v)}
        system = _with_inputs(_with_parameters(system, list(vary)), self.changing)
        solver = build(
            system, outputs=list(dict.fromkeys(wanted)), vary=list(vary), fixed=fixed, options=options or Options()
        )
        values = np.array(list(vary.values()), float).T if vary else np.zeros((len(self.subjects), 0))
        solution = solver.solve(values, self.records, start=self.start, rtol=rtol, atol=atol, threads=threads)
        return Predictions(self, solution, outputs if isinstance(outputs, str) else dict(outputs)
                           if isinstance(outputs, Mapping) else tuple(outputs))  # fmt: skip

    def _unknown(self, system: System, outputs: Sequence[str], given: Mapping[str, Any]) -> list[Problem]:
        """Names that the system does not have, and numbers for another count of subjects."""
        where, problems = "NonmemData.solve", []
        readable = (*system.states, *system.rules, *system.parameters, *system.inputs)
        settable = (*system.parameters, *system.inputs)
        own = (*self.parameters, *self.changing)
        for role, names, known in (
            ("outputs", outputs, readable), ("compartments", self.states, system.states),
            ("covariates", own, settable), ("parameters", given, settable),
        ):  # fmt: skip
            for name in dict.fromkeys(names):
                if name not in known:
                    kind = (
                        "state" if role == "compartments" else "quantity" if role == "outputs" else "parameter or input"
                    )
                    why = f"The {system.name} model has no such {kind}."
                    problems.append(Problem(where, role, str(name), why, nearest(str(name), known)))
        for name, value in given.items():
            if name in own:
                why = "This is a covariate of the table."
                problems.append(Problem(where, "parameters", name, why, "Take it out of one of the two."))
            elif np.ndim(value) and np.shape(value) != (len(self.subjects),):
                why = f"There are {len(self.subjects)} subjects."
                problems.append(
                    Problem(where, "parameters", f"{name}: {np.shape(value)}", why, "Write one number, or one each.")
                )
        for name in self.changing:
            for state in _starts_that_need(system, name):
                why = f"It changes within a subject, and the start of {state} depends on it."
                cure = "Give one value a subject (that of its first row), or a model whose starts do not depend on it."
                problems.append(Problem(where, "covariates", name, why, cure))
                break
        return problems

    def _unmapped(self, outputs: Outputs) -> list[Problem]:
        """Types of observations that a mapping of outputs leaves out."""
        if not isinstance(outputs, Mapping):
            return []
        known = {code(str(key)) for key in outputs}
        column = "DVID" if self._by_dvid else "CMT"
        needed = dict.fromkeys(self._type(e) for e in self.events if e.evid == OBSERVATION)
        return [
            Problem(str(self.file), f"outputs by {column}", kind, "No output is named for these observations.",
                    f'Write outputs={{{kind or "..."}: "..."}}, or one output for all.')
            for kind in needed if kind not in known
        ]  # fmt: skip

    @cached_property
    def _by_dvid(self) -> bool:
        return any(event.dvid for event in self.events if event.evid == OBSERVATION)

    def _type(self, event: Event) -> str:
        """What kind of observation a row is: its DVID, or its compartment where the table has no DVID."""
        return event.dvid if self._by_dvid else event.compartment

    def __repr__(self) -> str:
        counts = f"{len(self.subjects)} subjects, {len(self.events)} rows, {len(self.doses)} doses"
        seen = sum(e.evid == OBSERVATION and e.mdv == 0 for e in self.events)
        lines = [f"NonmemData({self.file.name}: {counts}, {seen} observations)"]
        if self.parameters or self.changing:
            kept = [*self.parameters, *(f"{name} (changes)" for name in self.changing)]
            lines.append(f"  covariates: {', '.join(kept)}")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        return _card(f"NONMEM data set {self.file.name}", repr(self).split("\n")[0], self.notes, self.observations)


@dataclass(frozen=True, eq=False)
class Predictions:
    """A solved data set: ``solution`` of the engine (one row a record), ``table`` with observations beside predictions."""

    data: NonmemData = field(repr=False)
    solution: Solution = field(repr=False)
    outputs: str | tuple[str, ...] | Mapping[Any, str]

    def __getitem__(self, output: str) -> np.ndarray:
        """One output at every row of the table, (n_rows,); NaN from a failure on. Raises ValueError for others."""
        return np.asarray(self.solution[output])[self.data.reading]

    @cached_property
    def table(self) -> pd.DataFrame:
        """Observations (EVID 0) beside what is predicted for them: ``ID, TIME, DV, PRED``, then as in ``observations``.

        Where several outputs were listed without saying what is observed, each has a column in place of PRED.
        """
        return self._beside([k for k, event in enumerate(self.data.events) if event.evid == OBSERVATION])

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Every row of the data set with its prediction, doses too; of a dose the value is that right after it."""
        return self._beside(range(len(self.data.events)))

    def _beside(self, places: Sequence[int]) -> pd.DataFrame:
        events = [self.data.events[k] for k in places]
        if isinstance(self.outputs, tuple):
            more = {name: self[name][list(places)] for name in self.outputs}
        else:
            more = {"PRED": self._predicted(places)}
        return self.data._table(events, **more)

    def _predicted(self, places: Sequence[int]) -> np.ndarray:
        if isinstance(self.outputs, str):
            return self[self.outputs][list(places)]
        assert isinstance(self.outputs, Mapping)
        by_type = {code(str(key)): self[name] for key, name in self.outputs.items()}
        kinds = [self.data._type(self.data.events[k]) for k in places]
        return np.array(
            [by_type[kind][k] if kind in by_type else math.nan for k, kind in zip(places, kinds, strict=True)]
        )

    @property
    def failures(self) -> pd.DataFrame:
        """Subjects that could not be solved to the end: ``ID, time_h, reason``."""
        import pandas as pd

        rows = [(self.data.subjects[f.subject], f.time, f.reason) for f in self.solution.failures]
        return pd.DataFrame(rows, columns=["ID", "time_h", "reason"])

    def __repr__(self) -> str:
        failed = len({f.subject for f in self.solution.failures})
        failures = f", {failed} of {len(self.data.subjects)} subjects not solved to the end" if failed else ""
        return f"Predictions({self.data.file.name}: {len(self.table)} observations{failures}; .table, .rows, .failures)"

    def _repr_html_(self) -> str:
        return _card(f"Predictions for {self.data.file.name}", repr(self), (), self.table)


def _card(title: str, about: str, notes: Sequence[str], table: pd.DataFrame) -> str:
    """What a notebook shows."""
    facts = [("holds", about), ("notes", "; ".join(notes))]
    return card(title, facts, list(table.columns), [list(row) for row in table.itertuples(index=False)])


def _with_parameters(system: System, names: Sequence[str]) -> System:
    """The system with some inputs as parameters: a covariate that a subject keeps may differ between subjects."""
    moved = {name: system.inputs[name] for name in names if name in system.inputs}
    inputs = {name: value for name, value in system.inputs.items() if name not in moved}
    return replace(system, parameters={**system.parameters, **moved}, inputs=inputs) if moved else system


def _with_inputs(system: System, names: Sequence[str]) -> System:
    """The system with some parameters as inputs: a covariate that changes is one that events set."""
    moved = {name: system.parameters[name] for name in names if name in system.parameters}
    parameters = {name: value for name, value in system.parameters.items() if name not in moved}
    return replace(system, parameters=parameters, inputs={**system.inputs, **moved}) if moved else system


def _starts_that_need(system: System, name: str) -> list[str]:
    """States whose start depends on a symbol, through rules and other starts too."""
    users: dict[str, list[str]] = {}
    for symbol, expr in [*system.rules.items(), *system.initial.items()]:
        for needed in symbols(expr):
            users.setdefault(needed, []).append(symbol)
    reached, waiting = {name}, [name]
    while waiting:
        new = [user for user in users.get(waiting.pop(), ()) if user not in reached]
        reached.update(new)
        waiting += new
    return [state for state in system.states if state in reached]
