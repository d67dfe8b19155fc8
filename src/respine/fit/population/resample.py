"""Bootstrap of subjects: each replicate is a fit of its own, kept as soon as it is done, so that a killed run goes on
where it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from respine.files import store
from respine.fit.population.fitted import at_point, with_options
from respine.fit.population.saem import fingerprint

if TYPE_CHECKING:
    import pandas as pd

    from respine.fit.population.fitted import Fit


def bootstrap(
    fit: Fit,
    replicates: int,
    *,
    folder: str | Path | None = None,
    seed: int | None = None,
    watch: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """One row a replicate: its number, objective, whether it is an answer, and the estimates by name.

    Every replicate starts at the estimates; its sample belongs to seed and number. ``folder`` keeps finished
    replicates.
    """
    import pandas as pd

    from respine.fit.population.fitted import fit as refit
    from respine.population.random import uniforms

    problem = with_options(at_point(fit.problem, fit.point), covariance="none", starts=1)
    n = problem.data.n_subjects
    own = problem.estimation.seed if seed is None else seed
    place = _place(folder, problem, own)
    draws = uniforms(own, "bootstrap", 0, replicates, n)
    rows = []
    for k in range(replicates):
        path = place / f"replicate-{k}.json" if place is not None else None
        if path is not None and path.exists():
            rows.append(json.loads(path.read_text()))
        else:
            sample = problem.only(np.minimum((draws[k] * n).astype(int), n - 1))
            fitted = refit(sample, fit.method)
            values = fitted.vector.natural(fitted.point)
            row = {"replicate": k, "objective": fitted.objective, "answer": fitted.is_answer,
                   **dict(zip(fitted.vector.names, map(float, values), strict=True))}  # fmt: skip
            rows.append(row)
            if path is not None:
                store.write_json(path, row)
        if watch is not None:
            watch(f"replicate {k + 1} of {replicates}")
    return pd.DataFrame(rows)


def percentiles(replicates: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Of a bootstrap, one row a parameter: name, n (replicates that are an answer), mean, se, median, low, high."""
    import pandas as pd

    good = replicates[replicates["answer"]]
    rows = []
    for name in [c for c in replicates.columns if c not in ("replicate", "objective", "answer")]:
        low, middle, high = good[name].quantile([0.5 - level / 2, 0.5, 0.5 + level / 2]) if len(good) else (np.nan,) * 3
        rows.append({"name": name, "n": len(good), "mean": good[name].mean(), "se": good[name].std(), "median": middle,
                     "low": low, "high": high})  # fmt: skip
    return pd.DataFrame(rows, columns=["name", "n", "mean", "se", "median", "low", "high"])


def _place(folder: str | Path | None, problem: object, seed: int) -> Path | None:
    if folder is None:
        return None
    from respine.fit.population.problem import PopulationProblem

    assert isinstance(problem, PopulationProblem)
    place = Path(folder) / f"bootstrap-{store.fingerprint(fingerprint(problem), str(seed))[:16]}"
    place.mkdir(parents=True, exist_ok=True)
    return place
