"""The marginal likelihood: exact where it is known, quadrature and sampling agree, slopes are those of the integral."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from respine.fit.population import PopulationProblem, evaluate, fit, with_options
from respine.fit.population.estimate import objective_of
from respine.fit.population.objective import Point, evaluate_at, start_point
from tests.fit.population import toy


def linear(n: int = 8) -> tuple[PopulationProblem, float]:
    """A linear mixed model, whose marginal likelihood is that of a normal distribution."""
    chance = np.random.default_rng(3)
    frame = pd.DataFrame({"ID": np.repeat(np.arange(n), 5), "TIME": np.tile(np.arange(5.0), n)})
    frame["DV"] = 2.0 + 0.5 * frame.TIME + np.repeat(chance.normal(0, 0.7, n), 5) + chance.normal(0, 0.3, 5 * n)
    problem = PopulationProblem.of(
        data=frame, parameters={"a": 1.9, "b": 0.55}, random_effects={"e0, e1": [[0.5], [0.05, 0.02]]},
        residual_effects={"eps": 0.1}, individual={"level": "a + e0", "rise": "b + e1"},
        observations={"y": {"prediction": "level + rise*TIME", "error": "ipred + eps"}},
    )  # fmt: skip
    design = np.stack([np.ones(5), np.arange(5.0)], axis=1)
    covariance = design @ np.array([[0.5, 0.05], [0.05, 0.02]]) @ design.T + 0.1 * np.eye(5)
    total = 0.0
    for _, own in frame.groupby("ID"):
        away = own.DV.to_numpy() - design @ np.array([1.9, 0.55])
        total += np.linalg.slogdet(covariance)[1] + away @ np.linalg.solve(covariance, away)
    return problem, total


@pytest.mark.parametrize("method", ["fo", "foce", "focei", "laplace", "laplace-no-interaction", "agq", "imp"])
def test_every_method_is_exact_for_a_linear_model(method):
    problem, want = linear()
    objective = objective_of(with_options(problem, samples=3000), method)
    value = objective.at(start_point(objective))
    close = 4 * value.total_error if method == "imp" else 1e-5  # type: ignore[attr-defined]
    assert value.total == pytest.approx(want, abs=close)


def test_quadrature_and_sampling_agree():
    problem = with_options(toy.problem(toy.data(10)), nodes=9, samples=4000)
    by = {}
    for method in ("agq", "imp"):
        objective = objective_of(problem, method)
        by[method] = objective.at(start_point(objective))
    assert by["imp"].total == pytest.approx(by["agq"].total, abs=4 * by["imp"].total_error)
    assert 0 < by["imp"].total_error < 0.5
    assert by["imp"].random == pytest.approx(by["agq"].random, abs=0.02)


def test_slopes_are_those_of_the_integral():
    objective = objective_of(with_options(toy.problem(toy.data(6)), nodes=25), "agq")
    point = start_point(objective)
    value = objective.at(point, slopes=True)
    assert value.by_fixed is not None and value.by_blocks is not None
    for m, k in enumerate(objective.d.free):
        h = 1e-4 * point.fixed[k]
        ends = []
        for s in (1, -1):
            moved = point.fixed.copy()
            moved[k] += s * h
            ends.append(objective.at(Point(moved, point.blocks)).total)
        assert value.by_fixed[:, m].sum() == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=2e-3, abs=2e-3)


def test_fits_by_quadrature_and_by_sampling():
    problem = with_options(toy.problem(toy.data(20)), nodes=5, samples=300, covariance="S")
    agq, focei = fit(problem, "agq"), fit(problem, "focei")
    assert agq.converged
    assert agq.estimates["estimate"].to_numpy() == pytest.approx(focei.estimates["estimate"].to_numpy(), rel=0.05)
    assert agq.estimates["se"].notna().all()


@pytest.mark.slow
def test_theophylline_by_quadrature_and_by_sampling(reference):
    """nlmixr2's agq (two nodes) to its digits; its imp lists the FOCEI objective at the estimates, 116.831."""
    from tests.fit.population import problems

    want = [0.45768, 1.01166, 3.45329, 0.69594]
    two = fit(problems.theophylline(reference, estimation={"nodes": 2, "covariance": "S"}), "agq")
    assert two.is_answer and two.objective == pytest.approx(118.48257, abs=0.01)
    assert two.estimates["estimate"][:4].to_numpy() == pytest.approx(want, rel=2e-3)
    imp = fit(problems.theophylline(reference, estimation={"samples": 300, "covariance": "S"}), "imp")
    assert imp.is_answer and imp.objective_focei == pytest.approx(116.83124, abs=0.1)
    assert imp.estimates["estimate"][:4].to_numpy() == pytest.approx(want, rel=2e-2)
    assert imp.objective == pytest.approx(evaluate(with_options(imp.at_estimates(), nodes=9), "agq").objective, abs=0.5)


# ---- data that are not measurements -------------------------------------------------------------------------------------
def test_counts_and_yes_or_no_by_quadrature():
    """Against sums over a fine grid of the one random effect."""
    chance = np.random.default_rng(1)
    frame = pd.DataFrame({"ID": np.repeat(np.arange(6), 4), "TIME": np.tile(np.arange(4.0), 6)})
    frame["DV"] = chance.poisson(np.exp(0.5 + np.repeat(chance.normal(0, 0.5, 6), 4)))
    grid = np.linspace(-6, 6, 4001) * 0.5
    density = np.exp(-0.5 * (grid / 0.5) ** 2) / (0.5 * np.sqrt(2 * np.pi))
    from math import lgamma

    kinds = {
        "count": ({"count": "m"}, "exp(b + e)", lambda y, m: y * np.log(m) - m - lgamma(y + 1)),
        "overdispersed": ({"count": "m", "overdispersion": "0.5"}, "exp(b + e)",
                          lambda y, m: lgamma(y + 2) - lgamma(y + 1) + 2 * np.log(2 / (2 + m)) + y * np.log(m / (2 + m))),
        "binary": ({"binary": "m"}, "expit(b + e)", lambda y, m: np.log(m) if y > 0.5 else np.log(1 - m)),
        "ordinal": ({"ordinal": ["0.3*m", "0.8*m"]}, "expit(b + e)",
                    lambda y, m: np.log([0.3 * m, 0.5 * m, 1 - 0.8 * m][int(min(y, 2))])),
    }  # fmt: skip
    for name, (observation, formula, log) in kinds.items():
        own = frame.assign(DV=np.minimum(frame.DV, 1 if name == "binary" else 2 if name == "ordinal" else 99))
        problem = PopulationProblem.of(data=own, parameters={"b": 0.5}, random_effects={"e": 0.25},
                                       individual={"m": formula}, observations={"y": observation})  # fmt: skip
        objective = objective_of(with_options(problem, nodes=15), "agq")
        mean = np.exp(0.5 + grid) if formula[:4] == "exp(" else 1 / (1 + np.exp(-0.5 - grid))
        want = 0.0
        for _, rows in own.groupby("ID"):
            joint = density * np.exp(sum(log(y, mean) for y in rows.DV.to_numpy()))
            want += -2 * np.log(np.trapezoid(joint, grid))
        assert objective.at(start_point(objective)).total == pytest.approx(want, rel=1e-6), name
        laplace = evaluate_at(problem, ["laplace", "focei"])
        assert laplace["laplace"] == pytest.approx(want, rel=0.02)
        assert laplace["focei"] == pytest.approx(laplace["laplace"], rel=1e-9)  # no normal data: the same curvature


def test_data_below_the_limit():
    """M1 to M4 against their formulas where there are no random effects."""
    from scipy.stats import norm

    y, f, v = np.array([5.0, 2.0, 0.5, 0.5]), np.array([4.5, 2.5, 0.8, 0.2]), 0.3**2
    cens = np.array([0, 0, 1, 1])
    frame = pd.DataFrame({"ID": 1, "TIME": np.arange(4.0), "DV": y, "CENS": cens, "F": f})

    def objective(blq) -> float:
        problem = PopulationProblem.of(
            data=frame, parameters={"s": 0.3, "b": {"start": 1.0, "fixed": True}}, individual={"m": "b*F"},
            observations={"y": {"prediction": "m", "additive": "s", "blq": blq}},
        )  # fmt: skip
        return evaluate(problem, "laplace").objective

    above = cens == 0
    normal = np.sum(np.log(v) + (y - f)[above] ** 2 / v)
    limit = 0.5
    m2 = normal + 2 * np.sum(norm.logcdf((f[above] - limit) / 0.3))
    m3 = normal - 2 * np.sum(norm.logcdf((limit - f[~above]) / 0.3))
    share = norm.cdf((limit - f[~above]) / 0.3) - norm.cdf(-f[~above] / 0.3)
    m4 = normal + 2 * np.sum(norm.logcdf(f[above] / 0.3)) - 2 * np.sum(np.log(share) - norm.logcdf(f[~above] / 0.3))
    assert objective("M1") == pytest.approx(normal, rel=1e-10)
    assert objective({"method": "M2", "limit": 0.5}) == pytest.approx(m2, rel=1e-10)
    assert (
        objective("M3")
        == pytest.approx(m3, rel=1e-10)
        == pytest.approx(objective({"method": "M3", "limit": "0.5"}), rel=1e-10)
    )
    assert objective("M4") == pytest.approx(m4, rel=1e-10)
