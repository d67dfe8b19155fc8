"""The same kernels for one subject, driven from Python: for events, whose next action is known only after a look.

All lanes carry the one subject. A step costs what it costs anyway, and between steps the lanes look at as many moments
of the dense output at once.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from respine.engine.codegen.code import Code
from respine.engine.codegen.step_size import BEST_LOG_ERROR, LARGEST_CUT, LARGEST_GROWTH, RESTART, SMALLEST_GROWTH
from respine.engine.codegen.target import Target
from respine.engine.status import Status

_KERNEL = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
_CONTROL = ("time", "step", "error", "log_error", "last_log_error", "last_step", "growth", "predicted_growth",
            "fraction", "begin_step", "lowest")  # fmt: skip


class Stepper:
    """One subject in float64: ``begin``, ``attempt`` a step, look into it, ``accept`` it in whole or in part.

    ``state`` (n_states,), ``slow`` (n_slow,) and ``time`` may be set between steps; ``begin`` must follow.
    ``absolute`` are the tolerances of the live states.
    """

    def __init__(
        self,
        code: Code,
        target: Target,
        uniform: np.ndarray,
        rtol: float,
        absolute: Sequence[float] | np.ndarray,
        *,
        horizon: float,
        largest_step: float = np.inf,
        max_steps: int = 1_000_000,
    ) -> None:
        layout, lanes, n = code.layout, target.lanes, len(code.states)
        self.lanes, self.horizon, self.largest_step, self.max_steps = lanes, horizon, largest_step, max_steps
        size = layout.size(lanes)
        self._raw = np.zeros(size + 8)
        shift = (-self._raw.ctypes.data % 64) // 8
        w = self._raw[shift : shift + size]
        w[layout.vectors * lanes :] = np.repeat(np.concatenate([uniform, [rtol], absolute]), layout.copies)
        self._base = ctypes.c_void_p(w.ctypes.data)
        self._code = code  # keeps the machine code alive
        self._kernel = {name: _KERNEL(address) for name, address in code.address.items()}
        rows = w[: layout.vectors * lanes].reshape(layout.vectors, lanes)

        def area(name: str, count: int) -> np.ndarray:
            return rows[layout.index(name) : layout.index(name) + count]

        self._control = {name: rows[layout.index(name)] for name in _CONTROL}
        self._state, self._rate, self._stage = area("state", n), area("rate", n), area("stage", n)
        self._slow, self._output = (
            area("slow", len(code.slow)),
            area("output", len(code.text.programs.equations.outputs)),
        )
        self.time = 0.0
        self.next_step = 0.0
        self.end_time = 0.0  # where the step just made ends
        self.accepted = self.rejected = 0
        self._fresh = self._failed = False

    # ---- what the subject is made of --------------------------------------------------------------------------------
    @property
    def state(self) -> np.ndarray:
        """State of the subject, ``(n_states,)``."""
        return self._state[:, 0].copy()

    @state.setter
    def state(self, values: np.ndarray) -> None:
        """State of the subject, ``(n_states,)``."""
        self._state[:] = np.asarray(values, float)[:, None]

    @property
    def slow(self) -> np.ndarray:
        """Parameters and inputs as they stand now, ``(n_slow,)``."""
        return self._slow[:, 0].copy()

    @slow.setter
    def slow(self, values: np.ndarray) -> None:
        """Parameters and inputs as they stand now, ``(n_slow,)``."""
        self._slow[:] = np.asarray(values, float)[:, None]

    # ---- stepping ---------------------------------------------------------------------------------------------------
    def begin(self) -> None:
        """Start afresh from the present state: after an event nothing is known of the step size."""
        c = self._control
        c["time"][:] = self.time
        self._kernel["begin"](self._base)
        careful = float(c["begin_step"][0])
        if not careful > 0.0:
            careful = 1e-6 * self.horizon
        self.next_step = min(max(careful, RESTART * self.next_step), self.largest_step)
        c["last_step"][:] = self.next_step
        c["last_log_error"][:] = BEST_LOG_ERROR
        self._fresh, self._failed = True, False

    def attempt(self, end: float) -> bool:
        """One step towards ``end`` (not past it); False where the error is too large, then the next try is shorter."""
        c, gap = self._control, end - self.time
        wanted = min(self.next_step, self.largest_step)
        step = gap if wanted >= gap * 0.999999 else 0.5 * gap if wanted > 0.5 * gap else wanted
        c["time"][:], c["step"][:] = self.time, step
        self._kernel["step"](self._base)
        error, growth = float(c["error"][0]), float(c["growth"][0])
        if not growth >= 0.0:
            growth = LARGEST_CUT
        if not error <= 1.0:
            self.rejected += 1
            self.next_step = step * min(0.9, max(LARGEST_CUT, growth))
            self._failed = True
            return False
        self.accepted += 1
        if not (self._fresh or self._failed):
            growth = min(growth, float(c["predicted_growth"][0]))
        growth = min(LARGEST_GROWTH, max(SMALLEST_GROWTH, growth))
        if self._failed:
            growth = min(growth, 1.0)
        proposed = step * growth
        if step < 0.5 * wanted and growth > 0.9:
            proposed = max(proposed, wanted)  # a step cut short by an event says little about the next
        self.next_step = proposed
        c["last_step"][:] = step
        c["last_log_error"][:] = max(BEST_LOG_ERROR, float(c["log_error"][0]))
        self._fresh = self._failed = False
        self.end_time = end if step >= gap * 0.9999999 else self.time + step
        return True

    def trouble(self) -> Status:
        """Why no further step can be tried, or OK."""
        if self._failed and self.next_step < max(1e-15 * abs(self.time), 1e-18 * self.horizon):
            finite = float(self._control["error"][0]) < 1e300
            return Status.STEP_FLOOR if finite else Status.NOT_FINITE
        return Status.STEP_BUDGET if self.accepted + self.rejected >= self.max_steps else Status.OK

    @property
    def below_zero(self) -> bool:
        """Whether a state fell clearly below zero in the step just made, for code that looks."""
        return float(self._control["lowest"][0]) < 0.0

    @property
    def tried_step(self) -> float:
        """Length of the last step tried."""
        return float(self._control["step"][0])

    def accept(self, fraction: float = 1.0) -> None:
        """Move to the end of the step, or to a fraction of it (then ``begin`` must follow)."""
        if fraction >= 1.0:
            self._state[:] = self._stage
            self.time = self.end_time
            return
        self._control["fraction"][:] = fraction
        self._kernel["interpolate"](self._base)
        self._state[:] = self._rate
        self.time = self.moment(fraction)

    # ---- looking ----------------------------------------------------------------------------------------------------
    def moment(self, fraction: float) -> float:
        """The time at a fraction of the step just made."""
        return self.end_time if fraction >= 1.0 else self.time + fraction * self.tried_step

    def look(self, fractions: Sequence[float] | np.ndarray) -> np.ndarray:
        """Outputs at fractions of the step just made, (len(fractions), n_outputs)."""
        fractions = np.asarray(fractions, float)
        outputs = np.empty((len(fractions), len(self._output)))
        for k in range(0, len(fractions), self.lanes):
            part = fractions[k : k + self.lanes]
            self._control["fraction"][: len(part)] = part
            self._control["fraction"][len(part) :] = part[-1]
            self._kernel["interpolate"](self._base)
            self._kernel["observe"](self._base)
            outputs[k : k + len(part)] = self._output.T[: len(part)]
        return outputs

    def look_now(self) -> np.ndarray:
        """Outputs at the present state and time, (n_outputs,); changes of inputs are taken up."""
        self._control["time"][:] = self.time
        self._kernel["begin"](self._base)
        self._control["fraction"][:] = 0.0
        self._rate[:] = self._state
        self._kernel["observe"](self._base)
        return self._output[:, 0].copy()
