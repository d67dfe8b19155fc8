"""Records of many lanes that share a few plans: what the engine reads, without walking through every record at every
call.

A lane is one subject with one set of random effects. Lanes of a subject whose doses do not depend on these share the
events; the values of inputs that follow formulas are put into copies of the events.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from respine.engine import Record, Records

_CODE = 1e15  # values from here on stand for the place of the value of an input; no dose is as large


@dataclass
class Plan:
    """The engine's records of one subject. ``kept`` are the rows that stand for records of the data, in order.

    ``inputs``: names of inputs that follow formulas; each record then carries a code for the place of its value.
    """

    records: Records
    kept: np.ndarray
    inputs: tuple[str, ...] = ()
    tables: dict[Any, Any] = field(default_factory=dict)

    def table(
        self, states: Mapping[str, int], slow: Mapping[str, int], rates: Mapping[str, int], names: Sequence[str]
    ) -> Any:
        """The event table, made once; with the places of coded values."""
        key = (tuple(states.items()), tuple(slow.items()), tuple(rates.items()), tuple(names))
        if key not in self.tables:
            made = self.records.table(dict(states), dict(slow), dict(rates), names)
            times = self.records.times(-np.inf)
            readings = self.records.readings(times, made, after=False)
            coded = np.flatnonzero(made.value >= _CODE) if self.inputs else np.zeros(0, int)
            places = (made.value[coded] - _CODE).astype(int)
            self.tables[key] = (made, times, readings.need, coded, places)
        return self.tables[key]


def coded(record: int, number: int, count: int) -> float:
    """What stands for the value of input ``number`` of ``count`` at a record of the data."""
    return _CODE + record * count + number


class LaneRecords(Records):
    """Records of lanes: lane k follows ``plans[which[k]]``; ``values`` (n_data_records_of_lane, n_inputs) a lane, or
    None.
    """

    def __init__(self, plans: Sequence[Plan], which: np.ndarray, values: Sequence[np.ndarray] | None = None) -> None:
        self.plans, self.which, self.values = plans, which, values
        self.subjects: Sequence[Sequence[Record]] = ()
        self.interpolation = "NOCB"
        self._known: dict[Any, Any] = {}

    def _each(self) -> list[Records]:
        return [plan.records for plan in self.plans]

    @property
    def n_subjects(self) -> int:
        return len(self.which)

    def times(self, start: float) -> np.ndarray:
        if ("times", start) not in self._known:
            every = [plan.records.times(start) for plan in self.plans]
            self._known["times", start] = np.concatenate([every[k] for k in self.which])
        return self._known["times", start]

    @property
    def own_times(self) -> np.ndarray:
        if "own_times" not in self._known:
            every = [plan.records.own_times for plan in self.plans]
            self._known["own_times"] = np.concatenate([every[k] for k in self.which])
        return self._known["own_times"]

    @property
    def goes_back(self) -> int | None:
        if "goes_back" not in self._known:
            back = [plan.records.goes_back is not None for plan in self.plans]
            self._known["goes_back"] = next((s for s, k in enumerate(self.which) if back[k]), None)
        return self._known["goes_back"]

    def _joined(self, name: str) -> tuple[Any, ...]:
        if name not in self._known:
            self._known[name] = tuple(dict.fromkeys(item for r in self._each() for item in getattr(r, name)))
        return self._known[name]

    @property
    def changing(self) -> tuple[str, ...]:
        return self._joined("changing")

    @property
    def infused(self) -> tuple[str, ...]:
        return self._joined("infused")

    @property
    def dosed(self) -> frozenset[str]:
        return frozenset(self._joined("dosed"))

    @property
    def covariates(self) -> dict[str, str]:
        return dict.fromkeys(self._joined("covariates"), self.interpolation)

    @property
    def finite(self) -> np.ndarray:
        return np.ones(self.n_subjects, bool)

    @property
    def dependent(self) -> tuple[str, ...]:
        return self._joined("dependent")

    def moved(self, names: Collection[str]) -> set[str]:
        key = ("moved", tuple(names))
        if key not in self._known:
            self._known[key] = {state for records in self._each() for state in records.moved(names)}
        return self._known[key]

    @property
    def driven(self) -> tuple[tuple[str, str], ...]:
        return self._joined("driven")

    def table(
        self,
        states: dict[str, int],
        slow: dict[str, int],
        rates: dict[str, int],
        names: Sequence[str] = (),
        moments: Any = None,
    ) -> Any:
        """Events of all plans one after the other; lanes point into them, or into copies with their own values."""
        key = ("table", tuple(states.items()), tuple(slow.items()), tuple(rates.items()), tuple(names))
        if self.values is None and key in self._known:
            return self._known[key]
        parts = [plan.table(states, slow, rates, names) for plan in self.plans]
        if self.values is None:
            self._known[key] = _join([part[0] for part in parts], self.which)
            return self._known[key]
        own = []
        for lane, k in enumerate(self.which):
            made, _, _, at, places = parts[k]
            value = made.value.copy()
            value[at] = self.values[lane].ravel()[places]
            own.append(replace(made, value=value))
        return _join(own, np.arange(len(own)))

    def readings(self, times: np.ndarray, events: Any, *, after: bool) -> Any:
        if "readings" in self._known:
            return self._known["readings"]
        every = [next(iter(plan.tables.values())) for plan in self.plans]
        sizes = np.array([len(part[1]) for part in every], np.int64)
        count = sizes[self.which]
        first = np.cumsum(count) - count
        need = np.concatenate([every[k][2] for k in self.which]).astype(np.int32)
        sample = self.plans[0].records.readings(every[0][1], every[0][0], after=False)
        self._known["readings"] = replace(sample, times=times, first=first, count=count, row=first.copy(), need=need)
        return self._known["readings"]


def _join(tables: Sequence[Any], which: np.ndarray) -> Any:
    """One table of several; subject s has the events of ``tables[which[s]]``."""
    sizes = np.array([len(t.time) for t in tables], np.int64)
    begin = np.cumsum(sizes) - sizes
    flat = {name: np.concatenate([getattr(t, name) for t in tables]) for name in ("time", "kind", "target", "value")}
    first = begin[which]
    joined = replace(tables[0], first=first, last=first + sizes[which], **flat)
    if not len(tables[0].slopes) and not any(len(t.slopes) for t in tables):
        return joined
    rows = np.array([len(t.value_slopes) for t in tables], np.int64)
    shift = np.cumsum(rows) - rows
    slopes = np.concatenate([np.where(t.slopes >= 0, t.slopes + s, -1) for t, s in zip(tables, shift, strict=True)])
    return replace(
        joined, slopes=slopes, value_slopes=np.concatenate([t.value_slopes for t in tables]),
        time_slopes=np.concatenate([t.time_slopes for t in tables]),
    )  # fmt: skip
