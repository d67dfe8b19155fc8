"""People: published means come back, shares stay shares, the same person is the same in any batch and arm."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from respine import library, model, population
from respine.errors import InputError
from respine.files.suggest import nearest
from respine.model.system import Quantity, System
from respine.population.distributions import Normal, truncated_normal
from respine.population.sample import belief, vary
from respine.population.schema import Population


def system(*quantities: Quantity) -> System:
    return System(
        name="toy", time_unit="h", parameters={q.id: q.value for q in quantities}, inputs={"stress": 0.0}, rules={},
        rates={}, initial={}, quantities={q.id: q for q in quantities},
    )  # fmt: skip


def quantity(
    id: str, value: float, low=None, high=None, distribution="lognormal", variability=0.0, unit="1"
) -> Quantity:
    return Quantity(
        id, "parameter", unit, value, low=low, high=high, distribution=distribution, variability=variability
    )


def people_of(covariates: dict | None = None, **more) -> Population:
    given = {
        "schema": "respine/population/1",
        "name": "toy",
        "title": "Toy",
        "model": "human",
        "covariates": covariates or {},
    }
    return Population.model_validate(given | more)


NOBODY = people_of()
TOY = system(
    quantity("CL", 10, 5, 20, variability=0.3),
    quantity("Vc", 50, variability=0.2),
    quantity("share", 0.9, 0.7, 0.97, "logitnormal", 1.5),
    quantity("offset", -2.0, distribution="normal", variability=3.0),
    quantity("positive", 0.5, 0.0, 2.0, "normal", 1.0),
    quantity("known", 3.0),
    quantity("limit", 1.6, 1.2, 2.5, "fixed"),
)


def test_only_what_varies_has_a_column() -> None:
    everyone = population.sample(NOBODY, TOY, range(10), seed=1)
    assert list(everyone.parameters) == ["CL", "Vc", "share", "offset", "positive", "limit"]
    certain = population.sample(NOBODY, TOY, range(10), seed=1, draw_parameters=False)
    assert list(certain.parameters) == ["CL", "Vc", "share", "offset", "positive"]
    assert len(everyone) == 10


def test_between_subject_distributions_are_exact() -> None:
    n = 20_000
    values = population.sample(NOBODY, TOY, range(n), seed=2, draw_parameters=False).parameters
    omega = np.sqrt(np.log(1 + 0.3**2))
    assert stats.kstest(np.log(values["CL"] / 10) / omega, "norm").pvalue > 1e-4
    assert values["CL"].std() / values["CL"].mean() == pytest.approx(0.3, rel=0.05)
    assert stats.kstest((values["offset"] + 2) / 3, "norm").pvalue > 1e-4
    logit = np.log(values["share"] / (1 - values["share"]))
    assert stats.kstest((logit - np.log(9)) / 1.5, "norm").pvalue > 1e-4
    assert values["positive"].min() >= 0 and values["positive"].std() > 0.3


def test_belief_has_its_median_and_its_ninety_percent() -> None:
    z = np.array([-1.6448536269514722, 0.0, 1.6448536269514722])
    for q in (
        quantity("a", 10, 5, 30),
        quantity("b", 0.9, 0.7, 0.97, "logitnormal"),
        quantity("c", -1, -4, 0.5, "normal"),
        quantity("d", 0.3, 0.1, 0.6, "fixed"),
    ):
        assert belief(q, q.value, z) == pytest.approx([q.low, q.value, q.high], rel=1e-12)


@settings(max_examples=150, deadline=None)
@given(
    value=st.floats(1e-6, 1 - 1e-6), below=st.floats(0.01, 0.99), above=st.floats(0.01, 0.99), spread=st.floats(0.01, 8),
    z=st.floats(-8, 8), eta=st.floats(-8, 8),
)  # fmt: skip
def test_shares_stay_shares_and_positives_positive(
    value: float, below: float, above: float, spread: float, z: float, eta: float
) -> None:
    share = quantity("s", value, value * below, value + (1 - value) * above, "logitnormal", spread)
    centre = belief(share, value, np.array([z]))
    assert np.all((centre > 0) & (centre < 1))
    assert np.all((vary(share, centre, np.array([eta])) > 0) & (vary(share, centre, np.array([eta])) < 1))
    rate = quantity("k", value, value * below, value / below, "lognormal", spread)
    assert np.all(vary(rate, belief(rate, value, np.array([z])), np.array([eta])) > 0)
    near_zero = quantity("n", value, 0.0, value + 1, "normal", spread)
    assert np.all(vary(near_zero, belief(near_zero, value, np.array([z])), np.array([eta])) >= 0)


@settings(max_examples=30, deadline=None)
@given(first=st.integers(0, 300), size=st.integers(1, 50), seed=st.integers(0, 10**9))
def test_any_batch_gives_the_same_people(first: int, size: int, seed: int) -> None:
    trd = population.load("mdd-treatment-resistant")
    whole = population.sample(trd, TOY, range(first + size), seed)
    part = population.sample(trd, TOY, range(first, first + size), seed)
    for ours, theirs in ((part.covariates, whole.covariates), (part.parameters, whole.parameters)):
        assert ours.reset_index(drop=True).equals(theirs.iloc[first:].reset_index(drop=True))
    assert np.array_equal(part.draw, whole.draw[first:])


def test_another_parameter_moves_no_other() -> None:
    more = system(quantity("new", 1.0, 0.5, 2, variability=0.4), *TOY.quantities.values())
    a, b = (population.sample(NOBODY, s, range(20), seed=4).parameters for s in (TOY, more))
    assert a.equals(b[list(a)])


def test_draws_take_turns_and_move_everyone_of_a_draw_alike() -> None:
    only_belief = system(quantity("limit", 1.6, 1.2, 2.5, "fixed"))
    everyone = population.sample(NOBODY, only_belief, range(60), seed=4, n_draws=7)
    assert everyone.draw.tolist() == [i % 7 for i in range(60)]
    values = everyone.parameters["limit"].to_numpy()
    for draw in range(7):
        assert len(set(values[everyone.draw == draw])) == 1
    assert len(set(values)) == 7


def test_typical_values_given_are_taken_as_they_are() -> None:
    n = 4000
    a, b = (
        population.sample(NOBODY, TOY, range(n), seed=4, typical=t).parameters
        for t in ({"Vc": 50.0}, {"Vc": 100.0, "known": 4.0})
    )
    assert b["Vc"].to_numpy() == pytest.approx(2 * a["Vc"].to_numpy(), rel=1e-13)
    assert set(b["known"]) == {4.0}
    with pytest.raises(ValueError, match="no parameter nonsense"):
        population.sample(NOBODY, TOY, range(2), seed=1, typical={"nonsense": 1})


def test_correlations_between_covariates_and_random_effects() -> None:
    covariates = {
        "age_y": {"distribution": "normal", "mean": 50, "sd": 10, "source": "x"},
        "crp": {"distribution": "lognormal", "median": 1.3, "log_sd": 1.3, "source": "x"},
    }
    pairs = {("CL", "Vc"): 0.7, ("age_y", "CL"): -0.5, ("crp", "age_y"): 0.3}
    tied = people_of(
        covariates, correlations=[{"between": list(pair), "r": r, "source": "x"} for pair, r in pairs.items()]
    )
    n = 20_000
    everyone = population.sample(tied, TOY, range(n), seed=3, draw_parameters=False)
    latent = {"CL": np.log(everyone.parameters["CL"]), "Vc": np.log(everyone.parameters["Vc"]),
              "age_y": everyone.covariates["age_y"], "crp": np.log(everyone.covariates["crp"])}  # fmt: skip
    for (a, b), r in {**pairs, ("crp", "Vc"): 0.0}.items():
        assert np.corrcoef(latent[a], latent[b])[0, 1] == pytest.approx(r, abs=0.03)
    part = population.sample(tied, TOY, range(100, 107), seed=3, draw_parameters=False)
    assert part.parameters["CL"].tolist() == everyone.parameters["CL"][100:107].tolist()


def test_truncated_normal_has_the_printed_mean_and_sd() -> None:
    u = (np.arange(200_000) + 0.5) / 200_000
    for mean, sd, low, high in ((37.7, 5.73, 28, 56), (6.1, 3.3, 2, 20), (50, 10, 0, 100), (3, 2, 0, 8)):
        truncated = Normal.model_validate(
            {"distribution": "normal", "mean": mean, "sd": sd, "low": low, "high": high, "source": "x"}
        )
        values = truncated.values(u)
        assert values.mean() == pytest.approx(mean, rel=1e-3) and values.std() == pytest.approx(sd, rel=2e-3)
        assert low <= values.min() and values.max() <= high
    exact = stats.truncnorm.ppf(u[::500], -1, 3, loc=2, scale=1)
    assert truncated_normal(u[::500], 2.0, 1.0, 1.0, 5.0) == pytest.approx(exact, rel=1e-9)


def test_hardy_weinberg() -> None:
    trd = population.sample(population.load("mdd-treatment-resistant"), system(), range(40_000), seed=8)
    q = 0.195
    shares = trd.covariates["val66met"].value_counts(normalize=True)
    assert shares[0.0] == pytest.approx((1 - q) ** 2, abs=0.01)
    assert shares[0.5] == pytest.approx(2 * q * (1 - q), abs=0.01)
    assert shares[1.0] == pytest.approx(q * q, abs=0.005)


def test_crp_gives_the_published_shares() -> None:
    crp = population.sample(population.load("mdd"), system(), range(40_000), seed=8).covariates["crp"]
    assert (crp > 1).mean() == pytest.approx(0.58, abs=0.015)
    assert (crp > 3).mean() == pytest.approx(0.27, abs=0.015)


def test_covariates_feed_parameters_of_their_name() -> None:
    toy = system(
        quantity("weight_kg", 70, distribution="fixed", unit="kg"), quantity("val66met", 0, distribution="fixed")
    )
    everyone = population.sample(population.load("mdd"), toy, range(30), seed=8, covariates={"val66met": 1.0})
    assert everyone.parameters["weight_kg"].tolist() == everyone.covariates["weight_kg"].tolist()
    assert set(everyone.parameters["val66met"]) == {1.0}


@pytest.mark.parametrize("name", library.names("populations"))
def test_library_population(name: str) -> None:
    loaded = population.load(name)
    assert loaded.name == name
    own = model.load(loaded.model)  # its overrides name numbers that only the real model has
    everyone = population.sample(loaded, own, range(4000), seed=5)
    for id, override in loaded.parameters.items():
        if own.quantities[id].variability or id not in everyone.parameters:
            continue
        assert np.median(everyone.parameters[id]) == pytest.approx(float(override.value), rel=0.05)
    table = everyone.covariates
    assert not table.isna().any().any() and (table["weight_kg"] > 0).all()
    assert table["weight_kg"].median() == pytest.approx(
        {"human": 78, "rat": 0.3, "mouse": 0.025}[loaded.species], rel=0.1
    )
    if loaded.history:
        assert table["history_h"].max() <= loaded.run_in
    if loaded.species == "human":
        women, men = (table["weight_kg"][table["sex"] == sex].median() for sex in ("female", "male"))
        assert women < men


def test_a_row_that_contradicts_itself() -> None:
    with pytest.raises(InputError, match="outside its own bounds"):
        population.sample(NOBODY, system(quantity("k", 3, 4, 5)), range(2), seed=1)
    with pytest.raises(InputError, match="needs a distribution"):
        population.sample(NOBODY, system(replace(TOY.quantities["CL"], distribution="fixed")), range(2), seed=1)


MISTAKES = {
    "unknown model": ("model: human", "model: humans", "model", 'Did you mean "human"'),
    "mean outside": ("mean: 50.7", "mean: 5", "covariates.age_y", "not between low and high"),
    "impossible sd": ("sd: 13.33", "sd: 60", "covariates.age_y", "does not fit"),
    "shares": ("female: 0.634", "female: 0.7", "covariates.sex", "add up to 1.066"),
    "no source": ("source: osimo-2019, ", "", "covariates.crp", "needs its source"),
    "group": ("by: sex\n    groups:\n      female: {distribution: logn", "by: age_y\n    groups:\n      female: {distribution: logn", "covariates.weight_kg.by", "no covariate in categories"),
    "history input": ("stress: 1.0", "stres: 1.0", "history.stres", 'Did you mean "stress"'),
    "history without length": ("  for: 365 d\n", "", "history", 'Add "for: 180 d"'),
    "history without unit": ("for: 365 d", "for: 365", "history.for", "365 d"),
    "correlation name": ("covariates:", "correlations: [{between: [age_y, hight], r: 0.2, source: x}]\ncovariates:", "correlations[0].between", "neither a covariate"),
    "correlations contradict": ("covariates:", "correlations: [{between: [age_y, crp], r: 0.95, source: x}, {between: [age_y, weight_kg], r: 0.95, source: x}, {between: [crp, weight_kg], r: -0.9, source: x}]\ncovariates:", "correlations", "not positive definite"),
    "correlation too large": ("covariates:", "correlations: [{between: [age_y, crp], r: 1.5, source: x}]\ncovariates:", "correlations[0].r", "1"),
    "override": ("covariates:", "parameters: {k_venous: {value: 900, source: x}}\ncovariates:", "parameters.k_venous", "bounds"),
    "field": ("title:", "tilte:", "tilte", 'Did you mean "title"'),
    "genotype": ("allele_frequency: 0.195", "allele_frequency: 1.95", "covariates.val66met.allele_frequency", "1"),
    "distribution": ("distribution: hardy-weinberg", "distribution: hardy", "covariates.val66met.distribution", "hardy-weinberg"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_one_mistake_one_error(name: str, tmp_path) -> None:
    right, wrong, field, words = MISTAKES[name]
    text = library.text("populations", "mdd-treatment-resistant")
    assert right in text
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace(right, wrong, 1))
    with pytest.raises(InputError) as caught:
        population.load(file)
    assert [problem.field for problem in caught.value.problems] == [field]
    assert words in str(caught.value) and "mine.yaml:" in str(caught.value)


def test_spread_in_history(tmp_path) -> None:
    text = library.text("populations", "mdd").replace(
        "stress: 1.0",
        "stress: {distribution: lognormal, median: 1, log_sd: 0.3, low: 0.4, high: 2.5, status: assumed, note: x}",
    )
    text = text.replace(
        "for: 365 d",
        "for: {distribution: lognormal, median: 180 d, log_sd: 0.5, low: 30 d, high: 2 wk, status: assumed, note: x}",
    )
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match="not between low and high"):
        population.load(file)
    file.write_text(text.replace("high: 2 wk", "high: 720 d"))
    loaded = population.load(file)
    assert loaded.run_in == 720 * 24
    table = population.sample(loaded, system(), range(3000), seed=5).covariates
    assert table["history_h"].median() == pytest.approx(180 * 24, rel=0.05)
    assert table["history_stress"].between(0.4, 2.5).all() and table["history_stress"].std() > 0.2


def test_nearest() -> None:
    assert nearest("ketamin", ["ketamine", "saline"]) == 'Did you mean "ketamine"?'
    assert nearest("xyz", ["a", "b"]) == "Write one of: a, b."
