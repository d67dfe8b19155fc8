"""Every study of the library loads, fits its JSON Schema, and can be scheduled for every arm."""

import json
import time
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from respine import library, study
from respine.cli.app import app
from respine.errors import InputError
from tests.study.symbols import protocol_of


def plain(text: str):
    return YAML(typ="safe", pure=True).load(text)


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = study.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", library.names("studies"))
def test_study(name: str, validator: jsonschema.Draft202012Validator) -> None:
    validator.validate(plain(library.text("studies", name)))
    asked = study.load(name)
    assert asked.name == name
    protocol = protocol_of(asked)
    for arm in protocol.arms.values():
        people = arm.people(range(3, 7))
        assert arm.schedule(people).finite.all()
        assert len(arm.ledger(people)) % 4 == 0
    assert protocol.begin <= min(asked.visits)


def test_template_is_a_study(tmp_path, validator: jsonschema.Draft202012Validator) -> None:
    (tmp_path / "new.yaml").write_text(study.template())
    asked = study.load(tmp_path / "new.yaml")
    assert list(asked.arms) == ["ketamine", "saline"]
    assert asked.text == study.template()
    validator.validate(plain(study.template()))


def test_schema_refuses_what_loading_refuses(validator: jsonschema.Draft202012Validator) -> None:
    for right, wrong in (
        ("subjects: 500", "subject: 500"),
        ("amount: 0.5 mg/kg", "amount: 0.5"),
        ("24 h, 72 h", "24, 72 h"),
        ("drop: 50 %", "drop: 50"),
        ("seed: 1 ", "seed: x "),
    ):
        assert not validator.is_valid(plain(study.template().replace(right, wrong, 1)))
    json.dumps(study.schema())


def test_names_and_titles() -> None:
    names = study.names()
    assert list(names) == library.names("studies")
    assert all(names.values())


def test_frozen_and_plain_numbers() -> None:
    asked = study.load("murrough-2013")
    assert asked.visits[:3] == (0.0, pytest.approx(2 / 3), 4.0)
    dose = asked.arms["ketamine"].doses[0]
    assert (dose.amount.value, dose.amount.unit, dose.over) == (0.5, "mg/kg", pytest.approx(2 / 3))
    assert asked.compare[0].study == "Murrough"
    with pytest.raises(Exception, match="frozen"):
        asked.seed = 3
    assert study.population_of(asked).species == "human"


def test_loading_is_quick() -> None:
    study.load("murrough-2013")
    began = time.perf_counter()
    study.load("murrough-2013")
    assert time.perf_counter() - began < 2


def test_care_is_kept_and_told_to_change_nothing(tmp_path: Path) -> None:
    """Files of the first schema say where people were treated; no number depends on it."""
    text = library.text("studies", "murrough-2013").replace(
        "arms:", "background: {care: inpatient, note: a ward}\narms:", 1
    )
    arm = text.replace("    n_published: 47", "    n_published: 47\n    background: {care: outpatient}")
    asked = study.Study.from_yaml(arm)
    assert asked.background is not None and asked.background.care == "inpatient" and len(asked.remarks) == 2
    assert "arms.ketamine.background.care" in asked.remarks[1] and "changes no result" in asked.remarks[0]
    assert study.Study.from_yaml(asked.to_yaml()).to_dict() == asked.to_dict()
    assert study.load("murrough-2013").remarks == ()
    (tmp_path / "s.yaml").write_text(text)
    told = CliRunner().invoke(app, ["study", "check", str(tmp_path / "s.yaml")]).output
    assert "note: background.care (inpatient) changes no result" in told
    with pytest.raises(InputError, match="care"):
        study.Study.from_yaml(text.replace("inpatient", "hospital"))
