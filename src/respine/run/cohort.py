"""What workers of one process share: people that are the same in several arms, and whose turn it is to make machine code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Lock
from typing import Any

from respine.population import People

KEPT = 4  # cohorts: those that workers are at


class Cohort:
    """People by what they depend on, drawn by the first who asks; a lock for the first of every arm."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._drawn: list[tuple[Any, Future[People]]] = []
        self._first: dict[str, Lock] = {}
        self._made: set[str] = set()

    def people(self, of: Any, numbers: range, draw: Callable[[], People]) -> People:
        """The people with these numbers that depend on ``of``; drawn by one worker while others wait for it."""
        key = (of, numbers)
        with self._lock:
            there = next((drawn for known, drawn in self._drawn if known == key), None)
            future: Future[People] = Future()
            if there is None:
                self._drawn = [*self._drawn, (key, future)][-KEPT:]
        if there is not None:
            return there.result()
        try:
            future.set_result(draw())
        except BaseException as trouble:
            future.set_exception(trouble)
            with self._lock:
                self._drawn = [drawn for drawn in self._drawn if drawn[1] is not future]
            raise
        return future.result()

    @contextmanager
    def first_alone(self, arm: str) -> Iterator[None]:
        """The first of an arm is alone, until it is through; later ones pass."""
        with self._lock:
            made, lock = arm in self._made, self._first.setdefault(arm, Lock())
        if made:
            yield
            return
        with lock:
            yield
            with self._lock:
                self._made.add(arm)
