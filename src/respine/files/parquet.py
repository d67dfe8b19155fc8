"""Tables and arrays as bytes: the same bytes for the same values."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd


def encode(table: pd.DataFrame) -> bytes:
    """A table as Parquet: the same bytes for the same values (no index, no time stamp, fixed compression)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrow = pa.Table.from_pandas(_plain(table), preserve_index=False).replace_schema_metadata(None)
    sink = io.BytesIO()
    pq.write_table(arrow, sink, compression="zstd", compression_level=3, version="2.6", use_dictionary=True)
    return sink.getvalue()


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Texts as plain strings, also where a column is empty, so that an empty table has the types of a full one."""
    texts = [
        name
        for name in table.columns
        if isinstance(table[name].dtype, pd.StringDtype)
        or (table[name].dtype == object and pd.api.types.infer_dtype(table[name]) in ("string", "empty"))
    ]
    return table.astype(dict.fromkeys(texts, "string"))


def read(path: Path) -> pd.DataFrame:
    """A table written by ``encode``."""
    import pyarrow.parquet as pq

    return pq.read_table(path).to_pandas()


def encode_array(values: np.ndarray) -> bytes:
    """An array in NumPy's own format."""
    sink = io.BytesIO()
    np.save(sink, values, allow_pickle=False)
    return sink.getvalue()
