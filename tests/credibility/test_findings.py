"""Structure, provenance, blocks, read-outs and rows: what they say agrees with where it comes from."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from respine import fit, library, model
from respine.credibility import Assessment, calibration, provenance, question, sensitivity, structure, validation
from respine.fit import values
from respine.protocol import resolve
from respine.protocol.typical import typical
from respine.study import population_of
from tests.credibility.conftest import line


def test_the_question_can_be_asked() -> None:
    asked = question.read()
    assert asked.experiments == list(asked.data["experiments"])
    for readout in asked.readouts:
        system = model.load(population_of(asked.study(readout.experiment)).model)
        assert readout.of in {*system.rates, *system.rules} or readout.of in library.names("scales")
    assert "\a" not in str(asked.data) and "  " not in asked.data["question"]


def test_a_file_of_another_schema_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "x.yaml").write_text("schema: respine/study/1\n")
    with pytest.raises(ValueError, match="respine/study/1"):
        question.read(tmp_path / "x.yaml")


def test_modules_hold_every_equation_and_parameter_once() -> None:
    system = model.load("human")
    table = structure.module_table(system)
    assert table["states"].sum() == len(system.states) and table["rules"].sum() == len(system.rules)
    assert table["parameters"].sum() == len(system.parameters) and table["inputs"].sum() == len(system.inputs)
    links = structure.links(system)
    assert (links["gives"] != links["takes"]).all() and set(links["gives"]) <= set(table["module"])


def test_every_symbol_has_unit_status_and_source() -> None:
    recipes = calibration.recipes_of_numbers()
    for name in library.names("models"):
        table = provenance.symbols(model.load(name), recipes)
        assert len(table) == len(model.load(name).quantities)
        assert table[table["lacks"] != ""].empty, table[table["lacks"] != ""][["symbol", "lacks"]]


def test_a_gap_is_seen() -> None:
    system = model.load("rat")
    known = next(q for q in system.quantities.values() if q.status == "literature")
    broken = [
        dataclasses.replace(known, unit=""), dataclasses.replace(known, source=""),
        dataclasses.replace(known, source="nobody-1999"), dataclasses.replace(known, status="guessed"),
        dataclasses.replace(known, status="assumed", source="", note=""),
        dataclasses.replace(known, status="calibrated"),
    ]  # fmt: skip
    lacks = []
    for q in broken:
        changed = dataclasses.replace(system, quantities={known.id: q})
        lacks.append(provenance.symbols(changed, {})["lacks"].tolist()[0])
    assert lacks == ["unit", "source", "reference nobody-1999", "status", "reason", "recipe"]


def test_numbers_of_scales_are_counted_with_their_line() -> None:
    table = provenance.other_numbers()
    row = table[table["symbol"] == "MADRS.values.rater_sd"].iloc[0]
    file, _, at = row["file"].rpartition(":")
    text = (library.ROOT.parent / file).read_text(encoding="utf-8").splitlines()
    assert "rater_sd" in "\n".join(text[int(at) - 2 : int(at)]) and row["status"] in provenance.STATUSES


def test_a_block_agrees_with_the_fit_it_looks_at(small: Assessment) -> None:
    block = next(block for block in small.blocks if block["block"] == "side-effects")
    recipe = fit.load("side-effects")
    objective = fit.Objective(recipe)
    x = np.array([f.prior.to_scale(values.read(f.place).value) for f in recipe.parameters])
    errors = fit.minimise(objective, x, difference=recipe.settings.difference, most_steps=0).errors
    assert [row["se"] for row in block["parameters"]] == pytest.approx(errors.tolist(), rel=1e-6)
    assert (
        len(block["eigenvalues"]) == len(recipe.parameters) and block["eigenvalues"][0] >= block["eigenvalues"][-1] >= 0
    )
    assert len(block["targets"]) == len(recipe.targets) and not block["problem"]
    informed = sum(row["informed"] for row in block["parameters"])
    learned = sum(e / (1 + e) for e in block["eigenvalues"])
    assert informed == pytest.approx(learned, rel=1e-6)  # the same trace, seen from both sides


def test_a_block_that_cannot_be_used_says_why() -> None:
    result = calibration.block("no-such-block")
    assert "no such file" in result["problem"] and result["parameters"] == []


def test_read_outs_are_those_of_the_typical_subject() -> None:
    asked = question.read()
    (readout,) = (r for r in asked.readouts if r.name == "spines-rat-24h")
    protocol = resolve(asked.study("rat-dose"))
    course = typical(protocol, ["spine_total"], [0.0, 24.0])["ketamine"]["spine_total"]
    id = sensitivity.uncertain(protocol.arm("ketamine"))[0]
    value = protocol.system.parameters[id]
    result = sensitivity.Courses(protocol, "ketamine", [readout], [id]).values(np.array([[value]]))
    assert result[0, 0] == pytest.approx(course[1] / course[0], rel=1e-5)


def test_every_row_of_the_evidence_has_a_line() -> None:
    lines = validation.gather([], list(validation.library_studies()))
    ids = {row["id"] for table in ("clinical", "preclinical") for row in library.rows("evidence", table)}
    assert {row.id for row in lines} == ids
    assert any(row.reason == validation.LEFT_OUT.text for row in lines)


def test_a_simulated_study_is_known_to_be_kept(own_cache) -> None:  # type: ignore[no-untyped-def]
    name = "naive-ketamine-li-2010"
    assert name in validation.library_studies() and not validation.kept(name, 20)
    rows = validation.rows_of(name, 20)
    assert rows and validation.kept(name, 20) and not validation.kept(name, 21)


def test_shares_are_counted_by_role() -> None:
    rows = [
        line("a", "validate", 10.5),
        line("b", "validate", 13.0),
        line("c", "validate", 30.0),
        line("d", "fit", 1.0),
    ]
    table = validation.by_role(rows).set_index("role")
    assert (table.loc["validate", "judged"], table.loc["validate", "inside"]) == (3, 2)
    assert table.loc["validate", "inside_50"] == pytest.approx(1 / 3)
    assert table.loc["validate", "inside_90"] == pytest.approx(2 / 3)
    assert "ECT" not in validation.untested_systems(rows) and validation.untested_systems(rows[3:]) == ["ECT"]
