"""Draws as ArviZ reads them: a NetCDF file with the group ``posterior`` over chain and draw (``arviz.from_netcdf``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from respine.errors import InputError, Problem

if TYPE_CHECKING:
    import xarray

    from respine.fit.population.bayes.posterior import Posterior

ENGINE = "h5netcdf"


def available() -> bool:
    """Whether what writes the file is installed."""
    return find_spec("xarray") is not None and find_spec(ENGINE) is not None


def dataset(
    values: np.ndarray, names: Sequence[str], random: np.ndarray, random_names: Sequence[str], labels: Sequence[str],
    facts: Mapping[str, object] | None = None,
) -> xarray.Dataset:  # fmt: skip
    """``values`` (chains, draws, P) by parameter and ``random`` (chains, draws, subjects, Q) by random effect. Raises InputError
    where xarray is missing.
    """
    if not available():
        why = f"xarray or {ENGINE} is not installed."
        raise InputError(Problem("installation", "xarray", "", why, "Install them: pip install 'respine[arrays]'."))
    import xarray

    made = {name: (("chain", "draw"), values[:, :, k]) for k, name in enumerate(names)}
    effects = {
        name: (("chain", "draw", "subject"), random[:, :, :, k])
        for k, name in enumerate(random_names)
        if name not in made
    }
    chains, draws = values.shape[:2]
    coordinates = {"chain": np.arange(chains), "draw": np.arange(draws), "subject": np.array(labels, dtype=str)}
    attributes = {
        name: value if isinstance(value, (int, float)) else str(value) for name, value in (facts or {}).items()
    }
    return xarray.Dataset({**made, **effects}, coordinates, {"inference_library": "respine", **attributes})


def write(found: Posterior, path: str | Path) -> Path:
    """Write the draws of a posterior. Raises InputError where xarray is missing."""
    names, random = found.density.vector.names, found.density.objective.d.random_names()
    made = dataset(found.values, names, found.random, random, found.problem.data.labels, found.settings)
    return write_dataset(made, path)


def write_dataset(made: xarray.Dataset, path: str | Path) -> Path:
    """Write a data set as the group ``posterior`` of a new file."""
    made.to_netcdf(Path(path), group="posterior", mode="w", engine=ENGINE)
    return Path(path)
