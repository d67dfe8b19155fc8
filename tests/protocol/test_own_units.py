"""A dose that enters a state of a user's own model: its unit and the state's are read, converted or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from respine import model, study
from respine.errors import InputError
from respine.run import plan

STUDY = """\
schema: respine/study/1
name: own
title: Units of an own model
model: own.{ending}
subjects: 1
seed: 1
covariates: {covariates}
arms:
  a: {{doses: [{{into: x, amount: {amount}, at: 0 h}}]}}
visits: [0 h, 1 h]
record: [x]
"""
SBML = """<?xml version="1.0"?>
<sbml xmlns="http://www.sbml.org/sbml/level3/version1/core" level="3" version="1"><model id="m">
<listOfUnitDefinitions><unitDefinition id="u"{name}><listOfUnits>{units}</listOfUnits></unitDefinition></listOfUnitDefinitions>
<listOfParameters><parameter id="x" value="0" constant="false" units="u"/></listOfParameters>
<listOfRules><rateRule variable="x"><math xmlns="http://www.w3.org/1998/Math/MathML"><cn>0</cn></math></rateRule></listOfRules>
</model></sbml>"""
PART = '<unit kind="{}" exponent="{}" scale="{}" multiplier="{}"/>'


def held(folder: Path, source: str, amount: str, covariates: str = "{}", ending: str = "ant") -> float:
    """What the state holds an hour after the dose."""
    (folder / f"own.{ending}").write_text(source)
    (folder / "study.yaml").write_text(STUDY.format(amount=amount, covariates=covariates, ending=ending))
    planned = plan(study.load(folder / "study.yaml"))
    arm = planned.protocol.arms["a"]
    people = planned.people_of("a", range(1))
    return float(arm.solve(people, planned.outputs, [0.0, 1.0], vary=planned.vary).values[0, 1, 0])


def antimony(definition: str) -> str:
    return f"model own\n {definition}\n x = 0; x' = 0*x\nend\n"


@pytest.mark.parametrize(
    ("definition", "amount", "want"),
    [
        ("unit mg = 1e-3 gram; x has mg;", "10 mg", 10),
        ("unit mg = 1e-3 gram; x has mg;", "10 ug", 0.01),
        ("unit mg = 1e-3 gram; x has mg;", "0.01 g", 10),
        ("unit ug = 1e-6 gram; x has ug;", "10 mg", 1e4),
        ("unit amount = 1e-9 gram; x has amount;", "10 mg", 1e7),
        ("x has gram;", "10 mg", 0.01),
        ("unit nM = 1e-9 mole; x has nM;", "3 nmol", 3),
        ("unit um = 1e-6 mole; x has um;", "3 nmol", 0.003),
        ("", "10 mg", 10),
        ("", "7 IU", 7),
    ],
)
def test_amounts_are_converted_to_the_unit_of_the_state(
    definition: str, amount: str, want: float, tmp_path: Path
) -> None:
    assert held(tmp_path, antimony(definition), amount) == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize(
    ("definition", "amount"),
    [
        ("unit nmol = 1e-9 mole; x has nmol;", "10 mg"),
        ("unit mg = 1e-3 gram; x has mg;", "10 nmol"),
        ("x has furlong;", "10 mg"),
        ("unit mgl = 1e-3 gram/litre; x has mgl;", "10 mg"),
        ("x has dimensionless;", "10 mg"),
        ("", "10 h"),
        ("", "10 d"),
        ("", "10 %"),
        ("", "10 mg/m2"),
        ("", "10 mg/h"),
        ("", "0.1 mg/kg"),  # nobody weighs anything
        ("", "10"),
    ],
)
def test_amounts_that_the_state_cannot_hold_are_refused_before_the_run(
    definition: str, amount: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as refused:
        held(tmp_path, antimony(definition), amount)
    assert len(refused.value.problems) == 1


def test_a_dose_per_kg_takes_the_weight_of_the_person(tmp_path: Path) -> None:
    weight = "{weight_kg: {distribution: constant, value: 50, unit: kg, status: assumed, note: x}}"
    assert held(tmp_path, antimony("weight_kg = 70;"), "0.1 mg/kg", weight) == pytest.approx(5)


@pytest.mark.parametrize("called", ["", ' name="mg"', ' name="an amount"', ' name="ug"'])
def test_the_name_of_a_unit_does_not_decide_what_it_is(called: str, tmp_path: Path) -> None:
    """A definition is named freely in SBML; its parts are what counts."""
    source = SBML.format(name=called, units=PART.format("gram", 1, -6, 1))
    if called == ' name="an amount"':  # words: nothing is known of how to convert
        with pytest.raises(InputError):
            held(tmp_path, source, "10 mg", ending="xml")
    else:
        assert held(tmp_path, source, "10 mg", ending="xml") == pytest.approx(1e4)


def test_units_are_written_so_that_they_can_be_read_again(tmp_path: Path) -> None:
    from respine.model.units import parse

    file = tmp_path / "m.xml"
    rng = np.random.default_rng(3)
    for _ in range(20):
        kinds = rng.choice(["gram", "mole", "litre", "metre", "second"], 2, replace=False)
        scales, powers = rng.choice([-9, -6, -3, 0, 3], 2), rng.choice([-2, -1, 1, 2], 2)
        written = zip(kinds, powers, scales, strict=True)
        file.write_text(SBML.format(name="", units="".join(PART.format(k, p, s, 1) for k, p, s in written)))
        unit = model.load(file).quantities["x"].unit
        want = parse("1")
        for kind, power, scale in zip(kinds, powers, scales, strict=True):
            sign = {"gram": "g", "mole": "mol", "litre": "L", "metre": "m", "second": "s"}[kind]
            one = parse(sign)
            want = want * type(one)(one.factor * 10.0**scale, one.powers) ** float(power)
        if "(" not in unit:  # a factor without a sign stays a number
            assert parse(unit).same(want), (unit, kinds, scales, powers)


@pytest.mark.parametrize("times", ["[0 d, 14 d, 42 h]", "[24 h, 0 h]", "[0 h, 1 d, 12 h]", "[0 min, 30 min, 1 s]"])
def test_times_that_are_not_in_their_order_are_refused(times: str, tmp_path: Path) -> None:
    """A slip of a unit in a list of times: 42 h in place of 42 d."""
    (tmp_path / "own.ant").write_text(antimony(""))
    text = STUDY.format(amount="1 mg", covariates="{}", ending="ant").replace("at: 0 h", f"at: {times}")
    (tmp_path / "study.yaml").write_text(text.replace("[0 h, 1 h]", "[0 h, 60 d]"))
    with pytest.raises(InputError) as refused:
        study.load(tmp_path / "study.yaml")
    assert len(refused.value.problems) == 1
