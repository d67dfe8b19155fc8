"""Diagnostics: residuals as NONMEM prints them, errors of prediction that are normal, percentiles of simulated data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from respine.fit.population import evaluate, fit, table, vpc
from respine.fit.population.report import write
from respine.fit.population.simulate import simulate
from tests.fit.population import problems, toy
from tests.fit.population.problems import table as read
from tests.fit.population.test_wang import DV, problem


def test_residuals_of_wangs_data():
    """WRES and CWRES with interaction, NONMEM's table for the proportional error."""
    got = table(evaluate(problem(proportional="s"), "focei"), replicates=0)
    second = got[got.TIME == 1]
    assert second["WRES"].to_numpy()[:4] == pytest.approx([-1.1786, 0.19235, -0.10333, -0.21992], abs=6e-5)
    assert second["CWRES"].to_numpy()[:4] == pytest.approx([-1.2221, 0.19366, -0.10511, -0.22425], abs=6e-5)
    assert second["IWRES"].to_numpy()[:4] == pytest.approx([-1.1691, 0.21229, -0.070055, -0.18374], abs=6e-5)
    assert got["RES"].to_numpy() == pytest.approx(np.array(DV) - got["PRED"].to_numpy())
    without = table(evaluate(problem(proportional="s"), "foce"), replicates=0)
    assert without[without.TIME == 1]["WRES"].to_numpy()[:3] == pytest.approx([-1.1839, 0.19322, -0.1038], abs=6e-5)


@pytest.mark.parametrize(
    ("name", "make", "columns"),
    [("lagged-zero-order", problems.zero_order, ["PRED", "IPRED", "CWRES"]),
     ("ss-lag-ge-ii", problems.steady_lag, ["PRED", "IPRED", "RES", "WRES"])],
)  # fmt: skip
def test_tables_are_nonmems_to_five_digits(reference, name, make, columns):
    want = read(reference / "nonmem-anchor" / name / "answer.csv")
    got = table(evaluate(make(reference)), replicates=0)
    seen = got["MDV"] == 0
    for column in columns:
        assert got[column][seen].to_numpy() == pytest.approx(want[column][seen].to_numpy(), rel=6e-5, abs=6e-6), column


def test_prediction_errors_are_normal_under_the_model():
    frame = toy.data(80, seed=8)
    true = {
        "parameters": {"TVCL": 5.0, "TVV": 40.0}, "random_effects": {"eta_cl": 0.09, "eta_v": 0.04},
        "residual_effects": {"eps": 0.0225},
    }  # fmt: skip
    got = table(evaluate(toy.problem(frame, **true)), replicates=500)["NPDE"].dropna()
    assert abs(got.mean()) < 0.15 and got.std() == pytest.approx(1.0, abs=0.12)
    wrong = table(evaluate(toy.problem(frame, **{**true, "parameters": {"TVCL": 7.0, "TVV": 40.0}})), replicates=500)
    assert abs(wrong["NPDE"].dropna().mean()) > 0.3


def test_simulated_data_have_the_moments_of_the_model():
    fitted = evaluate(toy.problem(toy.data(3)))
    sample = simulate(fitted.optimum.objective, fitted.point, 4000, 1)
    again = simulate(fitted.optimum.objective, fitted.point, 4000, 1)
    assert np.array_equal(sample, again, equal_nan=True)
    first = sample[:, 1]  # t = 0.5: 2 exp(-eta_v) exp(-CL/V t), nearly log-normal
    assert np.log(np.abs(first)).std() == pytest.approx(np.sqrt(0.1 + 0.04), rel=0.1)
    assert np.isnan(sample[:, 0]).all()  # a dose


def test_percentiles_of_data_lie_within_those_of_the_model():
    fitted = fit(toy.problem(toy.data(80, seed=4)))
    for corrected in (False, True):
        rows = vpc(fitted, replicates=200, corrected=corrected)
        assert set(rows["quantile"]) == {"0.05", "0.5", "0.95"} and rows["bin"].nunique() == 6
        inside = (rows.low <= rows.observed) & (rows.observed <= rows.high)
        assert inside.mean() > 0.75
        assert (rows.low <= rows["median"]).all() and (rows["median"] <= rows.high).all()


def test_data_below_the_limit_have_their_share():
    frame = toy.data(40)
    frame["CENS"] = ((frame.DV < 0.9) & (frame.MDV == 0)).astype(int)
    frame.loc[frame.CENS == 1, "DV"] = 0.9
    observation = {"cp": {"prediction": "central/V", "error": "ipred*(1 + eps)", "blq": "M3"}}
    fitted = fit(toy.problem(frame, observations=observation), "laplace")
    assert fitted.is_answer
    rows = vpc(fitted, replicates=200)
    share = rows[rows["quantile"] == "below limit"]
    assert ((share.low <= share.observed) & (share.observed <= share.high)).mean() >= 0.8
    got = table(fitted, replicates=0)
    assert got["CWRES"][got.ID == "1"].isna().sum() >= frame[frame.ID == 1].CENS.sum()
    full = fit(toy.problem(toy.data(40)))
    assert fitted.estimates["estimate"].to_numpy()[:2] == pytest.approx(
        full.estimates["estimate"].to_numpy()[:2], rel=0.05
    )


def test_a_report_is_one_offline_page_with_its_tables(tmp_path):
    fitted = fit(toy.problem(toy.data(10)))
    files = write(fitted, tmp_path / "toy.html", replicates=30)
    page = files[0].read_text()
    assert "<svg" in page and "http" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", "").replace("https://matplotlib.org", "")  # fmt: skip
    assert {f.name for f in files[1:]} == {
        "estimates.csv", "random-effects.csv", "shrinkage.csv", "records.csv", "vpc.csv", "pcvpc.csv",
    }  # fmt: skip
    assert len(pd.read_csv(tmp_path / "toy" / "records.csv")) == fitted.problem.data.n_records
    assert "TVCL" in fitted._repr_html_() and "TVCL" in str(fitted) and "an answer" in repr(fitted)
