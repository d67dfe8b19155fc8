"""What the driver works on, by name: one record for the run, one a subject, one an event, one a lane, and few arrays.

Records and not classes, because numba passes a record as one address; a kernel's workspace is a table of rows with a
column for each lane, and the record of the run says where its areas begin. A lane carries one subject at a time.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from respine.engine.codegen.layout import Layout
from respine.engine.codegen.step_size import WIDE

KERNELS = {
    "begin": "begin_inside",
    "advance": "advance",
    "commit": "commit_inside",
    "interpolate": "interpolate_inside",
    "observe": "observe_inside",
    "enter": "enter",
    "leave": "leave",
    "read_out": "read_out",
}
"""The kernels that the driver calls, and what the machine code exports them as."""

AREAS = (
    "time", "step", "error", "last_log_error", "last_step", "fraction", "begin_step", "kink",  # one row each
    "state",  # as many rows as states; then those of their sensitivities, parameter by parameter
    "state_rest",  # in float32 the part of each state lost in rounding
    "rate",
    "slow",  # what is constant between events: parameters, inputs, infusion rates
)  # fmt: skip

RUN = np.dtype([
    ("workspace", np.int64),  # its address
    ("kernel", [(name, np.int64) for name in KERNELS]),  # addresses
    ("at", [(name, np.int64) for name in AREAS]),  # first row of each area
    ("n_states", np.int64),
    ("n_rests", np.int64),  # rows of ``state_rest``: all states in float32, else none
    ("n_sensitivities", np.int64),
    ("n_vary", np.int64),  # slow values that are parameters
    ("n_slow", np.int64),
    ("first_rate", np.int64),  # the first infusion rate among the slow values
    ("start", np.float64),
    ("horizon", np.float64),  # longest way from the start to a last output
    ("largest_step", np.float64),
    ("max_steps", np.int64),
    ("rows", np.int64),  # address of the results, (n_rows, n_outputs) float64, NaN on entry
    ("row_bytes", np.int64),
    ("counters", np.int64),  # address of those that threads share, see `kernel_calls`
])  # fmt: skip

SUBJECT = np.dtype([
    ("first_event", np.int64),  # its events are those from here
    ("last_event", np.int64),  # ... to the one before this
    ("first_time", np.int64),  # its output times are ``n_outputs`` from here
    ("n_outputs", np.int64),
    ("first_row", np.int64),  # its rows of the results
    ("status", np.int64),  # from here on written by the driver
    ("end_time", np.float64),
    ("accepted", np.int64),
    ("rejected", np.int64),
])  # fmt: skip

EVENT = np.dtype([
    ("time", np.float64),
    ("value", np.float64),
    ("kind", np.int64),  # see `dosing.events_table`
    ("target", np.int64),
    ("slope", np.int64),  # its row among the slopes, -1 for none
])  # fmt: skip

LANE = np.dtype([
    ("subject", np.int64),  # -1: idle
    ("event", np.int64),  # the next one
    ("output", np.int64),  # outputs read so far
    ("changed", np.bool_),  # an event happened: the next step starts afresh
    ("quiet", np.bool_),  # on the way to a steady state: nothing is read
    ("cycle", np.int64),  # event at which the dosing interval starts
    ("cycles", np.int64),  # intervals so far
    ("last_change", np.float64),  # over the interval before, in tolerances
    ("kink_phase", np.int64),  # see `sensitivities`
    ("step_across", np.float64),  # length of the step across a kink
    ("step_beyond", np.float64),
], align=True)  # fmt: skip

(
    NOW, REACHED, NEXT_EVENT, NEXT_OUTPUT, NEXT_STEP, LONGEST_STEP, SHORTEST_STEP, SHARE, ACTIVE, OUTCOME,
    N_ACCEPTED, N_REJECTED, MOST_STEPS, DUE, AT_EVENT, ATTENTION,
) = range(len(WIDE))  # fmt: skip
"""Rows of the step-size control, (16, n_lanes) float64: the areas `codegen.step_size.WIDE`, in their order."""


# records of these types in numba's code: their fields are attributes
Run: TypeAlias = Any
Subject: TypeAlias = Any
Event: TypeAlias = Any
Lane: TypeAlias = Any


class Tables(NamedTuple):
    """The arrays of a run; those from ``kept_state`` on belong to one thread, ``failed`` and ``counters`` to all."""

    subjects: np.ndarray  # (n_subjects,) SUBJECT
    events: np.ndarray  # (n_events,) EVENT
    value_slopes: np.ndarray  # (n, n_sensitivities) how the value of an event depends on parameters
    time_slopes: np.ndarray  # ... and its time
    slope_slots: np.ndarray  # (n_slow, n_sensitivities) number of the slow value that holds a rate's slope, or -1
    parameters: np.ndarray  # (n_subjects, n_vary)
    start_states: np.ndarray  # (n_subjects or 1, n_all) with sensitivities
    start_slow: np.ndarray  # (n_slow - n_vary,)
    times: np.ndarray  # of outputs, see `dosing.events_table.Readings`
    need: np.ndarray  # a row of the results: how many of the subject's events happen before it is read
    tolerance: np.ndarray  # (1 + n_all,) relative, then absolute
    failed: np.ndarray  # (capacity, n_states + 2): subject, last step, last good state
    counters: np.ndarray
    kept_state: np.ndarray  # (n_lanes, n_all) before the steady-state dose
    kept_slow: np.ndarray  # (n_lanes, n_slow) likewise
    cycle_state: np.ndarray  # (n_lanes, n_all) at the start of the dosing interval


def rows_of(numbers: np.ndarray, layout: Layout, lanes: int) -> np.ndarray:
    """The workspace's lane vectors as a table, (n_rows, n_lanes)."""
    return numbers[: layout.vectors * lanes].reshape(layout.vectors, lanes)


def control_of(numbers: np.ndarray, layout: Layout, lanes: int) -> np.ndarray:
    """The step-size control, (16, n_lanes) float64, as a view of the workspace, of whose areas it is the first."""
    end = max(layout.offsets[name] + layout.sizes[name] for name in WIDE)
    return numbers[: end * lanes].view(np.float64).reshape(len(WIDE), lanes)
