from __future__ import annotations

import pytest

from respine import library, model
from respine.errors import InputError

from .conftest import Home


def test_the_whole_model_in_words(home: Home) -> None:
    text = model.show(model.load("oral", home.library))
    assert text.startswith("oral: 2 states, 2 rules, 1 inputs, 3 parameters; time in h")
    assert "== absorption ==" in text
    assert "absorption := ka * gut * (1 - block)" in text
    assert "body' = absorption - clearance * body_level" in text
    (line,) = (line for line in text.splitlines() if line.strip().startswith("ka "))
    assert line.split()[:6] == ["ka", "1.5", "1/h", "1", "to", "2"] and "literature" in line and "Table 2" in line


def test_one_symbol_tells_all_that_is_known(home: Home) -> None:
    text = model.show(model.load("oral", home.library), "ka")
    for part in (
        "1.5 1/h",
        "1 to 2 1/h",
        "lognormal, 0.3 between people",
        "literature",
        "smith-2001",
        "absorption.csv:2",
        "absorption := ka",
    ):
        assert part in text


def test_an_unknown_name_is_an_error_with_a_proposal(home: Home) -> None:
    with pytest.raises(InputError, match="Write absorption"):
        model.show(model.load("oral", home.library), "absorbtion")


@pytest.mark.parametrize("name", library.names("models"))
def test_no_symbol_of_a_library_model_is_left_out(name: str) -> None:
    system = model.load(name)
    words = set(model.show(system).replace("'", " ").split())
    read_by_drugs = [p for p in system.parameters if p not in words]
    assert {*system.rates, *system.rules, *system.inputs} <= words
    texts = "".join(
        library.text(kind, n)
        for kind in ("drugs", "exposures", "scales", "populations", "studies")
        for n in library.names(kind)
    )
    assert all(p in texts for p in read_by_drugs), read_by_drugs


def test_long_equations_are_broken(home: Home) -> None:
    text = model.show(model.load("oral", home.library), width=30)
    assert "  body' = absorption\n       - clearance\n       * body_level" in text


def test_a_foreign_model_is_shown_too(home: Home) -> None:
    again = model.load_sbml(model.to_sbml(model.load("oral", home.library)))
    assert "gut' = -absorption" in model.show(again)
    assert model.show(again, "gut").startswith("gut")


def test_provenance_has_a_row_for_every_symbol(home: Home) -> None:
    system = model.load("oral", home.library)
    rows = {row["id"]: row for row in system.provenance()}
    assert set(rows) == {*system.rates, *system.rules, *system.inputs, *system.parameters}
    assert rows["clearance"]["status"] == "assumed" and rows["clearance"]["note"] == "round number"
