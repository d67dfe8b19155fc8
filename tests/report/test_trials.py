"""Figures of simulated trials: exact survival curves, and the numbers that stand behind each plot."""

from __future__ import annotations

import numpy as np
import pytest

from respine.report import kaplan_meier, plot_belief, plot_forest, plot_survival
from respine.trial.replicates import simulate_trials
from tests.trial.replicates.conftest import Make, trial

__all__ = ["trial"]


def test_kaplan_meier_of_a_small_table_by_hand() -> None:
    time, event = np.array([6.0, 6, 6, 6, 7, 9, 10, 10, 11, np.nan]), np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 1])
    table = kaplan_meier(time, event)
    assert table["time"].tolist() == [6, 7, 10] and table["at_risk"].tolist() == [9, 5, 3]
    assert table["survival"].tolist() == pytest.approx([6 / 9, 6 / 9 * 4 / 5, 6 / 9 * 4 / 5 * 2 / 3])
    assert ((table["low"] < table["survival"]) & (table["survival"] < table["high"])).all()


def test_survival_shows_who_is_at_risk() -> None:
    rng = np.random.default_rng(0)
    groups = {"_a": (rng.exponential(20, 40), rng.random(40) < 0.8), "b$": (rng.exponential(9, 40), np.ones(40, bool))}
    drawing = plot_survival(groups)
    strip = [text.get_text() for text in drawing.figure.axes[1].texts]
    assert strip[0] == "40" and len(strip) == 12 and set(drawing.table["group"]) == {"_a", "b$"}


def test_a_forest_hands_back_its_rows() -> None:
    rows = [{"label": "murrough-2013", "estimate": -7.9, "low": -12.4, "high": -3.4, "n": 72, "group": "published"},
            {"label": "simulated", "estimate": -8.7, "low": -19, "high": 1, "n": 72, "group": "predicted"}]  # fmt: skip
    drawing = plot_forest(rows, unit="points of MADRS")
    assert len(drawing.table) == 2 and any("n = 72" in t.get_text() for t in drawing.figure.axes[0].texts)


def test_belief_against_effect(trial: Make) -> None:
    trials = simulate_trials(trial(), 1, 40, typical=True)
    drawing = plot_belief(trials, "MADRS", 24.0)
    drug = drawing.table[drawing.table["arm"] == "drug"]
    assert len(drawing.table) == 80 and drug["belief"].std() > 0
    drawing.figure.canvas.draw()
