"""Strategies against their definition, Rubin's rules by hand, draws against known posteriors, delta as arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from respine.trial.analysis.imputation.draw import Parameters, estimate, posterior, resampled
from respine.trial.analysis.imputation.fill import completed, means
from respine.trial.analysis.imputation.pool import Analysis, impute, rubin, tipping_point
from respine.trial.analysis.imputation.wide import Wide, last_seen_event
from tests.trial.analysis.conftest import autoregressive

SIGMA = autoregressive(3, 0.5, 2.0)
MEANS = np.array([[10.0, 9.0, 8.0], [10.0, 7.0, 3.0]])  # reference, active


def trial(strategy: str, n: int = 60, seed: int = 1, own: bool = False) -> Wide:
    """Two arms of three visits, a mean for each cell, dropouts in both arms."""
    rng = np.random.default_rng(seed)
    arm = np.arange(n) % 2
    y = MEANS[arm] + rng.standard_normal((n, 3)) @ np.linalg.cholesky(SIGMA).T
    drop = np.where(rng.random(n) < 0.4, rng.integers(1, 3, n), 3)
    y[np.arange(3) >= drop[:, None]] = np.nan
    cells = np.eye(6).reshape(2, 3, 6)
    return Wide(y, cells[arm], cells[0 * arm], arm, last_seen_event(y), ("1", "2", "3"), tuple("abcdef"), strategy, own)


@pytest.mark.parametrize(
    "strategy", ["missing-at-random", "jump-to-reference", "copy-reference", "copy-increments-in-reference"]
)
def test_conditional_means_written_out(strategy: str) -> None:
    wide = trial(strategy)
    parameters = Parameters(MEANS.ravel(), SIGMA[None])
    filled = completed(wide, parameters, None)
    for i in range(len(wide.y)):
        k = int(wide.event[i])
        if k == 3:
            assert (filled[i] == wide.y[i]).all()
            continue
        own, ref = MEANS[wide.arm[i]], MEANS[0]
        mean = {
            "missing-at-random": own,
            "jump-to-reference": np.r_[own[:k], ref[k:]],
            "copy-reference": ref,
            "copy-increments-in-reference": np.r_[own[:k], own[k - 1] + ref[k:] - ref[k - 1]],
        }[strategy]
        expected = mean[k:] + SIGMA[k:, :k] @ np.linalg.solve(SIGMA[:k, :k], wide.y[i, :k] - mean[:k])
        assert filled[i, k:] == pytest.approx(expected)
        assert (filled[i, :k] == wide.y[i, :k]).all()


def test_a_covariance_for_each_arm_is_joined_at_the_event() -> None:
    """Carpenter's matrix: before the event the own one, the regression on it that of the reference."""
    wide = trial("jump-to-reference", own=True)
    other = autoregressive(3, 0.9, 1.0)
    parameters = Parameters(MEANS.ravel(), np.stack([SIGMA, other]))
    filled = completed(wide, parameters, None)
    i = int(np.flatnonzero((wide.arm == 1) & (wide.event == 1))[0])
    slope = SIGMA[1:, :1] / SIGMA[0, 0]
    assert filled[i, 1:] == pytest.approx(MEANS[0, 1:] + slope[:, 0] * (wide.y[i, 0] - MEANS[1, 0]))


def test_nothing_missing_changes_nothing() -> None:
    wide = trial("jump-to-reference")
    full = np.where(np.isfinite(wide.y), wide.y, 0.0)
    whole = Wide(
        full, wide.x, wide.x_reference, wide.arm, last_seen_event(full), wide.visits, wide.columns, wide.strategy
    )
    done = impute(whole, "bootstrap", 5, 1)
    assert (done.outcomes == full).all()
    x = np.column_stack([np.ones(60), wide.arm])
    pooled = Analysis(done, x, 2).contrast(np.array([0.0, 1.0]))
    assert (pooled.between, pooled.df) == (0.0, 58)


def test_rubins_rules_by_hand() -> None:
    """Estimates 1, 2, 3 with variance 4: total 4 + 4/3, df of Barnard and Rubin for 20 complete-data df."""
    pooled = rubin(np.array([1.0, 2.0, 3.0]), np.full(3, 4.0), 20)
    total = 4 + 4 / 3
    assert pooled.estimate == 2
    assert pooled.se == pytest.approx(np.sqrt(total))
    share = (4 / 3) / total
    observed = 21 / 23 * 20 * (1 - share)
    assert pooled.df == pytest.approx(1 / (share**2 / 2 + 1 / observed))


def test_draws_have_the_posterior_of_complete_data() -> None:
    """Without missing scores: beta around the means, Sigma an inverse Wishart; mean and spread are known."""
    rng = np.random.default_rng(2)
    n = 40
    y = rng.standard_normal((n, 3)) @ np.linalg.cholesky(SIGMA).T
    wide = Wide(y, np.broadcast_to(np.eye(3), (n, 3, 3)), np.broadcast_to(np.eye(3), (n, 3, 3)), np.zeros(n, np.int64),
                np.full(n, 3), ("1", "2", "3"), ("a", "b", "c"))  # fmt: skip
    draws = list(posterior(wide, 600, np.random.Generator(np.random.Philox(3))))
    s = np.cov(y.T, ddof=0) * n
    sigma = np.mean([d.sigma[0] for d in draws], axis=0)
    assert sigma == pytest.approx(s / (n - 1 - 3 - 1), rel=0.06, abs=0.15)  # mean of the inverse Wishart with n - 1 df
    beta = np.array([d.beta for d in draws])
    assert beta.mean(axis=0) == pytest.approx(y.mean(axis=0), abs=0.06)
    assert np.cov(beta.T) == pytest.approx(s / (n - 5) / n, rel=0.3, abs=0.01)


def test_a_seed_gives_the_same_answer_and_another_a_near_one() -> None:
    wide = trial("jump-to-reference")
    x = np.column_stack([np.ones(60), wide.arm])
    row = np.array([0.0, 1.0])
    answers = [Analysis(impute(wide, "bayesian", 40, seed), x, 2).contrast(row) for seed in (1, 1, 2)]
    assert answers[0] == answers[1]
    assert answers[0].estimate != answers[2].estimate
    assert answers[0].estimate == pytest.approx(answers[2].estimate, abs=6 * np.sqrt(2 * answers[0].between / 40))


def test_resampled_estimates_scatter_around_the_estimate() -> None:
    wide = trial("missing-at-random", n=80)
    whole = estimate(wide)
    draws = np.array([d.beta for d in resampled(wide, 60, np.random.Generator(np.random.Philox(1)))])
    spread = draws.std(axis=0)
    assert np.abs(draws.mean(axis=0) - whole.beta).max() < 4 * spread.max() / np.sqrt(60)
    assert (spread > 0.1).all()


def test_delta_moves_the_difference_by_the_share_imputed() -> None:
    """Without covariates a shift of one arm moves its mean by the share of it that was imputed, exactly."""
    wide = trial("jump-to-reference")
    x = np.column_stack([np.ones(60), wide.arm])
    analysis = Analysis(impute(wide, "bayesian", 10, 1), x, 2)
    row = np.array([0.0, 1.0])
    active = wide.arm == 1
    share = np.isnan(wide.y[active, 2]).mean()
    moved = analysis.contrast(row, shift=2.5 * active)
    assert moved.estimate - analysis.contrast(row).estimate == pytest.approx(2.5 * share)


def test_the_tipping_point_is_found_or_said_not_to_exist() -> None:
    wide = trial("jump-to-reference", n=120)
    x = np.column_stack([np.ones(120), wide.arm])
    analysis = Analysis(impute(wide, "bayesian", 20, 1), x, 2)
    active = (wide.arm == 1).astype(float)

    def answer(delta: float):  # type: ignore[no-untyped-def]
        return analysis.contrast(np.array([0.0, 1.0]), shift=delta * active)

    tip = tipping_point(answer, 0.05, 30.0)
    assert tip.delta is not None and tip.at is not None
    assert tip.at.p == pytest.approx(0.05, abs=1e-6)
    assert answer(0.9 * tip.delta).p < 0.05
    assert tipping_point(answer, 0.05, 0.1 * tip.delta).delta is None


def test_scores_seen_after_the_event_are_kept_but_not_learned_from() -> None:
    wide = trial("jump-to-reference")
    event = wide.event.copy()
    who = int(np.flatnonzero(event == 3)[0])
    event[who] = 1
    late = Wide(wide.y, wide.x, wide.x_reference, wide.arm, event, wide.visits, wide.columns, wide.strategy)
    assert late.used[who].tolist() == [True, False, False]
    filled = completed(late, Parameters(MEANS.ravel(), SIGMA[None]), None)
    assert (filled[who] == wide.y[who]).all()
    assert means(late, MEANS.ravel())[who] == pytest.approx(np.r_[MEANS[wide.arm[who], 0], MEANS[0, 1:]])
