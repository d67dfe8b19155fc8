"""Simulation and estimation: truth comes back without bias, and limits of 95 % hold it as often as they say.

`benchmarks/fits.py recover 200` does the same at length.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from respine.fit.population import PopulationProblem, fit
from respine.fit.population.fitted import t95
from respine.fit.population.objective import Objective, start_point
from respine.fit.population.simulate import simulate

TRUTH = {"TVCL": 4.0, "TVV": 30.0, "OMEGA(eta_cl)": 0.09, "OMEGA(eta_v)": 0.04, "SIGMA(eps)": 0.0225}


def problem(frame: pd.DataFrame) -> PopulationProblem:
    return PopulationProblem.of(
        data=frame, parameters={k: {"start": TRUTH[k], "lower": 0.0} for k in ("TVCL", "TVV")},
        random_effects={"eta_cl": 0.09, "eta_v": 0.04}, residual_effects={"eps": 0.0225},
        individual={"CL": "TVCL*exp(eta_cl)", "V": "TVV*exp(eta_v)"},
        observations={"cp": {"prediction": "100/V*exp(-CL/V*TIME)", "error": "ipred*(1 + eps)"}},
    )  # fmt: skip


def test_quantiles_of_t_are_near():
    from scipy.stats import t

    for free in (4, 6, 10, 43, 1000):
        assert t95(free) == pytest.approx(float(t.ppf(0.975, free)), abs=8e-3 if free == 4 else 2e-3)


@pytest.mark.slow
def test_truth_comes_back():
    times = np.array([0.5, 2.0, 6.0, 12.0])
    frame = pd.DataFrame({"ID": np.repeat(np.arange(1, 41), 4), "TIME": np.tile(times, 40), "DV": 0.0})
    true = problem(frame)
    objective = Objective(true, "focei")
    data = simulate(objective, start_point(objective), 80, seed=3)
    estimates, inside = [], []
    for own in data:
        fitted = fit(problem(frame.assign(DV=own)))
        assert fitted.is_answer, fitted.findings
        rows = fitted.estimates.set_index("name").loc[list(TRUTH)]
        values = np.array(list(TRUTH.values()))
        estimates.append(rows["estimate"].to_numpy() / values)
        inside.append(((rows["low"] <= values) & (values <= rows["high"])).to_numpy())
    error = np.std(estimates, axis=0) / np.sqrt(len(data))
    assert np.all(np.abs(np.mean(estimates, axis=0) - 1) < 0.05 + 2 * error)
    assert 0.91 < np.mean(inside) < 0.99 and np.all(np.mean(inside, axis=0) > 0.85)
