"""Numbers of the page are those of the library for the study that the page exports."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from respine import web
from respine.protocol import resolve
from respine.protocol.typical import TypicalStudy, typical_covariates, typical_people
from respine.study.schema import Study
from respine.trial import expectancy
from respine.trial.observe import strongest_felt, true_scores
from tests.web.conftest import Opened

OF_SIZE = 1e-3  # of the size of a curve: what a relative tolerance of 1e-5 a step leaves after weeks of repeated doses
CLOSE = 1e-7  # where both sides are solved far closer: the same equations, doses and scores
CURVES = """() => { const s = window.respine.stage.solved;
  return { times: [...s.times], status: s.arms.map(a => a.status), arms: Object.fromEntries(s.arms.map(a => [a.name,
    Object.fromEntries(Object.entries(a.curves).map(([k, v]) => [k, [...v]]))])), chain: window.respine.page.scene.chain,
    scales: Object.keys(window.respine.page.scales), side: window.respine.page.scene.sideEffects } }"""
YAML = "() => { window.respine.open('share'); return document.getElementById('yaml').textContent }"


def apart(page: Opened, rtol: float = 1e-6) -> dict[str, float]:
    """The largest difference of every curve, in sizes of the curve."""
    result, text = page.tab.evaluate(CURVES), page.tab.evaluate(YAML)
    page.tab.keyboard.press("Escape")
    study = Study.from_yaml(text)
    outputs = [*result["chain"], *result["side"]]
    times, arms = np.array(result["times"]), list(result["arms"])
    assert result["status"] == [0] * len(arms)
    assert list(study.arms)[: len(arms)] == arms
    scales, differences = result["scales"], {}
    protocol = resolve(study)
    needed = [*outputs, *(protocol.scale(name).output for name in scales)]
    if "cadss_drive" in protocol.symbols:
        needed.append("cadss_drive")
    needed = list(dict.fromkeys(needed))
    solved = TypicalStudy(protocol, needed, times, arms=arms, rtol=rtol)
    values = solved.predict(np.zeros((1, 0)))[0]
    assert not solved.failures
    for a, arm in enumerate(arms):
        own = {name: values[a, :, k] for k, name in enumerate(needed)}
        own |= _scores(protocol, arm, scales, own, times)
        for name in (*outputs, *scales):
            shown = np.array(result["arms"][arm][name])
            size = max(np.abs(own[name]).max(), 1e-3)
            differences[f"{arm}: {name}"] = float(np.abs(shown - own[name]).max() / size)
    return differences


def _scores(
    protocol: Any, arm: str, scales: list[str], own: dict[str, np.ndarray], times: np.ndarray
) -> dict[str, np.ndarray]:
    """Scores of the typical person, with expectancy at its mean."""
    study, chosen = protocol.study, protocol.arm(arm)
    people = typical_people(chosen, 1)
    covariates = people.covariates.assign(
        **{k: [v] for k, v in typical_covariates(protocol.population, chosen.asked).items()}
    )
    people = type(people)(covariates, people.parameters, people.draw)
    subject, at = np.array([0]), int(np.argmin(np.abs(times - study.start)))
    order = np.r_[at, np.arange(len(times))]
    entries = {}
    for name in scales:
        scale = protocol.scale(name)
        gain = None
        if scale.rule == "severity":
            felt = None
            if "cadss_drive" in own:
                mean = strongest_felt(study, protocol.scale("CADSS"), subject, own["cadss_drive"][None])
                person = strongest_felt(study, protocol.scale("CADSS"), subject, np.ones((1, 1)))
                felt = mean / person  # of a person of mean sensitivity
            gain = _mean_strength(chosen, times, felt)[:, order]
        entries[name] = np.clip(
            true_scores(study, scale, people, subject, own[scale.output][None, order], gain)[0, 1:],
            scale.low,
            scale.high,
        )
    return entries


def _mean_strength(arm: Any, times: np.ndarray, felt: np.ndarray | None) -> np.ndarray:
    from dataclasses import replace

    model = arm.protocol.expectancy
    return expectancy.strength(
        arm, np.array([0]), times, felt, model=replace(model, numbers={**model.numbers, "person_cv": 0.0})
    )


@pytest.mark.parametrize("scene", web.names())
def test_every_scene_gives_the_numbers_of_the_library(opened, scene):
    differences = apart(opened(scene))
    worst = max(differences, key=differences.get)
    assert differences[worst] < OF_SIZE, (worst, differences[worst])


@pytest.mark.parametrize("scene", web.names())
def test_closer_tolerances_leave_no_difference(opened, tmp_path, monkeypatch, scene):
    monkeypatch.setattr("respine.web.kernel.RUN_RTOL", 1e-10)
    differences = apart(opened(web.write(scene, tmp_path / "close.html")), rtol=1e-10)
    worst = max(differences, key=differences.get)
    assert differences[worst] < CLOSE, (worst, differences[worst])


# what a reader may do with one scenario, as edits of its study
def _random_edit(rng: random.Random, scene: str) -> str:
    rat = scene.startswith("rat")
    drug = rng.choice(
        [("ketamine", "ip", f"{rng.uniform(1, 40):.3g} mg/kg"), ("ketamine", "iv", f"{rng.uniform(1, 10):.3g} mg/kg")] if rat else
        [("ketamine", "iv", f"{rng.uniform(0.1, 1.5):.3g} mg/kg"), ("esketamine", "nasal", f"{rng.choice([28, 56, 84])} mg"),
         ("ketamine", "oral", f"{rng.uniform(0.5, 3):.3g} mg/kg"), ("escitalopram", "oral", f"{rng.uniform(5, 25):.3g} mg"),
         ("ketamine", "sublingual", f"{rng.uniform(20, 150):.3g} mg"), ("ketamine", "im", "0.5 mg/kg")])  # fmt: skip
    dose = {"drug": drug[0], "route": drug[1], "amount": drug[2], "at": f"{rng.randint(0, 72)} h", "every": f"{rng.choice([24, 48, 84, 168])} h",
            "times": rng.randint(2, 9)}  # fmt: skip
    exposures = [
        {
            "exposure": "stress",
            "level": round(rng.uniform(0, 1.4), 2),
            "from": f"{rng.randint(0, 5)} d",
            "until": f"{rng.randint(8, 20)} d",
        }
    ]
    if rng.random() < 0.5:
        exposures.append({"exposure": "exercise", "level": round(rng.uniform(0.2, 1.4), 2), "from": "2 d"})
    if rng.random() < 0.4:
        exposures.append({"exposure": "ect", "at": "1 d", "every": "56 h", "times": rng.randint(1, 6)})
    if rng.random() < 0.4:
        exposures.append(
            {
                "exposure": "inflammatory-challenge",
                "level": round(rng.uniform(0.1, 1.5), 2),
                "from": "3 d",
                "until": "9 d",
            }
        )
    edit = {
        "doses": [dose],
        "exposures": exposures,
        "genotype": {"val66met": rng.choice(["Val/Val", "Val/Met", "Met/Met"])},
    }
    if rng.random() < 0.3 and not rat:
        edit["co_medication"] = [
            {"drug": "escitalopram", "route": "oral", "amount": "10 mg", "at": "-28 d", "every": "24 h", "times": 50}
        ]
    person = {} if rat else {"crp": round(rng.uniform(0.2, 12), 2), "weight_kg": round(rng.uniform(45, 120), 1)}
    parameters = {"k_spine_mature": round(rng.uniform(0.002, 0.005), 5)} if rng.random() < 0.3 else {}
    return f"""() => window.respine.state.edit((arm, study) => {{
      const fresh = {_js(edit)}; for (const key of ['doses', 'exposures', 'co_medication', 'genotype']) arm[key] = fresh[key];
      arm.parameters = {_js(parameters)};
      for (const [name, value] of Object.entries({_js(person)})) study.covariates = {{ ...study.covariates, [name]:
        {{ distribution: 'constant', value, unit: name === 'crp' ? 'mg/L' : 'kg', status: 'assumed', note: 'set in the page' }} }};
    }})"""  # fmt: skip


def _js(value: Any) -> str:
    import json

    return json.dumps(value)


QUICK = 8


@pytest.mark.parametrize("seed", [*range(QUICK), *(pytest.param(s, marks=pytest.mark.slow) for s in range(QUICK, 50))])
def test_random_settings_give_the_numbers_of_the_library(opened, seed):
    rng = random.Random(seed)
    scene = web.names()[seed % len(web.names())]
    page = opened(scene)
    page.tab.evaluate(_random_edit(rng, scene))
    page.settled()
    differences = apart(page)
    worst = max(differences, key=differences.get)
    assert differences[worst] < OF_SIZE, (worst, differences[worst])
