"""A NONMEM data set as respine's records: columns, subjects and doses read, every contradiction refused with its rows."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np

from respine import library
from respine.engine import Record, Records
from respine.errors import InputError, Problem
from respine.files.suggest import nearest
from respine.interop import delimited
from respine.interop.dosed_states import of_drug
from respine.interop.faults import Faults
from respine.interop.nonmem_data import NonmemData
from respine.interop.nonmem_rows import CENSORING, DOSING, OBSERVATION, RESET, Event, RowReader, code

KNOWN = ("ID", "TIME", "EVID", *DOSING, "CMT", "MDV", "DVID", *CENSORING)
DATES = ("DATE", "DAT1", "DAT2", "DAT3")
MISSING = (".", "", "NA", "NaN")
_DOSE_PARAMETER = re.compile(r"(ALAG|F|R|D)(\d+)")
_STATES_SHOWN = 6

States = str | Mapping[str, float]


def read_nonmem(
    file: str | Path,
    compartments: Mapping[int | str, States] | None = None,
    covariates: Mapping[str, str] | None = None,
    *,
    observed: str = "DV",
    dose_parameters: Mapping[str, str | float] | None = None,
    interpolation: str = "LOCF",
    drop: Collection[str] = (),
    comment: str = "#",
    missing: Collection[str] = MISSING,
) -> NonmemData:
    """A NONMEM data set (CSV; also semicolons, tabs or blanks between columns), ready to solve.

    ``compartments``: what each number under CMT is in the model, a state, or states with their shares of the dose:
    ``{1: "s_ketamine_im_depot", 2: {"s_ketamine_central": 0.5, "r_ketamine_central": 0.5}}``
    (`dosed_states` lists what drugs and routes dose). ``covariates``: column -> parameter or input of the model,
    ``{"WT": "weight_kg"}``; one that changes within a subject follows ``interpolation`` (LOCF, NOCB or linear).
    ``observed``: the column of observations. ``dose_parameters``: lag, bioavailability, modelled rate and duration by
    NONMEM's names, a column or a number each: ``{"ALAG1": 0.25, "F1": "BIO", "D2": "DUR"}``. ``drop``: columns left out
    on purpose; others that are neither standard nor named are told in ``notes``. ``comment`` begins a line that is left out.

    Columns (any case): ID and TIME (hours); AMT, RATE, ADDL, II, SS, CMT, EVID, MDV, DVID, and BLQ, BQL, CENS, LLOQ,
    LIMIT where there are any. Rules are NONMEM's: without EVID a row that doses is a dose; a dose without CMT goes into
    compartment 1; DV of doses is not read. Raises InputError with every faulty row: words for numbers, dates and times of
    the clock, doubled columns, doses without amount, amounts of observations, a time that goes back without a reset
    (EVID 3 or 4), a subject that returns below another one (to NONMEM a new subject), compartments turned off.
    """
    path = Path(file).expanduser()
    faults = Faults(path)
    table = delimited.read(path, ("ID", "TIME"), comment, faults)
    names = {column.upper(): column for column in table.columns}
    faults.names = names
    plan = _Plan(path, names, compartments or {}, covariates or {}, observed, dose_parameters or {}, drop)
    # rows are read in spite of wrong arguments, as far as these allow it, so that all mistakes are told at once
    numbers = tuple(column for column in plan.numbers if column in names)
    reader = RowReader(names, plan.observed if plan.observed in names else "DV", numbers, missing, faults)
    events = []
    for row in table.rows:
        event = reader.read(row.line, {column.upper(): text for column, text in row.cells.items()})
        if event is not None:
            events.append(event)
            if not plan.problems:
                plan.check(event, faults)
    _check_order(events, faults)
    faults.raise_all(plan.problems)
    if not events:
        raise InputError(Problem(str(path), "rows", "0", "The file has a header and no rows.", "Give a data file."))
    subjects = list(dict.fromkeys(event.subject for event in events))
    notes = [*table.notes, *plan.notes(reader)]
    measured = _Covariates(path, events, plan.covariates)
    records, reading = _records(events, subjects, plan, measured.changing)
    return NonmemData(
        file=path, subjects=tuple(subjects), records=Records(records, interpolation), reading=reading,
        events=tuple(events), parameters=measured.constant, changing=tuple(measured.changing),
        columns={name: column for column, name in plan.covariates.items()}, notes=tuple(notes),
        unused=tuple(plan.unused), states=plan.states,
    )  # fmt: skip


class _Plan:
    """What every column is for; ``problems`` are those of the header and of the arguments."""

    def __init__(
        self, path: Path, names: Mapping[str, str], compartments: Mapping[int | str, States],
        covariates: Mapping[str, str], observed: str, dose_parameters: Mapping[str, str | float], drop: Collection[str],
    ) -> None:  # fmt: skip
        self.path, self.names, self.problems = path, names, list[Problem]()
        self.observed = observed.upper()
        self.compartments = {code(str(key)).lower(): _shares(states) for key, states in compartments.items()}
        self.covariates = {column.upper(): name for column, name in covariates.items()}
        self.dropped = {column.upper() for column in drop}
        self.dose_parameters = {key.upper(): value for key, value in dose_parameters.items()}
        if observed != "DV" and self.observed not in names:
            self._absent("observed", observed)
        for column in covariates:
            self._own_column("covariates", column)
        for column in drop:
            if column.upper() not in names:
                self._absent("drop", column)
        for key, value in dose_parameters.items():
            self._dose_parameter(key, value)
        given = list(self.covariates.values())
        for name in dict.fromkeys(n for n in given if given.count(n) > 1):
            self._say("covariates", name, "Two columns are named for it.", "Name one column for each.")
        for column in DATES:
            if column in names and column not in self.dropped:
                why = "Dates are not read; TIME must count hours on one running clock."
                cure = f'Write hours since the first record under TIME, and leave this column out: drop=["{names[column]}"].'
                self._say(names[column], "", why, cure)
        self._states_as_given(compartments)

    def _say(self, field: str, seen: str, why: str, cure: str) -> None:
        self.problems.append(Problem(str(self.path), field, seen, why, cure))

    def _absent(self, field: str, column: str) -> None:
        self._say(field, column, "The table has no such column.", nearest(column, self.names.values()))

    def _own_column(self, field: str, column: str) -> None:
        """A column that an argument names must be there, and mean nothing else."""
        if column.upper() not in self.names:
            self._absent(field, column)
        elif column.upper() in KNOWN or column.upper() == self.observed:
            self._say(field, column, "This column has a meaning of its own.", "Copy it under another name.")

    def _dose_parameter(self, key: str, value: str | float) -> None:
        match = _DOSE_PARAMETER.fullmatch(key.upper())
        if match is None:
            cure = "Write ALAG1 (lag), F1 (bioavailability), R1 (rate) or D1 (duration), with the number of the compartment."
            self._say("dose_parameters", key, "This is no dose parameter of NONMEM.", cure)
        elif match[2] not in self.compartments:
            self._say("dose_parameters", key, f"Compartment {match[2]} is not mapped.", "Name it in compartments=.")
        if isinstance(value, str):
            self._own_column("dose_parameters", value)
        elif not math.isfinite(value) or value < 0:
            self._say(
                "dose_parameters", f"{key}: {value}", "It is a number from 0 up.", "Write such a number, or a column."
            )

    def _states_as_given(self, compartments: Mapping[int | str, States]) -> None:
        for key, states in self.compartments.items():
            if not states or not all(isinstance(name, str) and name for name in states):
                self._say("compartments", key, "A compartment is a state of the model.", "Write its name in quotes.")
            for name, share in states.items():
                if not (math.isfinite(share) and share > 0):
                    self._say(
                        "compartments", f"{name}: {share}", "A share of a dose is a number above 0.", "Write 0.5."
                    )
                if name in library.names("drugs"):
                    why = "This is a drug; a dose enters states of the model."
                    self._say("compartments", name, why, f"States of {name}: {_listed(name)}.")

    @property
    def numbers(self) -> tuple[str, ...]:
        """Further columns that hold numbers: covariates and dose parameters."""
        named = [value.upper() for value in self.dose_parameters.values() if isinstance(value, str)]
        return tuple(dict.fromkeys([*self.covariates, *named]))

    @property
    def unused(self) -> list[str]:
        """Columns that are neither standard nor named."""
        used = {*KNOWN, self.observed, *self.numbers, *self.dropped}
        return [name for upper, name in self.names.items() if upper not in used]

    @property
    def states(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for states in self.compartments.values() for name in states))

    def compartment(self, event: Event) -> str:
        """The compartment of a dose; the first where the row names none."""
        return event.compartment.lower() or "1"

    def value(self, kind: str, event: Event, otherwise: float) -> float:
        """A dose parameter of a row, ``otherwise`` where it has none."""
        given = self.dose_parameters.get(f"{kind}{self.compartment(event)}", otherwise)
        value = event.values[given.upper()] if isinstance(given, str) else float(given)
        return otherwise if math.isnan(value) else value

    def check(self, event: Event, faults: Faults) -> None:
        """What a dose needs of the arguments."""
        if not event.doses:
            return
        place = self.compartment(event)
        if place not in self.compartments:
            by_default = "" if event.compartment else " (a dose without CMT goes there)"
            why = f"Compartment {place} is not mapped{by_default}."
            key = place if place.isdigit() else f'"{place}"'
            mapped = f" Mapped are {', '.join(self.compartments)}." if self.compartments else ""
            cure = f'Write compartments={{{key}: "..."}}.{mapped} {dosed_states_text()}'
            faults.add(event.line, "CMT", event.compartment, why, cure)
            return
        for rate, kind, quantity in ((-1, "R", "rate"), (-2, "D", "duration")):
            if event.rate == rate and not self.value(kind, event, math.nan) > 0:
                why = f"RATE {rate} takes the {quantity} of the infusion from a parameter above 0."
                cure = f'Name it: dose_parameters={{"{kind}{place}": a column or a number}}.'
                faults.add(event.line, "RATE", str(rate), why, cure)
        for kind, quantity in (("ALAG", "A lag"), ("F", "A bioavailability")):
            if self.value(kind, event, 0.0) < 0:
                name = str(self.dose_parameters[f"{kind}{place}"])
                faults.add(
                    event.line, name, f"{self.value(kind, event, 0.0):g}", f"{quantity} is 0 or more.", "Correct it."
                )
        if event.steady and len(self.compartments[place]) > 1:
            why = "A steady state (SS) of a dose that enters several states at once is not read."
            faults.add(event.line, "SS", str(event.steady), why, "Write the doses one by one, with ADDL and II.")

    def notes(self, reader: RowReader) -> Iterator[str]:
        """What was decided while reading, a sentence each."""
        if "EVID" not in self.names:
            yield "the table has no EVID: rows that dose are doses, the others observations"
        shown = self.names.get(self.observed, self.observed)
        if self.observed not in self.names:
            yield f"the table has no {shown}: there are predictions, but nothing to compare them with"
        elif reader.without_dv:
            yield f"{reader.without_dv} observations have no {shown} and are predicted only"
        if reader.dv_not_read:
            yield f"{shown} of {reader.dv_not_read} rows that are no observations is not read, as in NONMEM"
        if reader.mdv_of_doses:
            yield f"MDV 0 of {reader.mdv_of_doses} doses and resets is read as 1: they are no observations"
        if self.unused:
            yield f"not used, as nothing names them: {', '.join(self.unused)}"


def _shares(states: States) -> dict[str, float]:
    return {states: 1.0} if isinstance(states, str) else {name: float(share) for name, share in states.items()}


def _listed(drug: str) -> str:
    """The states that a drug enters, by route."""
    routes: dict[str, list[str]] = {}
    for row in of_drug(drug, "human"):
        routes.setdefault(row.route, []).append(f"{row.state} ({row.share})")
    return "; ".join(f"{route} {' and '.join(states)}" for route, states in routes.items()) or "none in people"


def dosed_states_text() -> str:
    """Some states that drugs of the library dose in people, and where the others are listed."""
    by_state: dict[str, str] = {}
    for drug in ("esketamine", "ketamine", *library.names("drugs")):
        if drug in library.names("drugs"):
            for row in of_drug(drug, "human"):
                by_state.setdefault(row.state, f"{row.state} ({drug} {row.route})")
    shown = ", ".join(list(by_state.values())[:_STATES_SHOWN])
    return f"Dosed states are {shown} ...; respine.interop.dosed_states() lists all."


def _check_order(events: list[Event], faults: Faults) -> None:
    """Subjects stand together, and the time of each runs forward but for a reset."""
    last: dict[str, Event] = {}
    above = ""
    for event in events:
        before = last.get(event.subject)
        if before is not None and above != event.subject:
            why = "This subject stands further up already, above another one; NONMEM would take it for a new subject."
            faults.add(event.line, "ID", event.subject, why, "Sort the table by ID, or give a new ID to a new subject.")
        elif before is not None and event.time < before.time and event.evid not in (3, 4):
            why = "The time lies before that of the row above, and no reset (EVID 3 or 4) sets it back."
            faults.add(event.line, "TIME", f"{event.time:g}", why, "Sort each subject by time, or write the reset.")
        last[event.subject] = event
        above = event.subject


class _Covariates:
    """Covariates by the names of the model: those of a subject in ``constant``, those that change in ``changing``."""

    def __init__(self, path: Path, events: list[Event], columns: Mapping[str, str]) -> None:
        self.constant: dict[str, tuple[float, ...]] = {}
        self.changing: dict[str, str] = {}
        problems = Faults(path)
        for column, name in columns.items():
            by_subject: dict[str, list[tuple[int, float]]] = {}
            for event in events:
                by_subject.setdefault(event.subject, []).append((event.line, event.values[column]))
            values = {s: sorted({v for _, v in rows if not math.isnan(v)}) for s, rows in by_subject.items()}
            for subject, levels in values.items():
                if not levels:
                    why = "A subject has no value of this covariate."
                    problems.add(by_subject[subject][0][0], column, f"ID {subject}", why, "Write it on its first row.")
            if all(len(levels) == 1 for levels in values.values()):
                self.constant[name] = tuple(levels[0] for levels in values.values())
                continue
            self.changing[name] = column
            for rows in by_subject.values():
                if math.isnan(rows[0][1]):
                    why = "A covariate that changes has no value on the first row of a subject."
                    problems.add(rows[0][0], column, "", why, "Write the value that holds from the start.")
        problems.raise_all()


def _records(
    events: list[Event], subjects: list[str], plan: _Plan, changing: Mapping[str, str]
) -> tuple[list[list[Record]], np.ndarray]:
    """Records by subject, and for each event the record at which it is read."""
    begin = min(event.time for event in events)
    by_subject: dict[str, list[Record]] = {subject: [] for subject in subjects}
    counts = []
    for event in events:
        own = by_subject[event.subject]
        before = len(own)
        if not own and event.time > begin:  # everybody begins with their first row, at rest
            own.append(Record(event.time, RESET))
        measured = tuple((name, event.values[column]) for name, column in changing.items()
                         if not math.isnan(event.values[column]))  # fmt: skip
        if not event.doses:
            evid = event.evid if event.evid != OBSERVATION else 0
            own.append(Record(event.time, evid, covariates=measured))
        for k, (state, share) in enumerate(plan.compartments[plan.compartment(event)].items() if event.doses else ()):
            modelled = {-1: share * plan.value("R", event, math.nan), -2: plan.value("D", event, math.nan)}
            own.append(Record(
                event.time, event.evid if k == 0 else 1, state, share * event.amount,
                event.rate if event.rate < 0 else share * event.rate, event.interval, event.additional, event.steady,
                plan.value("ALAG", event, 0.0), plan.value("F", event, 1.0), modelled.get(int(event.rate), math.nan),
                measured if k == 0 else (),
            ))  # fmt: skip
        counts.append(len(own) - before)
    ends = dict.fromkeys(subjects, 0)
    first = np.cumsum([0, *(len(by_subject[s]) for s in subjects[:-1])])
    start = dict(zip(subjects, first, strict=True))
    reading = []
    for event, count in zip(events, counts, strict=True):
        ends[event.subject] += count
        reading.append(start[event.subject] + ends[event.subject] - 1)
    return list(by_subject.values()), np.array(reading, np.int64)
