"""Rows of a pool are forecast with the trials and people that stand behind them."""

from __future__ import annotations

from respine.evidence.studies import by_trials, completed
from respine.study import load


def test_rows_are_grouped_by_the_trials_behind_them() -> None:
    study, matched = completed(load("dean-2021-saline"))
    groups = by_trials(study, matched)
    assert sorted(part.pooled_trials for part, _ in groups) == [2, 4]
    assert sum(len(rows) for _, rows in groups) == len(matched)
    few = next(part for part, _ in groups if part.pooled_trials == 2)
    assert {arm.n_published for arm in few.arms.values()} == {37}
    assert next(part for part, _ in groups if part.pooled_trials == 4) == study


def test_a_study_without_such_rows_stays_one() -> None:
    study, matched = completed(load("murrough-2013"))
    assert by_trials(study, matched) == [(study, matched)]
