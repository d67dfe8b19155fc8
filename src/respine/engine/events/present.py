"""What holds for one subject now: states, inputs, and the position of every switch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from respine.engine.dosing.events_table import ADD_STATE, RESET, SET_RATE, SET_SLOW, SET_STATE
from respine.engine.equations.specialise import RATE_PREFIX
from respine.engine.events.agenda import Look
from respine.engine.events.crossings import Watch
from respine.engine.events.hybrid import LIVE, TIME
from respine.engine.events.prepared import Prepared
from respine.engine.events.stepper import Stepper

CHATTER = 50  # flips of one switch within CHATTER_SPAN of the horizon, after which it is left to the error control
CHATTER_SPAN = 1e-3


class Present:
    """The present of a subject.

    ``numbers``: its parameters, inputs, infusion rates and modes by name; ``outputs``: those of the last look.
    """

    def __init__(
        self, prepared: Prepared, stepper: Stepper, numbers: dict[str, float], starts: Mapping[str, float]
    ) -> None:
        self.p, self.stepper, self.numbers, self.starts = prepared, stepper, numbers, starts
        self.outputs = np.zeros(len(prepared.hybrid.outputs))
        self.clock_values: dict[str, float] = {}
        self.live: set[str] = set()  # switches left to the error control
        self.flips: dict[str, list[float]] = {s.mode: [] for s in prepared.hybrid.switches}
        self.watch = self._watch()

    def put(self, changes: Mapping[str, float]) -> None:
        """Give states and inputs new values, all at once."""
        state = self.stepper.state
        for name, value in changes.items():
            if name in self.p.states:
                state[self.p.states[name]] = value
            else:
                self.numbers[name] = value
        self.stepper.state = state
        self.stepper.slow = np.array([self.numbers[name] for name in self.p.code.slow])

    def dose(self, kind: int, name: str, value: float) -> None:
        """What an event of the schedule does, of a kind of `dosing.events_table`."""
        if kind == RESET:
            self.put({**self.starts, **{k: 0.0 for k in self.numbers if k.startswith(RATE_PREFIX)}})
        elif kind in (SET_SLOW, SET_STATE):
            self.put({name: value})
        elif kind == ADD_STATE:
            known = self.stepper.state[self.p.states[name]] if name in self.p.states else self.numbers.get(name, np.nan)
            self.put({name: known + value})
        elif kind == SET_RATE:
            self.put({RATE_PREFIX + name: value})

    def look(self) -> Look:
        """What holds now, with every switch in its right position."""
        split = self.p.hybrid
        for _ in range(len(split.switches) + 2):
            self.outputs = self.stepper.look_now()
            self.clock_values = self.p.clock.values(self.stepper.time, self.numbers)
            turned = self._turned()
            if not turned:
                break
            self.put(turned)
        else:  # switches that contradict each other at a standstill
            self._let_live(turned)
            self.outputs = self.stepper.look_now()
        triggers = [
            (self.clock_values[f"trigger {k}"] if e.trigger < 0 else self.outputs[e.trigger]) != 0
            for k, e in enumerate(split.events)
        ]
        return Look(triggers, self.outputs)

    def modes(self) -> dict[str, float]:
        """The position of every switch."""
        return {s.mode: self.numbers[s.mode] for s in self.p.hybrid.switches}

    def leave_chatter(self, before: Mapping[str, float], horizon: float) -> None:
        """A switch that flips without end (the flow is held at its threshold) is left to the error control.

        ``before``: the `modes` when the subject stopped.
        """
        now, span = self.stepper.time, CHATTER_SPAN * horizon
        chattering: set[str] = set()
        for switch in self.p.hybrid.switches:
            if switch.mode in self.live or self.numbers[switch.mode] == before[switch.mode] or switch.depends == TIME:
                continue
            recent = self.flips[switch.mode] = [t for t in self.flips[switch.mode] if t > now - span] + [now]
            if len(recent) > CHATTER:
                chattering.add(switch.mode)
        if chattering:
            self._let_live(chattering)
            self.look()

    def _turned(self) -> dict[str, float]:
        """Modes that differ from their comparison."""
        turned = {}
        for switch, k in zip(self.p.hybrid.switches, self.p.hybrid.switch_outputs, strict=True):
            if switch.mode in self.live:
                continue
            value = self.clock_values[switch.mode] if switch.depends == TIME else float(self.outputs[k])
            if value != self.numbers[switch.mode] and value == value:
                turned[switch.mode] = value
        return turned

    def _let_live(self, modes: Iterable[str]) -> None:
        """Leave switches to the error control from now on."""
        self.live |= set(modes)
        self.p.left |= set(modes)
        self.put(dict.fromkeys(modes, LIVE))
        self.watch = self._watch()

    def _watch(self) -> Watch:
        """All that is watched, without the switches that are left to the error control."""
        split = self.p.hybrid
        left = {k for s, k in zip(split.switches, split.switch_outputs, strict=True) if s.mode in self.live}
        return Watch(self.stepper.look, [w for w in split.watched if w.value not in left], self.stepper.lanes)
