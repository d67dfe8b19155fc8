"""The tables of a run: their columns, made from arrays column by column, and how they lie on disk.

Texts are coded by a dictionary in memory and on disk; a reader of the files gets plain texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from respine import engine
from respine.population import People
from respine.trial import Scores

if TYPE_CHECKING:
    import pandas
    import pyarrow

VISITS = {"subject": "int64", "arm": "text", "time_h": "float64", "scale": "text", "value": "float64",
          "true_value": "float64"}  # fmt: skip
DOSES = {"subject": "int64", "arm": "text", "time_h": "float64", "drug": "text", "route": "text", "amount": "float64",
         "unit": "text", "amount_mg": "float64", "why": "text"}  # fmt: skip
FAILURES = {"subject": "int64", "arm": "text", "status": "text", "time_h": "float64", "state": "text",
            "value": "float64", "reason": "text", "cure": "text"}  # fmt: skip
DECISIONS = {"subject": "int64", "arm": "text", "time_h": "float64", "rule": "text", "action": "text", "outcome": "text",
             "why": "text", "scale": "text", "value": "float64", "seen": "text"}  # fmt: skip
ROWS_A_GROUP = 400_000  # of a finished table: what is read at once


def text_type() -> Any:
    """Texts by number, with each text once."""
    import pyarrow as pa

    return pa.dictionary(pa.int32(), pa.string())


def of_frame(frame: pandas.DataFrame, columns: dict[str, str]) -> pyarrow.Table:
    """A frame as a table with these columns in their order and kind, also where there are no rows."""
    import pyarrow as pa

    kinds = {"int64": pa.int64(), "float64": pa.float64()}
    arrays = []
    for name, kind in columns.items():
        column = frame[name].to_numpy() if name in frame and len(frame) else np.empty(0, object)
        if kind == "text":
            arrays.append(pa.array(column, type=pa.string(), from_pandas=True).dictionary_encode().cast(text_type()))
        else:
            arrays.append(pa.array(np.asarray(column, kind), type=kinds[kind]))
    return pa.table(arrays, names=list(columns))


def repeated(text: str, rows: int) -> pyarrow.Array:
    """One text for all rows."""
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([text]))


def visits(arm: str, subjects: np.ndarray, ok: np.ndarray, seen: Sequence[Scores]) -> pyarrow.Table:
    """One row a person, time and scale, in this order; who failed has none."""
    import pyarrow as pa

    times = np.concatenate([score.times for score in seen]) if seen else np.empty(0)
    codes = np.repeat(np.arange(len(seen), dtype=np.int32), [len(score.times) for score in seen])
    order = np.argsort(times, kind="stable")
    who = subjects[ok]
    n, m = len(who), len(order)

    def column(parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(parts, axis=1)[ok][:, order].ravel() if parts else np.empty(0)

    scale = pa.DictionaryArray.from_arrays(
        pa.array(np.tile(codes[order], n)), pa.array([score.scale for score in seen], pa.string())
    )
    columns = {
        "subject": np.repeat(who, m), "arm": repeated(arm, n * m), "time_h": np.tile(times[order], n), "scale": scale,
        "value": column([score.value for score in seen]), "true_value": column([score.true for score in seen]),
    }  # fmt: skip
    return pa.table(columns)


def subjects(arm: str, people: People) -> pyarrow.Table:
    """Arm, number, parameter draw, covariates and varying parameters of everybody."""
    import pyarrow as pa

    covariates = people.covariates
    columns: dict[str, Any] = {
        "subject": covariates["subject"].to_numpy(np.int64), "arm": repeated(arm, len(people)),
        "draw": np.asarray(people.draw, np.int64),
    }  # fmt: skip
    for name in covariates.columns.drop("subject"):
        values = covariates[name].to_numpy()
        if values.dtype.kind not in "fiub":
            columns[name] = pa.array(values, pa.string(), from_pandas=True).dictionary_encode()
        else:
            columns[name] = values
    columns |= {name: np.ascontiguousarray(values) for name, values in people.values.items() if name not in columns}
    return pa.table(columns)


def failures(arm: str, people: People, solution: engine.Solution) -> pyarrow.Table:
    """Who was not simulated to the end: subject, arm, time, state, last good value, reason and cure."""
    import pandas as pd

    numbers = people.covariates["subject"].to_numpy(np.int64)
    rows = [
        {
            "subject": int(numbers[failure.subject]), "arm": arm, "status": failure.status.name.lower().replace("_", "-"),
            "time_h": float(failure.time), "state": failure.state, "value": float(failure.value), "reason": failure.reason,
            "cure": failure.cure,
        }
        for failure in sorted(solution.failures, key=lambda failure: failure.subject)
    ]  # fmt: skip
    return of_frame(pd.DataFrame(rows, columns=list(FAILURES)), FAILURES)


def trajectories(arm: str, people: People, solution: engine.Solution, chosen: np.ndarray) -> pyarrow.Table:
    """The recorded outputs of the ``chosen`` people (positions) over time, one row a person and time, in float32."""
    import pyarrow as pa

    times, who = np.asarray(solution.times), people.covariates["subject"].to_numpy(np.int64)[chosen]
    n, m = len(who), len(times)
    values = solution.values[chosen].astype(np.float32).reshape(n * m, len(solution.outputs))
    columns: dict[str, Any] = {
        "subject": np.repeat(who, m), "arm": repeated(arm, n * m), "time_h": np.tile(times, n),
    }  # fmt: skip
    columns |= {name: np.ascontiguousarray(values[:, k]) for k, name in enumerate(solution.outputs)}
    return pa.table(columns)


def encode(table: pyarrow.Table) -> bytes:
    """A table as an Arrow file for the time being: six times as fast to write as Parquet. The same bytes for the same values."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(
        sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    ) as file:
        file.write_table(table)
    return bytes(sink.getvalue())


def decode(data: bytes) -> pyarrow.Table:
    """A table that ``encode`` wrote, texts by number."""
    import pyarrow as pa

    return pa.ipc.open_file(pa.BufferReader(data)).read_all()


def _settings(schema: Any, table: pyarrow.Table | None = None) -> dict[str, Any]:
    """How a table is written. Numbers that hardly ever repeat are not looked up in a dictionary."""
    import pyarrow as pa

    coded = [
        f.name for f in schema if pa.types.is_dictionary(f.type) or f.name in ("subject", "time_h", "draw", "value")
    ]
    if table is not None and table.num_rows:
        coded += [name for name in schema.names if name not in coded and _repeats(table[name])]
    return {"compression": "zstd", "compression_level": 1, "version": "2.6", "use_dictionary": coded,
            "store_schema": False, "write_page_checksum": True}  # fmt: skip


def _repeats(column: Any) -> bool:
    """Whether a column has few values: looked at where draws come round again."""
    head = column.slice(0, 1000).to_numpy()
    return bool(len(np.unique(head)) <= len(head) // 2)


class Writer:
    """A finished table on its way to disk, part by part, in row groups of bounded size; parts of arms never share one."""

    def __init__(self, path: Path) -> None:
        self.path, self.rows = path, 0
        self._writer: Any = None
        self._held: list[pyarrow.Table] = []
        self._count = 0

    def add(self, part: pyarrow.Table) -> None:
        """The next rows."""
        self._held.append(part)
        self._count += part.num_rows
        if self._count >= ROWS_A_GROUP or part.nbytes * len(self._held) > 100_000_000:
            self.flush()

    def flush(self) -> None:
        """End the row group."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        full = [part for part in self._held if part.num_rows]
        if not full and (self._writer is not None or not self._held):
            self._held, self._count = [], 0
            return
        table = pa.concat_tables(full or self._held[:1]).unify_dictionaries().combine_chunks()
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.path, table.schema, **_settings(table.schema, table))
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        self.rows += table.num_rows
        self._held, self._count = [], 0

    def close(self) -> None:
        """Write what is left and end the file."""
        self.flush()
        if self._writer is not None:
            self._writer.close()
