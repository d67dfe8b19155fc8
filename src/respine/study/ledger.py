"""The ledger of doses: what each person was given, when and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from respine.population import People
from respine.study.occasions import amounts, occasions
from respine.study.schema import Study

if TYPE_CHECKING:
    import pandas


def ledger(study: Study, arm: str, people: People) -> pandas.DataFrame:
    """One row a person and occasion, in the order of time.

    Columns: ``subject``, ``arm``, ``time_h``, ``drug``, ``route``, ``amount`` with its ``unit``, ``amount_mg`` (NaN
    where the unit is no mass; 0 for placebo) and ``why`` (``scheduled`` or ``co-medication``).
    """
    import pandas

    one, parts = study.arms[arm], []
    subjects = people.covariates["subject"].to_numpy()
    for why, doses in (("scheduled", one.doses), ("co-medication", one.co_medication)):
        for dose in doses:
            given, times = amounts(dose, people), occasions(dose)
            n, k = len(subjects), len(times)
            parts.append(
                pandas.DataFrame(
                    {
                        "subject": np.repeat(subjects, k), "arm": arm, "time_h": np.tile(np.array(times, float), n),
                        "drug": dose.drug, "route": dose.route, "amount": np.repeat(given.each, k), "unit": given.unit,
                        "amount_mg": np.repeat(given.milligrams, k), "why": why,
                    }
                )
            )  # fmt: skip
    columns = ["subject", "arm", "time_h", "drug", "route", "amount", "unit", "amount_mg", "why"]
    if not parts:
        empty = {
            name: pandas.Series(dtype=float if name in ("time_h", "amount", "amount_mg") else object)
            for name in columns
        }
        return pandas.DataFrame(empty | {"subject": pandas.Series(dtype=np.int64)})[columns]
    whole = pandas.concat(parts, ignore_index=True)
    return whole.sort_values(["subject", "time_h"], kind="stable", ignore_index=True)
