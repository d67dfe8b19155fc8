"""Work of the server: a few at once, the rest in order, and a newer question of the same reader ends the older one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")

AT_ONCE = 2
MOST_WAITING = 64


class Busy(Exception):
    """More waits than the server takes."""


class Overtaken(Exception):
    """A newer question of the same reader came, or the reader went away."""


class Jobs:
    """Runs functions in threads, ``at_once`` of them; ``most_waiting`` may wait, in the order in which they came."""

    def __init__(self, at_once: int = AT_ONCE, most_waiting: int = MOST_WAITING) -> None:
        self.turns = asyncio.Semaphore(at_once)
        self.most_waiting = most_waiting
        self.waiting = 0
        self.newest: dict[str, threading.Event] = {}

    async def run(
        self, reader: str, work: Callable[[threading.Event], T], gone: Callable[[], Awaitable[bool]] | None = None
    ) -> T:
        """The result of ``work``, which looks at the event it is given and raises Overtaken when it is set.

        ``reader``: who asks; empty for nobody in particular. ``gone`` says whether the reader went away. Raises Busy, Overtaken.
        """
        if self.waiting >= self.most_waiting:
            raise Busy
        stop = threading.Event()
        if reader:
            if reader in self.newest:
                self.newest[reader].set()
            self.newest[reader] = stop
        self.waiting += 1
        try:
            async with self.turns:
                if stop.is_set():
                    raise Overtaken
                return await self._watched(work, stop, gone)
        finally:
            self.waiting -= 1
            if reader and self.newest.get(reader) is stop:
                del self.newest[reader]

    async def _watched(self, work: Callable[[threading.Event], T], stop: threading.Event, gone: Any) -> T:
        task = asyncio.create_task(asyncio.to_thread(work, stop))
        while True:
            done, _ = await asyncio.wait({task}, timeout=0.25)
            if done:
                return task.result()
            if gone is not None and await gone():
                stop.set()
