"""Numbers of the page are those of the library for the study that the page exports."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from respine import web
from respine.protocol import Decisions, Observed, resolve
from respine.protocol.stages import solve_in_stages
from respine.protocol.typical import TypicalStudy, typical_covariates, typical_parameters, typical_people
from respine.study.schema import Study
from respine.trial import expectancy
from respine.trial.observe import strongest_felt, true_scores
from tests.web.conftest import Opened

OF_SIZE = 1e-3  # of the size of a curve: what a relative tolerance of 1e-5 a step leaves after weeks of repeated doses
CLOSE = 1e-7  # where both sides are solved far closer: the same equations, doses and scores
CURVES = """() => { const s = window.respine.stage.solved;
  return { given: Object.fromEntries(s.arms.map(a => [a.name, a.given.map(g => [g.rule, g.time])])), times: [...s.times], status: s.arms.map(a => a.status), arms: Object.fromEntries(s.arms.map(a => [a.name,
    Object.fromEntries(Object.entries(a.curves).map(([k, v]) => [k, [...v]]))])), chain: window.respine.page.scene.chain,
    scales: Object.keys(window.respine.page.scales), side: window.respine.page.scene.sideEffects } }"""
YAML = "() => { window.respine.open('share'); return document.getElementById('yaml').textContent }"


def apart(page: Opened, rtol: float = 1e-6) -> dict[str, float]:
    """The largest difference of every curve, in sizes of the curve."""
    result, text = page.tab.evaluate(CURVES), page.tab.evaluate(YAML)
    page.tab.keyboard.press("Escape")
    study = with_given(Study.from_yaml(text), result["given"])
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


def with_given(study: Study, given: dict[str, list[list[Any]]]) -> Study:
    """The study with the doses that its rules gave written down in place of the rules."""
    by_name = {rule.name: rule for rule in study.rules}
    for arm, doses in given.items():
        written = [by_name[rule].then.dose or by_name[rule].then.start for rule, _ in doses]
        more = [
            {k: v for k, v in dose.to_dict().items() if k not in ("every", "times", "until")} | {"at": f"{time!r} h"}
            for dose, (_, time) in zip(written, doses, strict=True)
        ]
        if more:
            study = study.arm(arm).replace(doses=[*study.arm(arm).doses, *more])
    return study.replace(rules=()) if study.rules else study


class WithoutError:
    """The true scores of the typical person at decision times: what the page's rules look at."""

    def __init__(self, protocol: Any, arm: str, scales: list[str]) -> None:
        self.protocol, self.arm, self.scales = protocol, arm, scales

    def at(self, time: float, solution: Any, given: Any) -> dict[str, Observed]:
        past = int(np.searchsorted(solution.times, time, side="right"))
        times = np.asarray(solution.times[:past])
        own = {name: solution.values[0, :past, k] for k, name in enumerate(solution.outputs)}
        scores = _scores(self.protocol, self.arm, self.scales, own, times, given)
        start = int(np.argmin(np.abs(times - self.protocol.study.start)))
        return {name: Observed(curve[-1:], curve[start : start + 1]) for name, curve in scores.items()}


def decided(study: Study, arm_name: str, scales: list[str], times: np.ndarray) -> list[tuple[str, float]]:
    """Rule and hour of every dose that the library's own rules give the typical person."""
    protocol = resolve(study)
    arm = protocol.arm(arm_name)
    own = typical_parameters(arm)
    people = typical_people(arm, 1, {name: np.array([value]) for name, value in own.items()})
    needed = [
        *(protocol.scale(name).output for name in scales),
        *(["cadss_drive"] if "cadss_drive" in protocol.symbols else []),
    ]
    decisions = Decisions(arm, people)
    scores = WithoutError(protocol, arm_name, scales)
    solve_in_stages(arm, people, list(dict.fromkeys(needed)), times, scores, decisions, vary=tuple(own))
    return sorted((one.rule, float(t)) for one in decisions.given for t in one.time if np.isfinite(t))


def _scores(
    protocol: Any, arm: str, scales: list[str], own: dict[str, np.ndarray], times: np.ndarray, given: Any = ()
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
            gain = _mean_strength(chosen, times, felt, given)[:, order]
        entries[name] = np.clip(
            true_scores(study, scale, people, subject, own[scale.output][None, order], gain)[0, 1:],
            scale.low,
            scale.high,
        )
    return entries


def _mean_strength(arm: Any, times: np.ndarray, felt: np.ndarray | None, given: Any = ()) -> np.ndarray:
    from dataclasses import replace

    model = arm.protocol.expectancy
    return expectancy.strength(
        arm,
        np.array([0]),
        times,
        felt,
        model=replace(model, numbers={**model.numbers, "person_cv": 0.0}),
        given=given,
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


RULES = {
    "as needed": [
        {"name": "as-needed", "when": {"visit": "daily", "scale": "MADRS", "above": 10, "last-dose": {"longer-ago-than": "71 h"}},
         "then": {"dose": {"drug": "esketamine", "route": "nasal", "amount": "56 mg"}}, "limit": {"total": 5, "per-week": 2}},
    ],
    "a course that is held and stopped": [
        {"name": "course", "when": {"visit": "every", "scale": "MADRS", "change-less-than": "50 %", "and": {"last-dose": {"longer-ago-than": "2 d"}}},
         "then": {"start": {"drug": "ketamine", "route": "iv", "amount": "0.5 mg/kg", "over": "40 min", "every": "60 h", "times": 4}}},
        {"name": "pause", "when": {"visit": "weekly", "scale": "MADRS", "below": 20, "and": {"on": "course"}}, "then": {"hold": "course", "for": "5 d"}},
        {"name": "enough", "when": {"visit": "daily", "scale": "MADRS", "below": 8}, "then": {"stop": "course"}},
    ],
    "two at one moment": [
        {"name": "weekly", "when": {"visit": "weekly", "scale": "MADRS", "above": 15},
         "then": {"dose": {"drug": "ketamine", "route": "im", "amount": "0.3 mg/kg"}}, "limit": {"per-day": 1}},
        {"name": "never-twice", "when": {"visit": "daily", "last-dose": {"less-ago-than": "10 d"}}, "then": {"hold": "weekly", "for": "36 h"}},
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_rules_decide_in_the_page_as_in_the_library(opened, name):
    page = opened("treatment-resistant")
    page.tab.evaluate(f"""() => window.respine.state.edit((arm, study) => {{
      arm.doses = []; study.rules = {_js(RULES[name])}.map((rule) => ({{ ...rule, arms: [window.respine.state.active] }})); }})""")
    page.settled()
    result, text = page.tab.evaluate(CURVES), page.tab.evaluate(YAML)
    page.tab.keyboard.press("Escape")
    active = page.tab.evaluate("() => window.respine.state.active")
    given = sorted((rule, time) for rule, time in result["given"][active])
    assert len(given) >= 2
    library = decided(Study.from_yaml(text), active, result["scales"], np.array(result["times"]))
    assert [rule for rule, _ in library] == [rule for rule, _ in given]
    assert [time for _, time in library] == pytest.approx([time for _, time in given])
    differences = apart(page)  # with the doses written down
    worst = max(differences, key=differences.get)
    assert differences[worst] < OF_SIZE, (worst, differences[worst])


def test_as_needed_is_a_button_and_travels_with_link_and_copy(opened):
    page = opened("treatment-resistant")
    page.tab.get_by_role("button", name="As needed").click()
    page.settled()
    assert page.tab.locator("[data-rule]").count() == 1
    study = Study.from_yaml(page.tab.evaluate(YAML))
    page.tab.keyboard.press("Escape")
    assert [rule.then.dose.drug for rule in study.rules] == ["ketamine"]
    assert len(study.arm("ketamine").doses[0].at) == 1
    page.tab.locator("#compare").click()
    page.settled()
    page.tab.evaluate("() => { window.respine.state.rules[0].when.above = 8; window.respine.state.changed('study') }")
    page.settled()
    given = page.tab.evaluate("() => window.respine.state.given")
    assert len(given["ketamine 2"]) > len(given["ketamine"])  # a rule of its own
    again = opened("treatment-resistant", hash="#" + page.tab.evaluate("() => window.respine.state.link()"))
    again.settled()
    assert again.tab.evaluate("() => window.respine.state.given") == given
    again.tab.get_by_role("button", name="Remove ketamine 2").click()
    again.settled()
    assert [rule.name for rule in Study.from_yaml(again.tab.evaluate(YAML)).rules] == ["as-needed"]
