"""Small stand-ins for what the rooms above hand to the trial room."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pandas as pd

from respine import study as studies
from respine.engine import Solution
from respine.population import People
from respine.protocol import Arm, resolve
from respine.study import Study

STUDY = """
schema: respine/study/1
name: small
title: A small study
population: mdd-treatment-resistant
subjects: 60
seed: 5
arms:
  drug:
    n_published: 20
    doses: [{drug: ketamine, route: iv, amount: 0.5 mg/kg, over: 40 min, at: 0 h}]
  saline:
    n_published: 20
    control: {kind: inactive-placebo, unblinding: high}
visits: [0 h, 4 h, 24 h, 7 d]
observe: [MADRS, CADSS, SBP]
record: [symptom]
endpoints:
  - {name: change-24h, of: MADRS, kind: change, at: 24 h}
  - {name: response-24h, of: MADRS, kind: response, drop: 50 %, at: 24 h}
  - {name: difference-24h, of: MADRS, kind: difference-in-change, arm: saline, at: 24 h}
"""


def small_study(folder: Path, text: str = STUDY, **changed: str) -> Study:
    """The study above, with pieces of its text replaced."""
    for old, new in changed.items():
        assert old in text
        text = text.replace(old, new)
    file = folder / "small.yaml"
    file.write_text(textwrap.dedent(text), encoding="utf-8")
    return studies.load(file)


def arm_of(study: Study, name: str) -> Arm:
    """An arm of a study in the model of its population."""
    return resolve(study).arm(name)


def people(n: int, first: int = 0, madrs: float = 34.0, draws: int = 5) -> People:
    """People who all have the same MADRS at entry."""
    subject = np.arange(first, first + n)
    covariates = pd.DataFrame({"subject": subject, "baseline_MADRS": np.full(n, madrs), "weight_kg": 70.0})
    return People(covariates, pd.DataFrame(index=range(n)), subject % draws)


def solution(times: list[float], n: int, **outputs: list[float]) -> Solution:
    """The same trajectory for everybody; what is not given is zero at all times."""
    names = ("symptom", "cadss_drive", "systolic_pressure_rise")
    values = np.zeros((n, len(times), len(names)))
    for k, name in enumerate(names):
        values[:, :, k] = outputs.get(name, [0.0] * len(times))
    steps = np.zeros((n, 2), np.int64)
    return Solution(values, np.array(times, float), names, np.zeros(n, np.int8), steps, [], 0.0)
