"""From dose records and formulas of lag, bioavailability, duration and absorption to the engine's records.

What is one number a subject is differentiated by under its own name (``depot lag``); what changes from dose to dose
carries its slopes by direction. As in NONMEM a formula is evaluated at the record of the dose, and a dose keeps what
it had there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from respine.engine import Record, Records
from respine.errors import InputError, Problem
from respine.fit.population.directions import Directions
from respine.fit.population.dual import UNARY, Dual, add, constant, evaluate
from respine.fit.population.equations import Slot, direction, law_parameters
from respine.fit.population.formulas import Formula
from respine.fit.population.lanes import LaneRecords, Plan, coded
from respine.fit.population.problem import PopulationProblem

if TYPE_CHECKING:
    from respine.fit.population.prediction import Layout

MOST_SLOTS = 200  # doses of a subject that may be absorbed by laws, times laws
MOST_PLANS = 4096
_PARTS = ("lag", "bioavailability", "duration", "rate")


@dataclass(frozen=True)
class Batch:
    """The lanes' records; ``kept`` are the engine's rows that stand for records of the data, lane after lane;
    ``values`` are the lanes' parameters and leaves that doses bring.
    """

    records: LaneRecords
    kept: np.ndarray
    values: dict[str, Dual]


@dataclass(frozen=True)
class _Rule:
    """One formula of doses into a state. ``law`` -1: of the state itself."""

    state: str
    part: str
    law: int
    formula: Formula
    changes: bool
    depends: tuple[int, ...]

    @property
    def leaf(self) -> str:
        """Its name where it is one number a subject."""
        return f"{self.state} {self.part}" if self.law < 0 else f"{self.state} law {self.law} {self.part}"


class DoseBook:
    """What the doses of a problem need. ``slots``: doses absorbed by laws; ``leaves``: names to differentiate by,
    with the directions each depends on; ``directed``: directions of what changes from dose to dose; ``along``:
    whether something does.
    """

    def __init__(self, problem: PopulationProblem, directions: Directions, changing: set[str]) -> None:
        self.problem, self.directions = problem, directions
        self.rules = [rule for state in problem.doses for rule in self._rules(state)]
        self.slots = self._slots()
        self.along = any(rule.changes for rule in self.rules)
        self.directed = {k for rule in self.rules if rule.changes for k in rule.depends}
        self.parameters: list[str] = []
        self.leaves: dict[str, tuple[int, ...]] = {}
        for rule in self.rules:
            of_dose = (
                rule.law < 0
                or rule.part in ("lag", "fraction")
                or problem.doses[rule.state].absorbed[rule.law].law == "zero-order"
            )
            if not rule.changes and rule.depends and of_dose:
                self.leaves[rule.leaf] = rule.depends
        self._slot_names()
        self._plans: dict[tuple[object, ...], Plan] = {}
        self._batches: dict[tuple[object, ...], Batch] = {}

    def _rules(self, state: str) -> list[_Rule]:
        rules, d = self.problem.doses[state], self.directions

        def rule(part: str, law: int, formula: Formula) -> _Rule:
            names = d.names(formula.expr, self.problem.individual)
            depends = tuple(sorted(d.of(formula.expr, self.problem.individual)))
            return _Rule(state, part, law, formula, d.changes(names), depends)

        of_state = [rule(part, -1, f) for part in _PARTS if (f := getattr(rules, part)) is not None]
        for k, law in enumerate(rules.absorbed):
            of_state += [rule(part, k, f) for part, f in law.formulas.items()]
            of_state += [rule("fraction", k, law.fraction)] if law.fraction is not None else []
            of_state += [rule("lag", k, law.lag)] if law.lag is not None else []
        return of_state

    # ---- doses absorbed by laws ---------------------------------------------------------------------------------------
    def _slots(self) -> list[Slot]:
        problem, data = self.problem, self.problem.data
        slots: list[Slot] = []
        for state, rules in problem.doses.items():
            laws = [k for k, law in enumerate(rules.absorbed) if law.law != "zero-order"]
            if not rules.absorbed:
                continue
            into_state = np.array([s == state for s in problem.dose_state])
            for item, bad in (("SS", into_state & (data.ss > 0)), ("RATE", into_state & (data.rate != 0))):
                if bad.any():
                    row = int(np.flatnonzero(bad)[0])
                    why = f"A dose with {item} cannot be absorbed by a law."
                    raise InputError(Problem(data.where(row), item, "", why, "Write the doses out, as boluses."))
            count = np.where(into_state, data.addl + 1, 0)
            most = int(max(count[data.records(s)].sum() for s in range(data.n_subjects)))
            if most * max(len(laws), 1) > MOST_SLOTS:
                why = f"A subject has {most} doses into {state}, each of which needs {len(laws)} states of its own."
                raise InputError(Problem(str(problem.file or "problem"), f"doses.{state}", "", why,
                                         "Write the absorption as states of the model (a chain of compartments)."))  # fmt: skip
            for k in laws:
                own = [rule for rule in self.rules if rule.state == state and rule.law == k]
                names = [rule.part for rule in own if not rule.changes and rule.part not in ("lag", "fraction")]
                shared = frozenset([*names, *(["log_gamma"] if "n" in names else [])])
                slots += [Slot(state, m, k, shared) for m in range(most)]
        return slots

    def _slot_names(self) -> None:
        for slot in self.slots:
            law = self.problem.doses[slot.state].absorbed[slot.law]
            of = {
                rule.part: rule.depends
                for rule in self.rules
                if rule.state == slot.state and rule.law in (slot.law, -1)
            }
            lags = [r for r in self.rules if r.state == slot.state and r.law in (slot.law, -1) and r.part == "lag"]
            arrival = tuple(sorted({k for rule in lags for k in rule.depends}))
            names = {slot.name("arrival"): arrival}
            for part in law_parameters(law.law, law.formulas):
                names[slot.name(part)] = of["n" if part == "log_gamma" else part]
            for name, depends in names.items():
                if name not in self.parameters:
                    self.parameters.append(name)
                    if depends:
                        self.leaves[name] = depends

    # ---- batches ------------------------------------------------------------------------------------------------------
    def batch(
        self,
        layout: Layout,
        lane_values: Mapping[str, Dual],
        along: Mapping[str, Dual],
        want: str,
        inputs: Sequence[str],
    ) -> Batch:
        """The records of a batch of lanes for these values; the same ones again where doses depend on nothing."""
        same = (layout.subjects.tobytes(), want, tuple(inputs))
        if not self.rules and same in self._batches:
            return self._batches[same]
        values: dict[str, Dual] = {}
        n, size = layout.n_lanes, len(layout.record)
        ends = np.append(layout.first[1:], size)
        numbers = np.full((len(self.rules), size), np.nan)
        slopes: dict[int, np.ndarray] = {}
        for k, rule in enumerate(self.rules):
            if rule.changes:
                value = evaluate(rule.formula.expr, along)
                numbers[k] = value.value
                if value.slope is not None:
                    slopes[k] = np.broadcast_to(value.slope, (len(value.slope), size))
            else:
                value = evaluate(rule.formula.expr, lane_values)
                numbers[k] = value.value if value.value.ndim == 0 else value.value[layout.lane]
                values[rule.leaf] = value
        plans: list[Plan] = []
        number: dict[tuple[object, ...], int] = {}
        which = np.empty(n, np.int64)
        for lane in range(n):
            a, b, s = int(layout.first[lane]), int(ends[lane]), int(layout.subjects[lane])
            own = tuple(slopes[k][:, a:b].tobytes() for k in slopes)
            key = (s, want, tuple(inputs), numbers[:, a:b].tobytes(), own)
            if key not in number:
                if key not in self._plans:
                    if len(self._plans) > MOST_PLANS:
                        self._plans.clear()
                    own_slopes = {k: slope[:, a:b] for k, slope in slopes.items()}
                    self._plans[key] = self._plan(s, numbers[:, a:b], own_slopes, want, inputs)
                number[key] = len(plans)
                plans.append(self._plans[key])
            which[lane] = number[key]
        kept = self._kept(plans, which)
        if self.slots:
            values |= self._slot_values(layout, lane_values, along, numbers, slopes)
        batch = Batch(LaneRecords(plans, which), kept, values)
        if not self.rules:
            if len(self._batches) > 64:
                self._batches.clear()
            self._batches[same] = batch
        return batch

    def _kept(self, plans: Sequence[Plan], which: np.ndarray) -> np.ndarray:
        sizes = np.array([len(plan.records.subjects[0]) for plan in plans])[which]
        first = np.cumsum(sizes) - sizes
        return np.concatenate([plans[k].kept + f for k, f in zip(which, first, strict=True)])

    def _slot_values(
        self,
        layout: Layout,
        lane_values: Mapping[str, Dual],
        along: Mapping[str, Dual],
        numbers: np.ndarray,
        slopes: Mapping[int, np.ndarray],
    ) -> dict[str, Dual]:
        """Arrival times and parameters of the laws, a number a lane."""
        values: dict[str, Dual] = {}
        for slot in self.slots:
            row, extra = self._dose_rows(layout, slot)
            there = row >= 0
            at = np.where(there, row, layout.first)
            law = self.problem.doses[slot.state].absorbed[slot.law]
            arrival = Dual(np.where(there, self.problem.data.time[layout.record[at]] + extra, 0.0))
            for rule in self.rules:
                if rule.state != slot.state or rule.law not in (-1, slot.law):
                    continue
                name = slot.name(rule.part)
                if rule.part == "lag":
                    lag = self._at(rule, at, lane_values, along)
                    arrival = add(arrival, lag)
                elif rule.law >= 0 and rule.part in law.formulas and name not in values:
                    values[name] = self._at(rule, at, lane_values, along)
                    if law.law == "transit" and rule.part == "n":
                        values[slot.name("log_gamma")] = UNARY["lgamma"](add(values[name], constant(1.0)))
            values[slot.name("arrival")] = arrival
        return values

    def _at(self, rule: _Rule, rows: np.ndarray, lane_values: Mapping[str, Dual], along: Mapping[str, Dual]) -> Dual:
        if rule.changes:
            return evaluate(rule.formula.expr, {name: value.take(rows) for name, value in along.items()})
        result = evaluate(rule.formula.expr, lane_values)
        return result if result.value.ndim else Dual(np.full(len(rows), result.value), result.slope)

    def _dose_rows(self, layout: Layout, slot: Slot) -> tuple[np.ndarray, np.ndarray]:
        """(n_lanes,) the row of each lane's dose of this number, -1 where it has fewer, and how long after it it
        comes.
        """
        data = self.problem.data
        rows, extra = np.full(layout.n_lanes, -1), np.zeros(layout.n_lanes)
        for lane, s in enumerate(layout.subjects):
            count = 0
            for r in range(data.first[s], data.last[s]):
                if self.problem.dose_state[r] == slot.state and data.amt[r] > 0:
                    more = int(data.addl[r]) + 1
                    if count <= slot.dose < count + more:
                        rows[lane] = layout.first[lane] + r - data.first[s]
                        extra[lane] = (slot.dose - count) * data.ii[r]
                    count += more
        return rows, extra

    # ---- one plan -----------------------------------------------------------------------------------------------------
    def _plan(
        self, s: int, numbers: np.ndarray, slopes: Mapping[int, np.ndarray], want: str, inputs: Sequence[str]
    ) -> Plan:
        """The engine's records of a subject; ``numbers`` (n_rules, n_records of the subject)."""
        data, problem = self.problem.data, self.problem
        first, last = int(data.first[s]), int(data.last[s])
        begin = float(data.time.min())
        made: list[tuple[float, int, Record, int]] = []  # (time, order, record, record of the data or -1)

        def covariates(j: int) -> tuple[tuple[str, float], ...]:
            return tuple((name, coded(j, i, len(inputs))) for i, name in enumerate(inputs))

        if data.time[first] > begin:  # everybody starts at their own first record
            made.append((float(data.time[first]), -1, Record(float(data.time[first]), 3, covariates=covariates(0)), -1))
        dose = {state: 0 for state in problem.doses}
        for j, r in enumerate(range(first, last)):
            time, evid = float(data.time[r]), int(data.evid[r])
            if evid in (0, 2, 3):
                made.append((time, j, Record(time, 3 if evid == 3 else 0, covariates=covariates(j)), j))
                continue
            state = problem.dose_state[r]
            parts = self._dose(r, j, state, numbers, slopes, want, dose)
            if evid == 4:
                made.append((time, j, Record(time, 3, covariates=covariates(j)), -1))
            for k, (late, record) in enumerate(parts):
                shown = k == len(parts) - 1 and not late
                own = Record(**{**record, "covariates": () if late else covariates(j)})  # type: ignore[arg-type]
                made.append((own.time, j, own, j if shown else -1))
            if all(late for late, _ in parts):
                made.append((time, j, Record(time, 0, covariates=covariates(j)), j))
        if any(record.time < made[i - 1][2].time for i, (_, _, record, _) in enumerate(made) if i) and self.slots:
            made.sort(key=lambda entry: (entry[0], entry[1]))
        records = [record for _, _, record, _ in made]
        place = {j: i for i, (_, _, _, j) in enumerate(made) if j >= 0}
        kept = np.array([place[j] for j in range(last - first)], np.int64)
        try:
            return Plan(Records([records], interpolation="NOCB"), kept, tuple(inputs))
        except ValueError as error:
            reason = str(error).split(": ", 1)[-1]
            where = f"{problem.data.table.file} subject {data.labels[s]}"
            raise InputError(Problem(where, "dose", "", f"{reason}.", "Correct the record or the formula.")) from None

    def _dose(
        self,
        r: int,
        j: int,
        state: str,
        numbers: np.ndarray,
        slopes: Mapping[int, np.ndarray],
        want: str,
        dose: dict[str, int],
    ) -> list[tuple[bool, dict[str, object]]]:
        """The engine's records of one dose record: (whether it comes later than the record, fields)."""
        data, problem = self.problem.data, self.problem
        part, slope = self._parts(state, -1, j, numbers, slopes, want)
        rate = float(data.rate[r])
        fields: dict[str, object] = {
            "time": float(data.time[r]), "evid": 1, "compartment": state, "amount": float(data.amt[r]), "rate": rate,
            "interval": float(data.ii[r]), "additional": int(data.addl[r]), "steady": int(data.ss[r]),
            "lag": part.get("lag", 0.0), "fraction": part.get("bioavailability", 1.0),
            "modelled": part.get("rate" if rate == -1 else "duration", np.nan),
            "lag_sensitivity": slope.get("lag", ()), "fraction_sensitivity": slope.get("bioavailability", ()),
            "modelled_sensitivity": slope.get("rate" if rate == -1 else "duration", ()) if rate < 0 else (),
        }  # fmt: skip
        rules = problem.doses.get(state)
        if rules is not None and rules.absorbed:
            return self._absorbed(j, state, fields, part, slope, numbers, slopes, want, dose)
        lag, interval = float(part.get("lag", 0.0)), float(data.ii[r])
        if data.ss[r] and interval > 0 and lag >= interval and problem.long_lag == "nonmem":
            steady = {**fields, "lag": 0.0, "lag_sensitivity": (), "additional": 0}
            return [(False, steady), (False, {**fields, "steady": 0})]
        return [(False, fields)]

    def _absorbed(
        self,
        j: int,
        state: str,
        fields: dict[str, object],
        part: Mapping[str, float],
        slope: Mapping[str, tuple[tuple[str, float], ...]],
        numbers: np.ndarray,
        slopes: Mapping[int, np.ndarray],
        want: str,
        dose: dict[str, int],
    ) -> list[tuple[bool, dict[str, object]]]:
        records: list[tuple[bool, dict[str, object]]] = []
        count = int(str(fields["additional"])) + 1
        for n in range(count):
            number = dose[state] + n
            time = float(str(fields["time"])) + n * float(str(fields["interval"]))
            for k, law in enumerate(self.problem.doses[state].absorbed):
                own, by = self._parts(state, k, j, numbers, slopes, want)
                share, lag = own.get("fraction", 1.0), own.get("lag", 0.0)
                whole = part.get("bioavailability", 1.0)
                weights = [(name, share * v) for name, v in slope.get("bioavailability", ())]
                weights += [(name, whole * v) for name, v in by.get("fraction", ())]
                record = {**fields, "time": time, "additional": 0, "interval": 0.0, "fraction": whole * share,
                       "fraction_sensitivity": _merged(weights), "lag": part.get("lag", 0.0) + lag}  # fmt: skip
                if law.law == "zero-order":
                    record |= {"rate": -2.0, "modelled": own["duration"], "modelled_sensitivity": by.get("duration", ()),
                            "lag_sensitivity": _merged([*slope.get("lag", ()), *by.get("lag", ())])}  # fmt: skip
                else:
                    slot = next(s for s in self.slots if (s.state, s.dose, s.law) == (state, number, k))
                    arrival = slot.name("arrival")
                    wanted = self._wanted(self.leaves.get(arrival, ()), want)
                    record |= {"compartment": slot.name("amount"),
                            "lag_sensitivity": ((arrival, 1.0),) if wanted else ()}  # fmt: skip
                records.append((n > 0, record))
        dose[state] += count
        return records

    def _wanted(self, depends: Sequence[int], want: str) -> bool:
        most = {"nothing": 0, "random": self.directions.n_random, "all": 10**9}[want]
        return any(k < most for k in depends)

    def _parts(
        self, state: str, law: int, j: int, numbers: np.ndarray, slopes: Mapping[int, np.ndarray], want: str
    ) -> tuple[dict[str, float], dict[str, tuple[tuple[str, float], ...]]]:
        """Numbers of a state's (or law's) parts at a record, and their slopes by the names the engine differentiates
        by.
        """
        values: dict[str, float] = {}
        by: dict[str, tuple[tuple[str, float], ...]] = {}
        for k, rule in enumerate(self.rules):
            if rule.state != state or rule.law != law:
                continue
            values[rule.part] = float(numbers[k, j])
            if not rule.changes:
                if self._wanted(rule.depends, want):
                    by[rule.part] = ((rule.leaf, 1.0),)
            elif k in slopes:
                column = slopes[k][:, j]
                by[rule.part] = tuple((direction(i), float(column[i])) for i in rule.depends if i < len(column))
        return values, by


def _merged(pairs: Sequence[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    total: dict[str, float] = {}
    for name, value in pairs:
        total[name] = total.get(name, 0.0) + value
    return tuple(total.items())
