"""The joint posterior of the library's uncertain numbers: rows of a table that belong together, in place of draws of each
number on its own.

``library/posterior.parquet`` has a row for every draw and a column for every number, named ``FILE:ID`` or
``FILE:ID:variability`` (``parameters/human:symptom_threshold``), with the values themselves. `respine posterior` makes it
(room ``fit``). A number that was changed since, in an overlay of the library or by hand, is no longer the number the rows were
found for: it keeps its own 90 % range.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from respine.library import Library
from respine.population.random import uniforms

FILE = "posterior.parquet"
SAME = 1e-9  # relative difference up to which a number is the one the table was made from


@dataclass(frozen=True)
class Posterior:
    """Draws of all uncertain numbers together: ``values[name]`` of shape ``(n_rows,)``; ``basis[name]`` is the value, low and
    high the library had when the table was made; ``facts`` say how it was made; ``digest`` names the content. ``trials`` are the
    settings and effects of the trials it was made from, standard normal: a trial that is simulated has its own.
    """

    values: Mapping[str, np.ndarray]
    basis: Mapping[str, tuple[float, float, float]]
    digest: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    trials: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.values.values()))) if self.values else 0

    def column(
        self, file: str, id: str, now: tuple[float | None, float | None, float | None], part: str = "value"
    ) -> np.ndarray | None:
        """All draws of a number, ``(n_rows,)``; None for one that is not in the table or is another number ``now``."""
        name = name_of(file, id, part)
        if name not in self.values:
            return None
        then = self.basis[name]
        same = all(
            a is not None and abs(a - b) <= SAME * max(abs(a), abs(b), 1e-300) for a, b in zip(now, then, strict=True)
        )
        return self.values[name] if same else None

    def rows(self, seed: int, n_draws: int) -> np.ndarray:
        """Which row each parameter draw takes, ``(n_draws,)``: in an order of the seed, each once before any comes twice."""
        order = np.argsort(uniforms(seed, "row of the joint posterior", 0, len(self), 1)[:, 0], kind="stable")
        return order[np.arange(n_draws) % len(order)]

    def __repr__(self) -> str:
        return f"Posterior {self.digest[:12]}: {len(self)} draws of {len(self.values)} numbers"


def name_of(file: str, id: str, part: str = "value") -> str:
    """Name of a column; ``file`` as the library writes it, with or without ``library/`` and its ending."""
    stem = file.removeprefix("library/").removesuffix(".csv").removesuffix(".yaml")
    return f"{stem}:{id}" if part == "value" else f"{stem}:{id}:{part}"


def load(library: Library) -> Posterior | None:
    """The posterior of a library, None where it has none."""
    file = library.top(FILE)
    return _read(file, file.stat().st_mtime_ns) if file.is_file() else None


@lru_cache(maxsize=4)
def _read(file: Path, _changed: int) -> Posterior:
    import pyarrow.parquet as pq

    table = pq.read_table(file)
    facts = json.loads((table.schema.metadata or {}).get(b"respine", b"{}"))
    names = table.column_names
    columns = {name: table.column(name).to_numpy().astype(float) for name in names}
    values = {name: column for name, column in columns.items() if name in facts["basis"]}
    basis = {name: tuple(facts["basis"][name]) for name in values}
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    trials = {name: column for name, column in columns.items() if name not in values}
    return Posterior(values, basis, digest, {k: v for k, v in facts.items() if k != "basis"}, trials)


def encode(
    values: Mapping[str, np.ndarray], basis: Mapping[str, tuple[float, float, float]], facts: Mapping[str, Any]
) -> bytes:
    """The table as the bytes of its file: float32, with its facts; the same bytes for the same numbers."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    made = pa.table({name: pa.array(np.asarray(column, np.float32)) for name, column in values.items()})
    described = {**facts, "basis": {name: list(basis[name]) for name in values if name in basis}}
    made = made.replace_schema_metadata({"respine": json.dumps(described, sort_keys=True)})
    sink = io.BytesIO()
    pq.write_table(made, sink, compression="zstd", compression_level=9, version="2.6", use_dictionary=False)
    return sink.getvalue()
