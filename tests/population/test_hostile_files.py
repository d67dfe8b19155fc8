"""Population files that would mislead: units, names, spreads, correlations. Refused, or computed right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from respine import model, population, study
from respine.errors import InputError
from respine.library import BUILT_IN
from respine.population.distributions import LogNormal, Normal, truncated_normal
from respine.population.quantities import standard
from respine.population.read import with_covariates

SAID = "status: assumed, note: x"


def load(folder: Path, covariates: str = "", species: str = "human", more: str = "") -> population.Population:
    file = folder / "pop.yaml"
    body = f"covariates:\n{covariates}" if covariates else "covariates: {}\n"
    file.write_text(f"schema: respine/population/1\nname: p\ntitle: t\nmodel: {species}\n{body}\n{more}\n")
    return population.load(file)


def refusal(folder: Path, *args: Any, **more: Any) -> str:
    with pytest.raises(InputError) as refused:
        load(folder, *args, **more)
    return str(refused.value)


def drawn(people: population.Population, name: str, n: int = 4000) -> np.ndarray:
    system = model.load(people.model)
    return population.sample(people, system, range(n), 1).covariates[name].to_numpy(float)


# ---- units ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("species", "name", "numbers", "unit", "mean"),
    [
        ("mouse", "weight_kg", "mean: 25, sd: 2, low: 15, high: 37", "g", 0.025),
        ("rat", "weight_kg", "mean: 300000, sd: 30000", "mg", 0.3),
        ("human", "weight_kg", "mean: 70000, sd: 8000, low: 40000, high: 120000", "g", 70),
        ("human", "weight_kg", "mean: 70, sd: 8", "kg", 70),
        ("human", "age_y", "mean: 14610, sd: 1000", "d", 40),
        ("human", "age_y", "mean: 40, sd: 4", "years", 40),
        ("human", "crp", "mean: 0.3, sd: 0.05", "mg/dL", 3),
        ("human", "crp", "mean: 3000, sd: 500", "ug/L", 3),
        ("human", "crp", "mean: 3, sd: 0.5", "ug/mL", 3),
        ("human", "baseline_MADRS", "mean: 30, sd: 4, low: 18, high: 52", "score", 30),
        ("human", "distress_sensitivity", "mean: 150, sd: 10", "%", 1.5),
    ],
)
def test_a_unit_is_converted_to_that_of_the_name(
    tmp_path: Path, species: str, name: str, numbers: str, unit: str, mean: float
) -> None:
    text = f'  {name}: {{distribution: normal, {numbers}, unit: "{unit}", {SAID}}}'
    assert drawn(load(tmp_path, text, species), name).mean() == pytest.approx(mean, rel=0.02)


def test_groups_and_other_spreads_are_converted_too(tmp_path: Path) -> None:
    text = f"""  sex: {{distribution: categories, shares: {{female: 0.5, male: 0.5}}, {SAID}}}
  weight_kg:
    distribution: by
    by: sex
    groups:
      female: {{distribution: lognormal, median: 60000, log_sd: 0.2, low: 40000, high: 100000, unit: g, {SAID}}}
      male: {{distribution: constant, value: 80, {SAID}}}"""
    weights = np.sort(np.unique(drawn(load(tmp_path, text), "weight_kg")))
    assert 40 <= weights[0] < weights[-1] <= 100 and 80.0 in weights


@pytest.mark.parametrize(
    ("name", "unit"),
    [("weight_kg", "lb"), ("weight_kg", "L"), ("weight_kg", "points"), ("weight_kg", "kilo"), ("weight_kg", "kg/"),
     ("age_y", "months"), ("age_y", "kg"), ("crp", "mg"), ("crp", "nmol/L"), ("baseline_MADRS", "mg/L"),
     ("baseline_MADRS", "stars"), ("val66met", "kg"), ("failed_trials", "h"), ("weight_kg", "kg^999999999"),
     ("weight_kg", "?"), ("weight_kg", "g^-1")],
)  # fmt: skip
def test_any_other_text_is_refused_with_what_to_write(tmp_path: Path, name: str, unit: str) -> None:
    text = f'  {name}: {{distribution: normal, mean: 40, sd: 2, low: 30, high: 50, unit: "{unit}", {SAID}}}'
    told = refusal(tmp_path, text)
    assert f"covariates.{name}.unit" in told and unit in told


def test_parameters_history_correlations_and_words(tmp_path: Path) -> None:
    assert load(tmp_path, more=f"parameters: {{feedback_half_level: {{value: 320, unit: '%', {SAID}}}}}").parameters[
        "feedback_half_level"].value == pytest.approx(3.2)  # fmt: skip
    for more in (
        f"parameters: {{feedback_half_level: {{value: 3, unit: kg, {SAID}}}}}",
        f"history: {{stress: {{distribution: constant, value: 1, unit: kg, {SAID}}}, for: 10 d}}",
        f"history: {{stress: 1.0, for: {{distribution: constant, value: 10 d, unit: d, {SAID}}}}}",
    ):
        assert "unit" in refusal(tmp_path, more=more)
    sex = f"  sex: {{distribution: categories, shares: {{female: 1.0}}, unit: kg, {SAID}}}"
    assert "a word has no unit" in refusal(tmp_path, sex)
    both = "".join(f"  {n}: {{distribution: normal, mean: 40, sd: 2, {SAID}}}\n" for n in ("age_y", "weight_kg"))
    more = f"correlations: [{{between: [age_y, weight_kg], r: 0.5, unit: kg, {SAID}}}]"
    assert "pure number" in refusal(tmp_path, both, more=more)


def test_covariates_of_a_study_are_converted_and_checked(tmp_path: Path) -> None:
    def text(spread: str) -> str:
        return (
            "schema: respine/study/1\nname: x\ntitle: t\npopulation: mdd\nsubjects: 2\nseed: 1\narms: {a: {}}\n"
            f"visits: [0 h]\nobserve: [MADRS]\ncovariates: {{weight_kg: {{distribution: normal, {spread}, {SAID}}}}}\n"
        )

    made = study.parse(text("mean: 70000, sd: 5000, unit: g"))
    people = with_covariates(population.load("mdd"), made.covariates, BUILT_IN)
    assert drawn(people, "weight_kg").mean() == pytest.approx(70, rel=0.01)
    for wrong in ("mean: 70, sd: 5, unit: stone", "mean: 70, sd: 5, unit: g", "mean: 1906, sd: 5", "mean: 70, sd: 60"):
        with pytest.raises(InputError, match=r"covariates\.weight_kg"):
            study.parse(text(wrong))


@pytest.mark.parametrize(
    ("species", "name", "spread"),
    [("human", "weight_kg", "normal, mean: 1906, sd: 10"), ("human", "weight_kg", "constant, value: -70"),
     ("human", "weight_kg", "constant, value: 0"), ("human", "weight_kg", "lognormal, median: 70, log_sd: 1.5"),
     ("human", "weight_kg", "normal, mean: 70, sd: 30"), ("human", "age_y", "normal, mean: 300, sd: 12"),
     ("human", "age_y", "normal, mean: 40, sd: 12, low: -5, high: 80"), ("human", "age_y", "constant, value: -1"),
     ("human", "age_y", "normal, mean: 40, sd: 12, low: 18, high: 300"), ("human", "crp", "constant, value: -1"),
     ("human", "crp", "constant, value: 50000"), ("mouse", "weight_kg", "constant, value: 25"),
     ("rat", "weight_kg", "constant, value: 300"), ("mouse", "weight_kg", "constant, value: 70"),
     ("human", "failed_trials", "normal, mean: 500, sd: 3")],
)  # fmt: skip
def test_people_that_nobody_can_be_are_refused(tmp_path: Path, species: str, name: str, spread: str) -> None:
    assert f"covariates.{name}" in refusal(tmp_path, f"  {name}: {{distribution: {spread}, {SAID}}}", species)


# ---- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "meant"),
    [("agey", "age_y"), ("age", "age_y"), ("weight", "weight_kg"), ("weigth_kg", "weight_kg"), ("vla66met", "val66met"),
     ("Sex", "sex"), ("sexx", "sex"), ("CRP", "crp"), ("crpp", "crp"), ("baseline_MARDS", "baseline_MADRS"),
     ("baseline_madrs", "baseline_MADRS"), ("failed_trial", "failed_trials"),
     ("distress_sensitivty", "distress_sensitivity")],
)  # fmt: skip
def test_a_misspelt_covariate_is_refused_with_the_nearest_name(tmp_path: Path, written: str, meant: str) -> None:
    told = refusal(tmp_path, f"  {written}: {{distribution: constant, value: 1, {SAID}}}")
    assert "Nothing reads a covariate of this name" in told and f'"{meant}"' in told


def test_a_covariate_that_another_goes_by_may_have_any_name(tmp_path: Path) -> None:
    text = f"""  site: {{distribution: categories, shares: {{a: 0.5, b: 0.5}}, {SAID}}}
  age_y: {{distribution: by, by: site, groups: {{a: {{distribution: constant, value: 30, {SAID}}}, b: {{distribution: constant, value: 50, {SAID}}}}}}}"""
    assert set(drawn(load(tmp_path, text), "age_y")) == {30.0, 50.0}
    assert '"site"' in refusal(tmp_path, text.replace("by: site", "by: sitee"))


@pytest.mark.parametrize(
    ("text", "more", "meant"),
    [("  age_y: {distribution: normal, mean: 40, std: 2, status: assumed, note: x}", "", "sd"),
     ("  age_y: {distribution: normal, mean: 40, sd: 2, hihg: 50, status: assumed, note: x}", "", "high"),
     ("  age_y: {distribution: nromal, mean: 40, sd: 2, status: assumed, note: x}", "", "normal"),
     ("", "histroy: {stress: 1, for: 10 d}", "history"), ("", "history: {stres: 1, for: 10 d}", "stress"),
     ("", "parameters: {feedback_half_levl: {value: 3, status: assumed, note: x}}", "feedback_half_level"),
     ("", "parameters: {feedback_half_level: {valu: 3, status: assumed, note: x}}", "value"),
     ("  age_y: {distribution: normal, mean: 40, sd: 2, status: assumed, note: x}",
      "correlations: [{between: [age_y, weigth_kg], r: 0.2, status: assumed, note: x}]", "weight_kg")],
)  # fmt: skip
def test_other_misspelt_names(tmp_path: Path, text: str, more: str, meant: str) -> None:
    assert meant in refusal(tmp_path, text, more=more)


def test_every_covariate_of_the_library_has_its_unit_there() -> None:
    for name in BUILT_IN.names("populations"):
        for covariate in population.load(name).covariates:
            assert covariate in standard() or covariate.startswith("baseline_") or covariate == "distress_sensitivity"


# ---- spreads --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spread",
    ["lognormal, median: 70, log_sd: 1e39, low: 40, high: 170", "lognormal, median: 70, log_sd: 6, low: 40, high: 170",
     "lognormal, median: 70, log_sd: 800", "lognormal, median: 70, log_sd: 1e-30", "lognormal, median: 1e300, log_sd: 0.1",
     "lognormal, median: 70, log_sd: 0.2, low: 69.99999999, high: 70.00000001", "normal, mean: 70, sd: 1e-20",
     "normal, mean: 70, sd: 1e39", "normal, mean: 70, sd: 1e300, low: 40, high: 170", "normal, mean: 1e200, sd: 1",
     "normal, mean: 70, sd: 40, low: 40, high: 170", "normal, mean: 70, sd: 0", "normal, mean: 70, sd: -1",
     "normal, mean: 70, sd: 1, low: 70", "normal, mean: 70, sd: 1, low: 80, high: 60", "constant, value: 1e300",
     "normal, mean: 40.001, sd: 5, low: 40, high: 170", "normal, mean: .nan, sd: 1", "lognormal, median: .inf, log_sd: 1"],
)  # fmt: skip
def test_a_spread_without_meaning_is_refused(tmp_path: Path, spread: str) -> None:
    assert "covariates.weight_kg" in refusal(tmp_path, f"  weight_kg: {{distribution: {spread}, {SAID}}}")


def test_the_bound_itself_is_not_the_advice(tmp_path: Path) -> None:
    assert "above 0" in refusal(tmp_path, f"  weight_kg: {{distribution: normal, mean: 70, sd: 0, {SAID}}}")


@settings(max_examples=200, deadline=None)
@given(
    mean=st.floats(0.01, 0.99), share=st.floats(1e-3, 0.99), width=st.sampled_from([1e-3, 1.0, 60.0, 1e6]),
    low=st.sampled_from([0.0, -5.0, 1.0]), upper=st.booleans(),
)  # fmt: skip
def test_mean_and_sd_after_the_cut_are_those_written_or_refused(
    mean: float, share: float, width: float, low: float, upper: bool
) -> None:
    middle = low + mean * width
    sd = share * np.sqrt((middle - low) * (low + width - middle)) if upper else share * (middle - low)
    bounds = {"low": low, "high": low + width} if upper else {"low": low}
    try:
        spread = Normal(distribution="normal", mean=middle, sd=sd, **bounds, status="assumed", note="x")
    except InputError:
        return
    values = spread.values((np.arange(20_000) + 0.5) / 20_000)
    assert np.all(np.isfinite(values)) and np.all(np.diff(values) >= 0) and len(np.unique(values)) > 1000
    assert abs(values.mean() - middle) < 0.01 * sd and values.std() == pytest.approx(sd, rel=0.02)


@settings(max_examples=200, deadline=None)
@given(
    log_sd=st.floats(1e-3, 5.0),
    below=st.floats(1e-3, 3),
    above=st.floats(1e-3, 3),
    median=st.sampled_from([1e-9, 1.0, 70.0]),
)
def test_a_cut_lognormal_has_its_quantiles_or_is_refused(
    log_sd: float, below: float, above: float, median: float
) -> None:
    low, high = median * np.exp(-below), median * np.exp(above)
    try:
        spread = LogNormal(
            distribution="lognormal", median=median, log_sd=log_sd, low=low, high=high, status="assumed", note="x"
        )
    except InputError:
        return
    u = np.array([1e-6, 0.1, 0.5, 0.9, 1 - 1e-6])
    want = median * np.exp(log_sd * stats.truncnorm.ppf(u, -below / log_sd, above / log_sd))
    assert spread.values(u) == pytest.approx(want, rel=1e-7)


@pytest.mark.parametrize("a", [0.5, 2.0, 3.0, 5.0, 6.0, 8.0])
def test_quantiles_far_in_a_tail_keep_their_digits(a: float) -> None:
    u = np.array([1e-9, 0.01, 0.3, 0.5, 0.7, 0.99, 1 - 1e-9])
    want = stats.truncnorm.isf(1 - u, a, a + 2)
    assert truncated_normal(u, 0.0, 1.0, a, a + 2) == pytest.approx(want, rel=1e-7)
    assert truncated_normal(u[::-1], 0.0, 1.0, -a - 2, -a) == pytest.approx(
        -truncated_normal(1 - u[::-1], 0.0, 1.0, a, a + 2), rel=1e-9
    )


TWO = "".join(f"  {n}: {{distribution: normal, mean: 40, sd: 2, {SAID}}}\n" for n in ("age_y", "weight_kg"))


@pytest.mark.parametrize("r", ["1", "-1", "1.0", "0.9999999999999", "-0.99999", "1.5", "-7", ".nan", "0.9995"])
def test_correlations_at_their_bounds_are_refused_one_by_one(tmp_path: Path, r: str) -> None:
    told = refusal(tmp_path, TWO, more=f"correlations: [{{between: [age_y, weight_kg], r: {r}, {SAID}}}]")
    assert "correlations[0].r" in told and "contradict" not in told


@pytest.mark.parametrize("r", [0.999, -0.999, 0.5, 0.0])
def test_correlations_within_their_bounds_come_back(tmp_path: Path, r: float) -> None:
    people = load(tmp_path, TWO, more=f"correlations: [{{between: [age_y, weight_kg], r: {r}, {SAID}}}]")
    table = population.sample(people, model.load("human"), range(20_000), 1).covariates
    assert np.corrcoef(table["age_y"], table["weight_kg"])[0, 1] == pytest.approx(r, abs=0.02)


def test_a_correlation_with_what_everybody_shares_is_refused(tmp_path: Path) -> None:
    constant = TWO.replace("normal, mean: 40, sd: 2", "constant, value: 40", 1)
    more = f"correlations: [{{between: [age_y, weight_kg], r: 0.5, {SAID}}}]"
    assert "same for everybody" in refusal(tmp_path, constant, more=more)
    more = f"correlations: [{{between: [weight_kg, feedback_half_level], r: 0.5, {SAID}}}]"
    known = model.load("human").quantities["feedback_half_level"]
    assert known.variability or "same for everybody" in refusal(tmp_path, TWO, more=more)
