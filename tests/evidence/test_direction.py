"""Directions: exact answers at their edges."""

from __future__ import annotations

import math

import pytest

from respine.evidence.direction import holds, reference_of
from respine.trial.endpoints import Endpoint


@pytest.mark.parametrize(
    ("word", "median", "low", "high", "agrees"),
    [
        ("up", 103.0, 101.0, 110.0, True),
        ("up", 101.0, 100.5, 101.5, False),  # clear of 100, but no change worth the name
        ("down", 97.0, 90.0, 99.0, True),
        ("down", 103.0, 90.0, 110.0, False),
        ("unchanged", 104.0, 103.0, 105.0, True),
        ("unchanged", 120.0, 95.0, 150.0, True),
        ("unchanged", 120.0, 110.0, 130.0, False),
        ("sideways", 100.0, 99.0, 101.0, None),
        ("up", math.nan, math.nan, math.nan, None),
    ],
)
def test_a_direction_against_percent_of_control(
    word: str, median: float, low: float, high: float, agrees: bool | None
) -> None:
    assert holds(word, median, low, high, 100.0) is agrees


def test_what_no_change_means() -> None:
    assert reference_of(Endpoint("x", "MADRS", "percent-of-control", at=1.0)) == 100
    assert reference_of(Endpoint("x", "MADRS", "change", at=1.0)) == 0
    assert reference_of(Endpoint("x", "MADRS", "score", at=1.0)) is None
