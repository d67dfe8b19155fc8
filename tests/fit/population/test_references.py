"""Objectives at fixed parameters against NONMEM and nlmixr2, whose runs lie in the outside reference folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from respine.fit.population import PopulationProblem, evaluate
from respine.fit.population.estimate import objective_of
from respine.fit.population.objective import Objective, start_point
from respine.fit.population.prediction import Predictor
from tests.fit.population import problems
from tests.fit.population.problems import table

THEOPHYLLINE = {
    "parameters": {"tka": 0.464451132923658, "tcl": 1.01204689833242, "tv": 3.45997310165565, "add_sd": 0.693839405708945},
    "random_effects": {"eta_ka": 0.404625391044372, "eta_cl": 0.0687956048901995, "eta_v": 0.019222348721803},
}  # fmt: skip
BY_AGQ = {
    "parameters": {"tka": 0.457676266267578, "tcl": 1.01165623582441, "tv": 3.45329495280204, "add_sd": 0.695935111317047},
    "random_effects": {"eta_ka": 0.398208228598741, "eta_cl": 0.0706072672212268, "eta_v": 0.0181978903430447},
}  # fmt: skip
PHENOBARBITAL = {
    "parameters": {"TVCL": 5.81756e-3, "TVV": 1.44555}, "random_effects": {"eta_cl": 0.111053, "eta_v": 0.201526},
    "residual_effects": {"eps": 0.0164177},
}  # fmt: skip


def answer(reference: Path, name: str) -> dict:
    return json.loads((reference / "nonmem-anchor" / name / "answer.json").read_text())


def total(problem, method="focei") -> float:
    objective = objective_of(problem, method)
    return objective.at(start_point(objective)).total


def test_theophylline(reference):
    assert total(problems.theophylline(reference, **THEOPHYLLINE)) == pytest.approx(116.803781271266, rel=1e-7)


def test_theophylline_by_quadrature_of_two_nodes(reference):
    """nlmixr2's agq has two nodes by default; more of them go to the true marginal likelihood, 118.103."""
    two = problems.theophylline(reference, **BY_AGQ, estimation={"nodes": 2})
    assert total(two, "agq") == pytest.approx(118.482568909799, rel=1e-7)
    five, nine = (total(problems.theophylline(reference, **BY_AGQ, estimation={"nodes": n}), "agq") for n in (5, 9))
    assert abs(five - nine) < 0.01 and abs(nine - 118.103) < 0.001


def test_phenobarbital(reference):
    assert total(problems.phenobarbital(reference)) == pytest.approx(1113.0623215759215, rel=1e-8)
    fit = evaluate(problems.phenobarbital(reference, **PHENOBARBITAL))
    assert fit.objective == pytest.approx(730.89472681373070, rel=1e-8)
    errors = evaluate(problems.phenobarbital(reference, **PHENOBARBITAL), covariance=True).estimates["se"].to_numpy()
    bound = {name: {"start": value, "lower": 0.0} for name, value in PHENOBARBITAL["parameters"].items()}
    logs = {**PHENOBARBITAL, "parameters": bound}  # the same point on other scales of the search
    again = evaluate(problems.phenobarbital(reference, **logs), covariance=True).estimates["se"].to_numpy()
    assert np.isfinite(errors).all() and again == pytest.approx(errors, rel=3e-3)
    first = fit.random_effects.iloc[:3]
    assert first["eta_cl"].to_numpy() == pytest.approx([-6.04122e-02, -2.09532e-01, 2.41814e-01], abs=5e-6)
    assert first["eta_v"].to_numpy() == pytest.approx([-1.40559e-02, -8.36106e-02, 1.90241e-01], abs=5e-6)
    assert first["OBJ"].to_numpy() == pytest.approx([7.742851556156, 12.049275490687, 12.041999868579], rel=1e-5)
    assert first["se eta_cl"].to_numpy() ** 2 == pytest.approx([8.19324e-02, 7.94083e-02, 6.41355e-02], rel=1e-4)


@pytest.mark.parametrize(
    ("name", "make", "close"),
    [("ss-lag-ge-ii", problems.steady_lag, 1e-7), ("ss-infusion-lag", problems.steady_infusion, 1e-7),
     ("lagged-zero-order", problems.zero_order, 1e-7), ("eta-boxcox", problems.box_cox, 1e-8)],
)  # fmt: skip
def test_anchors_at_fixed_values(reference, name, make, close):
    assert total(make(reference)) == pytest.approx(answer(reference, name)["objective_focei"], rel=close)


def test_boxcox_by_subject(reference):
    want = table(reference / "nonmem-anchor" / "eta-boxcox" / "answer.csv")
    got = evaluate(problems.box_cox(reference)).random_effects
    assert got["eta1"].to_numpy() == pytest.approx(want["ETA1"].to_numpy(), abs=1e-6)
    assert got["OBJ"].to_numpy() == pytest.approx(want["OBJ"].to_numpy(), abs=1e-6)


def test_concentrations_and_event_times(reference):
    want = table(reference / "nonmem-anchor" / "pk-tte-gompertz" / "answer.csv")
    got = evaluate(problems.event_time(reference), "laplace").random_effects
    assert got["OBJ"].to_numpy() == pytest.approx(want["OBJ"].to_numpy(), rel=1e-7, abs=1e-6)


def test_transit_chain_with_lag(reference):
    known = answer(reference, "transit-lag-bioavailability")
    assert total(problems.transit_chain(reference)) == pytest.approx(known["objective_at_start"], rel=1e-8)
    result = total(problems.transit_chain(reference, known["estimates"]))
    assert result == pytest.approx(known["objective_focei"], rel=1e-8)


@pytest.mark.slow
def test_savic_transit_with_occasions(reference):
    known = answer(reference, "transit-iov")
    assert total(problems.transit_occasions(reference)) == pytest.approx(known["objective_at_start"], rel=1e-7)
    fit = evaluate(problems.transit_occasions(reference, known["estimates"]))
    assert fit.objective == pytest.approx(known["objective_focei"], rel=1e-7)
    want = table(reference / "nonmem-anchor" / "transit-iov" / "answer.csv")
    assert fit.random_effects["OBJ"].to_numpy() == pytest.approx(want["OBJ"].to_numpy(), abs=1e-5)


def test_myelosuppression(reference):
    known = answer(reference, "ode-myelosuppression")
    start = {**known["start"], "omega_BAS": 0.05, "omega_MTT": 0.05, "omega_SLOPE": 0.05}
    assert total(problems.myelosuppression(reference, start)) == pytest.approx(known["objective_at_start"], rel=1e-6)
    result = total(problems.myelosuppression(reference, known["estimates"]))
    assert result == pytest.approx(known["objective_focei"], rel=1e-6)


@pytest.mark.slow
def test_sparse_data_by_quadrature(reference):
    known = answer(reference, "saem-sparse-combined")["saem"]["estimates"]
    problem = problems.sparse(reference, known)
    objective = objective_of(problem, "agq")
    objective.nodes = 9  # type: ignore[attr-defined]
    assert objective.at(start_point(objective)).total == pytest.approx(3180.4, abs=0.5)


def differences(objective: Objective, index: int) -> float:
    """Fourth-order differences of the objective by one free fixed value."""
    point = start_point(objective)
    k = objective.d.free[index]
    h = 1e-4 * max(abs(point.fixed[k]), 1e-3)

    def at(s: float) -> float:
        moved = point.fixed.copy()
        moved[k] += s * h
        return objective.at(type(point)(moved, point.blocks)).total

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)


@pytest.mark.parametrize("method", ["focei", "foce", "fo"])
@pytest.mark.parametrize("make", [problems.phenobarbital, problems.zero_order])
def test_slopes_are_those_of_the_objective(reference, make, method):
    objective = Objective(make(reference), method)
    value = objective.at(start_point(objective), slopes=True)
    assert value.by_fixed is not None and value.by_blocks is not None
    got = value.by_fixed.sum(axis=0)
    want = [differences(objective, m) for m in range(len(got))]
    assert got == pytest.approx(np.array(want), rel=1e-5, abs=1e-4)
    point = start_point(objective)
    for k, matrix in enumerate(point.blocks):
        h = 1e-4 * matrix[0, 0]
        ends = []
        for s in (1, -1):
            moved = list(point.blocks)
            moved[k] = matrix + s * h
            ends.append(objective.at(type(point)(point.fixed, tuple(moved))).total)
        assert value.by_blocks[k].sum() == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-5)


def test_the_dosing_oracle_is_predicted(reference):
    """Event designs of every kind, NONMEM's concentrations: through a problem's own reader."""
    data = table(reference / "nlme" / "nmtest.csv")
    data = data[data.id < 100].rename(columns={"id": "ID", "time": "TIME", "cp": "DV"})
    data["MDV"] = (data.evid != 0).astype(int)
    problem = PopulationProblem.of(
        model="depot' = -1.5*depot\ncentral' = 1.5*depot - 1.1/20*central", data=data,
        doses={"central": {"lag": "lagt", "bioavailability": "bioav", "duration": "dur2", "rate": "rat2"}},
        observations={"cp": {"prediction": "1000*central/20", "additive": "1"}},
    )  # fmt: skip
    predictor = Predictor(problem)
    n = problem.data.n_subjects
    piece = predictor.predict(np.arange(n), predictor.directions.start, np.zeros((n, 0))).pieces[0]
    want = piece.datum.value
    judged = want > 1e-4 * want.max()
    assert judged.sum() > 1000
    assert np.max(np.abs(piece.ipred.value - want)[judged] / want[judged]) < 1.6e-4


def test_doses_into_any_compartment(reference):
    folder = reference / "nonmem-anchor" / "dose-by-compartment"
    data, want = table(folder / "data.csv"), table(folder / "answer.csv")
    two = "central' = -(CL + Q)/V*central + Q/V2*p1\np1' = Q/V*central - Q/V2*p1"
    three = ("central' = -(CL + Q + Q3)/V*central + Q/V2*p1 + Q3/V3*p2\np1' = Q/V*central - Q/V2*p1\n"
             "p2' = Q3/V*central - Q3/V3*p2")  # fmt: skip

    def oral(text: str) -> str:
        return "depot' = -depot\n" + text.replace("central' = ", "central' = depot ")

    models = {
        "advan3": two,
        "advan11": three,
        "advan12": oral(three),
        "advan4": oral(two),
        "ss": "central' = -CL/V*central",
    }
    values = {"CL": 5, "V": 50, "Q": 3, "V2": 80, "Q3": 1, "V3": 120}
    for case in data.CASE.unique():
        text = models[case.split("_")[0]]
        own = data[case == data.CASE].drop(columns="CASE").copy()
        own["AMT"] = own["AMT"].fillna(0)
        problem = PopulationProblem.of(
            model=text + "".join(f"\n{k} = {v};" for k, v in values.items()), data=own,
            observations={"cp": {"prediction": "central/V", "additive": "1"}},
        )  # fmt: skip
        predictor = Predictor(problem)
        predicted = predictor.predict(np.array([0]), predictor.directions.start, np.zeros((1, 0)))
        judged = want[(case == want.CASE) & (want.TIME > 0)]["PRED"].to_numpy()
        close = 3e-5 if "inf" in case and "advan1" in case else 1e-8
        assert predicted.pieces[0].ipred.value == pytest.approx(judged, rel=close), case


def test_resets_and_lags(reference):
    """What NONMEM lists as objective of 23 subjects that are nothing but resets and lagged doses."""
    folder = reference / "nonmem-anchor" / "evid-reset-lag"
    data = table(folder / "data.csv")
    problem = PopulationProblem.of(
        model=problems.ORAL + "\nka = 0.15; CL = 2; V = 20;", data={"file": data, "long_lag": "periodic"},
        doses={"depot": {"lag": "LAGC"}},
        observations={"cp": {"prediction": "central/V", "sd": "0.1"}},
    )  # fmt: skip
    fit = evaluate(problem, "fo")
    shares = fit.random_effects.set_index("ID")["OBJ"]
    pred = table(folder / "answer.csv")
    seen = pred[(pred.EVID == 0)]
    for label, share in shares.items():
        own = seen[int(label) == seen.ID]["PRED"].to_numpy()
        assert share == pytest.approx(len(own) * np.log(0.01) + np.sum(own**2) / 0.01, rel=1e-7), label
    assert fit.objective == pytest.approx(27623.288, abs=6e-4)
