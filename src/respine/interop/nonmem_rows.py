"""Rows of a NONMEM table, checked one by one: numbers, event codes, and fields that contradict each other."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from respine.files import numbers
from respine.interop.faults import Faults

DOSE, OBSERVATION, OTHER, RESET, RESET_AND_DOSE = 1, 0, 2, 3, 4
EVENTS = (OBSERVATION, DOSE, OTHER, RESET, RESET_AND_DOSE)
DOSING = ("AMT", "RATE", "ADDL", "II", "SS")
WHOLE = ("EVID", "ADDL", "SS", "MDV")
CENSORING = {"BLQ": (0.0, 1.0), "BQL": (0.0, 1.0), "CENS": (-1.0, 0.0, 1.0), "LLOQ": (), "LIMIT": ()}
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?")
_CODED_EVENT = 100  # event codes of older tools that hold the compartment: 101 is a bolus into the first


@dataclass(frozen=True)
class Event:
    """One row that makes sense: ``compartment`` as written ("" for none), NaN where a number was left out."""

    line: int
    subject: str
    time: float
    evid: int
    compartment: str
    amount: float
    rate: float
    additional: int
    interval: float
    steady: int
    dv: float
    mdv: int
    dvid: str
    censoring: Mapping[str, float]
    values: Mapping[str, float]  # of covariate and dose-parameter columns

    @property
    def doses(self) -> bool:
        return self.evid in (DOSE, RESET_AND_DOSE)


class _Cells:
    """The cells of one row by upper-case column; ``wrong`` once a fault was told."""

    def __init__(self, line: int, texts: Mapping[str, str], missing: Collection[str], faults: Faults) -> None:
        self.line, self.texts, self.missing, self.faults = line, texts, missing, faults
        self.wrong = False

    def fault(self, column: str, why: str, cure: str, seen: str | None = None) -> None:
        """Tell what is wrong with a cell, and go on with the others."""
        self.wrong = True
        shown = self.texts.get(column, "") if seen is None else seen
        self.faults.add(self.line, column, shown, why, cure)

    def left_out(self, column: str) -> bool:
        return self.texts.get(column, "").lower() in self.missing

    def number(self, column: str, otherwise: float) -> float:
        """The number of a cell, ``otherwise`` where it is left out or wrong."""
        if self.left_out(column):
            return otherwise
        text = self.texts[column]
        try:
            value = numbers.number(text)
        except ValueError:
            self.fault(column, *_no_number(text))
            return otherwise
        if not math.isfinite(value):
            self.fault(
                column, "This is no number that can be computed with.", "Write a number, or . where none is meant."
            )
            return otherwise
        if column in WHOLE and value != int(value):
            self.fault(column, "This is no whole number.", "Write a whole number, or . where none is meant.")
            return otherwise
        return value

    def code(self, column: str) -> str:
        """A subject, compartment or type of observation; empty where left out."""
        return "" if self.left_out(column) else code(self.texts[column])


class RowReader:
    """Turns rows of text into events; what is wrong goes to ``faults`` with its line."""

    def __init__(self, columns: Collection[str], observed: str, extra: Collection[str], missing: Collection[str],
                 faults: Faults) -> None:  # fmt: skip
        self.columns, self.observed, self.extra, self.faults = columns, observed, extra, faults
        self.missing = {text.lower() for text in missing}
        self.dv_not_read = 0  # values in rows that are no observations; NONMEM does not read them either
        self.without_dv = 0  # observations without a value
        self.mdv_of_doses = 0  # doses said to be observed

    def read(self, line: int, texts: Mapping[str, str]) -> Event | None:
        """The event of a row (cells by upper-case column), None where it makes no sense."""
        cells = _Cells(line, texts, self.missing, self.faults)
        subject, time = cells.code("ID"), cells.number("TIME", math.nan)
        for column in ("ID", "TIME"):
            if cells.left_out(column):
                cells.fault(column, "Every row needs one.", "Write a subject and a time in hours.")
        dosing = {column: cells.number(column, 0.0) for column in DOSING}
        mdv, dv = cells.number("MDV", math.nan), cells.number(self.observed, math.nan)
        if not math.isnan(mdv) and mdv not in (0, 1):
            cells.fault("MDV", "MDV says whether the observation is missing.", "Write 1 (missing) or 0.")
        evid = self._evid(cells, dosing, mdv)
        compartment = cells.code("CMT")
        if compartment.startswith("-"):
            why = "A negative compartment is turned off, which respine cannot do."
            cells.fault("CMT", why, "Remove the row, or end the subject there.")
        if not cells.wrong:
            (_check_dose if evid in (DOSE, RESET_AND_DOSE) else _check_no_dose)(cells, evid, dosing)
        censoring = self._censoring(cells)
        values = {column: cells.number(column, math.nan) for column in self.extra}
        if cells.wrong:
            return None
        if evid == OBSERVATION:
            self.without_dv += mdv != 1 and math.isnan(dv)
            mdv = 1.0 if math.isnan(dv) else 0.0 if math.isnan(mdv) else mdv
        else:
            self.dv_not_read += not math.isnan(dv) and dv != 0
            self.mdv_of_doses += mdv == 0 and evid != OTHER
            mdv = 1.0
        compartment = "" if compartment == "0" else compartment  # 0 is the default compartment
        return Event(line, subject, time, evid, compartment, dosing["AMT"], dosing["RATE"], int(dosing["ADDL"]), dosing["II"],
                     int(dosing["SS"]), dv, int(mdv), cells.code("DVID"), censoring, values)  # fmt: skip

    def _evid(self, cells: _Cells, dosing: Mapping[str, float], mdv: float) -> int:
        """The event code, by the rule of NONMEM where the table has no EVID: a row that doses is 1."""
        if "EVID" not in self.columns:
            if dosing["AMT"] or (dosing["SS"] and dosing["RATE"]):
                return DOSE
            return OTHER if mdv == 1 else OBSERVATION
        written = int(cells.number("EVID", 0.0))
        if written not in EVENTS:
            cure = "Write 0 (observation), 1 (dose), 2 (other), 3 (reset) or 4 (reset and dose)."
            if written > _CODED_EVENT:
                cure = "Codes above 100 hold the compartment: write EVID 1 and the compartment under CMT."
            cells.fault("EVID", f"EVID {written} is not known.", cure)
        return written

    def _censoring(self, cells: _Cells) -> dict[str, float]:
        limits = {column: cells.number(column, math.nan) for column in CENSORING if column in self.columns}
        for column, value in limits.items():
            allowed = CENSORING[column]
            if allowed and not math.isnan(value) and value not in allowed:
                text = " or ".join(f"{flag:g}" for flag in allowed)
                cells.fault(column, "This column marks censored observations.", f"Write {text}.")
        return limits


def _check_no_dose(cells: _Cells, evid: int, dosing: Mapping[str, float]) -> None:
    """An observation, a reset or another event has no dosing fields."""
    for column, value in dosing.items():
        if value:
            kind = "an observation" if evid == OBSERVATION else "no dose"
            why = f"A row with EVID {evid} is {kind}, so it has no {column}."
            cells.fault(column, why, f"Write EVID 1 if a dose is meant, or 0 under {column}.")


def _check_dose(cells: _Cells, evid: int, dosing: Mapping[str, float]) -> None:
    """The dosing fields of a dose against each other."""
    amount, rate, steady, interval = dosing["AMT"], dosing["RATE"], dosing["SS"], dosing["II"]
    for column in ("AMT", "II", "ADDL"):
        if dosing[column] < 0:
            cells.fault(column, f"{column} cannot be negative.", "Write a number from 0 up.")
    if rate < 0 and rate not in (-1, -2):
        cells.fault("RATE", "RATE is a rate, 0 for a bolus, or -1 or -2 where it is modelled.", "Write one of these.")
    if steady not in (0, 1, 2):
        cells.fault(
            "SS", "SS is 0, 1 (steady state) or 2 (steady state on top of what is there).", "Write one of these."
        )
    if amount == 0 and not (steady and rate > 0 and interval == 0):
        why = f"AMT is 0 in a dose (EVID {evid}); only a constant infusion to steady state (SS 1, RATE, II 0) has no amount."
        cells.fault("AMT", why, "Write the amount, or EVID 0 for an observation.")
    if amount > 0 and interval == 0 and (dosing["ADDL"] or steady):
        which = "ADDL" if dosing["ADDL"] else "SS"
        cells.fault("II", f"{which} needs II, the interval between doses.", "Write II above 0.")
    if interval > 0 and not dosing["ADDL"] and not steady:
        cells.fault("II", "An interval is given, but neither ADDL nor SS uses it.", "Write 0 under II, or ADDL or SS.")


def _no_number(text: str) -> tuple[str, str]:
    """Why a cell is no number, and what to write."""
    if _CLOCK.fullmatch(text):
        why = "This is a time of the clock; respine reads hours on one running clock."
        return why, "Write hours since a moment of your choice: 8:30 is 8.5 on the first day and 32.5 on the second."
    if _DATE.fullmatch(text):
        why = "This is a date; respine reads hours on one running clock."
        return why, "Write hours since the first record of the subject."
    if re.fullmatch(r"[-+]?\d+,\d+", text):
        return "The decimal sign is a comma.", "Write a decimal point."
    return "This is no number.", "Write a number, or . where nothing is meant."


def code(text: str) -> str:
    """A subject, compartment or observation type as written, whole numbers without ".0"."""
    try:
        value = float(text)
    except ValueError:
        return text
    return str(int(value)) if math.isfinite(value) and value == int(value) else text
