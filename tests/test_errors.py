"""Messages of mistakes: nothing in a user's file reaches the terminal as a command, nothing is lost on the way."""

from __future__ import annotations

import pickle
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respine.errors import InputError, Problem, printable

HOSTILE = [
    "\x1b[2Jcleared", "\x1b]0;title\x07", "\x9b31mred", "a\rb", "bell\x07", "\x00", "\u202egnp.exe", "\u2028line", "\x7f",
    "\u200bhidden", "\ud800", "\u2066x\u2069", "\x85next",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", ["where", "field", "seen", "why", "cure"])
def test_no_message_holds_a_control_character(text: str, field: str) -> None:
    parts = {"where": "f:1", "field": "id", "seen": "x", "why": "w.", "cure": "c."} | {field: text}
    message = str(InputError(Problem(**parts)))
    left = {c for c in message if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert left == {"\n"}
    message.encode("utf-8")


@given(st.text(alphabet=st.characters(categories=["L", "M", "N", "P", "S", "Zs"])))
def test_letters_of_every_language_stay(text: str) -> None:
    assert printable(text) == text


def test_an_error_survives_the_way_back_from_a_worker() -> None:
    error = InputError(Problem("f:1", "id", "x", "w.", "c."), Problem("f:2", "id", "y", "w.", "c."))
    back = pickle.loads(pickle.dumps(error))
    assert back.problems == error.problems and str(back) == str(error)


def test_long_texts_are_shortened_and_very_many_mistakes_are_counted() -> None:
    """A cell of a megabyte or a line repeated ten thousand times must not bury what is said."""
    many = InputError(*(Problem(f"f:{k}", "id", "y" * 1_000_000, "w" * 9_000, "c.") for k in range(5000)))
    message = str(many)
    assert len(message) < 400_000 and "(1000000 letters)" in message and "5000 errors; nothing was run." in message
    assert len(many.problems) == 5000 and many.problems[0].seen == "y" * 1_000_000
    assert str(InputError(Problem("f:1", "id", "y" * 400, "w.", "c."))).count("y") == 400
