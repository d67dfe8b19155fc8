"""SAEM: known answers, the same bits after a kill, and parameters that only shift random effects found by their slopes."""

from __future__ import annotations

import numpy as np
import pytest

from respine.fit.population import evaluate, fit, with_options
from respine.fit.population.centred import shifting
from respine.fit.population.estimate import Outer
from respine.fit.population.saem import Bank, Saem
from tests.fit.population import problems, toy


def short(problem, **options):
    return with_options(problem, burn_in=30, averaging=20, chains=1, samples=100, **options)


def test_a_killed_run_ends_with_the_same_bits(tmp_path):
    problem = short(toy.problem(toy.data(8)))
    whole = Saem(problem).run(0)

    class Killed(Exception):
        pass

    def kill(text: str) -> None:
        raise Killed

    broken = Saem(problem, tmp_path)
    with pytest.raises(Killed):
        broken.run(0, kill)  # after 25 steps; the checkpoint is of step 20
    kept = Bank.from_bytes((tmp_path / "bank-0.npz").read_bytes())
    assert kept.step == 20
    again = Saem(problem, tmp_path).run(0)
    assert np.array_equal(again.x, whole.x) and np.array_equal(again.random, whole.random)
    other = Saem(short(toy.problem(toy.data(8)), seed=2), tmp_path)  # another problem does not go on from it
    assert other._kept_state(0) is None


def test_banks_that_disagree_are_no_answer(monkeypatch):
    monkeypatch.setattr("respine.fit.population.saem.FEWEST_LANES", 1)
    fitted = fit(with_options(toy.problem(toy.data(6)), burn_in=2, averaging=1, chains=1, samples=100), "saem")
    assert not fitted.converged and not fitted.is_answer
    assert any("banks ended apart" in f.why for f in fitted.findings)


def test_parameters_that_shift_effects_are_found():
    formulas = {
        "CL": "TVCL*(WT/70)**power*exp(eta_cl)", "V": "exp(lv + slope*(WT - 70) + eta_v)", "extra": "a + eta_v*0",
    }  # fmt: skip
    parameters = {"TVCL": {"start": 4.0, "lower": 0.0}, "power": 0.75, "lv": 3.7, "slope": 0.001, "a": 1.0}
    observations = {"cp": {"prediction": "central/V*extra", "error": "ipred*(1 + eps)"}}
    outer = Outer(toy.problem(individual=formulas, parameters=parameters, observations=observations), "focei")
    places, weights = shifting(outer.objective, outer.vector, outer.begin)
    assert [outer.vector.names[k] for k in places] == ["TVCL", "power", "lv", "slope"]
    frame = toy.data().drop_duplicates("ID")
    assert weights[:, 0, 0] == pytest.approx(1.0)
    assert weights[:, 0, 1] == pytest.approx(np.log(frame.WT / 70))
    assert weights[:, 1, 3] == pytest.approx(frame.WT - 70)
    assert np.all(weights[:, 1, :2] == 0)


@pytest.mark.slow
def test_truth_is_recovered():
    problem = with_options(toy.problem(toy.data(60)), burn_in=150, averaging=150)
    fitted, exact = fit(problem, "saem"), fit(problem, "focei")
    assert fitted.is_answer, fitted.findings
    assert fitted.estimates["estimate"].to_numpy() == pytest.approx(exact.estimates["estimate"].to_numpy(), rel=0.05)
    assert fitted.estimates["se"].notna().all()
    there = fitted.at_estimates()  # found.problem still has the values the search started from
    assert fitted.objective_focei == pytest.approx(exact.objective, abs=0.5)  # SAEM's optimum is not that of FOCEI
    assert evaluate(fitted, "focei").objective == pytest.approx(fitted.objective_focei, rel=1e-7)
    sampled = evaluate(with_options(there, seed=2), "imp")  # other draws than those of the fit
    assert fitted.objective_error < 0.3 and sampled.objective_error < 0.3
    assert fitted.objective == pytest.approx(sampled.objective, abs=1.0)
    assert fitted.objective == pytest.approx(evaluate(with_options(there, nodes=9), "agq").objective, abs=0.6)


@pytest.mark.slow
def test_theophylline(reference):
    fitted = fit(problems.theophylline(reference), "saem")
    assert fitted.is_answer, fitted.findings
    rows = fitted.estimates.set_index("name")["estimate"]
    for name, want in {"tka": 0.45881, "tcl": 1.01097, "tv": 3.45431, "add_sd": 0.69786}.items():
        assert rows[name] == pytest.approx(want, rel=0.02)
    assert fitted.objective == pytest.approx(118.11, abs=0.25)
