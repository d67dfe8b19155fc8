"""Estimation: known answers, truth recovered, answers that are none named."""

from __future__ import annotations

import numpy as np
import pytest

from respine.fit.population import at_point, bootstrap, evaluate, fit, patients, with_options
from respine.fit.population.estimate import Outer
from respine.fit.population.quasi_newton import search
from tests.fit.population import problems, toy


def values(result):
    return dict(zip(result.estimates["name"], result.estimates["estimate"], strict=True))


def test_theophylline(reference):
    fitted = fit(problems.theophylline(reference))
    assert fitted.is_answer and not fitted.findings
    assert fitted.objective == pytest.approx(116.80378, abs=1e-3) and fitted.objective < 116.8038
    want = {"tka": 0.46445, "tcl": 1.01205, "tv": 3.45997, "add_sd": 0.69384}
    assert {k: v for k, v in values(fitted).items() if k in want} == pytest.approx(want, rel=2e-3)
    assert [values(fitted)[f"OMEGA({e})"] for e in ("eta_ka", "eta_cl", "eta_v")] == pytest.approx(
        [0.40463, 0.06880, 0.01922], rel=1e-2
    )


def test_phenobarbital(reference):
    fitted = fit(problems.phenobarbital(reference))
    assert fitted.is_answer
    assert fitted.objective == pytest.approx(730.894727, abs=5e-3)
    want = {
        "TVCL": 5.81756e-3,
        "TVV": 1.44555,
        "OMEGA(eta_cl)": 0.111053,
        "OMEGA(eta_v)": 0.201526,
        "SIGMA(eps)": 0.0164177,
    }
    assert values(fitted) == pytest.approx(want, rel=1e-2)


@pytest.mark.slow
def test_transit_chain_with_standard_errors(reference):
    import json

    known = json.loads((reference / "nonmem-anchor" / "transit-lag-bioavailability" / "answer.json").read_text())
    fitted = fit(problems.transit_chain(reference))
    assert fitted.is_answer and fitted.objective == pytest.approx(known["objective_focei"], abs=1e-3)
    names = ["TVCL", "TVV", "MTT", "LAG", "omega_CL", "omega_V", "sigma_var_prop"]
    assert fitted.estimates["estimate"].to_numpy() == pytest.approx([known["estimates"][n] for n in names], rel=1e-3)
    assert fitted.estimates["se"].to_numpy() == pytest.approx([known["standard_errors"][n] for n in names], rel=1e-2)


@pytest.mark.parametrize("method", ["focei", "foce", "fo", "laplace"])
def test_the_slope_is_zero_where_a_search_ends(method):
    fitted = fit(toy.problem(), method)
    assert fitted.converged, fitted.findings
    outer = fitted.optimum.outer
    h = 1e-3
    for k in range(len(fitted.optimum.x)):
        step = h * np.eye(len(fitted.optimum.x))[k]
        slope = (outer.value(fitted.optimum.x + step) - outer.value(fitted.optimum.x - step)) / (2 * h)
        assert abs(slope) < 0.02, fitted.vector.names[k]


def test_slopes_of_data_below_the_limit_lead_to_the_minimum():
    """Censored data enter the curvature with second derivatives; FOCEI must follow them all the same."""
    frame = toy.data(12)
    limit = 0.6
    frame["CENS"] = ((frame.EVID == 0) & frame.DV.lt(limit)).astype(int)
    frame.loc[frame.CENS == 1, "DV"] = limit
    assert 10 < frame.CENS.sum() < 30
    observations = {"cp": {"prediction": "central/V", "error": "ipred*(1 + eps)", "blq": "M3"}}
    fitted = fit(with_options(toy.problem(frame, observations=observations), covariance="none"))
    assert fitted.is_answer, fitted.findings
    laplace = evaluate(fitted, "laplace").objective
    assert fitted.objective == pytest.approx(laplace, abs=1.0)


def test_truth_lies_in_the_intervals():
    """30 subjects: the limits of 95 % hold the truth for all five parameters in nearly all data sets."""
    truth = {"TVCL": 5.0, "TVV": 40.0, "OMEGA(eta_cl)": 0.09, "OMEGA(eta_v)": 0.04, "SIGMA(eps)": 0.0225}
    inside = []
    for seed in range(6):
        fitted = fit(toy.problem(toy.data(seed=seed)))
        assert fitted.is_answer
        rows = fitted.estimates.set_index("name")
        inside += [rows.loc[name, "low"] < value < rows.loc[name, "high"] for name, value in truth.items()]
    assert np.mean(inside) >= 0.8


def test_sandwich_r_and_s_agree_where_the_model_is_true():
    problem = toy.problem(toy.data(150))
    errors = {
        kind: fit(with_options(problem, covariance=kind)).estimates["se"].to_numpy() for kind in ("sandwich", "R", "S")
    }
    assert errors["R"] == pytest.approx(errors["S"], rel=0.35)
    assert errors["sandwich"] == pytest.approx(errors["R"], rel=0.35)


def test_starts_apart_end_together_and_bounds_hold():
    problem = with_options(toy.problem(), starts=3)
    fitted = fit(problem)
    assert len(fitted.optimum.searches) == 3 and fitted.is_answer
    ends = [s.value for s in fitted.optimum.searches if s.converged]
    assert len(ends) >= 2 and np.ptp(ends) < 1e-4
    bound = fit(
        toy.problem(
            parameters={"TVCL": {"start": 4.0, "lower": 3.0, "upper": 4.5}, "TVV": {"start": 50.0, "lower": 0.0}}
        )
    )
    assert values(bound)["TVCL"] <= 4.5
    assert [f.kind for f in bound.findings if f.fatal] and "bound" in {f.kind for f in bound.findings}


def test_a_block_of_effects():
    problem = toy.problem(toy.data(80), random_effects={"eta_cl, eta_v": [[0.1], [0.01, 0.1]]})
    fitted = fit(problem)
    assert fitted.is_answer and "OMEGA(eta_v, eta_cl)" in values(fitted)
    low, high = fitted.estimates.set_index("name").loc["OMEGA(eta_v, eta_cl)", ["low", "high"]]
    assert low < 0.0 < high  # they were made independent
    diagonal = fit(toy.problem(toy.data(80)))
    assert fitted.objective < diagonal.objective


# ---- what is no answer --------------------------------------------------------------------------------------------------
def kinds(result):
    return {f.kind for f in result.findings if f.fatal}


def test_an_unidentifiable_pair_is_named():
    individual = {"CL": "a*b*(WT/70)**0.75*exp(eta_cl)", "V": "TVV*exp(eta_v)"}
    start = {"start": 2.0, "lower": 0.0}
    fitted = fit(
        toy.problem(individual=individual, parameters={"a": start, "b": start, "TVV": {"start": 50.0, "lower": 0.0}})
    )
    assert not fitted.is_answer and "unidentifiable" in kinds(fitted)
    assert any(set(f.names) == {"a", "b"} for f in fitted.findings)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e4])
def test_an_unidentifiable_pair_without_bounds_is_named_whatever_its_units(scale):
    individual = {"CL": f"a*b/{scale}*(WT/70)**0.75*exp(eta_cl)", "V": "TVV*exp(eta_v)"}
    fitted = fit(toy.problem(individual=individual, parameters={"a": 2.0, "b": 2.0 * scale, "TVV": 50.0}))
    assert not fitted.is_answer
    assert any(f.kind == "unidentifiable" and set(f.names) == {"a", "b"} for f in fitted.findings), fitted.findings


def test_units_of_a_parameter_without_bounds_make_no_finding():
    for scale in (1e-4, 1e3):
        individual = {"CL": f"c/{scale}*(WT/70)**0.75*exp(eta_cl)", "V": "TVV*exp(eta_v)"}
        fitted = fit(toy.problem(individual=individual, parameters={"c": 4.0 * scale, "TVV": 50.0}))
        assert fitted.is_answer, fitted.findings
        assert fitted.estimates["se"][0] / scale == pytest.approx(0.28, rel=0.1)
        there = evaluate(fitted, covariance=True)  # without a search the steps come from the subjects' slopes
        assert there.estimates["se"].to_numpy() == pytest.approx(fitted.estimates["se"].to_numpy(), rel=1e-2)


def test_a_parameter_at_the_end_of_its_scale_is_named():
    """All is bound: the share has no finite best value, and no standard error worth telling."""
    individual = {"CL": "TVCL*(WT/70)**0.75*expit(share)*exp(eta_cl)", "V": "TVV*exp(eta_v)"}
    parameters = {
        "TVCL": {"start": 4.0, "lower": 0.0, "upper": 4.5},
        "TVV": {"start": 50.0, "lower": 0.0},
        "share": 4.0,
    }
    fitted = fit(toy.problem(individual=individual, parameters=parameters))
    assert not fitted.is_answer and kinds(fitted) & {"no-influence", "bound"}


def test_a_collapsed_effect_is_named():
    fitted = fit(toy.problem(toy.data(12, seed=3, omega=(0.09, 0.0), sd=0.3)))
    assert not fitted.is_answer and "collapsed" in kinds(fitted)
    assert any(f.names == ("eta_v",) for f in fitted.findings)


def test_a_parameter_without_influence_is_named():
    individual = {"CL": "TVCL*(WT/70)**0.75*exp(eta_cl + 0*idle)", "V": "TVV*exp(eta_v)"}
    parameters = {"TVCL": {"start": 4.0, "lower": 0.0}, "TVV": {"start": 50.0, "lower": 0.0}, "idle": 1.0}
    fitted = fit(toy.problem(individual=individual, parameters=parameters))
    assert not fitted.is_answer and "no-influence" in kinds(fitted)


def test_flip_flop_is_named(reference):
    fitted = fit(problems.theophylline(reference, parameters={"tka": -2.4, "tcl": 1.0, "tv": 0.6}))
    assert not fitted.is_answer and "flip-flop" in kinds(fitted)
    assert "116.80" in str(next(f for f in fitted.findings if f.kind == "flip-flop"))


def test_a_start_far_off_is_no_answer(reference):
    fitted = fit(problems.theophylline(reference, parameters={"tka": 9.0, "tcl": -6.0, "tv": 9.0}))
    assert not fitted.is_answer and fitted.findings


def test_a_subject_that_cannot_be_solved_is_named():
    frame = toy.data(5)
    frame.loc[(frame.ID == 3) & (frame.TIME == 0), "AMT"] = 0.0
    fitted = evaluate(toy.problem(frame))
    assert np.isnan(fitted.objective)
    assert [f.names for f in fitted.findings if f.kind == "failed"] == [("3",)]
    assert "variance is 0" in str(fitted.findings[0]) and "data:" in str(fitted.findings[0])


# ---- around a fit -------------------------------------------------------------------------------------------------------
def test_a_bootstrap_goes_on_from_what_was_kept(tmp_path):
    fitted = fit(toy.problem(toy.data(12)))
    whole = bootstrap(fitted, 3, seed=4)
    kept = bootstrap(fitted, 2, folder=tmp_path, seed=4)
    said: list[str] = []
    rest = bootstrap(fitted, 3, folder=tmp_path, seed=4, watch=said.append)
    assert kept.equals(whole.iloc[:2]) and rest.equals(whole) and len(said) == 3
    assert len(list(tmp_path.rglob("replicate-*.json"))) == 3


def test_one_patient():
    fitted = fit(toy.problem(toy.data(60)))
    frame = toy.data(3, seed=99)
    frame.loc[frame.TIME > 2.5, "MDV"] = 1
    known = patients(fitted, frame, samples=400)
    assert known.effects.shape[0] == 3
    same = evaluate(at_point(toy.problem(frame[(frame.MDV == 0) | (frame.EVID == 1)]), fitted.point))
    assert known.effects["eta_cl"].to_numpy() == pytest.approx(same.random_effects["eta_cl"].to_numpy(), abs=1e-6)
    late = known.forecast[(known.forecast.TIME > 2.5)]
    assert (late["low"] < late["median"]).all() and (late["median"] < late["high"]).all()
    truth = frame[frame.TIME > 2.5]["DV"].to_numpy()
    assert np.mean((late["low"].to_numpy() * 0.6 < truth) & (truth < late["high"].to_numpy() * 1.6)) > 0.7


def test_the_search_finds_the_bottom_of_a_bent_valley():
    def banana(x):
        a, b = x
        value = 100 * (b - a * a) ** 2 + (1 - a) ** 2
        return value, np.array([-400 * a * (b - a * a) - 2 * (1 - a), 200 * (b - a * a)])

    end = search(banana, np.array([-1.2, 1.0]), np.diag([100.0, 100.0]), tolerance=1e-12)
    assert end.converged and end.x == pytest.approx([1.0, 1.0], abs=1e-5)
    none = search(lambda x: (np.nan, x), np.zeros(2), np.eye(2))
    assert not none.converged and "no value at the start" in none.why


def test_every_vector_is_a_permitted_point():
    outer = Outer(toy.problem(random_effects={"eta_cl, eta_v": [[0.1], [0.01, 0.1]]}), "focei")
    chance = np.random.default_rng(2)
    for _ in range(20):
        x = outer.vector.pack(outer.begin) + chance.standard_normal(outer.vector.size)
        point = outer.point(x)
        assert np.linalg.eigvalsh(point.blocks[0])[0] > 0 and (point.fixed > 0).all()
        assert outer.vector.pack(point) == pytest.approx(x, abs=1e-9)
        jacobian, h = outer.vector.jacobian(point), 1e-6
        for k in range(len(x)):
            step = h * np.eye(len(x))[k]
            ends = [outer.vector.natural(outer.point(x + s * step)) for s in (1, -1)]
            assert jacobian[:, k] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-5, abs=1e-7)
