"""Group-sequential boundaries, sizes and powers: answers of rpact and R, textbook tables, and what must hold for all designs."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from respine.trial.analysis.rates import restricted_rates
from respine.trial.analysis.sequential import sample_size as size
from respine.trial.analysis.sequential.adaptive import (
    combine,
    conditional_error,
    conditional_power,
    looks,
    resize,
    stagewise_estimate,
    stagewise_p,
)  # fmt: skip
from respine.trial.analysis.sequential.design import FAMILIES, Design, design

FIVE_DIGITS = 1e-5


def test_the_answers_of_the_reference_folder(reference: Path) -> None:
    with (reference / "rpact" / "answers.csv").open() as lines:
        cases = list(csv.DictReader(lines))
    assert len(cases) >= 34
    for case in cases:
        got = _answer(case["kind"], case["inputs"], case["quantity"])
        assert got == pytest.approx(float(case["value"]), rel=FIVE_DIGITS), case


def _answer(kind: str, inputs: str, quantity: str) -> float:
    numbers = {name: float(value) for name, value in re.findall(r"([a-z][a-z0-9 -]*?)[ =]([\d.]+)(?=[; ]|$)", inputs)}
    match = re.search(r"type=(\w+); information=([\d./]+); one-sided alpha=([\d.]+)", inputs)
    if match:
        shares = [float(x) for x in match[2].split("/")]
        shares = [round(3 * s) / 3 if abs(3 * s - round(3 * s)) < 1e-5 else s for s in shares]  # 0.333333 is a third
        plan = design(match[1], shares, float(match[3]))
        if kind == "group-sequential boundary":
            look = int(quantity.split()[-1]) - 1
            return float((plan.upper if "critical" in quantity else plan.alpha_spent)[look])
        result = size.size_means(0.4, power=0.9, design=plan)
        return result.maximum if "maximum" in quantity else result.expected
    if kind.startswith("power, two-sample t test"):
        return size.power_means(2 * numbers["n per arm"], numbers["effect"], 1.0, numbers["alpha"], 2).power
    if "two rates" in kind:
        return size.size_rates(*(float(x) for x in re.findall(r"pi\d ([\d.]+)", inputs))).fixed
    return size.events(0.7, 0.9, 0.025).fixed


# looks, family, options, two-sided alpha, bounds: Jennison and Turnbull 2000, tables 2.1, 2.3 and 2.9; rpact for the last three
TEXTBOOK = [
    (5, "obrien-fleming", {}, 0.05, 2, [4.562, 3.226, 2.634, 2.281, 2.040]),
    (4, "pocock", {}, 0.05, 2, [2.361] * 4),
    (5, "wang-tsiatis", {"delta": 0.25}, 0.05, 2, [3.194, 2.686, 2.427, 2.259, 2.136]),
    (2, "lan-demets-obrien-fleming", {}, 0.025, 1, [2.963, 1.969]),
    (2, "lan-demets-pocock", {}, 0.025, 1, [2.157, 2.201]),
    (3, "haybittle-peto", {}, 0.025, 1, [3.0, 3.0, 1.975]),
]  # fmt: skip


@pytest.mark.parametrize(("k", "family", "options", "alpha", "sided", "bounds"), TEXTBOOK)
def test_tables_of_the_textbook(
    k: int, family: str, options: dict[str, float], alpha: float, sided: int, bounds: list[float]
) -> None:
    plan = design(family, k, alpha, sided, **options)  # type: ignore[arg-type]
    assert plan.upper == pytest.approx(bounds, abs=2e-3)


def test_designs_of_rpacts_own_tests() -> None:
    """Schoenfeld events of a Wang-Tsiatis design (rpact's test of getSampleSizeSurvival), 7 digits there."""
    plan = design("WT", [0.2, 0.5, 1], 0.025, delta=0.3)
    result = size.events(2.2892242, 0.9, ratio=2, design=plan)
    assert result.maximum == pytest.approx(72.714085, rel=1e-6)
    assert (result.expected_null, result.expected_half, result.expected) == pytest.approx(
        (72.310048, 68.043375, 52.956243), rel=1e-6
    )
    assert plan.stops(plan.drift(0.9)).above == pytest.approx([0.08379162, 0.40937259, 0.40683579], abs=1e-7)
    fixed = size.size_survival(2.2892242, 37.275405, 12, 6, 0.8, 0.01)
    assert fixed.fixed == pytest.approx(197.78666, rel=1e-6)
    assert size.events(2.2892242, 0.8, 0.01).fixed == pytest.approx(58.52451, rel=1e-6)


@pytest.mark.parametrize("sided", [1, 2])
@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(st.floats(0.05, 1), min_size=1, max_size=6),
    alpha=st.floats(0.001, 0.2),
    family=st.sampled_from([f for f in FAMILIES if f not in ("user-spending", "pampallona-tsiatis", "haybittle-peto")]),
    power=st.floats(0.3, 0.99),
)
def test_every_design_keeps_its_error_and_reaches_its_power(
    sided: int, steps: list[float], alpha: float, family: str, power: float
) -> None:
    information = np.cumsum(steps) / sum(steps)
    plan = design(family, information, alpha, sided, delta=0.3, gamma=1.5)
    assert plan.alpha_spent[-1] == pytest.approx(alpha, rel=1e-8)
    assert (np.diff(plan.alpha_spent) >= -1e-15).all()
    if power > plan.alpha / sided + 0.05:
        drift = plan.drift(power)
        assert plan.power(drift) == pytest.approx(power, abs=1e-9)
        assert plan.inflation(power) >= 1 - 1e-9
        assert 0 < plan.expected_information(drift) <= 1 + 1e-12


def test_probabilities_by_simulation() -> None:
    plan = design("asHSD", [0.25, 0.6, 1.0], 0.025, gamma=-2.0, beta_spending="bsKD", gamma_beta=1.5, beta=0.15)
    rng = np.random.default_rng(1)
    drift, n = 2.5, 400_000
    steps = np.sqrt(np.diff(plan.information, prepend=0.0))
    z = np.cumsum(rng.standard_normal((n, 3)) * steps + drift * steps**2, axis=1) / np.sqrt(plan.information)
    going = np.ones(n, bool)
    expected = plan.stops(drift)
    for k in range(3):
        up, low = going & (z[:, k] >= plan.upper[k]), going & (z[:, k] < plan.lower[k])
        error = 5 * np.sqrt(0.25 / n)
        assert up.mean() == pytest.approx(expected.above[k], abs=error)
        assert low.mean() == pytest.approx(expected.below[k], abs=error)
        going &= ~up & ~low


@pytest.mark.parametrize("binding", [True, False])
def test_beta_spending_meets_at_the_last_look(binding: bool) -> None:
    plan = design("asOF", [0.3, 0.7, 1], 0.025, beta_spending="bsOF", beta=0.1, binding=binding)
    drift = plan.drift(0.9)
    result = plan.stops(drift)
    spend = 2 * stats.norm.sf(stats.norm.isf(0.05) / np.sqrt([0.3, 0.7, 1.0]))
    assert np.cumsum(result.below) == pytest.approx(spend, abs=1e-8)
    assert plan.lower[-1] == plan.upper[-1]
    assert plan.alpha_spent[-1] == pytest.approx(0.025, abs=1e-9)
    ignoring = Design(plan.family, plan.information, 0.025, 1, plan.upper, np.full(3, -np.inf), False)
    assert (ignoring.alpha_spent[-1] > 0.0251) == binding  # only non-binding bounds may be ignored


@pytest.mark.parametrize("binding", [True, False])
def test_pampallona_tsiatis_has_both_errors(binding: bool) -> None:
    plan = design("PT", 4, 0.025, beta=0.1, delta=0.1, delta_futility=0.2, binding=binding)
    assert plan.alpha_spent[-1] == pytest.approx(0.025, abs=1e-9)
    assert plan.lower[-1] == pytest.approx(plan.upper[-1])
    assert plan.power(plan.drift(0.9)) == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (lambda: design("of", [0.5, 0.4, 1]), "ascend"),
        (lambda: design("of", [0.5, 0.9]), "end at 1"),
        (lambda: design("obrien", 3), "there is no boundary"),
        (lambda: design("kim-demets", 3), "gamma"),
        (lambda: design("wang-tsiatis", 3), "delta"),
        (lambda: design("user-spending", 3, user_alpha=[0.01, 0.005, 0.025]), "must not decrease"),
        (lambda: design("of", 3, futility=[0.0]), "2 bounds"),
        (lambda: design("pocock", 3, futility=[0.0, 2.5]), "above the efficacy bound"),
        (lambda: design("of", 3, sided=2, alpha=0.05, beta_spending="bsP"), "one-sided"),
        (lambda: design("of", 3, beta_spending="bsOF"), "alpha spending"),
        (lambda: design("haybittle-peto", 3, 0.025, haybittle_peto_bound=1.5), "uses up more"),
        (lambda: size.size_means(0.0), "no size gives"),
        (lambda: size.size_means(-0.2), "no size gives"),
        (lambda: size.size_rates(0.3, 0.3), "nothing to find"),
        (lambda: size.events(1.0), "differ"),
        (lambda: conditional_power(design("of", 2), 2, 1.0), "before the last"),
    ],
)
def test_what_cannot_be_is_refused(wrong, why: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=why):
        wrong()


def test_user_spending_and_a_design_without_early_stops() -> None:
    plan = design("user-spending", 3, 0.025, user_alpha=[0.005, 0.01, 0.025])
    assert plan.alpha_spent == pytest.approx([0.005, 0.01, 0.025], abs=1e-10)
    late = design("no-early-stop", 3, 0.025)
    assert late.upper[-1] == pytest.approx(stats.norm.isf(0.025))
    assert late.upper[0] > 8


def test_sizes_of_two_means_agree_with_power() -> None:
    for options in ({}, {"ratio": 2.0}, {"sd": (1.0, 1.5)}, {"normal": True}, {"groups": 1}, {"margin": -0.1}):
        n = size.size_means(0.4, power=0.85, **options).fixed  # type: ignore[arg-type]
        assert size.power_means(n, 0.4, **options).power == pytest.approx(0.85, abs=1e-9)  # type: ignore[arg-type]
    plan = design("asOF", 3, 0.025)
    n = size.size_means(0.4, power=0.9, design=plan).maximum
    assert size.power_means(n, 0.4, design=plan).power == pytest.approx(0.9, abs=2e-3)  # t against its inflation factor


def test_rates_with_a_margin() -> None:
    """The rates under the null hypothesis are those of greatest likelihood; size and power are inverse to each other."""
    r1, r2 = restricted_rates(0.3, 0.2, 1.0, 0.05)
    assert r1 - r2 == pytest.approx(0.05)
    grid = np.linspace(0.051, 0.999, 200_001)
    likelihood = 0.3 * np.log(grid) + 0.7 * np.log1p(-grid) + 0.2 * np.log(grid - 0.05) + 0.8 * np.log1p(0.05 - grid)
    assert r1 == pytest.approx(grid[np.argmax(likelihood)], abs=1e-5)
    q1, q2 = restricted_rates(0.3, 0.2, 2.0, 1.2, risk_ratio=True)
    assert q1 / q2 == pytest.approx(1.2)
    with_ratio = 0.6 * np.log(grid) + 1.4 * np.log1p(-grid) + 0.2 * np.log(grid / 1.2) + 0.8 * np.log1p(-grid / 1.2)
    assert q1 == pytest.approx(grid[np.argmax(with_ratio)], abs=1e-5)
    for options in ({}, {"margin": 0.05}, {"margin": 1.1, "risk_ratio": True}, {"ratio": 3.0}):
        result = size.size_rates(0.5, 0.3, 0.9, **options).fixed  # type: ignore[arg-type]
        assert size.power_rates(result, 0.5, 0.3, **options).power == pytest.approx(0.9, abs=1e-9)  # type: ignore[arg-type]


def test_events_by_three_formulas_and_subjects_with_dropout() -> None:
    for method in ("schoenfeld", "freedman", "hsieh"):
        d = size.events(0.7, 0.8, method=method).fixed
        assert size.power_events(d, 0.7, method=method).power == pytest.approx(0.8)
    assert size.events(0.5, 0.8, 0.025, method="freedman").fixed == pytest.approx(
        (1.959964 + 0.841621) ** 2 * 9, rel=1e-5
    )
    share = size.event_probability(0.05, 12, 6, 0.01)
    entry = np.linspace(0, 12, 200_001)
    integral = 0.05 / 0.06 * (1 - np.exp(-0.06 * (18 - entry)))
    assert share == pytest.approx(np.trapezoid(integral, entry) / 12, rel=1e-6)
    assert size.size_survival(0.7, 12, 12, 12, dropout=0.02).fixed > size.size_survival(0.7, 12, 12, 12).fixed


def test_combination_with_planned_weights() -> None:
    plan = design("asOF", [0.4, 1.0])
    z = combine(plan, [1.0, 2.0])
    assert z == pytest.approx([1.0, np.sqrt(0.4) + 2 * np.sqrt(0.6)])
    assert [look.reject for look in looks(plan, [1.0, 2.0])] == [False, True]


def test_conditional_power_two_looks_in_closed_form() -> None:
    plan = design("OF", 2)
    z, t = 1.2, 0.5
    for drift in (z / np.sqrt(t), 3.0, 0.0):
        needed = (plan.upper[1] - z * np.sqrt(t)) / np.sqrt(1 - t)
        expected = stats.norm.sf(needed - drift * np.sqrt(1 - t))
        given_drift = None if drift == z / np.sqrt(t) else drift
        assert conditional_power(plan, 1, z, given_drift) == pytest.approx(expected)
    assert conditional_error(plan, 1, z) == pytest.approx(stats.norm.sf(needed))


def test_the_level_holds_when_the_size_is_chosen_at_the_look() -> None:
    """Cui, Hung and Wang: with planned weights the type I error stays, with those of the new sizes it does not."""
    plan = design("asOF", [0.5, 1.0], 0.025)
    rng = np.random.default_rng(2)
    n = 200_000
    z1, z2 = rng.standard_normal(n), rng.standard_normal(n)
    grid = np.arange(-4.0, 4.05, 0.1)
    growth = np.array([resize(plan, float(z), 1.0, most=4.0).remaining for z in grid])
    r = growth[
        np.argmin(np.abs(np.clip(z1, -4, 4)[:, None] - grid), axis=1)
    ]  # the second stage grows by what the first shows
    early = z1 >= plan.upper[0]
    planned = early | (np.sqrt(0.5) * z1 + np.sqrt(0.5) * z2 >= plan.upper[1])
    naive = early | ((z1 + np.sqrt(r) * z2) / np.sqrt(1 + r) >= plan.upper[1])
    assert growth.max() == pytest.approx(4.0, rel=0.05)
    assert growth.min() == 1.0
    assert planned.mean() == pytest.approx(0.025, abs=5 * np.sqrt(0.025 / n))
    assert naive.mean() != planned.mean()


def test_zones_of_re_estimation() -> None:
    plan = design("asOF", [0.5, 1.0], 0.025)
    assert resize(plan, 0.5, 100.0).zone == "unfavourable"
    promising = resize(plan, 1.5, 100.0, most=10.0)
    assert promising.zone == "promising"
    assert promising.conditional_power_after == pytest.approx(0.9)
    assert promising.remaining > 100
    assert resize(plan, 2.6, 100.0).zone == "favourable"
    assert resize(plan, 1.5, 100.0, most=1.2).remaining == pytest.approx(120)


def test_inference_after_stopping() -> None:
    """At the bounds the stage-wise p value is the error spent; one look is the usual answer; the median is unbiased."""
    plan = design("asP", 3, 0.025)
    for look in (1, 2, 3):
        assert stagewise_p(plan, look, float(plan.upper[look - 1])) == pytest.approx(
            plan.alpha_spent[look - 1], rel=1e-8
        )
    alone = design("OF", [1.0])
    assert stagewise_estimate(alone, 1, 2.0) == pytest.approx((2.0, 2.0 - 1.959964, 2.0 + 1.959964), abs=1e-6)
    median, low, high = stagewise_estimate(plan, 2, 2.5)
    assert low < median < high
    assert median < 2.5 / np.sqrt(2 / 3)  # stopping early favours large values
