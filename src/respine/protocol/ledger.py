"""The ledger of doses: what each person was given, when and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from respine.population import People
from respine.protocol.doses import DoseRecord

if TYPE_CHECKING:
    import pandas

COLUMNS = ("subject", "arm", "time_h", "drug", "route", "amount", "unit", "amount_mg", "why")


def ledger(arm: str, people: People, records: Sequence[DoseRecord]) -> pandas.DataFrame:
    """One row a person and occasion, in the order of time.

    Columns: ``subject``, ``arm``, ``time_h``, ``drug``, ``route``, ``amount`` with its ``unit``, ``amount_mg`` (NaN
    where the unit is no mass; 0 for placebo) and ``why`` (``scheduled``, ``co-medication`` or ``rule NAME``).
    """
    import pandas

    subjects = people.covariates["subject"].to_numpy()
    parts = []
    for record in records:
        times = np.stack([np.broadcast_to(time, len(subjects)) for time in record.times], axis=1) if record.times else (
            np.zeros((len(subjects), 0))
        )  # fmt: skip
        who, when = np.nonzero(np.isfinite(times))
        dose, amounts = record.planned.dose, record.amounts
        parts.append(
            pandas.DataFrame(
                {
                    "subject": subjects[who], "arm": arm, "time_h": times[who, when], "drug": dose.drug or dose.into,
                    "route": dose.route or "into", "amount": amounts.each[who], "unit": amounts.unit,
                    "amount_mg": amounts.milligrams[who], "why": record.planned.why,
                }
            )
        )  # fmt: skip
    if not parts:
        empty = {
            name: pandas.Series(dtype=float if name in ("time_h", "amount", "amount_mg") else object)
            for name in COLUMNS
        }
        return pandas.DataFrame(empty | {"subject": pandas.Series(dtype=np.int64)})[list(COLUMNS)]
    whole = pandas.concat(parts, ignore_index=True)
    return whole.sort_values(["subject", "time_h"], kind="stable", ignore_index=True)
