"""From shards to the tables of a run, one shard at a time: tables are written on, quantiles and scores are summed up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from respine.files import parquet, store
from respine.run import shards, summary, tables
from respine.run.plan import Plan, Shard, draws_of
from respine.run.shard_file import Loaded
from respine.trial import Panel

if TYPE_CHECKING:
    import pyarrow

QUANTILES = {"p05": 0.05, "median": 0.5, "p95": 0.95}


@dataclass
class Gathered:
    """What became of the shards: the scores of everybody, the chain, who failed."""

    panel: Panel
    chain: pd.DataFrame
    failures: pd.DataFrame
    decided: dict[tuple[str, str, str], int] = field(default_factory=dict)  # by arm, rule and outcome


def person_tables(plan: Plan) -> tuple[str, ...]:
    """Tables that shards hold parts of."""
    return ("subjects", "visits", "doses", "failures", *(("decisions",) if plan.study.rules else ()),
            *(("trajectories",) if plan.keep else ()))  # fmt: skip


def gather(
    plan: Plan, chosen: Sequence[Shard], load: Callable[[Shard], Loaded], out: Path | None,
    progress: Callable[[int, int], None] | None = None,
) -> Gathered:  # fmt: skip
    """Go through shards in the order of arms and people; with ``out`` write their tables there, each in one step at the end.

    The same bytes come out whatever was computed when. Raises OSError.
    """
    names = person_tables(plan)
    needed = names if out is not None else tuple(name for name in names if name in ("visits", "failures", "decisions"))
    writers = {name: tables.Writer(out / f".{name}.parquet.part") for name in names} if out is not None else {}
    scores = Scores(draws_of(range(plan.study.subjects)))
    chain: list[pd.DataFrame] = []
    failures: list[pyarrow.Table] = []
    decided: dict[tuple[str, str, str], int] = {}

    def read(shard: Shard) -> _Parts:
        members = load(shard).members
        parts = {name: tables.decode(members[f"{name}.arrow"]) for name in needed}
        return _Parts(shards.array(members[shards.SUMMARY]), shards.array(members[shards.SIZES]), parts)

    def write(parts: dict[str, pyarrow.Table]) -> None:
        for name, writer in writers.items():
            writer.add(parts[name])

    def end_of_arm() -> None:
        for writer in writers.values():
            writer.flush()

    try:
        with _Behind() as writing:
            for arm in plan.study.arms:
                summed = summary.Summary(len(plan.outputs), len(plan.times))
                for part in _ahead(read, [shard for shard in chosen if shard.arm == arm]):
                    writing.do(write, part.tables)
                    summed.add(part.means, part.sizes)
                    scores.add(part.tables["visits"])
                    failures.append(part.tables["failures"])
                    if "decisions" in part.tables:
                        _count(decided, part.tables["decisions"])
                writing.do(end_of_arm)
                chain.append(summary.table(arm, summed, plan.outputs, plan.times))
        for writer in writers.values():
            writer.close()
            store.settle(writer.path, writer.path.with_name(writer.path.name[1:].removesuffix(".part")))
    except BaseException:
        for writer in writers.values():
            writer.path.unlink(missing_ok=True)
        raise
    return Gathered(scores.panel(), pd.concat(chain, ignore_index=True), _frame(failures), decided)


@dataclass(frozen=True)
class _Parts:
    """A shard as it is put together: its summary and its tables."""

    means: np.ndarray
    sizes: np.ndarray
    tables: dict[str, pyarrow.Table]


def _ahead(read: Callable[[Shard], _Parts], chosen: Sequence[Shard]) -> Iterator[_Parts]:
    """The shards one after the other; the next is read while one is worked on."""
    with ThreadPoolExecutor(1) as pool:
        coming = [pool.submit(read, shard) for shard in chosen[:1]]
        for following in [*chosen[1:], None]:
            if not coming:
                return
            ready = coming.pop().result()
            if following is not None:
                coming.append(pool.submit(read, following))
            yield ready


class _Behind:
    """Another thread that does one thing after the other, at most one of them waiting."""

    def __enter__(self) -> _Behind:
        self._pool, self._last = ThreadPoolExecutor(1), None
        return self

    def do(self, work: Callable[..., None], *given: Any) -> None:
        """Do it next; what went wrong before is raised here."""
        if self._last is not None:
            self._last.result()
        self._last = self._pool.submit(work, *given)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown(wait=True)
        if kind is None and self._last is not None:
            self._last.result()

    _pool: ThreadPoolExecutor
    _last: Future[None] | None


def _frame(parts: list[pyarrow.Table]) -> pd.DataFrame:
    import pyarrow as pa

    whole = pa.concat_tables([part for part in parts if part.num_rows] or parts[:1]).unify_dictionaries()
    plain = [pa.string() if pa.types.is_dictionary(f.type) else f.type for f in whole.schema]
    return whole.cast(pa.schema(list(zip(whole.schema.names, plain, strict=True)))).to_pandas()


def _count(decided: dict[tuple[str, str, str], int], part: pyarrow.Table) -> None:
    if part.num_rows:
        counts = part.group_by(["arm", "rule", "outcome"]).aggregate([([], "count_all")]).to_pylist()
        for row in counts:
            key = (row["arm"], row["rule"], row["outcome"])
            decided[key] = decided.get(key, 0) + row["count_all"]


class Scores:
    """The scores of everybody as arrays, filled from parts of the table of visits."""

    def __init__(self, draw: np.ndarray) -> None:
        self.subjects, self.draw = np.arange(len(draw)), draw
        self._times: dict[str, np.ndarray] = {}
        self._values: dict[tuple[str, str], np.ndarray] = {}

    def add(self, part: pyarrow.Table) -> None:
        """Rows in the order of people and time, every person with the same times and scales; people of one or more arms."""
        if not part.num_rows:
            return
        subject = part["subject"].to_numpy()
        arm = part["arm"].combine_chunks()
        codes = _codes(arm)
        cuts = np.flatnonzero(np.diff(codes)) + 1
        for first, last in zip([0, *cuts], [*cuts, len(codes)], strict=True):
            piece = part.slice(first, last - first)
            self._add(arm[first].as_py(), subject[first:last], piece)

    def _add(self, arm: str, subject: np.ndarray, piece: pyarrow.Table) -> None:
        per_person = int(np.argmax(subject != subject[0])) or len(subject)
        who = subject[::per_person]
        names = [scale.as_py() for scale in piece["scale"].slice(0, per_person)]
        times = piece["time_h"].slice(0, per_person).to_numpy()
        values = piece["value"].to_numpy().reshape(len(who), per_person)
        for scale in dict.fromkeys(names):
            columns = np.array([k for k, name in enumerate(names) if name == scale])
            grid = self._times.setdefault(scale, times[columns])
            table = self._values.get((arm, scale))
            if table is None:
                table = self._values[arm, scale] = np.full((len(self.subjects), len(grid)), np.nan)
            table[who] = values[:, columns]

    def panel(self) -> Panel:
        """What endpoints are computed from."""
        return Panel(self.subjects, self.draw, self._times, self._values)


def _codes(column: Any) -> np.ndarray:
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return np.asarray((column if isinstance(column, pa.DictionaryArray) else column.dictionary_encode()).indices)


def read_panel(folder: Path, names: Iterable[str] = ("subjects", "visits")) -> Panel:
    """The scores of a finished run, from its tables, row group after row group."""
    import pyarrow.parquet as pq

    who = pq.read_table(folder / "subjects.parquet", columns=["subject", "draw"])
    subject, draw = who["subject"].to_numpy(), who["draw"].to_numpy()
    _, first = np.unique(subject, return_index=True)
    scores = Scores(draw[first])
    file = pq.ParquetFile(folder / "visits.parquet", read_dictionary=["arm", "scale"])
    for k in range(file.num_row_groups):
        scores.add(file.read_row_group(k, columns=["subject", "arm", "time_h", "scale", "value"]).unify_dictionaries())
    return scores.panel()


def scores_table(panel: Panel) -> pd.DataFrame:
    """Scores over people at each visit: ``arm, scale, time_h``, then ``n, p05, median, p95, mean`` of the score and the same
    of its change from each person's first visit (``change_...``); people without a value are left out.
    """
    rows = []
    for (arm, scale), values in panel.values.items():
        for k, time in enumerate(panel.times[scale]):
            now = _spread(values[:, k])
            change = _spread(values[:, k] - values[:, 0])
            rows.append({"arm": arm, "scale": scale, "time_h": float(time)} | now
                        | {f"change_{name}": value for name, value in change.items()})  # fmt: skip
    empty = {"n": 0, **dict.fromkeys((*QUANTILES, "mean"), 0.0)}
    names = ["arm", "scale", "time_h", *empty, *(f"change_{name}" for name in empty)]
    kinds = {name: "int64" if name.endswith("n") and name in ("n", "change_n") else "float64" for name in names[2:]}
    return pd.DataFrame(rows, columns=names).astype({"arm": "string", "scale": "string"} | kinds)


def _spread(values: np.ndarray) -> dict[str, Any]:
    known = values[np.isfinite(values)]
    if not len(known):
        return {"n": 0, **dict.fromkeys((*QUANTILES, "mean"), np.nan)}
    quantiles = np.quantile(known, list(QUANTILES.values()))
    return {"n": len(known), **dict(zip(QUANTILES, map(float, quantiles), strict=True)), "mean": float(known.mean())}


def write_table(out: Path, name: str, table: pd.DataFrame) -> None:
    """Write a small table of a run in one step."""
    store.write_bytes(out / f"{name}.parquet", parquet.encode(table))
