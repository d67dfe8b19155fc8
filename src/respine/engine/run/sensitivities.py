"""What events do to sensitivities, for the driver (numba).

At an event whose time depends on a parameter, s after = (s before + f before * slope of the time) carried through the
event, - f after * slope of the time. In a lane's workspace the sensitivities follow the states, parameter by parameter.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from respine.engine.dosing.events_table import ADD_STATE, SET_RATE, SET_STATE


@njit(nogil=True, cache=True)
def moves(slopes: np.ndarray) -> bool:
    """Whether the time of an event depends on a parameter."""
    for p in range(slopes.shape[0]):  # noqa: SIM110 - numba
        if slopes[p] != 0.0:
            return True
    return False


@njit(nogil=True, cache=True)
def shift(
    w: np.ndarray, o_state: int, o_rate: int, lanes: int, lane: int, n: int, slopes: np.ndarray, sign: float
) -> None:
    """s += sign * rate of the states * slope of the event's time."""
    for p in range(slopes.shape[0]):
        if slopes[p] != 0.0:
            for q in range(n):
                place = o_state + (n * (1 + p) + q) * lanes + lane
                w[place] += sign * slopes[p] * w[o_rate + q * lanes + lane]


@njit(nogil=True, cache=True)
def jump(
    w: np.ndarray, o_state: int, o_slow: int, lanes: int, lane: int, n: int, kind: int, target: int,
    slopes: np.ndarray,  # (n_parameters,) of the event's value
    slots: np.ndarray,  # (n_slow, n_parameters) where the slopes of infusion rates are kept, -1: nowhere
) -> None:  # fmt: skip
    """Carry s through an event; a reset has done so with the states."""
    for p in range(slopes.shape[0]):
        place = o_state + (n * (1 + p) + target) * lanes + lane
        if kind == ADD_STATE:
            w[place] += slopes[p]
        elif kind == SET_STATE:
            w[place] = slopes[p]
        elif kind == SET_RATE and slots[target, p] >= 0:
            w[o_slow + slots[target, p] * lanes + lane] = slopes[p]
