"""What the walk over subjects reads and writes, by name: the model, the subjects' tables, and the room of one thread."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from respine.engine.exact.doubling import Chain


class Model(NamedTuple):
    """What all subjects of a run share."""

    members: np.ndarray  # states block by block, see eigenmodes.py
    blocks: np.ndarray  # where each begins, and the end
    ops: np.ndarray  # of what rests between events, see flat.py
    loads: np.ndarray
    a_from: np.ndarray  # (n, 3) row, column, register of A
    g_from: np.ndarray  # (n_states,) registers of the inflow
    a_by_from: np.ndarray  # (n, 4) parameter, row, column, register
    g_by_from: np.ndarray  # (n, 3) parameter, row, register
    out_ops: np.ndarray  # of the outputs
    out_loads: np.ndarray  # (n, 2) register, state (or n_states for the time)
    out_resting: np.ndarray  # (n, 2) register, register of what rests
    out_from: np.ndarray  # (n_outputs,) register
    by_state: np.ndarray  # (n, 3) output, state, register of its slope
    directly: np.ndarray  # (n, 3) output, parameter, register
    flows: np.ndarray  # (n, 2) slow number of an infusion rate, state
    flow_slopes: np.ndarray  # (n, 3) slow number of its slope, parameter, state
    n_slow: int
    first_rate: int
    start: float
    modes_allowed: bool


class Tables(NamedTuple):
    """The subjects, their events and readings, and the results: see `run.workspace`."""

    subjects: np.ndarray  # (n_subjects,) SUBJECT
    events: np.ndarray  # (n_events,) EVENT
    value_slopes: np.ndarray
    time_slopes: np.ndarray
    slots: np.ndarray  # (n_slow, n_parameters) number of the slow value that holds a rate's slope, or -1
    parameters: np.ndarray
    rest: np.ndarray  # slow values after the parameters, at the start
    starts: np.ndarray
    read_time: np.ndarray
    need: np.ndarray
    rows: np.ndarray  # results
    last_state: np.ndarray  # (subjects of the piece, n)


class Work(NamedTuple):
    """What belongs to one thread. Many small arrays would make compiling slow: those of one shape are rows of one."""

    slow: np.ndarray  # (2, n_slow) now, and before a steady-state dose
    v: np.ndarray  # (VECTORS, n) see below
    s: np.ndarray  # (SLOPES, n_parameters, n)
    m: np.ndarray  # (MATRICES, n, n)
    by: np.ndarray  # (n_parameters, n, n) derivatives of A
    r: np.ndarray  # registers of what rests, (n, 1)
    out: np.ndarray  # registers of the outputs, (n, most readings at once)
    modes: np.ndarray  # (n, most)
    states: np.ndarray  # (n, most)
    slopes: np.ndarray  # (n_parameters, n, most)
    at: np.ndarray  # (1,) where the subject stands
    flags: np.ndarray  # see below
    chain: Chain


Y, KEPT, THERE, G, B, ROOTS, Z, Z_IN, SCALE, START, FOUND, VECTORS = range(12)
S, KEPT_S, THERE_S, G_BY, B_BY, SLOPES = range(6)
A, V, W, M1, M2, ROOM = range(6)
MATRICES = ROOM + 5


STALE, FLOW_STALE, Z_STALE, BY_MODES, POSITIVE, HAS_INFLOW, METZLER = range(7)
