"""Against known truth: coverage, power, and what missing scores do to each answer, in sign and size."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from respine.trial.analysis.arrays_mmrm import differences
from respine.trial.analysis.imputation.pool import Analysis, impute
from respine.trial.analysis.imputation.wide import Wide
from respine.trial.analysis.linear import Linear
from respine.trial.analysis.sequential.design import design
from respine.trial.analysis.sequential.sample_size import power_means
from tests.trial.analysis.conftest import autoregressive


def seen_at_random(rng: np.random.Generator, n: int, effect: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, arm and baseline of a trial in which those who do badly at a visit leave before the next (about a quarter)."""
    m = len(effect)
    arm = np.arange(n) % 2
    base = rng.normal(30, 5, n)
    y = 0.5 * (base - 30)[:, None] + arm[:, None] * effect
    y = (
        y
        + rng.standard_normal((n, m))
        @ np.linalg.cholesky(autoregressive(m, 0.7) * np.outer([5, 6, 7, 8], [5, 6, 7, 8])).T
    )
    for k in range(1, m):
        leave = rng.random(n) < 1 / (1 + np.exp(2.6 - 0.12 * np.nan_to_num(y[:, k - 1])))
        y[leave, k:] = np.nan
        y[np.isnan(y[:, k - 1]), k:] = np.nan
    return y, arm, base


@pytest.mark.slow
@pytest.mark.parametrize("df", ["kenward-roger", "satterthwaite"])
def test_coverage_of_intervals(df: str) -> None:
    """2,000 trials of 2 x 40 people, four visits, scores missing at random given what was seen: 94 to 96 %, and no bias."""
    rng = np.random.default_rng(1)
    effect = np.array([-1.0, -2.0, -3.0, -4.0])
    inside, estimates, lost = [], [], []
    for _ in range(2000):
        y, arm, base = seen_at_random(rng, 80, effect)
        result = differences(y, arm, base, df=df)
        inside.append((result.lower[0] <= effect) & (effect <= result.upper[0]))
        estimates.append(result.estimate[0])
        lost.append(np.isnan(y[:, -1]).mean())
    assert 0.15 < np.mean(lost) < 0.35
    coverage = np.mean(inside, axis=0)
    assert ((coverage > 0.94) & (coverage < 0.96)).all(), coverage
    error = np.std(estimates, axis=0) / np.sqrt(2000)
    assert (np.abs(np.mean(estimates, axis=0) - effect) < 4 * error).all()


@pytest.mark.slow
def test_power_of_a_two_arm_trial_is_the_closed_form() -> None:
    """Complete data at one visit; 4,000 trials: power within Monte Carlo error of the noncentral t."""
    rng = np.random.default_rng(2)
    n, effect = 80, 0.6
    reject = [
        differences((rng.standard_normal(n) + effect * (np.arange(n) % 2))[:, None], np.arange(n) % 2).p[0, 0] < 0.05
        for _ in range(4000)
    ]
    power = power_means(n, effect, alpha=0.05, sided=2, both_sides=True).power
    assert np.mean(reject) == pytest.approx(power, abs=4 * np.sqrt(power * (1 - power) / 4000))


@pytest.mark.slow
def test_power_with_looks_is_that_of_the_design() -> None:
    """MMRM's z at half and all of the patients against O'Brien-Fleming bounds: 2,000 trials."""
    rng = np.random.default_rng(3)
    plan = design("OF", 2, 0.025)
    n, effect = 200, 0.42
    rejected = 0
    for _ in range(2000):
        y = rng.standard_normal((n, 1)) + effect * (np.arange(n) % 2)[:, None]
        z = [stats.norm.isf(differences(y[:k], np.arange(k) % 2).p[0, 0] / 2) * np.sign(y[1:k:2].mean() - y[:k:2].mean())
             for k in (n // 2, n)]  # fmt: skip
        rejected += bool(z[0] > plan.upper[0] or z[1] > plan.upper[1])
    power = plan.power(effect * np.sqrt(n) / 2)
    assert rejected / 2000 == pytest.approx(power, abs=4 * np.sqrt(power * (1 - power) / 2000) + 0.005)


def test_dropout_by_the_score_not_seen_biases_completers_by_the_truncated_mean() -> None:
    """Patients of the active arm leave when the last score would be above a threshold (missing not at random).

    Completers look better by sigma phi(a) / Phi(a), a the threshold in standard deviations; MMRM, which has the first score
    to go by, by 1 - rho^2 of it at least; those who collect the score after dropout (treatment policy) are right.
    """
    rng = np.random.default_rng(4)
    n, mu, sigma, rho, threshold = 40_000, 10.0, 6.0, 0.6, 12.0
    arm = np.arange(n) % 2
    y = mu + rng.standard_normal((n, 2)) @ np.linalg.cholesky(autoregressive(2, rho, sigma)).T
    a = (threshold - mu) / sigma
    bias = -sigma * stats.norm.pdf(a) / stats.norm.cdf(a)
    seen = y.copy()
    seen[(arm == 1) & (y[:, 1] > threshold), 1] = np.nan
    error = 4 * 2 * sigma / np.sqrt(n / 2)
    x = np.column_stack([np.ones(n), arm])
    complete = np.isfinite(seen[:, 1])
    completers = Linear(x[complete], seen[complete, 1]).contrast(np.array([0.0, 1.0])).estimate
    policy = Linear(x, y[:, 1]).contrast(np.array([0.0, 1.0])).estimate
    assert bias < -2.5
    assert completers == pytest.approx(bias, abs=error)
    assert policy == pytest.approx(0.0, abs=error)
    mmrm = differences(seen, arm, df="asymptotic").estimate[0, 1]
    assert bias + error < mmrm < 0.4 * bias  # part of the bias is taken away, most of it stays


def test_when_effects_are_lost_after_dropout_only_the_treatment_policy_answer_is_right() -> None:
    """A third of the active arm stops at random and falls back to the reference: MMRM tells the effect of those who go on.

    Truth of the treatment policy: two thirds of the effect. Jump to reference has it without a score after dropout; retrieved
    dropouts have it from those seen after; MMRM and completers are off by a third of the effect.
    """
    rng = np.random.default_rng(5)
    n, effect = 8_000, -6.0
    arm = np.arange(n) % 2
    stop = (arm == 1) & (rng.random(n) < 1 / 3)
    level = rng.normal(20, 5, n)
    y = level[:, None] + rng.normal(0, 3, (n, 2)) + np.outer(arm == 1, [effect, effect])
    y[stop, 1] -= effect
    seen = y.copy()
    seen[stop, 1] = np.nan
    truth = effect * 2 / 3
    error = 4 * 2 * np.sqrt(34) / np.sqrt(n / 2)
    assert differences(seen, arm, df="asymptotic").estimate[0, 1] == pytest.approx(effect, abs=error)
    cells = np.eye(4).reshape(2, 2, 4)
    event = np.where(stop, 1, 2)
    wide = Wide(seen, cells[arm], cells[0 * arm], arm, event, ("1", "2"), tuple("abcd"), "jump-to-reference")
    x = np.column_stack([np.ones(n), arm])
    jump = Analysis(impute(wide, "bayesian", 5, 1), x, 1).contrast(np.array([0.0, 1.0]))
    assert jump.estimate == pytest.approx(truth, abs=error)
    retrieved = seen.copy()
    back = stop & (rng.random(n) < 0.5)
    retrieved[back, 1] = y[back, 1]
    off = np.zeros((n, 2, 1))
    off[stop, 1, 0] = 1.0
    own = np.concatenate([cells[arm], off], axis=2)
    policy = Wide(retrieved, own, own, arm, event, ("1", "2"), tuple("abcde"), "missing-at-random")
    result = Analysis(impute(policy, "bayesian", 5, 1), x, 1).contrast(np.array([0.0, 1.0]))
    assert result.estimate == pytest.approx(truth, abs=error)
