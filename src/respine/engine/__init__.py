"""Equations -> machine code -> trajectories of many subjects at once.

>>> from respine import engine, model
>>> solver = engine.build(model.load("human"), outputs=["circuit"])        # doctest: +SKIP
>>> solver.solve(times=[0, 24.0])["circuit"]                               # doctest: +SKIP
"""

from respine.engine.dosing.record import Record
from respine.engine.dosing.records import Records
from respine.engine.dosing.schedule import Schedule
from respine.engine.solution import Options, Solution
from respine.engine.solve_once import solve
from respine.engine.solver import Solver, build, solve_with_events
from respine.engine.status import Failure, Status

__all__ = [
    "Failure",
    "Options",
    "Record",
    "Records",
    "Schedule",
    "Solution",
    "Solver",
    "Status",
    "build",
    "solve",
    "solve_with_events",
]
