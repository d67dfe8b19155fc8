"""One door for every model: a name, a file or a text; a fault is told with its line and its cause."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respine import engine
from respine.errors import InputError
from respine.model import load, load_sbml, show, to_sbml

from .documents import at_start, parameters, rates_at_start, sbml

TWO = """// two compartments, by mouth
model two_compartments
  depot' = -ka*depot;
  central' = ka*depot - CL/Vc*central - Q/Vc*central + Q/Vp*peripheral;
  peripheral' = Q/Vc*central - Q/Vp*peripheral;
  concentration := central/Vc;
  depot = 100; central = 0; peripheral = 0;
  ka = 1.5; CL = 4; Vc = 20; Q = 2; Vp = 50;
end
"""


def refusal(source: str | Path, **more: object) -> InputError:
    with pytest.raises(InputError) as caught:
        load(source, **more)  # type: ignore[arg-type]
    assert all(p.why and p.cure for p in caught.value.problems)
    return caught.value


# -- what a model may be -------------------------------------------------------------------------------------------------


def test_every_way_to_name_a_model_gives_the_same(tmp_path: Path) -> None:
    system = load(TWO)
    assert system.states == ("depot", "central", "peripheral") and system.name == "two_compartments"
    assert system.parameters == {"ka": 1.5, "CL": 4, "Vc": 20, "Q": 2, "Vp": 50}
    exported = to_sbml(system)
    for name, text in {
        "a.ant": TWO,
        "b.xml": exported,
        "c.sbml": exported,
        "d.antimony": TWO,
        "e.txt": TWO,
        "f": exported,
        "g.XML": exported,
    }.items():
        (tmp_path / name).write_text(text)
        for file in (tmp_path / name, str(tmp_path / name)):
            assert rates_at_start(load(file)) == rates_at_start(system)
    assert rates_at_start(load(exported)) == rates_at_start(system)
    assert (
        rates_at_start(load("\ufeff" + TWO))
        == rates_at_start(load(TWO.replace("\n", "\r\n")))
        == rates_at_start(system)
    )


def test_the_text_of_a_model_is_solved() -> None:
    times = np.linspace(0, 24, 13)
    got = engine.build(load("x' = -k*x; x = 8; k = 0.25"), outputs=["x"]).solve(times=times, rtol=1e-9).values[0, :, 0]
    assert got == pytest.approx(8 * np.exp(-0.25 * times), rel=1e-7)


def test_a_library_name_comes_before_a_file_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mouse").write_text(TWO)
    Path("two").write_text(TWO)
    assert "spine_mushroom" in load("mouse").quantities
    assert load(Path("mouse")).name == load("two").name == "two_compartments"


@pytest.mark.parametrize(
    "given",
    ["humann", "two.ant", "human.xml", "no such thing", "", " ", "x" * 5000, None, 3, 1.5, ["human"], b"human", True],
)
def test_what_names_no_model_is_told(given: object) -> None:
    message = str(refusal(given))  # type: ignore[arg-type]
    assert len(message) < 1000
    if given == "humann":
        assert 'Write "human"' in message and "mouse, rat" in message


def test_load_sbml_takes_sbml_only(tmp_path: Path) -> None:
    (tmp_path / "two.ant").write_text(TWO)
    with pytest.raises(InputError, match="well-formed"):
        load_sbml(tmp_path / "two.ant")


def test_units_may_be_absent_or_given() -> None:
    system = load("model m\n unit ml = 1e-3 litre\n x' = -k*x\n x = 8; k = 0.25\n x has ml\nend")
    assert system.quantities["x"].unit and system.quantities["k"].unit == ""


def test_lines_are_those_of_the_text() -> None:
    system = load(TWO)
    lines = {name: system.quantities[name].line for name in system.quantities}
    assert lines == {
        "depot": 7,
        "central": 7,
        "peripheral": 7,
        "concentration": 6,
        "ka": 8,
        "CL": 8,
        "Vc": 8,
        "Q": 8,
        "Vp": 8,
    }


def test_a_text_may_import_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "part.ant").write_text("model part\n x' = -k*x; x = 8; k = 0.25\nend\n")
    (tmp_path / "whole.ant").write_text('import "part.ant"\nmodel whole\n a: part()\nend\n')
    assert rates_at_start(load(tmp_path / "whole.ant")) == {"a_x": -2.0}


# -- faults of Antimony --------------------------------------------------------------------------------------------------

FAULTS = {  # text: (line, words of the reason)
    "x' = -k*x\nx = 1; k = \n": (2, "has no value"),
    "x' = -k*x\n\n\nx = 1,5; k = 1\n": (4, "unexpected ','"),
    "model m\n x' = -x\n x = 1\n": (3, "end of file"),
    "x = 1\nx' = (-x\n": (2, "syntax error"),
    "x = 1\nx' = -x)\n": (2, "syntax error"),
    "x' = -k*x\nx = 1\n": (1, "has no value"),
    "k = 1\nx' = -k*x\n": (2, "has no value"),
    "x = 1\nx' = f(x)\n": (2, "not a function"),
    "function f(a)\n a*2\nend\nx = 1\nx' = f(x, x)\n": (5, "different number of arguments"),
    "x = 1\nx' = sin(x, x)\n": (2, ""),
    "x := 2\nx' = 3\n": (2, "assignment rule"),
    "x = 1\nx' = -x\nx' = -2*x\n": (3, "line 2"),
    "y := 1\nx = 1; x' = y\ny := 2\n": (3, "line 1"),
    "x = 1; x' = -x; x' = x\n": (1, "line 1"),
    "x = 1\nx' = -x\n/* the rest\n": (3, "no end"),
    "x = 1\nx' = -x # é\ny = é\n": (3, "ASCII"),
    "x = 1\nx' = −x\n": (2, "ASCII"),
    "x = 0x1F\nx' = -x\n": (1, "digits before the letter"),
    "x = 1_0\nx' = -x\n": (1, "digits before the letter"),
    "x = 1\nx' = -1d3*x\n": (2, "digits before the letter"),
    "x = 1e999\nx' = -x\n": (1, "does not hold"),
    "x = 1\nx' = -1e-999*x\n": (2, "does not hold"),
    "x = 1\nx' = delay(x, 1)\n": (2, "cannot compute"),
    'import "nowhere.ant"\nx = 1\n': (1, "nowhere.ant"),
    "a := b\nb := a\nx = 1\nx' = a\n": (2, "Loop"),
    "x = 1\nx' = -x\nvolume = 3\n": (3, ""),
    "x = 1\nx' = rateOf(rateOf(x))\n": (2, "rateOf"),
    "x = 1\nx' = " + "(" * 5000 + "x" + ")" * 5000 + "\n": (2, "nest"),
    "hello world\n": (1, "syntax error"),
    "x = 1\nx' = -x\nat (x > : x = 1\n": (3, "syntax error"),
    "compartment c\nspecies S in c\nS = 1; S -> ; k*S; k = 1\n": (1, "has no value"),
    "A -> B; k*A\nA = 1; k = 1\n": (1, "has no value"),
    "x = normal(1, 2)\nx' = -x\n": (0, "changes what the model means"),
    "// nothing\n\n": (0, "defines nothing"),
    "x = 1\x07\nx' = -x\n": (1, "no text"),
    "schema: respine/study\nname: x\n": (1, ""),
    "time,a\n0,1\n": (1, ""),
}  # fmt: skip


@pytest.mark.parametrize("text", FAULTS)
def test_a_fault_of_antimony_is_one_error_with_line_and_cause(text: str) -> None:
    line, word = FAULTS[text]
    problems = refusal(text).problems
    first = problems[0]
    assert first.where == (f"Antimony text:{line}" if line else "Antimony text"), first
    assert word in first.why and len(first.why) < 700
    assert "SBML error(s)" not in first.why


def test_faults_of_a_file_name_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.ant"
    file.write_text("x = 1\n\nx' = -k*x\n")
    assert refusal(file).problems[0].where == f"{file}:3"


def test_remarks_tell_what_does_not_count() -> None:
    assert "k is given in lines 2, 3; the last counts" in load("x = 1; x' = -k*x\nk = 1\nk = 2\n").notes
    assert load("x = 1; x' = -x\nat (x < 0.5): x = 1\nat (x < 0.1): x = 2\n").notes == ()
    two = "model a\n x = 1; x' = -x\nend\nmodel b\n y = 1; y' = -y\nend\n"
    assert load(two).notes == ("the model b is read; a stands beside it and is not used",)
    assert "not read: the model b" in show(load(two))
    assert load("model a\n x = 1; x' = -x\nend\nmodel b\n c: a()\nend\n").notes == ()


def test_functions_units_events_and_reactions_of_antimony_are_read() -> None:
    text = """
    function mm(s, v, k)
      v*s/(k + s)
    end
    model enzyme  # comments of all kinds /* open, but only here
      compartment c = 2; species S in c = 10, P in c = 0
      "text with // no comment": ; 
    end
    """
    assert "Antimony cannot read it" in str(refusal(text))
    right = text.replace(
        '      "text with // no comment": ; \n',
        '      J: S -> P; c*mm(S, Vmax, Km)\n      Vmax = 3; Km = 2\n      at (S < 1): S = 10\n      S is "a // name"\n',
    )
    system = load(right)
    values = at_start(system)
    assert values["J"] == pytest.approx(2 * 3 * 10 / 12) and len(system.events) == 1
    assert rates_at_start(system)["S"] == pytest.approx(-2.5)
    assert system.quantities["S"].label == "a // name"


# -- numbers for what a file leaves open ---------------------------------------------------------------------------------

OPEN = "compartment c\nspecies S in c = 6\nS -> ; k*S*c\nk = 0.5\n"


def test_a_size_that_is_missing_can_be_given() -> None:
    assert rates_at_start(load(OPEN, values={"c": 3})) == {"S": -3.0}
    assert 'values={"c"' in str(refusal(OPEN))


@pytest.mark.parametrize(
    ("values", "reason"),
    [({"cc": 1}, "no such symbol"), ({"k": 1}, "has a value|gives it a value"), ({"c": "big"}, "no number"), ({"c": math.nan}, "no number"),
     ({"c": math.inf}, "no number"), ({"c": True}, "no number"), ({"c": None}, "no number")],
)  # fmt: skip
def test_a_given_number_is_used_or_refused(values: dict[str, float], reason: str) -> None:
    import re

    assert re.search(reason, str(refusal(OPEN, values=values)))


def test_all_mistakes_of_given_numbers_come_at_once() -> None:
    assert len(refusal(OPEN, values={"cc": 1, "k": 2, "c": math.nan}).problems) == 3
    assert "tables" in str(refusal("human", values={"ka": 1}))


# -- whatever is written, the answer is a system or a refusal ------------------------------------------------------------


@given(st.text(max_size=200))
@settings(max_examples=60, deadline=None)
def test_any_text_is_a_model_or_refused(text: str) -> None:
    for given_text in (text + "\n", "<" + text):
        try:
            load(given_text)
        except InputError as fault:
            assert all(p.why and p.cure for p in fault.problems)


WORDS = st.sampled_from(["x", "x'", "=", ":=", "->", ";", "\n", "(", ")", "1", "2.5", "*", "+", "-", "model m", "end", "at", ":", ",", "in",
                         "compartment", "species", "function f(a)", "const", "'", '"', "//", "/*", "*/", "k", "piecewise", "time", "is", "has",
                         "unit", "import", "delete", "$", "=>", "&&", "!", "{", "}", "[", "]", "e5", "1e400", "0x1", "é", "sin", "delay", "rateOf"])  # fmt: skip


@given(st.lists(WORDS, max_size=40))
@settings(max_examples=150, deadline=None)
def test_any_words_of_antimony_are_a_model_or_refused(words: list[str]) -> None:
    try:
        load(" ".join(words) + "\n")
    except InputError as fault:
        assert all(p.why and p.cure for p in fault.problems)


def test_sbml_text_without_a_line_break_is_text() -> None:
    assert load(sbml(parameters(a=1)).replace("\n", "")).parameters == {"a": 1}
