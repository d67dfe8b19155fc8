"""The ledger of doses: what each person was given, when and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from respine.population import People
from respine.study.occasions import amounts, occasions
from respine.study.rule_doses import Given
from respine.study.schema import Study

if TYPE_CHECKING:
    import pandas


def ledger(study: Study, arm: str, people: People, given: Sequence[Given] = ()) -> pandas.DataFrame:
    """One row a person and occasion, in the order of time.

    Columns: ``subject``, ``arm``, ``time_h``, ``drug``, ``route``, ``amount`` with its ``unit``, ``amount_mg`` (NaN
    where the unit is no mass; 0 for placebo) and ``why`` (``scheduled``, ``co-medication`` or ``rule NAME``, for the
    doses that rules have ``given``).
    """
    import pandas

    one, parts = study.arms[arm], []
    subjects = people.covariates["subject"].to_numpy()
    for why, doses in (("scheduled", one.doses), ("co-medication", one.co_medication)):
        for dose in doses:
            each, times = amounts(dose, people), occasions(dose)
            n, k = len(subjects), len(times)
            parts.append(
                pandas.DataFrame(
                    {
                        "subject": np.repeat(subjects, k), "arm": arm, "time_h": np.tile(np.array(times, float), n),
                        "drug": dose.drug, "route": dose.route, "amount": np.repeat(each.each, k), "unit": each.unit,
                        "amount_mg": np.repeat(each.milligrams, k), "why": why,
                    }
                )
            )  # fmt: skip
    for by_rule in given:
        each, some = amounts(by_rule.dose, people), np.isfinite(by_rule.time)
        parts.append(
            pandas.DataFrame(
                {
                    "subject": subjects[some], "arm": arm, "time_h": by_rule.time[some], "drug": by_rule.dose.drug,
                    "route": by_rule.dose.route, "amount": each.each[some], "unit": each.unit,
                    "amount_mg": each.milligrams[some], "why": f"rule {by_rule.rule}",
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
