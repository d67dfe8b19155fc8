"""Sobol designs: where a study is simulated, and how much of the spread of a result each range explains (SALib)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from respine.errors import InputError, argument

Range = tuple[str, float, float]


def _problem(ranges: Sequence[Range]) -> dict[str, Any]:
    return {"num_vars": len(ranges), "names": [name for name, _, _ in ranges], "bounds": [[a, b] for _, a, b in ranges]}


def _salib() -> Any:
    """The two functions of SALib. Raises InputError where it is not installed."""
    try:
        from SALib.analyze import sobol as analyze
        from SALib.sample import sobol as sample
    except ImportError:
        why = "SALib is not installed."
        raise InputError(argument("sobol", "", why, "Install it: pip install 'respine[stats]'.")) from None
    return sample.sample, analyze.analyze


def points(ranges: Sequence[Range], base: int, seed: int) -> np.ndarray:
    """Points of Saltelli's scheme without second-order terms, ``(base * (n_ranges + 2), n_ranges)``. Raises InputError."""
    if len(ranges) < 2:
        raise InputError(
            argument("sobol", len(ranges), "A Sobol design needs two ranges or more.", "Add NAME=LOW:HIGH.")
        )
    if base < 2 or base & (base - 1):
        raise InputError(
            argument("sobol", base, "The number of base samples is a power of 2.", "Write 64, 128, 256 ...")
        )
    sample, _ = _salib()
    return np.asarray(sample(_problem(ranges), base, calc_second_order=False, seed=seed % 2**32))


def indices(table: pd.DataFrame, ranges: Sequence[Range], cells: int, seed: int) -> pd.DataFrame:
    """First-order and total indices of every result: ``arm, endpoint, name, S1, S1_conf, ST, ST_conf`` (95 %)."""
    _, analyze = _salib()
    rows = []
    for (arm, endpoint), part in table.groupby(["arm", "endpoint"], sort=False):
        results = np.full(cells, np.nan)
        results[part["cell"].to_numpy()] = part["value"].to_numpy(float)
        if not np.isfinite(results).all() or np.ptp(results) == 0:
            continue  # a result that some cells lack, or that never moves, has no indices
        analyzed = analyze(
            _problem(ranges), results, calc_second_order=False, seed=seed % 2**32, print_to_console=False
        )
        rows += [
            (arm, endpoint, name, *(float(analyzed[kind][k]) for kind in ("S1", "S1_conf", "ST", "ST_conf")))
            for k, (name, _, _) in enumerate(ranges)
        ]
    return pd.DataFrame(rows, columns=["arm", "endpoint", "name", "S1", "S1_conf", "ST", "ST_conf"])
