"""The posterior by NUTS: slopes, priors, exact answers, the same draws after a kill, gates that close."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from respine.fit.population import PopulationProblem, posterior
from respine.fit.population.bayes.chains import Record
from respine.fit.population.bayes.density import Density
from respine.fit.population.bayes.prior import Prior
from respine.fit.population.estimate import Outer
from tests.fit.population import toy

BLOCK = {"eta_cl, eta_v": [[0.1], [0.01, 0.1]]}


def linear(n: int = 6) -> tuple[PopulationProblem, np.ndarray, np.ndarray]:
    """A linear mixed model with known variances and normal priors: its posterior is normal, with this mean and covariance."""
    chance = np.random.default_rng(3)
    frame = pd.DataFrame({"ID": np.repeat(np.arange(n), 5), "TIME": np.tile(np.arange(5.0), n)})
    frame["DV"] = 2.0 + 0.5 * frame.TIME + np.repeat(chance.normal(0, 0.7, n), 5) + chance.normal(0, 0.3, 5 * n)
    omega, sigma = np.array([[0.5, 0.05], [0.05, 0.02]]), 0.1
    problem = PopulationProblem.of(
        data=frame, parameters={"a": 1.0, "b": 1.0},
        random_effects={"e0, e1": {"covariance": [[0.5], [0.05, 0.02]], "fixed": True}},
        residual_effects={"eps": {"variance": sigma, "fixed": True}},
        individual={"level": "a + e0", "rise": "b + e1"},
        observations={"y": {"prediction": "level + rise*TIME", "error": "ipred + eps"}},
        priors={"a": {"normal": {"mean": 1.0, "sd": 0.5}}, "b": {"normal": {"mean": 0.0, "sd": 0.2}}},
    )  # fmt: skip
    design = np.stack([np.ones(5), np.arange(5.0)], axis=1)
    precision = np.linalg.inv(design @ omega @ design.T + sigma * np.eye(5))
    total, right = np.diag([4.0, 25.0]), np.array([4.0, 0.0])
    for _, own in frame.groupby("ID"):
        total = total + design.T @ precision @ design
        right = right + design.T @ precision @ own.DV.to_numpy()
    covariance = np.linalg.inv(total)
    return problem, covariance @ right, covariance


@pytest.mark.parametrize("changes", [{}, {"random_effects": BLOCK}, {"priors": {
    "TVCL": {"normal": {"mean": 5.0, "sd": 1.0}}, "eta_v": {"inverse_wishart": {"covariance": 0.05, "degrees": 8}}}}])  # fmt: skip
def test_slopes_are_those_of_the_density(changes):
    density = Density(toy.problem(toy.data(4), **changes))
    y = 0.7 * np.random.default_rng(1).standard_normal(density.size)
    _, slope = density(y)
    h = 1e-5
    want = [(density(y + h * e)[0] - density(y - h * e)[0]) / (2 * h) for e in np.eye(density.size)]
    assert slope == pytest.approx(want, rel=1e-5, abs=1e-5)


def test_at_the_mode_the_density_is_flat_and_curves_by_one():
    """The frame makes what is sampled near standard normal."""
    problem, _, _ = linear()
    density = Density(problem)
    zero, h = np.zeros(density.size), 1e-4
    assert density(zero)[1] == pytest.approx(0.0, abs=0.05)
    second = [(density(h * e)[1] - density(-h * e)[1]) / (2 * h) for e in np.eye(density.size)]
    assert np.array(second) == pytest.approx(-np.eye(density.size), abs=0.02)


def prior_of(**changes) -> Prior:
    outer = Outer(toy.problem(toy.data(2), **changes), "focei")
    return Prior(outer.vector, outer.begin)


def test_priors_are_densities():
    """Over one entry of x at a time the default densities integrate as their draws are spread."""
    prior = prior_of(
        parameters={"TVCL": {"start": 4.0, "lower": 0.0, "upper": 10.0}, "TVV": {"start": 50.0, "lower": 0.0}}
    )
    chance = np.random.default_rng(2)
    drawn = np.array([prior.draw(chance) for _ in range(4000)])
    base = prior.draw(chance)
    for k in range(len(base)):
        grid = np.linspace(drawn[:, k].min() - 3, drawn[:, k].max() + 3, 3001)
        logs = np.array([prior(np.where(np.arange(len(base)) == k, g, base))[0] for g in grid])
        weight = np.exp(logs - logs.max())
        weight /= weight.sum()
        mean = float(weight @ grid)
        assert drawn[:, k].mean() == pytest.approx(mean, abs=5 * drawn[:, k].std() / np.sqrt(4000))
        assert drawn[:, k].std() == pytest.approx(np.sqrt(weight @ (grid - mean) ** 2), rel=0.08)


def test_correlations_follow_their_law():
    """LKJ(2) of two effects: (1 + r)/2 is Beta(2, 2), whose variance is 1/20."""
    prior, chance = prior_of(random_effects=BLOCK), np.random.default_rng(4)
    outer_x = np.array([prior.draw(chance) for _ in range(4000)])
    vector, begin = prior.vector, prior.begin
    blocks = np.array([vector.unpack(x, begin).blocks[0] for x in outer_x])
    r = blocks[:, 0, 1] / np.sqrt(blocks[:, 0, 0] * blocks[:, 1, 1])
    assert r.mean() == pytest.approx(0.0, abs=0.03) and ((1 + r) / 2).var() == pytest.approx(1 / 20, rel=0.06)
    assert np.sqrt(blocks[:, 0, 0]).mean() == pytest.approx(2 * np.sqrt(0.1) * np.sqrt(2 / np.pi), rel=0.05)
    # the density of x against the histogram's: log ratios at two points, by draws in small boxes, would be noisy; slopes
    x, h = outer_x[0], 1e-6
    slope = [(prior(x + h * e)[0] - prior(x - h * e)[0]) / (2 * h) for e in np.eye(len(x))]
    assert prior(x)[1] == pytest.approx(slope, rel=1e-4, abs=1e-4)


def test_an_exact_posterior_is_drawn():
    problem, mean, covariance = linear()
    sampled = posterior(problem, draws=600, tune=200, chains=2, seed=3)
    assert not sampled.divergences and (sampled.summary["rhat"] < 1.02).all()
    x = sampled.x.reshape(-1, 2)
    error = np.sqrt(np.diag(covariance) / sampled.summary["ess_bulk"].to_numpy())
    assert np.all(np.abs(x.mean(axis=0) - mean) < 4.5 * error)
    assert np.cov(x, rowvar=False) == pytest.approx(covariance, rel=0.25, abs=0.1 * covariance.max())
    assert set(sampled.draws.columns) == {"chain", "draw", "a", "b"} and "priors:" in str(sampled)
    effects = sampled.random_effects
    assert len(effects) == 12 and (effects["sd"] > 0).all()


def test_a_killed_run_ends_with_the_same_draws(tmp_path):
    problem, _, _ = linear()
    options = {"draws": 60, "tune": 60, "chains": 2, "seed": 5}
    whole = posterior(problem, **options)

    class Killed(BaseException):
        pass

    def kill(after: int):
        density, count = Density.__call__, [0]

        def call(self, y):
            count[0] += 1
            if count[0] > after:
                raise Killed
            return density(self, y)

        return call

    for after in (150, 900):  # in the first chain, in the second
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
            patch.setattr(Density, "__call__", kill(after))
            posterior(problem, folder=tmp_path, **options)
    assert len(list(tmp_path.rglob("*.evaluations"))) == 1
    counted = [0]
    with pytest.MonkeyPatch.context() as patch:
        density = Density.__call__
        patch.setattr(
            Density, "__call__", lambda self, y: (counted.__setitem__(0, counted[0] + 1), density(self, y))[1]
        )
        again = posterior(problem, folder=tmp_path, **options)
    assert np.array_equal(again.x, whole.x) and np.array_equal(again.random, whole.random)
    assert 0 < counted[0] < again.evaluations - 1000  # what had been computed was not computed again
    assert np.array_equal(posterior(problem, folder=tmp_path, **options).x, whole.x)


def test_a_record_on_another_path_is_not_believed(tmp_path):
    def square(y):
        return -float(y @ y), -2 * y

    path = tmp_path / "one"
    with Record(square, 2, path) as record:
        record(np.ones(2))
        record(np.zeros(2))
    path.write_bytes(path.read_bytes() + b"half")  # killed while writing
    with Record(square, 2, path) as record:
        assert record(np.ones(2))[0] == -2.0 and record.computed == 0
        assert record(np.full(2, 2.0))[0] == -8.0 and record.computed == 1
    with Record(square, 2, path) as record:
        assert [record(y)[0] for y in (np.ones(2), np.full(2, 2.0))] == [-2.0, -8.0] and record.computed == 0


def test_draws_that_are_no_answer_say_so():
    problem, _, _ = linear(2)
    sampled = posterior(problem, draws=20, tune=20, chains=2, seed=1)
    assert not sampled.is_answer and "few-draws" in {f.kind for f in sampled.findings} and "NO ANSWER" in str(sampled)


@pytest.mark.slow
def test_the_posterior_of_a_population_holds_its_truth():
    sampled = posterior(toy.problem(toy.data(20)), draws=400, tune=300, chains=2, seed=2)
    assert not sampled.divergences and (sampled.summary["rhat"] < 1.02).all()
    truth = {"TVCL": 5.0, "TVV": 40.0, "OMEGA(eta_cl)": 0.09, "OMEGA(eta_v)": 0.04, "SIGMA(eps)": 0.0225}
    rows = sampled.summary.set_index("name")
    assert all(rows.loc[name, "low"] < value < rows.loc[name, "high"] for name, value in truth.items())
