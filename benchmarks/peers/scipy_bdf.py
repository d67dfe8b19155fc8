"""SciPy BDF with a right-hand side compiled by numba."""

from __future__ import annotations

import numpy as np
from models import Problem

from peers import Solve
from peers.scipy_common import prepare_method

TITLE = "SciPy (BDF, numba)"
SUBJECTS = 2


def prepare(problem: Problem, people: np.ndarray) -> Solve:
    """``solve_ivp(method="BDF")`` for each segment."""
    return prepare_method(problem, people, "BDF")
