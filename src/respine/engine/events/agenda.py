"""What SBML says happens when triggers turn true: delays, priorities, persistence, cascades at one instant.

At one instant, again and again until nothing is due: triggers are read; those that turned true put their event on the
agenda (now + delay), those that turned false take back events that are not persistent; of the events that are due the
one with the highest priority is executed. Events without a priority come after those with one, the first triggered
first, then the first written. Ties between equal priorities SBML leaves to chance: they are drawn from numbers that
belong to the subject, so that a run can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from respine.engine.dosing.moments import instant
from respine.engine.events.hybrid import EventOutputs
from respine.engine.status import Status

MOST_AT_ONCE = 10_000  # executions at one instant; more is taken for a loop that never ends


class Trouble(Exception):
    """The events of one subject cannot be carried out."""

    def __init__(self, status: Status, event: str) -> None:
        super().__init__(event)
        self.status, self.event = status, event


@dataclass(frozen=True)
class Look:
    """What is true at an instant: each event's trigger, and the outputs its other formulas are found in."""

    triggers: Sequence[bool]
    outputs: np.ndarray


@dataclass
class _Pending:
    time: float
    event: int
    order: int
    values: Mapping[str, float] | None  # taken when it triggered; None: taken when it is executed


class Agenda:
    """The events of one subject: which triggers were true, and what is waiting to be executed."""

    def __init__(self, events: Sequence[EventOutputs], subject: int = 0) -> None:
        self.events = events
        self._chance = np.random.Generator(np.random.Philox(key=[0x5B31, subject]))
        self.was = [e.event.initial_value for e in events]
        self.pending: list[_Pending] = []
        self._count = 0
        self.last = next((e.event.id for e in events), "")  # the event executed last

    def next_time(self) -> float:
        """When the next waiting event is due, infinity if none waits."""
        return min((p.time for p in self.pending), default=np.inf)

    def settle(self, time: float, look: Callable[[], Look], assign: Callable[[Mapping[str, float]], None]) -> bool:
        """Carry out all that is due at ``time``; True where something was. Raises Trouble for a loop or a bad delay."""
        executed = 0
        while True:
            seen = look()
            self._note(time, seen)
            due = [p for p in self.pending if p.time <= time + instant(time)]
            if not due:
                return executed > 0
            chosen = self._choose(due, seen)
            executed += 1
            if executed > MOST_AT_ONCE:
                raise Trouble(Status.EVENT_LOOP, self.events[chosen.event].event.id)
            self.pending.remove(chosen)
            self.last = self.events[chosen.event].event.id
            values = self._values(chosen.event, seen) if chosen.values is None else chosen.values
            sizes = {name: float(seen.outputs[k]) for name, k in self.events[chosen.event].volumes}
            assign({name: value * sizes.get(name, 1.0) for name, value in values.items()})

    def _choose(self, due: Sequence[_Pending], seen: Look) -> _Pending:
        priorities = [self._priority(p.event, seen) for p in due]
        highest = max(priorities)
        tied = [p for p, priority in zip(due, priorities, strict=True) if priority == highest]
        if len(tied) == 1 or highest == -np.inf:
            return min(tied, key=lambda p: p.order)
        return tied[int(self._chance.integers(len(tied)))]

    def _note(self, time: float, seen: Look) -> None:
        """Put events on the agenda whose trigger turned true; take back those that do not persist."""
        for k, (e, now) in enumerate(zip(self.events, seen.triggers, strict=True)):
            if now and not self.was[k]:
                delay = float(seen.outputs[e.delay]) if e.delay >= 0 else 0.0
                if not 0 <= delay < np.inf:
                    raise Trouble(Status.EVENT_DELAY, e.event.id)
                self._count += 1
                values = self._values(k, seen) if e.event.values_from_trigger_time else None
                self.pending.append(_Pending(time + delay, k, self._count, values))
            elif not now and self.was[k] and not e.event.persistent:
                self.pending = [p for p in self.pending if p.event != k]
            self.was[k] = now

    def _priority(self, event: int, seen: Look) -> float:
        where = self.events[event].priority
        value = float(seen.outputs[where]) if where >= 0 else -np.inf
        return value if value == value else -np.inf

    def _values(self, event: int, seen: Look) -> dict[str, float]:
        return {name: float(seen.outputs[k]) for name, k in self.events[event].assignments}
