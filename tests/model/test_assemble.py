"""Library models: what is right loads, what is wrong is told by file, line and symbol, all at once."""

from __future__ import annotations

import math

import pytest

from respine import library, model
from respine.errors import InputError
from respine.model import assemble
from respine.model.expression import evaluate

from .conftest import Home


def problems(home: Home) -> list[tuple[str, str, str]]:
    """(where, field, why) of everything wrong with a model."""
    with pytest.raises(InputError) as caught:
        model.load("oral", home.library)
    return [(p.where, p.field, p.why) for p in caught.value.problems]


def test_a_right_model_becomes_its_equations(home: Home) -> None:
    system = model.load("oral", home.library)
    assert system.states == ("gut", "body")
    assert system.parameters == {"ka": 1.5, "distribution_volume": 20, "clearance": 4}
    assert system.inputs == {"block": 0}
    assert list(system.rules) == ["body_level", "absorption"]
    assert system.time_unit == "h"
    values = {**system.parameters, **system.inputs, "gut": 10.0, "body": 40.0}
    for name, rule in system.rules.items():
        values[name] = evaluate(rule, values)
    assert evaluate(system.rates["gut"], values) == -15
    assert evaluate(system.rates["body"], values) == 15 - 8


def test_every_symbol_carries_its_row(home: Home) -> None:
    q = model.load("oral", home.library).quantities["ka"]
    assert (q.unit, q.status, q.source, q.where, q.low, q.high) == ("1/h", "literature", "smith-2001", "Table 2", 1, 2)
    assert (q.file, q.line, q.distribution, q.variability) == ("library/parameters/absorption.csv", 2, "lognormal", 0.3)
    assert model.load("oral", home.library).quantities["body_level"].line == 4


def test_a_start_may_be_a_rule(home: Home) -> None:
    home.change("variables/absorption.csv", "body,state,mg,0", "body,state,mg,resting")
    home.change("variables/absorption.csv", "absorption,rule", "resting,rule,mg,,At rest,,\nabsorption,rule")
    home.change(
        "modules/absorption.ant",
        "absorption := ka",
        "resting := ka * distribution_volume * clearance / ka^2 * rest_factor;\n  absorption := ka",
    )
    home.change(
        "parameters/absorption.csv",
        "ka,1.5",
        "rest_factor,1,1,,,fixed,,assumed,,,,test\nka,1.5",
    )
    _, field, why = problems(home)[0]
    assert field == "resting" and "declared in mg" in why  # units of a start rule are proved as well
    home.change("parameters/absorption.csv", "rest_factor,1,1,", "rest_factor,1,mg/L^2,")
    system = model.load("oral", home.library)
    assert system.initial["body"] == ("sym", "resting")


BROKEN = [
    ("modules/absorption.ant", "ka * gut", "ka * gutt", "modules/absorption.ant:3", "absorption", "nowhere"),
    ("modules/absorption.ant", "body / distribution_volume", "body / * distribution_volume", "modules/absorption.ant:2", "body_level", "Antimony"),
    ("modules/absorption.ant", "body / distribution_volume", "body / distribution_volume / ka", "modules/absorption.ant:2", "body_level", "declared in mg/L"),
    ("modules/absorption.ant", "- clearance", "- 0.5 * clearance", "modules/absorption.ant:6", "body", "no source"),
    ("modules/absorption.ant", "-absorption;", "-absorption", "modules/absorption.ant:5", "gut", "runs on"),
    ("modules/absorption.ant", "gut'  =", "gut :=", "modules/absorption.ant:5", "gut", "a state, but"),
    ("modules/absorption.ant", "  gut'  =", "  body_level := gut / distribution_volume;\n  gut'  =", "modules/absorption.ant:5", "body_level", "already defines"),
    ("modules/absorption.ant", "body / distribution_volume;", "absorption * distribution_volume;", "modules/absorption.ant:2", "body_level", ""),
    ("modules/absorption.ant", "gut'  = -absorption;", "gut' + absorption;", "modules/absorption.ant:5", "absorption", "neither"),
    ("modules/absorption.ant", "(1 - block)", "foo(block)", "modules/absorption.ant:3", "absorption", ""),
    ("variables/absorption.csv", "gut,state,mg,0", "gut,state,,0", "variables/absorption.csv:2", "gut.unit", "missing"),
    ("variables/absorption.csv", "gut,state,mg,0", "gut,state,mgg,0", "variables/absorption.csv:2", "gut.unit", "not a unit"),
    ("variables/absorption.csv", "gut,state,mg,0", "gut,stat,mg,0", "variables/absorption.csv:2", "gut.role", "no such role"),
    ("variables/absorption.csv", "gut,state,mg,0", "gut,state,mg,", "variables/absorption.csv:2", "gut.start", "start from"),
    ("variables/absorption.csv", "gut,state,mg,0", "gut,state,mg,nothing", "variables/absorption.csv:2", "gut.start", "nowhere"),
    ("variables/absorption.csv", "gut,state,mg,0,Amount in the gut,smith-2001,\n", "", "modules/absorption.ant:5", "gut", "no row"),
    ("variables/absorption.csv", "block,input", "lag,rule,h,,,,\nblock,input", "variables/absorption.csv:6", "lag", "no module"),
    ("variables/absorption.csv", "block,input", "gut,state,mg,0,,,\nblock,input", "variables/absorption.csv:6", "gut.id", "already has"),
    ("parameters/absorption.csv", "ka,1.5", "ka,fast", "parameters/absorption.csv:2", "ka.value", "not a finite number"),
    ("parameters/absorption.csv", "ka,1.5", "ka,nan", "parameters/absorption.csv:2", "ka.value", "not a finite number"),
    ("parameters/absorption.csv", "ka,1.5", "ka,9", "parameters/absorption.csv:2", "ka.value", "outside"),
    ("parameters/absorption.csv", "1/h,1,2", "1/h,1,", "parameters/absorption.csv:2", "ka.high", "one end"),
    ("parameters/absorption.csv", "1/h,1,2", "1/h,0,2", "parameters/absorption.csv:2", "ka.low", "above 0"),
    ("parameters/absorption.csv", "literature", "litrature", "parameters/absorption.csv:2", "ka.status", "no such status"),
    ("parameters/absorption.csv", "lognormal,0.3", "gamma,0.3", "parameters/absorption.csv:2", "ka.distribution", "no such distribution"),
    ("parameters/absorption.csv", "lognormal,0.3", "lognormal,-0.3", "parameters/absorption.csv:2", "ka.variability", "negative"),
    ("parameters/absorption.csv", "literature,smith-2001", "literature,", "parameters/absorption.csv:2", "ka.source", "missing"),
    ("parameters/absorption.csv", "literature,smith-2001", "literature,smyth-2001", "parameters/absorption.csv:2", "ka.source", "no entry"),
    ("parameters/absorption.csv", "round number", "", "parameters/absorption.csv:4", "clearance.note", "reason"),
    ("parameters/absorption.csv", "fixed,,", "fixed,0.2,", "parameters/absorption.csv:4", "clearance.variability", "fixed"),
    ("parameters/absorption.csv", "ka,1.5", "kb,1.5", "parameters/absorption.csv:2", "kb", "nothing in this model uses"),
    ("parameters/absorption.csv", "distribution_volume,20,L", "ka,20,L", "parameters/absorption.csv:3", "ka.id", "already has"),
    ("parameters/absorption.csv", "distribution_volume,20,L,15", "distribution_volume,20,L,15,9", "parameters/absorption.csv:3", "distribution_volume", "13 cells"),
    ("parameters/absorption.csv", "id,value", "id,valu", "parameters/absorption.csv:1", "header", "lacks"),
    ("models/oral.yaml", "title", "titel", "models/oral.yaml:1", "titel", "no such field"),
    ("models/oral.yaml", "modules: [absorption]", "modules: absorption", "models/oral.yaml:3", "modules", "list"),
    ("models/oral.yaml", "modules: [absorption]", "modules: [absorbtion]", "library", "modules", "no such file"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "old", "new", "where", "field", "why"), BROKEN, ids=[f"{b[4]}: {b[5]} {b[2][:20]}" for b in BROKEN]
)
def test_a_broken_library_names_file_line_and_symbol(
    home: Home, file: str, old: str, new: str, where: str, field: str, why: str
) -> None:
    home.change(file, old, new)
    fault = problems(home)
    assert any(w.endswith(where) and f == field and why in text for w, f, text in fault), fault


def test_all_mistakes_are_told_at_once(home: Home) -> None:
    home.change("modules/absorption.ant", "ka * gut", "ka * gutt")
    home.change("modules/absorption.ant", "body / distribution_volume", "body / * distribution_volume")
    home.change("parameters/absorption.csv", "literature,", "rumour,")
    home.change("variables/absorption.csv", "gut,state,mg,0", "gut,state,,0")
    fields = {field for _, field, _ in problems(home)}
    assert {"absorption", "body_level", "ka.status", "gut.unit"} <= fields


def test_a_unit_mismatch_prints_both_units(home: Home) -> None:
    home.change("modules/absorption.ant", "- clearance * body_level", "- clearance")
    ((where, field, why),) = problems(home)
    assert where == "library/modules/absorption.ant:6" and field == "body"
    assert "kilogram/second" in why and "metre^3/second" in why and "L/h" in why


def test_a_factor_of_a_thousand_is_a_unit_mismatch(home: Home) -> None:
    home.change("variables/absorption.csv", "body_level,rule,mg/L", "body_level,rule,ng/mL")
    assert any(field == "body_level" and "ng/mL" in why for _, field, why in problems(home))


def test_a_circle_of_rules_is_named(home: Home) -> None:
    home.change(
        "modules/absorption.ant", "body / distribution_volume", "body / distribution_volume * absorption / absorption"
    )
    home.change("modules/absorption.ant", "(1 - block)", "(1 - block) * body_level / body_level")
    assert any("body_level -> absorption -> body_level" in why for _, _, why in problems(home))


def test_libsbml_itself_proves_the_units(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """With our own check switched off, libSBML's still refuses the model; it knows kinds, but not factors of a thousand."""
    monkeypatch.setattr(assemble, "_unit_problems", lambda system, parts: [])
    home.change("variables/absorption.csv", "body_level,rule,mg/L", "body_level,rule,mmol/L")
    assert any(where.endswith("absorption.ant:2") and "libSBML" in why for where, _, why in problems(home))


def test_a_later_table_overrides_an_earlier_one(home: Home) -> None:
    from .conftest import PARAMETERS

    home.write("parameters/rat.csv", PARAMETERS + "ka,9,1/h,,,fixed,,literature,smith-2001,Table 5,rat,\n")
    home.change("models/oral.yaml", "parameters: [absorption]", "parameters: [absorption, rat]")
    system = model.load("oral", home.library)
    assert system.parameters["ka"] == 9 and system.quantities["ka"].population == "rat"
    home.change("parameters/rat.csv", "1/h", "1/min")
    assert any(field == "ka.unit" and "is in 1/h" in why for _, field, why in problems(home))


def test_a_name_in_two_modules_is_told_with_both_places(home: Home) -> None:
    from .conftest import VARIABLES

    home.write("modules/other.ant", "body_level := 2 * body / distribution_volume;")
    home.write("variables/other.csv", VARIABLES + "body_level,rule,mg/L,,,,\n")
    home.change("models/oral.yaml", "modules: [absorption]", "modules: [absorption, other]")
    fault = problems(home)
    assert any(w.endswith("other.ant:1") and "absorption.ant:2 already defines" in why for w, _, why in fault)
    assert any(w.endswith("other.csv:2") and "absorption.csv:4 already" in why for w, _, why in fault)


def test_a_parameter_named_only_by_a_drug_is_in_use(home: Home) -> None:
    home.change("parameters/absorption.csv", "ka,1.5", "fraction_absorbed,0.5,1,,,fixed,,assumed,,,,test\nka,1.5")
    assert any(field == "fraction_absorbed" for _, field, _ in problems(home))
    home.write("drugs/aspirin.yaml", "routes:\n  oral: {into: gut, fraction: fraction_absorbed}\n")
    assert model.load("oral", home.library).parameters["fraction_absorbed"] == 0.5


def test_an_unknown_model_lists_the_names(home: Home) -> None:
    with pytest.raises(InputError, match='Write "oral"'):
        model.load("orall", home.library)


def test_library_rows_know_their_lines(home: Home) -> None:
    home.change("parameters/absorption.csv", "distribution_volume,20", '"distribution_volume",20')
    home.change(
        "parameters/absorption.csv", "adults,\nvol" if False else "Table 2,adults,\n", 'Table 2,"adults,\nall",\n'
    )
    rows = home.library.rows("parameters", "absorption")
    assert [(r["id"], r["_line"]) for r in rows] == [("ka", "2"), ("distribution_volume", "4"), ("clearance", "6")]
    assert rows[0]["population"] == "adults,\nall"


@pytest.mark.parametrize("name", library.names("models"))
def test_every_model_of_the_library_is_right(name: str) -> None:
    system = assemble.assemble(name, library.BUILT_IN)  # not from a cache
    assert system.states
    assert all(math.isfinite(v) for v in (*system.parameters.values(), *system.inputs.values()))
    assert all(q.unit and (q.status or q.role != "parameter") for q in system.quantities.values())


@pytest.mark.parametrize("word", ["volume", "compartment", "at", "time"])
def test_a_word_of_antimony_cannot_name_a_symbol(home: Home, word: str) -> None:
    for file in ("modules/absorption.ant", "parameters/absorption.csv"):
        home.change(file, "distribution_volume", word)
    assert any(where.endswith("absorption.csv:3") and "for itself" in why for where, _, why in problems(home))
