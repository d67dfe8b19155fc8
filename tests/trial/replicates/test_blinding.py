"""Guesses, the indices of James and Bang, expectancy as a switch, and one biology under two masks."""

from __future__ import annotations

import numpy as np
import pytest

import respine as rs
from respine.trial.controls import control_points
from respine.trial.replicates import simulate_trials
from respine.trial.replicates.blinding import Guesses, blinding, guesses

from .conftest import Make

# README of BlindingIndex.jl, made with the R package BI: James 0.896, Bang 0.115 and 0.022
EXAMPLE = np.array([[48.0, 4, 330], [22, 30, 319]])


def test_the_indices_of_another_program() -> None:
    result = Guesses(EXAMPLE)
    assert result.bang.round(3).tolist() == [0.115, 0.022]
    assert float(result.james) == pytest.approx(0.896, abs=5e-4)


def test_the_indices_at_their_ends() -> None:
    unsure, right = np.array([[0.0, 0, 9], [0, 0, 9]]), np.array([[9.0, 0, 0], [0, 9, 0]])
    chance, wrong = np.array([[5.0, 5, 0], [5, 5, 0]]), np.array([[0.0, 9, 0], [9, 0, 0]])
    assert [float(Guesses(c).james) for c in (unsure, right, chance)] == [1, 0, 0.5]
    assert Guesses(right).bang.tolist() == [1, 1] and Guesses(wrong).bang.tolist() == [-1, -1]
    assert Guesses(chance).bang.tolist() == [0, 0] and Guesses(right).correct.tolist() == [1, 1]


def test_what_is_felt_unblinds_the_drug_arm_over_time(trial: Make) -> None:
    trials = simulate_trials(trial(), 3, 100, typical=True)
    table = blinding(trials, "drug", "saline")
    assert (np.diff(table["belief_drug"]) >= 0).all() and table["belief_drug"].iloc[-1] > table["belief_drug"].iloc[
        0
    ] + 0.2
    assert table["bang_drug"].iloc[-1] > 0.3 and table["bang_control"].iloc[-1] > 0.3  # saline is seen through at once
    assert table["james"].iloc[-1] < 0.5 < table["james"].iloc[0] + 0.3
    assert guesses(trials, "drug", "saline").counts[:, 0].sum() == trials.subject.size


def test_expectancy_is_a_switch(trial: Make) -> None:
    full, blind, none = (
        simulate_trials(trial(expectancy=word), 1, 60, typical=True) for word in ("full", "no-unblinding", "none")
    )
    gain = [t.true["MADRS"][0][t.arm[0] == 0, -1].mean() for t in (full, blind, none)]
    assert gain[0] < gain[1] < gain[2]
    assert len(np.unique(blind.belief[0][blind.arm[0] == 0])) == 1
    placebo = none.true["MADRS"][0][none.arm[0] == 1]
    assert np.allclose(placebo[:, 0], placebo[:, -1], rtol=0.05)  # no belief, no drug: nothing changes


def test_every_control_tells_its_points_and_its_rows(trial: Make) -> None:
    table = control_points(trial(), "saline", "MADRS", 35.0, [24.0, 168.0])
    day = table[table["time_h"] == 24.0].set_index(["kind", "unblinding"])
    assert day.loc[("open-label", "none"), "points"] < day.loc[("inactive-placebo", "high"), "points"] < 0
    order = day.sort_values("belief")["points"].to_numpy()
    assert (np.diff(order) <= 0).all()  # more belief, more points
    assert day.loc[("active-placebo", "low"), "note"] and set(table["time_h"]) == {24.0, 168.0}


@pytest.mark.slow
def test_one_biology_under_anaesthesia_and_in_the_open() -> None:
    """Lii 2023: infused under anaesthesia ketamine and saline hardly differ in belief. The same infusion awake against saline that
    everybody sees through: the difference grows, and belief is the only thing that changed."""
    masked = rs.load_study("lii-2023")
    awake = masked.arm("ketamine").replace(control=None)
    awake = awake.arm("saline").replace(control={"kind": "inactive-placebo", "unblinding": "high"})
    opened = masked.arm("ketamine").replace(control={"kind": "open-label"})
    opened = opened.arm("saline").replace(control={"kind": "none"})
    gap, biology = {}, {}
    for name, study in (("masked", masked), ("awake", awake), ("open", opened)):
        trials = rs.trials(study.replace(compare=()), replicates=1, n=150, typical=True)
        column, drug = trials.column(24.0), trials.arm[0] == trials.arms.index("ketamine")
        y = trials.true["MADRS"][0][:, column] - trials.true["MADRS"][0][:, 0]
        gap[name] = y[drug].mean() - y[~drug].mean()
        none = rs.trials(study.replace(compare=(), expectancy="none"), replicates=1, n=150, typical=True)
        z = none.true["MADRS"][0][:, column] - none.true["MADRS"][0][:, 0]
        biology[name] = z[drug].mean() - z[~drug].mean()
    assert biology["masked"] == pytest.approx(biology["awake"], abs=1e-9) == pytest.approx(biology["open"], abs=1e-9)
    assert gap["open"] < gap["awake"] < gap["masked"] < 0
    assert gap["awake"] < gap["masked"] - 1  # points of MADRS
