"""Before the data: expected information against published answers and arithmetic; the best times; limits by profile."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from respine.errors import InputError
from respine.fit.population import PopulationProblem, best_times, fit, information, profile
from tests.fit.population import problems, toy

START = {
    "TVCL": {"start": 0.15, "lower": 0.0},
    "TVV": {"start": 8.0, "lower": 0.0},
    "TVKA": {"start": 1.0, "lower": 0.0},
}


def warfarin(times=(0.5, 1, 2, 6, 24, 36, 72, 120), subjects=1, **changes) -> PopulationProblem:
    """The example of Nyberg et al. 2015 (doi 10.1111/bcp.12352): one compartment, oral, proportional error."""
    rows = []
    for s in range(subjects):
        rows.append({"ID": s + 1, "TIME": 0.0, "AMT": 70.0, "EVID": 1, "DV": 0.0})
        rows += [{"ID": s + 1, "TIME": float(t), "AMT": 0.0, "EVID": 0, "DV": 0.0} for t in times]
    fields = {
        "parameters": START, "random_effects": {"e1": 0.07, "e2": 0.02, "e3": 0.6}, "residual_effects": {"eps": 0.01},
        "individual": {"CL": "TVCL*exp(e1)", "V": "TVV*exp(e2)", "ka": "TVKA*exp(e3)"},
        "observations": {"cp": {"prediction": "central/V", "error": "ipred*(1 + eps)"}},
    }  # fmt: skip
    return PopulationProblem.of(model=problems.ORAL, data={"file": pd.DataFrame(rows), "dose_into": "depot"},
                                **{**fields, **changes})  # fmt: skip


def test_the_warfarin_example_is_that_of_popeds_documentation():
    design = information(warfarin(), people=32)
    assert np.exp(design.log_det) == pytest.approx(5.996147e22, rel=1e-6)
    want = [4.738266, 2.756206, 13.925829, 25.627205, 30.344316, 25.777327, 11.170784]
    assert design.table["rse"].to_numpy() == pytest.approx(want, rel=1e-6)
    assert design.people == 32 and design.observations == 256


@pytest.mark.parametrize("full", [False, True])
def test_a_linear_model_by_arithmetic(full):
    frame = pd.DataFrame({"ID": 1, "TIME": np.arange(5.0), "DV": 0.0})
    problem = PopulationProblem.of(
        data=frame, parameters={"a": 1.9, "b": 0.55, "s": {"start": 0.3, "lower": 0.0}},
        random_effects={"e0, e1": [[0.5], [0.05, 0.02]]}, individual={"level": "a + e0", "rise": "b + e1"},
        observations={"y": {"prediction": "level + rise*TIME", "additive": "s"}},
    )  # fmt: skip
    design = np.stack([np.ones(5), np.arange(5.0)], axis=1)
    inverse = np.linalg.inv(design @ np.array([[0.5, 0.05], [0.05, 0.02]]) @ design.T + 0.09 * np.eye(5))
    e, t = design.T
    by = [np.zeros((5, 5))] * 2 + [0.6 * np.eye(5), np.outer(e, e), np.outer(e, t) + np.outer(t, e), np.outer(t, t)]
    mean = np.zeros((6, 5))
    mean[0], mean[1] = e, t
    want = [
        [mean[i] @ inverse @ mean[j] + 0.5 * np.trace(inverse @ by[i] @ inverse @ by[j]) for j in range(6)]
        for i in range(6)
    ]
    got = information(problem, people=3, full=full)
    assert got.matrix == pytest.approx(3 * np.array(want), rel=1e-6, abs=1e-6)
    assert got.names[:3] == ("a", "b", "s")


def test_the_expected_errors_are_those_of_a_fit():
    """Where the model holds, the covariance step of a fit to many people comes near the expectation."""
    fitted = fit(toy.problem(toy.data(150)))
    expected = information(fitted.at_estimates(), full=True).table["se"].to_numpy()
    assert expected == pytest.approx(fitted.estimates["se"].to_numpy(), rel=0.3)


def test_what_a_design_cannot_tell_is_named():
    pair = {"CL": "TVCL*F1*exp(e1)", "V": "TVV*F1*exp(e2)", "ka": "TVKA*exp(e3)"}
    start = {**START, "F1": {"start": 0.8, "lower": 0.0}}
    design = information(warfarin(parameters=start, individual=pair))
    assert [set(f.names) for f in design.findings] == [{"TVCL", "TVV", "F1"}] and np.isnan(design.covariance).all()
    late = information(warfarin(times=(72, 96, 120)))
    assert {f.kind for f in late.findings} <= {"unidentifiable", "no-influence"} and late.findings
    with pytest.raises(InputError, match="no such ID"):
        information(warfarin(), people={"9": 3})


def test_the_best_times_are_the_best_of_all():
    times = (0.5, 1, 2, 6, 12, 24, 72, 120)
    problem = warfarin(times)
    design = best_times(problem, 3, people=32)
    best = max(combinations(times, 3), key=lambda own: information(warfarin(own), people=32).log_det)
    assert tuple(design.table["times"][0]) == best
    assert design.information.log_det == pytest.approx(information(warfarin(best), people=32).log_det, rel=1e-9)
    assert 0 < design.efficiency < 1


def test_groups_share_the_work_or_take_the_same_times():
    problem = warfarin((0.5, 1, 2, 6, 24, 72, 120), subjects=2)
    apart, same = best_times(problem, 2, people=20), best_times(problem, 2, people={"1": 20, "2": 20}, same=True)
    assert apart.information.log_det >= same.information.log_det - 1e-9
    assert same.table["times"][0] == same.table["times"][1] and apart.table["times"][0] != apart.table["times"][1]
    with pytest.raises(InputError, match="candidate times"):
        best_times(problem, 9)


# ---- after a fit: profiles ----------------------------------------------------------------------------------------------
def test_limits_are_where_the_objective_has_risen():
    """A mean with known variances: the limits are those of the normal distribution, 1.96 standard errors away."""
    chance = np.random.default_rng(4)
    frame = pd.DataFrame({"ID": np.repeat(np.arange(8), 3), "TIME": np.tile(np.arange(3.0), 8)})
    frame["DV"] = 2.0 + np.repeat(chance.normal(0, 0.7, 8), 3) + chance.normal(0, 0.3, 24)
    problem = PopulationProblem.of(
        data=frame, parameters={"a": 1.0}, random_effects={"e": {"variance": 0.5, "fixed": True}},
        individual={"m": "a + e"}, observations={"y": {"prediction": "m", "additive": "0.3"}},
    )  # fmt: skip
    fitted = fit(problem)
    se = np.sqrt((0.5 + 0.09 / 3) / 8)
    row = profile(fitted, ["a"]).limits.iloc[0]
    assert (row["low"], row["high"]) == pytest.approx(
        (frame.DV.mean() - 1.95996 * se, frame.DV.mean() + 1.95996 * se), abs=1e-2 * se
    )
    narrow = profile(fitted, level=0.8).limits.iloc[0]
    assert narrow["high"] - narrow["low"] == pytest.approx(2 * 1.28155 * se, rel=1e-2)


def test_a_profile_keeps_the_variance_of_a_block():
    fitted = fit(toy.problem(toy.data(12), random_effects={"eta_cl, eta_v": [[0.1], [0.01, 0.1]]}))
    made = profile(fitted, ["TVCL", "OMEGA(eta_v)"])
    assert (made.limits["low"] < made.limits["estimate"]).all() and (
        made.limits["estimate"] < made.limits["high"]
    ).all()
    for low_or_high in ("low", "high"):
        value = made.limits.set_index("name").loc["OMEGA(eta_v)", low_or_high]
        near = made.points[made.points["profile"] == "OMEGA(eta_v)"]
        nearest = near.iloc[(near["value"] - value).abs().argmin()]
        assert nearest["rise"] == pytest.approx(3.84, abs=0.1) and nearest["OMEGA(eta_v)"] == nearest["value"]
    with pytest.raises(ValueError, match="no profile"):
        profile(fitted, ["OMEGA(eta_v, eta_cl)"])
