"""NONMEM-style records of many subjects: EVID 0-4, ADDL, II, SS 1 and 2, RATE (also modelled), lag, bioavailability.

The order at equal times (see moments.py) is that of the records. Additional doses (ADDL) fall before a record of the
same time. A reset (EVID 3 or 4, SS 1) cancels what earlier records still had to come. With a lag a steady-state dose
finds the system as it is when all earlier doses had the same lag: the part of an earlier infusion that is still running
goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from respine.engine.dosing import covariates
from respine.engine.dosing.events_table import (
    ADD_STATE,
    SET_RATE,
    SET_SLOW,
    EventTable,
    Readings,
    flatten,
)
from respine.engine.dosing.happenings import Happening, happenings, on_one_clock, same
from respine.engine.dosing.infusions import rates_in_full
from respine.engine.dosing.moments import Moments
from respine.engine.dosing.record import Record


@dataclass
class Records:
    """Data records of several subjects, usable wherever a `Schedule` is; every record is also a reading.

    ``interpolation`` of covariates: ``LOCF`` a value holds from its record to the next that has one, ``NOCB`` from the one
    before to its record, ``linear`` straight lines in between. A steady state is that of its record's own values. Raises
    ValueError with subject and record number for the first record that cannot be meant.
    """

    subjects: Sequence[Sequence[Record]]
    interpolation: str = "LOCF"
    _running: list[list[Record]] = field(init=False, repr=False)  # on a clock that never goes back
    _happenings: list[list[Happening]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        covariates.check(self.interpolation)
        for s, records in enumerate(self.subjects):
            for k, record in enumerate(records):
                problem = record.problem()
                back = bool(k) and record.time < records[k - 1].time and not same(record.time, records[k - 1].time)
                if problem is None and back and record.evid not in (3, 4):
                    problem = f"time {record.time:g} lies before the record above it ({records[k - 1].time:g})"
                if problem:
                    raise ValueError(f"subject {s}, record {k}: {problem}")
        self._running = [on_one_clock(records) for records in self.subjects]
        self._happenings = [happenings(records, self.interpolation) for records in self._running]

    @property
    def n_subjects(self) -> int:
        """How many subjects there are."""
        return len(self.subjects)

    def times(self, start: float) -> np.ndarray:
        """When every record is read, (n_records,), on a clock that never goes back (see `own_times`).

        Raises ValueError where one precedes ``start`` or a subject has none.
        """
        for s, records in enumerate(self.subjects):
            if not records:
                raise ValueError(f"subject {s} has no record")
            if records[0].time < start and not same(records[0].time, start):
                seen = f"subject {s}: the first record at {records[0].time:g}"
                raise ValueError(f"{seen} lies before the start {start:g}")
        return np.maximum(np.array([r.time for records in self._running for r in records], float), start)

    @property
    def own_times(self) -> np.ndarray:
        """Time of every record as it is written, (n_records,)."""
        return np.array([r.time for records in self.subjects for r in records], float)

    @property
    def goes_back(self) -> int | None:
        """The first subject whose time goes back at a reset, None where there is none."""
        pairs = ((s, a.time, b.time) for s, records in enumerate(self.subjects) for a, b in pairwise(records))
        return next((s for s, before, here in pairs if here < before and not same(before, here)), None)

    def _targets(self, *kinds: int) -> tuple[str, ...]:
        return tuple(dict.fromkeys(h.target for happenings in self._happenings for h in happenings if h.kind in kinds))

    @property
    def changing(self) -> tuple[str, ...]:
        """Covariates that change over time."""
        return self._targets(SET_SLOW)

    @property
    def infused(self) -> tuple[str, ...]:
        """States that are infused into."""
        return self._targets(SET_RATE)

    @property
    def dosed(self) -> frozenset[str]:
        """States that are dosed."""
        return frozenset(self._targets(ADD_STATE))

    @property
    def covariates(self) -> dict[str, str]:
        """How each covariate is interpolated."""
        every = (name for records in self.subjects for r in records for name, _ in r.covariates)
        return dict.fromkeys(every, self.interpolation)

    def check_start(self, start: float) -> None:
        """`times` has done so."""

    @property
    def largest(self) -> np.ndarray:
        """(n_subjects,) the largest amount that is given."""
        return np.array([max((r.given for r in records if r.evid in (1, 4)), default=0.0) for records in self.subjects])

    def of(self, subjects: np.ndarray) -> Records:
        """The same for some of the subjects."""
        return Records([self.subjects[s] for s in subjects], self.interpolation)

    @property
    def finite(self) -> np.ndarray:
        """Which subjects have finite numbers alone, ``(n_subjects,)``."""
        return np.ones(self.n_subjects, bool)

    @property
    def dependent(self) -> tuple[str, ...]:
        """Names a dose depends on, with slopes."""
        return tuple(
            dict.fromkeys(
                name for happenings in self._happenings for h in happenings for name in sorted(h.slopes.names)
            )
        )

    def moved(self, names: Collection[str]) -> set[str]:
        """States with doses that depend on one of the names."""
        return {h.target for happenings in self._happenings for h in happenings if not h.slopes.names.isdisjoint(names)}

    @property
    def driven(self) -> tuple[tuple[str, str], ...]:
        """(state, name) where the rate of an infusion into the state depends on the name."""
        every = (h for happenings in self._happenings for h in happenings if h.kind == SET_RATE)
        return tuple(dict.fromkeys((h.target, name) for h in every for name in h.slopes.value))

    def table(
        self,
        states: dict[str, int],
        slow: dict[str, int],
        rates: dict[str, int],
        names: Sequence[str] = (),
        moments: Moments | None = None,
    ) -> EventTable:
        """Flatten for the driver; targets the run does not need are left out; slopes by ``names`` are kept.

        The records themselves say which times are one, whatever the ``moments`` of the run.
        """
        index = {ADD_STATE: states, SET_SLOW: slow, SET_RATE: rates}
        nothing = {"": 0}
        kept = [[h for h in happenings if h.target in index.get(h.kind, nothing)] for happenings in self._happenings]
        table = flatten([
            [(h.time, h.kind, index.get(h.kind, nothing)[h.target], h.value) for h in happenings] for happenings in kept
        ])  # fmt: skip
        infusion = np.array([h.infusion for happenings in kept for h in happenings], np.int32)
        if not names:
            return rates_in_full(table, infusion)
        sloped = [h.slopes if not h.slopes.names.isdisjoint(names) else None for happenings in kept for h in happenings]
        rows = np.cumsum([s is not None for s in sloped], dtype=np.int64) - 1
        values, times = (
            np.array([[float(part.get(name, 0.0)) for name in names] for part in parts]).reshape(-1, len(names))
            for parts in ([s.value for s in sloped if s], [s.time for s in sloped if s])
        )
        slopes = np.where([s is not None for s in sloped], rows, -1)
        return rates_in_full(replace(table, slopes=slopes, value_slopes=values, time_slopes=times), infusion)

    def readings(self, times: np.ndarray, events: EventTable, *, after: bool) -> Readings:
        """One reading per record, in record order."""
        count = np.array([len(r) for r in self.subjects], np.int64)
        first = np.concatenate([[0], np.cumsum(count)[:-1]]).astype(np.int64)
        need: list[int] = []
        for records, happened in zip(self._running, self._happenings, strict=True):
            order = [h.order for h in happened]
            need += [sum(o < (r.time, 1, 2 * k + 1) for o in order) for k, r in enumerate(records)]
        return Readings(times, first, count, first.copy(), np.array(need, np.int32))
