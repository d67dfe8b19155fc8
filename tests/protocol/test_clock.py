"""A model of a user's own that counts time in seconds, minutes or days is run in hours like one that counts hours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from respine import model, study
from respine.errors import InputError
from respine.model import clock
from respine.run import plan

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800, "shift": 28_800}
MODEL = """\
model own
 {unit}
 a' = -k*a + rise*time; b' = k*a - 0.5*k*b; n = 0; c = 1; c' = 0*c
 a = 0; b = 0
 k = {k}; rise = {rise}
 E: at {delay} after (time > {moment}): c = 3
end
"""
STUDY = """\
schema: respine/study/1
name: own
title: Another clock
model: own.ant
subjects: 1
seed: 1
covariates: {}
arms:
  a: {doses: [{into: a, amount: 10 mg, over: 30 min, at: [0 h, 8 h]}]}
visits: [0 h, 1 h, 10 h, 24 h]
record: [a, b, c]
"""


def text(seconds: float, unit: str) -> str:
    """One model in a unit of ``seconds``: 0.2/h, a drift of 0.05/h^2, an event 2 h after 3 h."""
    per = seconds / 3600
    return MODEL.format(unit=unit, k=0.2 * per, rise=0.05 * per**2, delay=2 / per, moment=3 / per)


def solved(folder: Path, source: str) -> np.ndarray:
    (folder / "own.ant").write_text(source)
    (folder / "study.yaml").write_text(STUDY)
    planned = plan(study.load(folder / "study.yaml"))
    arm = planned.protocol.arms["a"]
    return arm.solve(
        planned.people_of("a", range(1)), planned.outputs, [0.0, 1.0, 4.5, 10.0, 24.0], vary=planned.vary
    ).values


@pytest.mark.parametrize("name", ["second", "minute", "day", "week", "shift"])
def test_the_unit_of_time_of_a_file_does_not_matter(name: str, tmp_path: Path) -> None:
    want = solved(tmp_path, text(3600, ""))
    got = solved(tmp_path, text(SECONDS[name], f"unit time_unit = {SECONDS[name]} second"))
    assert got == pytest.approx(want, rel=2e-5, abs=1e-6)
    assert want[0, 2, 2] == 1 and want[0, 3, 2] == 3  # the event fell at 5 h


def test_hours_and_files_without_a_unit_stay_as_they_are() -> None:
    for unit in ("", "unit time_unit = dimensionless", "unit time_unit = 3600 second"):
        system = model.load(text(3600, unit))
        assert clock.in_hours(system) is system and clock.hours_per_unit(system) == 1.0


def test_what_is_converted_is_told() -> None:
    turned = clock.in_hours(model.load(text(60, "unit time_unit = 60 second")))
    assert turned.time_unit == "h" and len(turned.notes) == 1


def test_a_unit_that_is_no_time_is_refused() -> None:
    from dataclasses import replace

    system = model.load(text(3600, ""))
    for unit in ("g", "mg/L", "fortnight", "h^2"):
        with pytest.raises(InputError) as refused:
            clock.in_hours(replace(system, time_unit=unit))
        assert [problem.field for problem in refused.value.problems] == ["time"]


@pytest.mark.parametrize("level", [(2, 4), (3, 1)])
def test_the_seconds_of_old_sbml_are_seconds(level: tuple[int, int], tmp_path: Path) -> None:
    """Level 2 says that time is in seconds where a file does not say otherwise."""
    file = tmp_path / "own.xml"
    space = (
        "http://www.sbml.org/sbml/level2/version4" if level[0] == 2 else "http://www.sbml.org/sbml/level3/version1/core"
    )
    file.write_text(
        f'<?xml version="1.0"?><sbml xmlns="{space}" level="{level[0]}" version="{level[1]}"><model id="m">'
        '<listOfParameters><parameter id="x" value="1" constant="false"/></listOfParameters><listOfRules>'
        '<rateRule variable="x"><math xmlns="http://www.w3.org/1998/Math/MathML"><cn>1</cn></math></rateRule>'
        "</listOfRules></model></sbml>"
    )
    assert clock.hours_per_unit(model.load(file)) == (1 / 3600 if level[0] == 2 else 1.0)
