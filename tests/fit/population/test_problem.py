"""Problem files: what they mean, and every mistake named with its line and a cure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from respine.errors import InputError
from respine.fit.population import PopulationProblem, evaluate
from tests.fit.population import toy

FILE = """
title: toy
model: "central' = -CL/V*central\\n"
data: toy.csv
parameters:
  TVCL: {start: 4, lower: 0}
  TVV: {start: 50, lower: 0}
random_effects:
  eta_cl: 0.1
  eta_v: {sd: 0.3162277660168379}
residual_effects:
  eps: 0.04
individual:
  CL: TVCL*(WT/70)**0.75*exp(eta_cl)
  V: TVV*exp(eta_v)
observations:
  cp: {prediction: central/V, error: ipred*(1 + eps)}
"""


def written(tmp_path: Path, text: str = FILE) -> Path:
    toy.data().to_csv(tmp_path / "toy.csv", index=False, na_rep=".")
    path = tmp_path / "problem.yaml"
    path.write_text(text)
    return path


def test_a_file_and_a_value_are_the_same_problem(tmp_path):
    by_file = evaluate(PopulationProblem.from_yaml(written(tmp_path)))
    by_value = evaluate(toy.problem())
    assert by_file.objective == pytest.approx(by_value.objective, rel=1e-12)
    assert by_file.is_answer and not by_file.findings


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("title: toy", "titel: toy", 'Did you mean "title"'),
        ("start: 4", "start: -4", "does not lie between"),
        ("eta_cl: 0.1", "eta_cl: -0.1", "impossible"),
        ("eta_cl: 0.1", '"eta_cl, eta_x": [[0.1], [0.2, 0.1]]', "not positive definite"),
        ("eta_cl: 0.1", "eta_cl: {variance: 0.1, sd: 0.3}", "exactly one"),
        ("TVV*exp(eta_v)", "TVV*exp(eta_vv)", 'Did you mean "eta_v"'),
        ("TVV*exp(eta_v)", "TVV*exp(eta_v", "is not a formula"),
        ("TVV*exp(eta_v)", "TVV*exp(CL)", "eta_v is used in no formula"),
        ("V: TVV*exp(eta_v)", "V: TVV*exp(eta_v)*CL\n  W: 1", None),
        ("central/V", "centrall/V", 'Did you mean "central"'),
        ("ipred*(1 + eps)", "ipred", "no residual effect"),
        ("ipred*(1 + eps)", '"max(ipred, eps)"', "stands inside max"),
        (", error: ipred*(1 + eps)", "", "Nothing says how the data scatter"),
        ("toy.csv", "nothing.csv", "There is no such file"),
        ("toy.csv", "{file: toy.csv, columns: {DV: CONC}}", "no such column"),
        ("toy.csv", "{file: toy.csv, dose_into: depot}", "no such state"),
        ("toy.csv", "{file: toy.csv, keep: TIME > 99}", "keeps no record"),
        ("title: toy", "doses: {depot: {lag: 1}}", "no such state"),
        ("title: toy", "occasion_effects: {kappa: 0.1}", "need a column"),
        ("title: toy", "priors: {TVX: {normal: {mean: 1, sd: 1}}}", "TVX is no parameter"),
        ("title: toy", "priors: {TVCL: {normal: {mean: 1, sd: 0}}}", "no normal prior"),
        ("title: toy", "estimation: {method: focus}", "focei"),
        ('"central\' = -CL/V*central\\n"', "nosuch.ant", "no such model file"),
        ('"central\' = -CL/V*central\\n"', '"central\' = -CL/V*centrall\\n"', "centrall"),
    ],
)
def test_mistakes_are_named(tmp_path, old, new, said):
    path = written(tmp_path, FILE.replace(old, new))
    if said is None:
        PopulationProblem.from_yaml(path)
        return
    with pytest.raises(InputError) as error:
        evaluate(PopulationProblem.from_yaml(path))
    assert said in str(error.value)
    assert str(tmp_path) in str(error.value) or "model" in str(error.value)


def test_mistakes_of_a_file_come_together(tmp_path):
    text = (
        FILE.replace("start: 4", "start: -4").replace("eta_cl: 0.1", "eta_cl: -1").replace("ipred*(1 + eps)", "ipred")
    )
    with pytest.raises(InputError) as error:
        PopulationProblem.from_yaml(written(tmp_path, text))
    assert len(error.value.problems) == 3
    lines = [int(p.where.rpartition(":")[2]) for p in error.value.problems]
    assert lines == sorted(lines)


def test_records_that_belong_to_no_observation_are_refused():
    frame = toy.data(4)
    frame["DVID"] = np.where(frame.TIME > 3, "pd", "pk")
    single = {"cp": {"dvid": "pk", "prediction": "central/V", "error": "ipred*(1 + eps)"}}
    with pytest.raises(InputError, match="belong to no part"):
        toy.problem(frame, observations=single)
    both = {**single, "pd": {"dvid": "pd", "prediction": "central/V", "error": "ipred*(1 + eps)"}}
    assert evaluate(toy.problem(frame, observations=both)).objective == pytest.approx(
        evaluate(toy.problem(toy.data(4))).objective, rel=1e-12
    )


def test_missing_covariates_are_named_with_lines():
    frame = toy.data(3)
    frame.loc[[3, 9], "WT"] = np.nan
    with pytest.raises(InputError, match=r"no number in 2 of 21 records \(lines 5, 11\)"):
        toy.problem(frame)


def test_text_covariates():
    frame = toy.data(6)
    frame["SEX"] = np.where(frame.ID % 2, "female", "male")
    formula = 'TVCL*(WT/70)**0.75*exp(eta_cl)*(1 + 0.5*(SEX == "male"))'
    fit = evaluate(toy.problem(frame, individual={"CL": formula, "V": "TVV*exp(eta_v)"}))
    plain = evaluate(toy.problem(frame, individual={"CL": "TVCL*(WT/70)**0.75*exp(eta_cl)", "V": "TVV*exp(eta_v)"}))
    effects, other = fit.random_effects["eta_cl"].to_numpy(), plain.random_effects["eta_cl"].to_numpy()
    assert effects[::2] == pytest.approx(other[::2], abs=1e-9)
    assert (effects[1::2] < other[1::2] - 0.1).all()
    with pytest.raises(InputError, match="No record has SEX"):
        toy.problem(frame, individual={"CL": formula.replace('"male"', '"Male"'), "V": "TVV*exp(eta_v)"})


def test_time_varying_covariates_hold_until_their_record():
    """NONMEM's rule: the value of the record at the end of an interval holds for all of it."""
    frame = toy.data(2)
    frame.loc[frame.TIME > 1.5, "WT"] = 140.0
    fit = evaluate(toy.problem(frame))
    record = fit.optimum.objective.predictor.predict(np.arange(2), fit.point.fixed, np.zeros((2, 2))).pieces[0]
    own = record.ipred.value[record.lane == 0]
    first = frame[(frame.ID == 1) & (frame.MDV == 0)].WT.to_numpy()
    rate = 4.0 * (first / 70) ** 0.75 / 50.0
    steps = np.diff(np.array([0.0, *toy.TIMES]))
    assert own == pytest.approx(2.0 * np.exp(-np.cumsum(rate * steps)), rel=1e-8)


def test_priors_add_what_nonmems_nwpri_adds():
    plain = evaluate(toy.problem()).objective
    prior = {"TVCL": {"normal": {"mean": 4.3, "sd": 0.5}}}
    assert evaluate(toy.problem(priors=prior)).objective - plain == pytest.approx((0.3 / 0.5) ** 2, abs=1e-9)
    block = {"eta_cl": {"inverse_wishart": {"covariance": 0.1, "degrees": 20}}}
    added = evaluate(toy.problem(priors=block)).objective - plain
    assert added == pytest.approx(22 * np.log(0.1) + 20, abs=1e-9)
