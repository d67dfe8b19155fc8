"""Every study of the library loads, fits its JSON Schema, and can be scheduled for every arm."""

import json
import time

import jsonschema
import pytest
from ruamel.yaml import YAML

from respine import library, study
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
    one = study.load(name)
    assert one.name == name
    protocol = protocol_of(one)
    for arm in protocol.arms.values():
        people = arm.people(range(3, 7))
        assert arm.schedule(people).finite.all()
        assert len(arm.ledger(people)) % 4 == 0
    assert protocol.begin <= min(one.visits)


def test_template_is_a_study(tmp_path, validator: jsonschema.Draft202012Validator) -> None:
    (tmp_path / "new.yaml").write_text(study.template())
    one = study.load(tmp_path / "new.yaml")
    assert list(one.arms) == ["ketamine", "saline"]
    assert one.text == study.template()
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
    one = study.load("murrough-2013")
    assert one.visits[:3] == (0.0, pytest.approx(2 / 3), 4.0)
    dose = one.arms["ketamine"].doses[0]
    assert (dose.amount.value, dose.amount.unit, dose.over) == (0.5, "mg/kg", pytest.approx(2 / 3))
    assert one.compare[0].study == "Murrough"
    with pytest.raises(Exception, match="frozen"):
        one.seed = 3
    assert study.population_of(one).species == "human"


def test_loading_is_quick() -> None:
    study.load("murrough-2013")
    began = time.perf_counter()
    study.load("murrough-2013")
    assert time.perf_counter() - began < 2
