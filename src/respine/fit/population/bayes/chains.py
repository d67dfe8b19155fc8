"""NUTS chains (Hoffman & Gelman 2014) by nutpie, each from its own seed; a killed chain goes on to the same draws.

Every evaluation of the density is written down. A chain that is begun again asks for the same points in the same order
and is answered from the record until it comes to where it was: the same bits, whatever killed it.
"""

from __future__ import annotations

import io
import time as clock
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from respine.errors import InputError, Problem
from respine.files import store

Function = Callable[[np.ndarray], tuple[float, np.ndarray]]
Watch = Callable[[str], None]
FLUSH = 20  # evaluations between writes to the disk
TELL = 5.0  # seconds between messages


@dataclass(frozen=True)
class Chain:
    """One chain after tuning: ``draws`` (n_draws, n), whether each step ``diverged``, and the depth of its tree."""

    draws: np.ndarray
    diverged: np.ndarray
    depth: np.ndarray
    evaluations: int

    def to_bytes(self) -> bytes:
        out = io.BytesIO()
        np.savez(out, **{name: np.asarray(value) for name, value in vars(self).items()})  # type: ignore[arg-type]
        return out.getvalue()

    @staticmethod
    def from_bytes(data: bytes) -> Chain:
        with np.load(io.BytesIO(data), allow_pickle=False) as kept:
            return Chain(kept["draws"], kept["diverged"], kept["depth"], int(kept["evaluations"]))


class Record:
    """A function that remembers what it was asked, in order, in a file. ``path`` None: it does not."""

    def __init__(self, function: Function, size: int, path: Path | None) -> None:
        self.function, self.size, self.path = function, size, path
        self.count = self.computed = 0
        self.known = np.zeros((0, 2 * size + 1))
        self.file: BinaryIO | None = None

    def __enter__(self) -> Record:
        if self.path is not None:
            width = 8 * (2 * self.size + 1)
            data = self.path.read_bytes() if self.path.exists() else b""
            whole = len(data) // width * width  # the last entry may be half written
            self.known = np.frombuffer(data[:whole], float).reshape(-1, 2 * self.size + 1)
            self.file = self.path.open("r+b" if self.path.exists() else "w+b")
            self.file.truncate(whole)
            self.file.seek(whole)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.file is not None:
            self.file.close()

    def __call__(self, y: np.ndarray) -> tuple[float, np.ndarray]:
        place = self.count
        self.count += 1
        if place < len(self.known):
            row = self.known[place]
            if np.array_equal(row[: self.size], y):
                return float(row[self.size]), row[self.size + 1 :].copy()
            self.known = self.known[:place]  # another path: what follows is of no use
            if self.file is not None:
                self.file.truncate(8 * (2 * self.size + 1) * place)
                self.file.seek(0, io.SEEK_END)
        value, slope = self.function(y)
        self.computed += 1
        if self.file is not None:
            self.file.write(np.concatenate([y, [value], slope]).tobytes())
            if self.count % FLUSH == 0:
                self.file.flush()
        return value, slope


class Diverged(ValueError):
    """A point without a value: the sampler turns back there and counts a divergence."""

    is_recoverable = True


def library() -> tuple[Any, Any]:
    """nutpie and its entry for Python functions. Raises InputError where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import nutpie
            from nutpie.compiled_pyfunc import from_pyfunc
    except ImportError:
        raise InputError(Problem("respine", "method", "nuts", "NUTS needs the library nutpie, which is not installed.",
                                 "Run: pip install 'respine[bayes]'")) from None  # fmt: skip
    return nutpie, from_pyfunc


def chain(
    function: Function, size: int, number: int, *, draws: int, tune: int, seed: int, accept: float,
    folder: Path | None = None, watch: Watch | None = None,
) -> Chain:  # fmt: skip
    """Chain ``number`` of a log density of ``size`` values that is near standard normal. ``folder`` keeps its record, and
    its draws when it is done. Raises InputError where nutpie is missing or no start has a value.
    """
    done = folder / f"chain-{number}.npz" if folder is not None else None
    if done is not None and done.exists():
        return Chain.from_bytes(done.read_bytes())
    path = folder / f"chain-{number}.evaluations" if folder is not None else None
    with Record(function, size, path) as record:
        made = _sampled(record, size, number, draws, tune, seed, accept, watch)
    if done is not None and path is not None:
        store.write_bytes(done, made.to_bytes())
        path.unlink()
    return made


def _sampled(
    record: Record, size: int, number: int, draws: int, tune: int, seed: int, accept: float, watch: Watch | None
) -> Chain:
    nutpie, from_pyfunc = library()
    begun = said = clock.monotonic()
    seen = 0
    stopped: list[BaseException] = []

    def density(y: np.ndarray) -> tuple[float, np.ndarray]:
        if stopped:  # an exception cannot leave the library: the rest of the chain is run through without computing
            raise Diverged("stopped")
        try:
            value, slope = record(np.array(y))
        except BaseException as error:
            stopped.append(error)
            raise Diverged("stopped") from None
        if not np.isfinite(value):
            raise Diverged("no value there")
        return value, slope

    def expand(y: np.ndarray) -> dict[str, np.ndarray]:
        nonlocal seen, said
        seen += 1
        now = clock.monotonic()
        if watch is not None and now - said > TELL:
            said = now
            left = (now - begun) / seen * (draws + tune - seen)
            stage = "tuning" if seen <= tune else "sampling"
            watch(f"chain {number + 1}, {stage}: draw {seen} of {draws + tune}, about {left:.0f} s left")
        return {"y": np.array(y)}

    def start(_: int) -> np.ndarray:
        key = np.array([np.uint64(seed), np.uint64(number)], np.uint64)
        return 0.5 * np.random.Generator(np.random.Philox(key=key)).standard_normal(size)

    model = from_pyfunc(size, lambda: density, lambda *_: expand, [np.dtype("float64")], [(size,)], ["y"],
                        make_initial_point_fn=start)  # fmt: skip
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trace = nutpie.sample(model, draws=draws, tune=tune, chains=1, cores=1, seed=seed * 1009 + number,
                                  progress_bar=False, save_warmup=False, target_accept=accept)  # fmt: skip
    except RuntimeError as error:
        if stopped:
            raise stopped[0] from None
        reason = str(error).split("Stack backtrace")[0].strip().replace("\n", " ")
        raise InputError(Problem("posterior", "start", "", f"The sampler could not begin: {reason}.",
                                 "Start nearer to the data, or narrow the priors.")) from None  # fmt: skip
    if stopped:
        raise stopped[0]
    stats = trace.sample_stats
    return Chain(trace.posterior["y"].to_numpy()[0], stats["diverging"].to_numpy()[0].astype(bool),
                 stats["depth"].to_numpy()[0].astype(int), record.count)  # fmt: skip
