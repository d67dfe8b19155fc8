"""Work is done once, side by side with the same result, and leaves nothing behind when it is stopped."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from respine.credibility.jobs import Piece, carry_out

OUTLINE = "respine.credibility.calibration:outline"


def test_results_are_kept_by_what_they_depend_on(own_cache: Path) -> None:
    told: list[tuple[str, float, float]] = []
    pieces = [Piece("x", OUTLINE, ("pk",), 3.0), Piece("y", OUTLINE, ("stress",), 1.0, keep=False)]
    first = carry_out(pieces, progress=lambda *words: told.append(words))
    assert told == [("starting", 0.0, 4.0), ("x", 3.0, 4.0), ("y", 4.0, 4.0)]
    assert first["x"]["block"] == "pk" and pieces[0].kept() == first["x"] and pieces[1].kept() is None
    assert Piece("x", OUTLINE, ("signalling",)).kept() is None
    told.clear()
    assert carry_out(pieces, progress=lambda *words: told.append(words)) == first
    assert [words[0] for words in told] == ["starting", "y"]


PIECES = [Piece(name, OUTLINE, (name,), keep=False) for name in ("pk", "side-effects", "expectancy")]


@pytest.mark.slow
def test_processes_do_not_change_results(own_cache: Path) -> None:
    assert carry_out(PIECES, 2) == carry_out(PIECES, 1)


def test_processes_are_gone_when_stopped(own_cache: Path) -> None:
    before = multiprocessing.active_children()

    def stop(task: str, done: float, total: float) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(PIECES, 2, stop)
    for child in set(multiprocessing.active_children()) - set(before):
        child.join(10)
    assert multiprocessing.active_children() == before


def test_a_failure_in_a_piece_is_not_swallowed(own_cache: Path) -> None:
    with pytest.raises(AttributeError):
        carry_out([Piece("x", "respine.credibility.calibration:nothing")])
