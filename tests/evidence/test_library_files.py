"""The data files of the room: every name in them exists, every formula can be computed, no key is misspelt."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from respine import library, model
from respine import study as studies
from respine.evidence import assertions, claims, experiment, kinetics
from respine.evidence.measures import compute, inline, rows_by_id
from respine.model import formula
from respine.model.expression import symbols
from respine.protocol import resolve

VALUE_KEYS = {"study", "experiment", "arm", "output", "at", "from", "to", "take", "endpoint", "above", "among"}
CHECK_KEYS = {"what", "formula", "low", "high", "unit", "lacks", "row", "column", "found", "lacks_words"}


def known_outputs(name: str) -> set[str]:
    system = model.load(name)
    return {*system.states, *system.rules, *system.inputs, *system.parameters}


def study_of(name: str, experiments: dict[str, Any]) -> Any:
    return inline(name, experiments[name]) if name in experiments else studies.load(name)


@pytest.mark.parametrize("data", [assertions.read(), claims.read()], ids=["assertions", "claims"])
def test_every_experiment_is_a_study_that_can_be_run(data: dict[str, Any]) -> None:
    for name, fields in data.get("experiments", {}).items():
        assert resolve(inline(name, fields)).arms, name


def entries(data: dict[str, Any]) -> list[tuple[str, dict[str, Any], str]]:
    """Every value of a file: its entry's name, the value, the study it is of."""
    if "assertions" in data:
        return [(assertion["label"], raw, raw.get("study") or raw.get("experiment") or assertion.get("study") or assertion["experiment"])
                for assertion in data["assertions"] for raw in assertion["values"].values()]  # fmt: skip
    return [(claim["id"], raw, raw.get("study") or raw["experiment"])
            for claim in data["claims"] for raw in (claim["model"].get("values") or {}).values()]  # fmt: skip


@pytest.mark.parametrize("data", [assertions.read(), claims.read()], ids=["assertions", "claims"])
def test_values_name_arms_outputs_and_endpoints_that_exist(data: dict[str, Any]) -> None:
    experiments = data["experiments"]
    loaded = {name: study_of(name, experiments) for _, _, name in entries(data)}
    for label, raw, name in entries(data):
        assert set(raw) <= VALUE_KEYS, (label, raw)
        study = loaded[name]
        assert raw["arm"] in study.arms, (label, raw)
        if "output" in raw:
            assert raw["output"] in known_outputs(studies.population_of(study).model), (label, raw["output"])
        else:
            assert raw["endpoint"] in [e.name for e in study.endpoints], (label, raw)
    assert set(experiments) <= set(loaded), "an experiment that nothing asks for"


def test_checks_are_formulas_of_their_values() -> None:
    sides = [
        (assertion["label"], assertion["values"], assertion["checks"]) for assertion in assertions.read()["assertions"]
    ]
    for claim in claims.read()["claims"]:
        sides.append((claim["id"], claim["model"].get("values") or {}, claim["model"].get("checks") or []))
        sides.append((claim["id"], claim["record"].get("rows") or {}, claim["record"].get("checks") or []))
    for label, values, checks in sides:
        used: set[str] = set()
        for check in checks:
            assert set(check) <= CHECK_KEYS, (label, check)
            kinds = [kind for kind in ("formula", "row", "lacks") if kind in check]
            assert len(kinds) == 1, (label, check)
            if "formula" in check:
                assert "low" in check or "high" in check, (label, check)
                names = set(symbols(formula.parse(check["formula"])))
                assert names <= set(values), (label, check)
                used |= names
            elif "row" in check:
                assert check["row"] in values and ("found" in check) != ("lacks_words" in check), (label, check)
                used.add(check["row"])
        assert used == set(values), f"{label}: a value that no check looks at"


def test_evidence_ids_exist() -> None:
    rows = rows_by_id()
    asked = [id for assertion in assertions.read()["assertions"] for id in assertion["evidence"]]
    asked += [id for claim in claims.read()["claims"] for id in (claim["record"].get("rows") or {}).values()]
    assert [id for id in asked if id not in rows] == []


def test_labels_are_unique_and_the_required_ones_are_there() -> None:
    labels = [assertion["label"] for assertion in assertions.read()["assertions"]]
    assert len(set(labels)) == len(labels) >= 25
    assert {"A7", "A23", "A25"} <= set(labels)
    ids = [claim["id"] for claim in claims.read()["claims"]]
    assert len(set(ids)) == len(ids) >= 20


def test_kinetic_experiments_name_rows_outputs_and_references_that_exist() -> None:
    data = experiment.read("pk_experiments", kinetics.SCHEMA)
    rows = {row["id"] for row in library.rows("evidence", "pk")}
    names = [experiment["name"] for experiment in data["experiments"]]
    asked = [ask["id"] for experiment in data["experiments"] for ask in experiment["rows"]] + [
        p["id"] for p in data["parameters"]
    ]
    assert len(set(names)) == len(names) and len(set(asked)) == len(asked)
    assert set(asked) <= rows
    for entry in data["experiments"]:
        study = experiment.study_of(
            entry["name"], entry["population"], {"only": {"doses": [entry["give"]]}}, entry["until"]
        )
        known = known_outputs(studies.population_of(study).model)
        for ask in entry["rows"]:
            assert ask["output"] in known and ask.get("over_output", ask["output"]) in known, ask
            assert ask.get("against", names[0]) in names, ask
            assert (ask.get("accept") or entry["give"]["route"]) in data["acceptance"], ask
    for parameter in data["parameters"]:
        assert set(symbols(formula.parse(parameter["formula"]))) <= set(model.load(parameter["model"]).parameters), (
            parameter
        )
    people = {row["id"] for row in library.rows("evidence", "population")}
    assert {person["id"] for person in data["people"]} <= people


def test_exposures_are_in_the_unit_of_their_row() -> None:
    """Without a factor an output is compared as it is, so its unit must be the row's."""
    data = experiment.read("pk_experiments", kinetics.SCHEMA)
    rows = {row["id"]: row for row in library.rows("evidence", "pk")}
    flows = ("L/h", "L/h/70kg", "L/h at 70 kg")
    expected = {"peak": ("ng/mL", "uM"), "area": ("ng*h/mL",), "clearance": flows, "half-life": ("h",),
                "bioavailability": ("%",), "area-ratio": ("ratio",), "mean": ("ng/mL",)}  # fmt: skip
    for entry in data["experiments"]:
        for ask in entry["rows"]:
            if "factor" not in ask:
                assert rows[ask["id"]]["unit"] in expected[ask["measure"]], ask


def test_formulas() -> None:
    assert compute("100 * (a / b - 1)", {"a": 3.0, "b": 2.0}) == pytest.approx(50)
    assert math.isinf(compute("a / b", {"a": 1.0, "b": 0.0}))


def test_patterns_compile() -> None:
    for pattern in experiment.read("pk_experiments", kinetics.SCHEMA)["not_compared"]:
        re.compile(pattern["pattern"])
