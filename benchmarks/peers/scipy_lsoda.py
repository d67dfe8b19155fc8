"""SciPy LSODA with a right-hand side compiled by numba."""

from __future__ import annotations

import numpy as np
from models import Problem

from peers import Solve
from peers.scipy_common import prepare_method

TITLE = "SciPy (LSODA, numba)"
SUBJECTS = 4


def prepare(problem: Problem, people: np.ndarray) -> Solve:
    """``solve_ivp(method="LSODA")`` for each segment."""
    return prepare_method(problem, people, "LSODA")
