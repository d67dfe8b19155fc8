"""What every subject of a run starts from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from respine.engine.equations.specialise import start_values
from respine.engine.equations.start_slopes import start_slopes
from respine.engine.request import Request, Setup


def start_states(setup: Setup, live: Sequence[str], request: Request) -> tuple[np.ndarray, np.ndarray]:
    """Starts of live states, (n_subjects or 1, n_live), with their sensitivities; which subjects are finite throughout."""
    p = setup.extended(request.parameters)
    values = {**setup.values, **{name: p[:, k] for k, name in enumerate(setup.free)}}
    known = {**start_values(setup.system, values, request.start), **request.initial}
    columns = [np.asarray(known[s], float) for s in live]
    if all(c.ndim == 0 for c in columns):
        states = np.array([[float(c) for c in columns]])
    else:
        states = np.stack([np.broadcast_to(c, (len(p),)) for c in columns], axis=1)
    if setup.sensitivities:
        slopes = start_slopes(setup.system, live, setup.sensitivities, values, request.start, request.initial)
        count = max(len(states), len(slopes))
        states = np.hstack([np.broadcast_to(part, (count, part.shape[1])) for part in (states, slopes)])
    finite = np.isfinite(p).all(axis=1) & np.isfinite(states).all(axis=1)
    return np.ascontiguousarray(states), finite
