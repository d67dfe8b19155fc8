"""The SBML suite's layouts, tags, pass rule and refusals, on small cases of our own; the real sample where it lies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from respine.errors import InputError
from respine.qualify import by_tag, sbml

MODEL = """<?xml version="1.0" encoding="UTF-8"?>
<sbml xmlns="http://www.sbml.org/sbml/level3/version2/core" level="3" version="2">
  <model id="m">
    <listOfCompartments><compartment id="C" spatialDimensions="3" size="4" constant="true"/></listOfCompartments>
    <listOfSpecies>
      <species id="S" compartment="C" initialConcentration="1" hasOnlySubstanceUnits="false"
               boundaryCondition="false" constant="false"/>
    </listOfSpecies>
    <listOfParameters><parameter id="k" value="0.5" constant="true"/><parameter id="p" value="1" constant="false"/>
    </listOfParameters>
    {rules}
    <listOfReactions>
      <reaction id="loss" reversible="false"{fast}>
        <listOfReactants><speciesReference species="S" stoichiometry="1" constant="true"/></listOfReactants>
        <kineticLaw><math xmlns="http://www.w3.org/1998/Math/MathML">
          <apply><times/><ci>k</ci><ci>S</ci><ci>C</ci></apply></math></kineticLaw>
      </reaction>
    </listOfReactions>
  </model>
</sbml>
"""
ALGEBRAIC = """<listOfRules><algebraicRule><math xmlns="http://www.w3.org/1998/Math/MathML">
  <apply><minus/><ci>p</ci><ci>S</ci></apply></math></algebraicRule></listOfRules>"""
TIMES = np.linspace(0, 5, 6)


def case(home: Path, name: str, scale: float = 4.0, *, amount: str = "S", rules: str = "", tags: str = "Amount",
         describe: bool = True) -> Path:  # fmt: skip
    """One case folder; the expected amount of S is 4 exp(-t/2), its concentration a quarter of that."""
    folder = home / name
    folder.mkdir(parents=True)
    (folder / f"{name}-sbml-l3v2.xml").write_text(MODEL.format(rules=rules, fast=""), encoding="utf-8")
    (folder / f"{name}-sbml-l2v4.xml").write_text("not the one to take", encoding="utf-8")
    concentration = "" if amount else "S"
    (folder / f"{name}-settings.txt").write_text(
        f"start: 0\nduration: 5\nsteps: 5\nvariables: S, k\nabsolute: 1e-6\nrelative: 1e-4\n"
        f"amount: {amount}\nconcentration: {concentration}\n",
        encoding="utf-8",
    )
    rows = [f"{t:g},{scale * np.exp(-0.5 * t):.8g},0.5" for t in TIMES]
    (folder / f"{name}-results.csv").write_text("\n".join(["time,S,k", *rows]) + "\n", encoding="utf-8")
    if describe:
        text = f"(*\ncategory: Test\ncomponentTags: Species, Reaction\ntestTags: {tags}\ntestType: TimeCourse\n*)\n"
        (folder / f"{name}-model.m").write_text(text, encoding="utf-8")
    return folder


def test_amounts_and_concentrations(tmp_path):
    case(tmp_path, "00001")
    case(tmp_path, "00002", 1.0, amount="", tags="Concentration")
    findings = sbml.qualify(tmp_path)
    assert [c.outcome for c in findings.cases] == ["pass", "pass"] and findings.ok
    assert findings.last_line() == "2/2 pass"


def test_a_wrong_value_fails_and_says_where(tmp_path):
    case(tmp_path, "00001", 4.0 * 1.0002)
    (judged,) = sbml.qualify(tmp_path).cases
    assert judged.outcome == "FAIL" and judged.note.startswith("S at") and "expected" in judged.note


def test_values_within_the_tolerance_of_the_case_pass(tmp_path):
    case(tmp_path, "00001", 4.0 * 1.00008)
    assert sbml.qualify(tmp_path).ok


@pytest.mark.parametrize("layout", ["", "sample", "cases/semantic", "semantic"])
def test_layouts(tmp_path, layout):
    case(tmp_path / layout, "00001")
    assert sbml.qualify(tmp_path).bound == 1


def test_tags_from_the_index_or_the_case(tmp_path):
    case(tmp_path / "sample", "00001", describe=False)
    case(tmp_path / "sample", "00002")
    index = 'case,componentTags,testTags\n00001,"Species, EventNoDelay",Amount\n00002,,\n'
    (tmp_path / "cases_index.csv").write_text(index, encoding="utf-8")
    findings = sbml.qualify(tmp_path)
    assert [c.tags for c in findings.cases] == [
        ("Species", "EventNoDelay", "Amount"),
        ("Species", "Reaction", "Amount"),
    ]
    assert ("EventNoDelay", 1, 1, 0) in by_tag(findings.cases) and ("Amount", 2, 2, 0) in by_tag(findings.cases)


def test_unsupported_constructs_are_refused_never_numbers(tmp_path):
    case(tmp_path, "00001", rules=ALGEBRAIC, tags="AlgebraicRule")
    case(tmp_path, "00002", rules=ALGEBRAIC, tags="Amount", describe=False)  # known by its model
    case(tmp_path, "00003")
    findings = sbml.qualify(tmp_path)
    assert [c.outcome for c in findings.cases] == ["refused", "refused", "pass"]
    assert "algebraic" in findings.cases[0].note
    assert findings.last_line() == "1/1 pass"


def test_a_refusal_of_something_supported_is_a_failure(tmp_path):
    folder = case(tmp_path, "00001")
    model = folder / "00001-sbml-l3v2.xml"
    model.write_text(model.read_text().replace("<ci>C</ci>", "<ci>unknown</ci>"), encoding="utf-8")
    findings = sbml.qualify(tmp_path)
    assert findings.cases[0].outcome == "FAIL" and "unknown" in findings.cases[0].note
    assert not findings.ok


@pytest.mark.parametrize(
    ("file", "old", "new", "seen"),
    [
        ("settings.txt", "absolute: 1e-6", "absolute: small", "small"),
        ("results.csv", "0,4,0.5", "0,four,0.5", "four"),
        ("results.csv", "time,S,k", "time,S,q", "q"),
    ],
)
def test_damaged_files_are_named(tmp_path, file, old, new, seen):
    path = case(tmp_path, "00001") / f"00001-{file}"
    path.write_text(path.read_text().replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match=seen) as caught:
        sbml.qualify(tmp_path)
    assert str(path) in caught.value.problems[0].where


def test_times_cut_in_the_file_are_meant_in_full(tmp_path):
    path = case(tmp_path, "00001") / "00001-settings.txt"
    settings = sbml.read_settings(path)
    thirds = replace(settings, duration=1.0, steps=3)
    results = tmp_path / "results.csv"
    results.write_text("time,S,k\n0,1,1\n0.333333333,1,1\n0.6666666667,1,1\n1,1,1\n", encoding="utf-8")
    assert sbml.read_results(results, thirds)[0].tolist() == [0, 1 / 3, 2 / 3, 1]
    tenths = replace(settings, duration=0.3, steps=3)
    results.write_text("time,S,k\n0,1,1\n0.1,1,1\n0.2,1,1\n0.3,1,1\n", encoding="utf-8")
    assert sbml.read_results(results, tenths)[0].tolist() == [0, 0.1, 0.2, 0.3]


def test_no_cases(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError):
            sbml.qualify(folder)


@pytest.mark.slow
def test_the_public_sample(reference):
    findings = sbml.qualify(reference / "sbml-semantic")
    assert findings.ok, [(c.name, c.note) for c in findings.cases if c.outcome == "FAIL"]
    assert findings.bound >= 75


def test_a_variable_may_be_called_time(tmp_path):
    """Cases 01820 and 01821 of the suite: the first column is the time, whatever the variables are called."""
    path = tmp_path / "results.csv"
    path.write_text("time,time,TIME\n0,10,12\n1,10,12\n", encoding="utf-8")
    settings = sbml.Settings(0, 1, 1, ("TIME", "time"), 0, 0, frozenset(), frozenset())
    times, expected = sbml.read_results(path, settings)
    assert times.tolist() == [0, 1] and expected.tolist() == [[12, 10], [12, 10]]
    path.write_text("time,TIME\n0,12\n1,12\n", encoding="utf-8")
    with pytest.raises(InputError, match="lack time"):
        sbml.read_results(path, settings)


def test_a_fault_in_one_case_leaves_the_others_alone(tmp_path, monkeypatch):
    case(tmp_path, "00001")
    case(tmp_path, "00002")
    whole = sbml.compare

    def breaks_once(*arguments):
        monkeypatch.setattr(sbml, "compare", whole)
        raise ZeroDivisionError("no such luck")

    monkeypatch.setattr(sbml, "compare", breaks_once)
    findings = sbml.qualify(tmp_path)
    assert findings.last_line() == "1/2 pass"
    assert findings.cases[0].note == "a fault of respine: ZeroDivisionError: no such luck" and findings.cases[
        0
    ].tags == ("Species", "Reaction", "Amount")
