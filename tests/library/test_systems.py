"""The systems around the core of the model: signs, orders and bounds of each, and that nothing in the library lacks a source.

Sizes have wide bounds: they are starting values. Ids in the docstrings name evidence rows.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from biology_witness import Change, Witness
from ruamel.yaml import YAML

from respine import library, model, population
from respine.model.system import System
from respine.population.sample import belief, vary

DAY = 24.0
YEAR = 365 * DAY
Pairs = tuple[tuple[str, float], ...]
SPECIES = ("human", "rat", "mouse")
OWN = (
    "inflammation",
    "analgesia",
    "exercise",
    "excitotoxicity",
    "augmentation",
    "suicidality",
    "cognition",
    "tolerability",
)
ILL = Change(-YEAR, {"stress": 1.0})


@functools.cache
def system(species: str) -> System:
    return model.load(species)


@functools.cache
def witness(species: str = "human", parameters: Pairs = ()) -> Witness:
    return Witness(system(species), dict(parameters))


def infusion(start: float = 0.0, s_mg: float = 17.5, r_mg: float = 17.5, hours: float = 2 / 3) -> list[Change]:
    # a row of small boluses: the witness knows no infusions
    parts = 20
    doses = {"s_ketamine_central": s_mg / parts, "r_ketamine_central": r_mg / parts}
    return [Change(start + hours * i / parts, doses=doses) for i in range(parts)]


def seizures(count: int, apart: float = 56.0) -> list[Change]:
    levels = ((0.0, 1.0), (0.5, 0.0))
    return [Change(i * apart + later, {"ect_pulse": level}) for i in range(count) for later, level in levels]


@functools.cache
def infused() -> dict[float, dict[str, float]]:
    """A person ill for a year, one infusion of 0.5 mg/kg."""
    return witness().run([ILL, *infusion()], [-0.1, 0.67, 2.0, 4.0, 24.0, 3 * DAY, 7 * DAY, 28 * DAY])


# --- rest, and bounds


@pytest.mark.parametrize("species", SPECIES)
def test_health_is_a_steady_state_of_every_system(species: str) -> None:
    subject = witness(species)
    rates = subject.rates(0.0, subject.start, {**subject.parameters, **subject.inputs})
    assert max(abs(rate) for rate in rates) < 1e-9


@pytest.mark.parametrize("seed", range(4))
def test_nothing_changes_sign_or_runs_away_for_any_belief_or_person(seed: int) -> None:
    """Typical values far out in their tails, odd people, every input on: levels stay positive, shares stay shares."""
    human, random = system("human"), np.random.default_rng(seed)
    drawn: dict[str, float] = {}
    for quantity in human.quantities.values():
        if quantity.role != "parameter" or quantity.file.rsplit("/", 1)[-1].removesuffix(".csv") not in OWN:
            continue
        value = np.array([float(quantity.value or 0.0)])
        if quantity.low is not None and quantity.high is not None and quantity.low < quantity.high:
            value = belief(quantity, float(value[0]), 3.0 * random.standard_normal(1).clip(-1, 1))
        if quantity.variability:
            value = vary(quantity, value, 2.5 * random.standard_normal(1).clip(-1, 1))
        drawn[quantity.id] = float(value[0])
    drawn["crp"] = 100.0
    loads = {
        "stress": 2.0,
        "nociception": 2.0,
        "inflammatory_challenge": 2.0,
        "excitotoxic_insult": 3.0,
        "exercise": 1.5,
    }
    changes = [Change(0.0, loads), *infusion(30 * DAY, 250.0, 250.0)]
    values = Witness(human, drawn).run(changes, [DAY, 30 * DAY + 0.5, 31 * DAY, 60 * DAY, 240 * DAY])
    for now in values.values():
        for name in (
            "cytokine",
            "microglia",
            "astrocyte_clearance",
            "dendrite_arbor",
            "spine_total",
            "hippocampal_volume",
        ):
            assert 0 < now[name] < 50, name
        for name in (
            "central_relief", "excitotoxic_injury", "excitotoxic_load", "ideation", "distress", "low_grade_inflammation",
            "seizure_amnesia", "sedation", "bladder_risk", "symptom",
        ):  # fmt: skip
            assert -1e-6 <= now[name] <= 1 + 1e-6, name
        assert now["elimination_drive"] >= 1
        assert now["pain_felt"] >= 1 - 1e-9
        assert -5 < now["memory"] < 1


# --- 11 suicidal ideation


def test_ideation_falls_within_a_day_and_faster_than_the_depressive_state() -> None:
    """Price 2014, Grunebaum 2018: far down at 24 h, and ahead of mood while the drug is there."""
    values = infused()

    def left(name: str, time: float) -> float:
        return values[time][name] / values[-0.1][name]

    assert left("ideation", 24.0) < 0.5
    assert left("ideation", 0.67) < 0.9 < left("symptom", 0.67)
    assert left("ideation", 2.0) < left("symptom", 2.0) - 0.05
    assert left("ideation", 28 * DAY) > 0.8


def test_ideation_is_partly_independent_of_mood() -> None:
    """The same mood with two degrees of ideation, and part of the fall without any change of mood."""
    calm, prone = (witness(parameters=(("distress_sensitivity", value),)) for value in (0.4, 2.0))
    times = [-0.1]
    low, high = (model.run([ILL, Change(0.0)], times)[-0.1] for model in (calm, prone))
    assert low["symptom"] == pytest.approx(high["symptom"], rel=1e-3)
    assert low["ideation"] < 0.85 * high["ideation"]
    before, soon = infused()[-0.1], infused()[0.67]
    assert soon["symptom"] > 0.95 * before["symptom"]
    assert soon["ideation"] < 0.9 * before["ideation"]


def test_ideation_follows_mood_when_the_load_ends() -> None:
    values = witness().run([ILL, Change(0.0, {"stress": 0.0})], [0.0, 1.0, 60 * DAY])
    assert values[1.0]["distress"] > 0.95 * values[0.0]["distress"]
    assert values[60 * DAY]["ideation"] < 0.2 * values[0.0]["ideation"]


# --- 14 side effects


def test_drowsiness_goes_with_the_drug() -> None:
    values = infused()
    assert values[0.67]["sedation"] > 0.3
    assert values[24.0]["sedation"] < 0.05
    assert values[24.0]["memory"] > values[0.67]["memory"] + 0.1


def test_bladder_risk_needs_chronic_use() -> None:
    """Weekly doses settle at a mean exposure that heavy daily use passes within its first weeks."""
    end = [7 * DAY]
    weekly = [Change(0.0, doses={"s_ketamine_central": 40.0})]
    heavy = [Change(DAY * day, doses={"s_ketamine_central": 500.0, "r_ketamine_central": 500.0}) for day in range(7)]
    treated, user = (witness().run(changes, end)[end[0]]["bladder_load"] for changes in (weekly, heavy))
    numbers = system("human").parameters
    share = 1 - 0.5 ** (
        end[0] / numbers["half_life_bladder"]
    )  # of what the schedule comes to when it goes on for years

    def risk(load: float) -> float:
        return load**2 / (numbers["bladder_half_load"] ** 2 + load**2)

    assert infused()[28 * DAY]["bladder_risk"] < 1e-4
    assert risk(treated / share) < 0.01
    assert risk(user) < 0.1 < 0.5 < risk(user / share)


# --- 15 pain


def test_one_dose_relieves_pain_for_an_hour_or_two_only() -> None:
    """Carr 2004."""
    dose = [Change(0.0, doses={"s_ketamine_nasal_depot": 10.0, "r_ketamine_nasal_depot": 10.0})]
    values = witness().run([Change(-YEAR, {"nociception": 1.0}), *dose], [-0.1, 0.33, 1.0, 4.0, 24.0])
    felt = {time: now["pain_felt"] - 1 for time, now in values.items()}
    assert felt[0.33] < 0.95 * felt[-0.1]
    assert felt[4.0] > 0.9 * felt[-0.1]
    assert felt[24.0] > 0.97 * felt[-0.1]


def test_days_of_infusion_relieve_pain_for_weeks() -> None:
    """Sigtermans 2009: 2.68 against 5.45 at the end of week 1."""
    drip = [Change(2.0 * i, doses={"s_ketamine_central": 44.0}) for i in range(51)]
    values = witness().run([Change(-YEAR, {"nociception": 1.0}), *drip], [-0.1, 7 * DAY, 28 * DAY, 112 * DAY])
    felt = {time: now["pain_felt"] - 1 for time, now in values.items()}
    assert 0.35 < felt[7 * DAY] / felt[-0.1] < 0.65
    assert felt[7 * DAY] < felt[28 * DAY] < 0.95 * felt[-0.1]
    assert felt[112 * DAY] > 0.9 * felt[-0.1]
    assert values[7 * DAY]["analgesia"] < 0.01


def test_mood_outlasts_pain_relief_after_one_dose() -> None:
    both = Change(-YEAR, {"stress": 0.4, "nociception": 1.0})
    values = witness().run([both, *infusion()], [-0.1, 24.0])
    assert values[24.0]["pain_felt"] - 1 > 0.95 * (values[-0.1]["pain_felt"] - 1)
    assert values[24.0]["symptom"] < values[-0.1]["symptom"] - 0.02


# --- 16 inflammation


@functools.cache
def after_block(crp: float, block: float) -> dict[str, float]:
    both = {"stress": 1.0, "cytokine_block": block}
    return witness(parameters=(("crp", crp),)).run([Change(0.0, both)], [84 * DAY])[84 * DAY]


def test_a_cytokine_antibody_helps_only_where_inflammation_is_high() -> None:
    assert after_block(2.9, 0.8)["symptom"] == pytest.approx(after_block(2.9, 0.0)["symptom"], abs=1e-6)
    gain = [after_block(crp, 0.8)["mood_support"] - after_block(crp, 0.0)["mood_support"] for crp in (4.0, 30.0)]
    assert 0 < gain[0] < gain[1]
    assert after_block(30.0, 0.0)["symptom"] > after_block(2.9, 0.0)["symptom"]


def test_low_dose_naltrexone_and_minocycline_help_in_part_and_not_beyond_health() -> None:
    """INF-02: capped."""
    states = {
        name: witness().run([Change(0.0, {"stress": 1.0, **dict(inputs)})], [84 * DAY])[84 * DAY]
        for name, inputs in {
            "none": (), "naltrexone": (("naltrexone_low_dose", 1.0),), "minocycline": (("minocycline", 1.0),),
            "both": (("naltrexone_low_dose", 1.0), ("minocycline", 1.0)),
        }.items()
    }  # fmt: skip
    for name in ("naltrexone", "minocycline"):
        assert 1 < states["both"]["microglia"] < states[name]["microglia"] < states["none"]["microglia"]
        assert 0.1 * states["none"]["symptom"] < states[name]["symptom"] < states["none"]["symptom"]


def test_endotoxin_lowers_bdnf() -> None:
    """INF-05."""
    values = witness("rat").run([Change(0.0, {"inflammatory_challenge": 1.0})], [DAY])[DAY]
    assert 0.7 < values["bdnf_mrna"] < 0.97
    assert values["cytokine"] > 1.5


# --- 8, 9, 10, 17


def test_exercise_grows_with_intensity_and_is_bounded() -> None:
    def new_neurons(level: float) -> float:
        return witness("mouse").run([Change(0.0, {"exercise": level})], [28 * DAY])[28 * DAY]["neuroblast"]

    half, full, double = new_neurons(0.5), new_neurons(1.0), new_neurons(2.0)
    assert 1 < half < full < double < 3.2
    assert double - full < full - half + (full - half)


def test_add_on_antipsychotic_lifts_mood_and_new_neurons_a_little() -> None:
    with_it, without = (
        witness().run([ILL, Change(0.0, {"antipsychotic_addon": level})], [42 * DAY])[42 * DAY] for level in (1.0, 0.0)
    )
    assert with_it["symptom"] < without["symptom"]
    assert 1.02 < with_it["neurogenesis_proliferating"] / without["neurogenesis_proliferating"] < 1.4


def test_riluzole_raises_bdnf_of_a_healthy_rat() -> None:
    """BDN-08."""
    values = witness("rat").run([Change(0.0, {"riluzole": 1.0})], [14 * DAY])[14 * DAY]
    assert 1.02 < values["bdnf_mrna"] < 1.5
    assert values["neurogenesis_proliferating"] > 1.02


def insult(*more: Change, parameters: Pairs = ()) -> dict[str, float]:
    three_days = [Change(0.0, {"excitotoxic_insult": 1.0}), Change(72.0, {"excitotoxic_insult": 0.0})]
    return witness("rat", parameters).run([*more, *three_days], [72.0, 7 * DAY])[7 * DAY]


def test_clearance_riluzole_and_receptor_block_protect_from_an_insult() -> None:
    bare = insult()
    assert bare["excitotoxic_injury"] > 0.2
    assert bare["dendrite_arbor"] < 0.95
    assert bare["spine_total"] < 0.95
    protected = insult(Change(-7 * DAY, {"riluzole": 1.0}))
    weak_glia = insult(Change(-21 * DAY, {"stress": 1.0}), parameters=(("glucocorticoid_on_astrocyte", 0.9),))
    blocked = insult(*[Change(8.0 * i, doses={"s_ketamine_central": 1.0, "r_ketamine_central": 1.0}) for i in range(9)])
    assert protected["excitotoxic_injury"] < 0.9 * bare["excitotoxic_injury"] < weak_glia["excitotoxic_injury"]
    assert blocked["excitotoxic_injury"] < bare["excitotoxic_injury"]
    assert protected["dendrite_arbor"] > bare["dendrite_arbor"]


@pytest.mark.parametrize("species", ["rat", "mouse"])
def test_stress_or_a_dose_alone_does_not_injure(species: str) -> None:
    dose = Change(21 * DAY, doses={"s_ketamine_ip_depot": 1.5, "r_ketamine_ip_depot": 1.5})
    values = witness(species).run([Change(0.0, {"stress": 1.0}), dose], [21 * DAY, 22 * DAY])
    assert values[22 * DAY]["excitotoxic_injury"] < 0.005


# --- 19 memory and volume


def test_memory_lags_mood_and_volume_lags_memory() -> None:
    """G-COG-01, G-COG-04: a deficit of about 0.4 SD that outlasts mood."""
    well = witness().run([ILL, Change(0.0, {"stress": 0.0})], [2 * YEAR])[2 * YEAR]
    values = witness().run([ILL, Change(0.0, {"stress": 0.0})], [0.0, 28 * DAY, 56 * DAY, 112 * DAY, 2 * YEAR])
    ill = values[0.0]
    assert -0.65 < ill["memory"] < -0.25
    for time in (28 * DAY, 56 * DAY, 112 * DAY):
        mood_left = (values[time]["symptom"] - well["symptom"]) / (ill["symptom"] - well["symptom"])
        assert mood_left < values[time]["memory"] / ill["memory"]
    assert values[56 * DAY]["symptom"] < 0.35 * ill["symptom"]
    assert values[28 * DAY]["memory"] < 0.6 * ill["memory"]
    assert values[112 * DAY]["memory"] > values[28 * DAY]["memory"] + 0.05
    assert (1 - values[112 * DAY]["hippocampal_volume"]) > 0.7 * (1 - ill["hippocampal_volume"])
    assert values[2 * YEAR]["memory"] > -0.1


def test_volume_falls_little_and_not_in_a_first_episode() -> None:
    """G-HUM-01: -1.24 % in patients, none at first episode."""
    values = witness().run([Change(0.0, {"stress": 1.0})], [56 * DAY, YEAR, 3 * YEAR])
    assert values[56 * DAY]["hippocampal_volume"] > 0.996
    assert 0.98 < values[YEAR]["hippocampal_volume"] < 0.993
    assert 0.95 < values[3 * YEAR]["hippocampal_volume"] < values[YEAR]["hippocampal_volume"]
    assert values[YEAR]["prefrontal_volume"] > values[YEAR]["hippocampal_volume"]


def test_seizures_cost_memory_for_weeks_while_mood_improves() -> None:
    values = witness().run([ILL, *seizures(9)], [-0.1, 21 * DAY, 63 * DAY])
    assert values[21 * DAY]["symptom"] < values[-0.1]["symptom"]
    assert values[21 * DAY]["memory"] < values[-0.1]["memory"] - 0.2
    assert values[63 * DAY]["memory"] > values[-0.1]["memory"] - 0.05


# --- 18 people, 20 facts, and the sources of everything


def everything(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield key, value
            yield from everything(value)
    elif isinstance(node, list):
        for value in node:
            yield from everything(value)


def keys_in(text: str) -> set[str]:
    names: set[str] = set()
    for key, value in everything(YAML(typ="safe").load(text)):
        if key == "source" and isinstance(value, str):
            names |= {part.strip() for part in value.split(";") if part.strip()}
        elif key == "source" and isinstance(value, list):
            names |= {str(part) for part in value}
    return names


def test_every_source_anywhere_in_the_library_has_an_entry() -> None:
    known, lacking = set(library.references()), []
    files = [file for file in library.ROOT.rglob("*.yaml") if "recipes" not in file.parts]
    assert len(files) > 80
    for file in files:
        lacking += [f"{file.relative_to(library.ROOT)}: {key}" for key in keys_in(file.read_text("utf-8")) - known]
    for kind in ("parameters", "variables"):
        for name in library.names(kind):
            for row in library.rows(kind, name):
                cited = {key for key in row["source"].split(";") if key}
                lacking += [f"{kind}/{name}.csv {row['id']}: {key}" for key in cited - known]
    assert lacking == []


@pytest.mark.parametrize("name", OWN)
def test_every_number_has_its_origin(name: str) -> None:
    wrong = []
    for row in library.rows("parameters", name):
        if row["status"] not in {"literature", "derived", "assumed", "calibrated"}:
            wrong.append(f"{row['id']}: status {row['status']}")
        if row["status"] == "assumed" and not row["note"]:
            wrong.append(f"{row['id']}: assumed without a reason")
        if row["status"] != "assumed" and not (row["source"] and row["where"]):
            wrong.append(f"{row['id']}: {row['status']} without source and place")
        if row["distribution"] != "fixed" and not float(row["low"]) <= float(row["value"]) <= float(row["high"]):
            wrong.append(f"{row['id']}: {row['value']} outside {row['low']} to {row['high']}")
    assert wrong == []


@pytest.mark.parametrize("name", library.names("populations"))
def test_populations_load_and_say_what_sets_them_apart(name: str) -> None:
    people = population.load(name)
    assert people.title
    if people.model == "human":
        assert "crp" in people.covariates
    for phase in people.history:
        assert phase.source or phase.status == "assumed"
    for override in people.parameters.values():
        assert override.note


def test_epidemiology_facts_are_those_of_the_evidence() -> None:
    facts = YAML(typ="safe").load((library.ROOT / "epidemiology.yaml").read_text("utf-8"))["facts"]
    clinical = {row["id"]: row for row in library.rows("evidence", "clinical")}
    assert {"lifetime-depression", "first-step-remission-clinician", "depression-in-chronic-pain"} <= set(facts)
    for name, fact in facts.items():
        assert fact["source"] and fact["unit"] and fact["title"], name
        assert fact.get("low", fact["value"]) <= fact["value"] <= fact.get("high", fact["value"]), name
        if "row" in fact:
            assert float(clinical[fact["row"]]["value"]) == fact["value"], name
