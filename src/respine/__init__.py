"""respine: from dose to dendrite to mood.

    import respine as rs

    study = rs.load_study("murrough-2013").replace(subjects=200)   # or rs.Study(...), or a file
    results = rs.simulate(study)                                    # results.endpoints, .comparison, .plot()
    system = rs.load_model("human")                                 # or Antimony or SBML, as a file or as text
    solution = rs.solve(system, ["plasma_ketamine"], times, doses)  # rs.compile(system, ...) to solve many times

Names are imported when they are first used; ``help(respine.NAME)`` tells more of each.
"""

import ast as _ast
from importlib import import_module as _import
from pathlib import Path as _Path

# name -> (room, name there), read from the stub that type checkers read, so that the two cannot differ
_DOOR = {
    alias.asname or alias.name: (node.module, alias.name)
    for node in _ast.parse(_Path(__file__).with_suffix(".pyi").read_text("utf-8")).body
    if isinstance(node, _ast.ImportFrom) and node.level == 1
    for alias in node.names
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("respine")
    if name not in _DOOR:
        raise AttributeError(f"module 'respine' has no attribute '{name}'")
    room, there = _DOOR[name]
    return _import(f"respine.{there}") if room is None else getattr(_import(f"respine.{room}"), there)


def __dir__() -> list[str]:
    return sorted(_DOOR)
