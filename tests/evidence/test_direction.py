"""Directions: exact answers at their edges."""

from __future__ import annotations

import math

import pytest

from respine.evidence.direction import holds
from respine.study.endpoints import KINDS


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


@pytest.mark.parametrize(
    ("kind", "value"), [("percent-of-control", 100), ("change", 0), ("difference", 0), ("score", None)]
)
def test_what_no_change_means(kind: str, value: float | None) -> None:
    assert KINDS[kind].no_change == value
