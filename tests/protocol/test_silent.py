"""What changes nothing is named before a run; what changes something is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from respine import study as studies
from respine.protocol import resolve
from respine.protocol.silent import without_effect
from tests.run.tiny import tiny_system

HEAD = """
schema: respine/study/1
name: silent
title: What changes nothing
population: mdd-treatment-resistant
subjects: 10
seed: 1
arms:
  a:
    doses: [{drug: ketamine, route: iv, amount: 0.5 mg/kg, over: 40 min, at: 0 h}]
EXTRA
  b: {control: {kind: none}}
visits: [0 h, 7 d, 14 d]
observe: [MADRS]
"""


def told(extra: str, more: str = "", outputs: tuple[str, ...] = ("symptom", "cadss_drive")) -> list[str]:
    text = HEAD.replace("EXTRA", extra)
    return without_effect(resolve(studies.Study.from_yaml(text + more), system=tiny_system()), outputs)


@pytest.mark.parametrize(
    ("extra", "more", "words"),
    [
        ("    exposures: [{exposure: stress, from: 0 d, until: 14 d}]", "", "exposure stress in arm a changes nothing"),
        ("    parameters: {relief: 0.8}", "", "relief in arm a is set to 0.8, its value in the model"),
        ("    parameters: {volume: 60}", "", "volume in arm a changes nothing"),
        ("", "rules:\n  - {name: h, arms: b, when: {visit: daily, scale: MADRS, above: 30}, then: {hold: g, for: 1 d}}\n"
             "  - {name: g, arms: a, when: {visit: daily, scale: MADRS, above: 30}, then: {dose: {drug: ketamine, route: iv, "
             "amount: 0.5 mg/kg}}}\n", "rule h changes nothing"),
    ],
)  # fmt: skip
def test_what_changes_nothing_is_named(extra: str, more: str, words: str) -> None:
    notes = _with_tiny_parameters(extra, more)
    assert any(words in note for note in notes), notes


def _with_tiny_parameters(extra: str, more: str) -> list[str]:
    """The parameters of the small system are not those of the population's model, which the check of a file knows."""
    if "parameters" not in extra:
        return told(extra, more)
    study = studies.Study.from_yaml(HEAD.replace("EXTRA", "") + more)
    protocol = resolve(study, system=tiny_system())
    name, value = extra.split("{")[1].rstrip("}").split(":")
    arm = study.arms["a"].model_copy(update={"parameters": {name: float(value)}})
    changed = study.model_copy(update={"arms": {**study.arms, "a": arm}})
    from dataclasses import replace

    return without_effect(replace(protocol, study=changed), ("symptom", "cadss_drive"))


def test_what_changes_something_is_not_named() -> None:
    assert told("") == []
    assert told("    exposures: [{exposure: stress, from: 0 d, until: 14 d, level: 0}]") == []
    assert told("    exposures: [{exposure: stress, from: 0 d, until: 14 d, level: 2}]") == []


def test_a_drug_that_nothing_observed_depends_on() -> None:
    notes = told("", outputs=("stress",))
    assert any("drug ketamine in arm a changes nothing that is observed" in note for note in notes)


def test_a_run_says_that_behaviour_is_for_trials() -> None:
    from respine import run

    text = HEAD.replace("EXTRA", "") + "behaviour: {missed-visits: 5 %}\n"
    (note,) = run.plan(studies.Study.from_yaml(text), system=tiny_system(), threads=1).notes
    assert "behaviour of the study act in simulated trials" in note


def test_a_run_says_so_before_it_starts(tmp_path: Path) -> None:
    from respine import run

    text = HEAD.replace("EXTRA", "    exposures: [{exposure: stress, from: 0 d, until: 14 d}]")
    plan = run.plan(studies.Study.from_yaml(text), system=tiny_system(), threads=1)
    assert len(plan.notes) == 1 and "level: 0" in plan.notes[0]
    assert plan.notes[0] in run.execute(plan, tmp_path / "run").warnings
