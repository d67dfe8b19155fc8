"""The table of what enters where agrees with the models and with what a study doses."""

from __future__ import annotations

import pytest

from respine import library, model, study
from respine.errors import InputError
from respine.interop import dosed_states
from respine.protocol import resolve


@pytest.mark.parametrize("species", ["human", "rat", "mouse"])
def test_every_state_is_in_the_model(species: str) -> None:
    table = dosed_states(species)
    assert set(table["state"]) <= set(model.load(species).states)
    assert set(table["drug"]) <= set(library.names("drugs")) and len(table) > 20


def test_racemic_ketamine_enters_by_halves() -> None:
    rows = dosed_states("human", "ketamine", "iv")
    assert list(rows["state"]) == ["s_ketamine_central", "r_ketamine_central"]
    assert list(rows["share"]) == ["0.5", "0.5"] and set(rows["unit"]) == {"mg/kg"}
    assert dosed_states("human", "Spravato", "iv")[["drug", "state"]].values.tolist() == [
        ["esketamine", "s_ketamine_central"]
    ]


def test_what_a_study_doses_stands_in_the_table() -> None:
    arm = resolve(study.load("murrough-2013")).arm("ketamine")
    assert arm.schedule(arm.people(range(2))).infused == tuple(dosed_states("human", "ketamine", "iv")["state"])


def test_a_drug_that_holds_an_input_has_no_row() -> None:
    assert dosed_states("human", "celecoxib").empty


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"drug": "ketamin"}, "Write ketamine"),
        ({"drug": "ketamine", "route": "icv"}, "Routes are buccal, im"),
        ({"drug": "fluoxetine", "species": "human"}, "Species are mouse, rat"),
        ({"route": "by mouth"}, "no such route"),
    ],
)
def test_what_is_not_known_is_told(asked: dict[str, str], told: str) -> None:
    with pytest.raises(InputError, match=told):
        dosed_states(**asked)
