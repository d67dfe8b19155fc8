"""NONMEM-style data: what every record of a table means, as arrays; faults are collected with their lines.

Items are found by name whatever their case: ID TIME DV AMT EVID MDV CMT RATE II ADDL SS DVID CENS LIMIT OCC;
``columns`` says where one has another name. Without EVID a record with AMT or RATE is a dose; without MDV every
record with EVID 0 is an observation. EVID of 100 and more is the old coding of RxODE (101: bolus into compartment 1),
read as such.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from respine.errors import InputError, Problem
from respine.files.suggest import nearest
from respine.fit.population.file_table import MISSING, Table, listed

_COMPARTMENT = re.compile(r"-?[0-9]*|[A-Za-z_]\w*", re.ASCII)
ITEMS = ("ID", "TIME", "DV", "AMT", "EVID", "MDV", "CMT", "RATE", "II", "ADDL", "SS", "DVID", "CENS", "LIMIT", "OCC")
REQUIRED = ("ID", "TIME", "DV")
_ALSO = {"DVID": ("DVID", "YTYPE", "YNAME"), "CENS": ("CENS", "BLQ"), "LIMIT": ("LIMIT",), "OCC": ("OCC",)}
_ZERO = ("AMT", "RATE", "II", "ADDL", "SS", "CENS")
RXODE = 100


@dataclass
class Dataset:
    """Records of all subjects, (n_records,) each unless said otherwise; a subject's records stand together.

    ``first`` and ``last`` (n_subjects,) bound the records of each subject, ``subject`` is the number of its subject.
    ``evid`` 0 to 4; ``observed`` is True where DV counts; ``cmt`` and ``dvid`` are texts as written; ``cens`` 1 below
    and -1 above the limit of quantification, ``limit`` the other end of the interval (NaN: none). ``notes`` say what
    was read in a way that may surprise.
    """

    table: Table
    labels: list[str]
    first: np.ndarray
    last: np.ndarray
    subject: np.ndarray
    time: np.ndarray
    dv: np.ndarray
    amt: np.ndarray
    evid: np.ndarray
    observed: np.ndarray
    rate: np.ndarray
    ii: np.ndarray
    addl: np.ndarray
    ss: np.ndarray
    cens: np.ndarray
    limit: np.ndarray
    cmt: list[str]
    dvid: list[str]
    occasion: np.ndarray
    occasions: list[str]
    items: dict[str, str]
    notes: list[str] = field(default_factory=list)

    @property
    def n_subjects(self) -> int:
        return len(self.first)

    @property
    def n_records(self) -> int:
        return len(self.time)

    def records(self, subject: int) -> slice:
        """The records of one subject."""
        return slice(int(self.first[subject]), int(self.last[subject]))

    def where(self, record: int) -> str:
        return self.table.where(record)

    def only(self, subjects: np.ndarray) -> Dataset:
        """Some subjects, in the order given; the same may come again (a bootstrap sample)."""
        rows = np.concatenate([np.arange(self.first[s], self.last[s]) for s in subjects])
        count = (self.last - self.first)[subjects]
        last = np.cumsum(count)
        changed = {
            name: getattr(self, name)[rows]
            for name in (
                "time",
                "dv",
                "amt",
                "evid",
                "observed",
                "rate",
                "ii",
                "addl",
                "ss",
                "cens",
                "limit",
                "occasion",
            )
        }
        return Dataset(
            table=self.table.only(rows), labels=[self.labels[s] for s in subjects], first=last - count, last=last,
            subject=np.repeat(np.arange(len(subjects)), count), cmt=[self.cmt[r] for r in rows],
            dvid=[self.dvid[r] for r in rows], occasions=self.occasions, items=self.items, notes=self.notes, **changed,
        )  # fmt: skip


def interpret(table: Table, columns: Mapping[str, str] | None = None, occasion: str | None = None) -> Dataset:
    """What the records of a table mean. Raises InputError with every record that cannot be meant, by line."""
    reader = Interpreter(table, dict(columns or {}), occasion)
    dataset = reader.dataset()
    if reader.problems:
        raise InputError(*reader.problems[:60])
    return dataset


class Interpreter:
    def __init__(self, table: Table, columns: dict[str, str], occasion: str | None) -> None:
        self.table = table
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.items = self._items(columns, occasion)

    def fault(self, row: int | np.integer | None, item: str, seen: str, why: str, cure: str) -> None:
        where = self.table.where(int(row)) if row is not None else f"{self.table.file}:1"
        self.problems.append(Problem(where, self.items.get(item, item), seen, why, cure))

    def _items(self, columns: dict[str, str], occasion: str | None) -> dict[str, str]:
        """The column of each item there is."""
        items: dict[str, str] = {}
        upper = {name.upper(): name for name in reversed(self.table.names)}
        for item, name in columns.items():
            if item not in ITEMS:
                why, cure = f'"{item}" is no item of a data set.', nearest(item, ITEMS)
                self.problems.append(Problem(str(self.table.file), f"columns.{item}", name, why, cure))
            elif name not in self.table.names:
                why, cure = "The file has no such column.", nearest(name, self.table.names)
                self.problems.append(Problem(f"{self.table.file}:1", f"columns.{item}", name, why, cure))
            else:
                items[item] = name
        for item in ITEMS:
            for name in _ALSO.get(item, (item,)):
                if item not in items and name in upper and upper[name] not in items.values():
                    items[item] = upper[name]
        if occasion is not None:
            if occasion in self.table.names:
                items["OCC"] = occasion
            else:
                why, cure = "The file has no such column for the occasions.", nearest(occasion, self.table.names)
                self.problems.append(Problem(f"{self.table.file}:1", "occasion", occasion, why, cure))
        missing = [item for item in REQUIRED if item not in items]
        if missing:
            why = f"The table lacks {', '.join(missing)}."
            cure = f'Name the column, as in "columns: {{{missing[0]}: ...}}"; there are {", ".join(self.table.names)}.'
            self.problems.append(Problem(f"{self.table.file}:1", "header", "", why, cure))
        if self.problems:
            raise InputError(*self.problems)
        return items

    def numbers(self, item: str, default: float) -> np.ndarray:
        """Numbers of an item; missing cells and a missing column mean ``default``; a text is a fault."""
        if item not in self.items:
            return np.full(len(self.table), default)
        name = self.items[item]
        values = self.table.numbers[name].copy()
        for row in np.flatnonzero(np.isnan(values)):
            cell = self.table.texts[name][row]
            if cell.lower() not in MISSING:
                clock = ":" in cell and item == "TIME"
                why = "A clock time is not read." if clock else "This is no number."
                self.fault(
                    row, item, cell, why, "Write hours as a number." if clock else "Write a number, or . for none."
                )
        infinite = np.isinf(values)
        for row in np.flatnonzero(infinite):
            self.fault(row, item, self.table.texts[name][row], "This is not finite.", "Write a finite number.")
        return np.where(np.isnan(values) | infinite, default, values)

    def whole(self, item: str, allowed: tuple[int, ...], default: int = 0) -> np.ndarray:
        values = self.numbers(item, default)
        for row in np.flatnonzero(~np.isin(values, allowed)):
            why = f"{item} is one of {', '.join(map(str, allowed))}."
            self.fault(row, item, self.table.texts[self.items[item]][row], why, "Correct the record.")
        return np.where(np.isin(values, allowed), values, default).astype(int)

    def labels(self, item: str) -> list[str]:
        """Texts of an item, whole numbers without their ``.0``; empty where missing or there is no such column."""
        if item not in self.items:
            return [""] * len(self.table)
        cells = self.table.texts[self.items[item]]
        return ["" if c.lower() in MISSING else c[:-2] if c.endswith(".0") else c for c in cells]

    def dataset(self) -> Dataset:
        ids = self.labels("ID")
        first, last = self._subjects(ids)
        counts = last - first
        time, amt, rate = self.numbers("TIME", np.nan), self.numbers("AMT", 0.0), self.numbers("RATE", 0.0)
        for row in np.flatnonzero(np.isnan(time)):
            self.fault(row, "TIME", "", "A record has no time.", "Write its time.")
        ii, addl = self.numbers("II", 0.0), self.numbers("ADDL", 0.0)
        cmt = self.labels("CMT")
        for record, label in enumerate(cmt):
            if not _COMPARTMENT.fullmatch(label):
                why = "A compartment is a whole number, or the name of a state."
                self.fault(record, "CMT", label, why, "Correct the record, or write . where none is meant.")
        evid = self._evid(amt, rate, cmt)
        ss = self.whole("SS", (0, 1, 2))
        mdv = self.whole("MDV", (0, 1)) if "MDV" in self.items else (evid != 0).astype(int)
        observed = (evid == 0) & (mdv == 0)
        dv = self.numbers("DV", np.nan)
        for row in np.flatnonzero(observed & np.isnan(dv)):
            if self.table.texts[self.items["DV"]][row].lower() in MISSING:  # else it was no number, and that is told
                self.fault(
                    row, "DV", "", "An observation has no value.", "Write DV, or MDV 1 (no observation) or EVID 2."
                )
        self._check_times(first, last, time, evid)
        self._check_doses(evid, amt, rate, ii, addl, ss)
        occasion, occasions = self._occasions(first, last)
        cens = self.whole("CENS", (-1, 0, 1))
        limit = self.numbers("LIMIT", np.nan)
        return Dataset(
            self.table, [ids[r] for r in first], first, last, np.repeat(np.arange(len(first)), counts), time, dv, amt, evid,
            observed, rate, ii, addl, ss, cens, limit, cmt, self.labels("DVID"), occasion, occasions, self.items, self.notes,
        )  # fmt: skip

    def _subjects(self, ids: list[str]) -> tuple[np.ndarray, np.ndarray]:
        for row, label in enumerate(ids):
            if not label:
                self.fault(row, "ID", "", "A record belongs to nobody.", "Write its ID.")
        starts = [r for r in range(len(ids)) if r == 0 or ids[r] != ids[r - 1]]
        seen: dict[str, int] = {}
        for r in starts:
            if ids[r] in seen:
                why = f"Subject {ids[r]} began in line {self.table.lines[seen[ids[r]]]} and another came in between."
                cure = "Let the records of a subject stand together, or give the second one another ID."
                self.fault(r, "ID", ids[r], why, cure)
            seen.setdefault(ids[r], r)
        first = np.array(starts, np.int64)
        return first, np.append(first[1:], len(ids))

    def _evid(self, amt: np.ndarray, rate: np.ndarray, cmt: list[str]) -> np.ndarray:
        if "EVID" not in self.items:
            return np.where((amt != 0) | (rate != 0), 1, 0)
        evid = self.numbers("EVID", 0.0)
        old = evid >= RXODE
        if old.any():
            self.notes.append("EVID of 100 and more was read as RxODE's coding: 101 is a bolus into compartment 1")
        for row in np.flatnonzero(old):
            kind, place, how = int(evid[row]) % 100, int(evid[row]) // 100 % 100, int(evid[row]) // 10000
            if kind != 1 or how != 0 or evid[row] != int(evid[row]):
                why = "Of RxODE's coding only boluses (101, 201, ...) are read."
                cure = "Write EVID 1 with CMT, RATE, SS, II and ADDL."
                self.fault(row, "EVID", f"{evid[row]:g}", why, cure)
            evid[row], cmt[row] = 1, str(place)
        for row in np.flatnonzero(~np.isin(evid, (0, 1, 2, 3, 4))):
            self.fault(row, "EVID", f"{evid[row]:g}", "EVID is one of 0, 1, 2, 3, 4.", "Correct the record.")
        empty = np.isin(evid, (1, 4)) & (amt == 0) & (rate == 0)
        if empty.any():
            lines = listed(int(self.table.lines[r]) for r in np.flatnonzero(empty))
            self.notes.append(f"doses of amount 0 give nothing (lines {lines})")
            evid[empty & (evid == 1)] = 2
            evid[empty & (evid == 4)] = 3
        for row in np.flatnonzero((evid == 0) & ((amt != 0) | (rate != 0))):
            why = "EVID 0 is an observation, yet the record has a dose."
            self.fault(row, "EVID", "0", why, "Write EVID 1, or 0 for AMT and RATE.")
        return evid.astype(int)

    def _check_times(self, first: np.ndarray, last: np.ndarray, time: np.ndarray, evid: np.ndarray) -> None:
        for a, b in zip(first, last, strict=True):
            back = np.flatnonzero((np.diff(time[a:b]) < 0) & ~np.isin(evid[a + 1 : b], (3, 4))) + a + 1
            for row in back:
                why = f"The time lies before that of the record above ({time[row - 1]:g})."
                self.fault(
                    int(row), "TIME", f"{time[row]:g}", why, "Sort each subject by time, or reset with EVID 3 or 4."
                )

    def _check_doses(
        self, evid: np.ndarray, amt: np.ndarray, rate: np.ndarray, ii: np.ndarray, addl: np.ndarray, ss: np.ndarray
    ) -> None:
        dose = np.isin(evid, (1, 4))
        for row in np.flatnonzero(dose & (amt < 0)):
            self.fault(row, "AMT", f"{amt[row]:g}", "A dose cannot be negative.", "Write an amount above 0.")
        for row in np.flatnonzero(dose & (rate < 0) & ~np.isin(rate, (-1, -2))):
            why = "RATE is above 0, 0 for a bolus, -1 for a modelled rate or -2 for a modelled duration."
            self.fault(row, "RATE", f"{rate[row]:g}", why, "Correct the record.")
        for row in np.flatnonzero(dose & ((addl < 0) | (addl != np.floor(addl)))):
            self.fault(row, "ADDL", f"{addl[row]:g}", "ADDL is a whole number of further doses.", "Correct the record.")
        for row in np.flatnonzero(dose & (addl > 0) & ~(ii > 0)):
            self.fault(
                row, "II", f"{ii[row]:g}", "Further doses (ADDL) need the interval between them.", "Write II above 0."
            )
        for row in np.flatnonzero(dose & (ss > 0) & (amt > 0) & ~(ii > 0)):
            self.fault(row, "II", f"{ii[row]:g}", "A steady state (SS) needs the dosing interval.", "Write II above 0.")

    def _occasions(self, first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, list[str]]:
        """(n_records,) number of the occasion among all labels, -1 where it is missing."""
        labels = self.labels("OCC")
        names = sorted({label for label in labels if label}, key=_numeric)
        number = {label: k for k, label in enumerate(names)}
        return np.array([number.get(label, -1) for label in labels], np.int64), names


def _numeric(label: str) -> tuple[float, str]:
    try:
        return float(label), label
    except ValueError:
        return float("inf"), label
