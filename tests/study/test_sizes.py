"""Studies of any size the file limits allow are judged in time that grows with their size; numbers of any size are judged."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

import pytest

from respine import library, study
from respine.errors import InputError
from respine.files import suggest, units

TEXT = library.text("studies", "murrough-2013")
DOSE = "      - {drug: ketamine,"


def doses(n: int) -> str:
    lines = "".join(
        f"      - {{drug: ketamine, route: iv, amount: {0.1 + k * 1e-5:.5f} mg/kg, at: {k * 0.02:.2f} h}}\n"
        for k in range(n)
    )
    return TEXT.replace(DOSE, lines + DOSE, 1)


def the_same_dose(n: int) -> str:
    return TEXT.replace(
        DOSE, "      - {drug: ketamine, route: iv, amount: 0.1 mg/kg, over: 40 min, at: 0 h}\n" * n + DOSE, 1
    )


def rules(n: int) -> str:
    return TEXT + "\nrules:\n" + "".join(
        f"  - {{name: a{k}, when: {{visit: 24 h, scale: MADRS, above: 20}}, then: {{hold: nobody, for: 1 d}}}}\n" for k in range(n)
    )  # fmt: skip


def visits(n: int) -> str:
    return re.sub(
        r"visits: \[(.*?)\]", lambda m: f"visits: [{m[1]}, {', '.join(f'{169 + k} h' for k in range(n))}]", TEXT
    )


def calls(made: str) -> int:
    """Python calls it takes to judge a study."""
    count = 0

    def counted(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        study.Study.from_yaml(made)
    except InputError:
        pass
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("made", [doses, the_same_dose, rules, visits])
def test_work_grows_with_the_size_of_the_file(made: Callable[[int], str]) -> None:
    """Ten times the lines are not a hundred times the work: a limit of entries would not keep a quadratic check from hanging."""
    calls(made(1))
    few, many = calls(made(40)), calls(made(400))
    assert many < 14 * few


def test_a_near_name_is_not_looked_for_among_thousands() -> None:
    names = [f"name{k}" for k in range(50_000)]
    assert suggest.close_matches("name17x", names)
    assert suggest.nearest("zebra", names).startswith("Write one of: name0")
    assert suggest.close_matches("ketamin", ["ketamine", *names]) == ["ketamine"]


@pytest.mark.parametrize(
    "text", ["1e308 wk", "1e305 d", "-1e308 wk", "1e999 h", "1e-999999999 h", "1e-320 h", "4e-10 h", "1" * 400 + " h"]
)
def test_times_of_any_size_are_refused(text: str) -> None:
    """None overflows, none asks for a fraction of a billion digits."""
    with pytest.raises(units.UnitError):
        units.hours(text)
    with pytest.raises(InputError):
        study.Study.from_yaml(TEXT.replace("4 h", text, 1))


@pytest.mark.parametrize(
    ("text", "hours"),
    [("0 h", 0.0), ("0e-400 h", 0.0), ("1 s", 1 / 3600), ("0.01 s", 1 / 360_000), ("876600 h", 876_600.0)],
)
def test_times_that_are_meant_are_read(text: str, hours: float) -> None:
    assert units.hours(text) == hours


@pytest.mark.parametrize("text", ["1e308 g", "1e308 g/kg", "1e999 mg", "1e306 mmol"])
def test_doses_that_overflow_are_refused(text: str) -> None:
    with pytest.raises(units.UnitError):
        units.amount(text)
