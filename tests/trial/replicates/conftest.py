"""A study of two arms on a system small enough to solve a thousand people in a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from respine import study as studies
from respine.protocol import Protocol, resolve
from tests.run.tiny import tiny_system

TEXT = """
schema: respine/study/1
name: trial
title: A small trial
population: mdd-treatment-resistant
subjects: 40
seed: 3
arms:
  drug: {doses: [{drug: ketamine, route: iv, amount: 0.5 mg/kg, over: 40 min, at: 0 h, every: 84 h, times: 4}]}
  saline:
    control: {kind: inactive-placebo, unblinding: high}
    doses: [{drug: saline, route: iv, over: 40 min, at: 0 h, every: 84 h, times: 4}]
visits: [0 h, 24 h, 4 d, 7 d, 14 d]
observe: [MADRS, CADSS]
endpoints:
  - {name: primary, of: MADRS, kind: difference-in-change, arm: saline, at: 14 d}
  - {name: responders, of: MADRS, kind: response-difference, drop: 50 %, arm: saline, at: 14 d}
"""

Make = Callable[..., Protocol]


@pytest.fixture
def trial() -> Make:
    """The study's protocol, with fields changed: ``trial(behaviour={...}, arms=...)``."""

    def make(text: str = TEXT, **changes: Any) -> Protocol:
        study = studies.Study.from_yaml(text)
        return resolve(study.replace(**changes) if changes else study, system=tiny_system())

    return make
