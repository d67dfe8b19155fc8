"""Independent pieces of work, side by side in processes, what is done kept in the cache folder."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from respine.evidence import store
from respine.files.store import code_fingerprint, fingerprint

DECIDES = (
    "calibration",
    "question",
    "ranks",
    "sensitivity",
    "verification",
)  # files of this room that results depend on
Progress = Callable[[str, float, float], None]


@dataclass(frozen=True)
class Piece:
    """One piece: ``call`` (``module:function``) with ``given`` and ``threads``; ``seconds`` guesses its length on one core.

    ``keep`` pieces are kept under their name for the same science and code; others keep their own results. ``known``
    says that the result is there already.
    """

    name: str
    call: str
    given: tuple[Any, ...] = ()
    seconds: float = 1.0
    keep: bool = True
    known: bool = False

    @property
    def digest(self) -> str:
        """What decides the result."""
        return store.key("credibility", own_code(), self.call, repr(self.given))

    def kept(self) -> Any:
        """The kept result, or None."""
        return store.read(f"credibility-{self.name}", self.digest) if self.keep else None


def own_code() -> str:
    """SHA-256 over the code and words that the pieces depend on beside the evidence room."""
    root = Path(__file__).parent
    own = [root / f"{name}.py" for name in DECIDES]
    return fingerprint(*own, root / "assessment.yaml", code_fingerprint("fit"))


def carry_out(
    pieces: Sequence[Piece], processes: int = 1, progress: Progress | None = None, threads: int | None = None
) -> dict[str, Any]:
    """Results by name. With one process everything runs here, with ``threads``; else side by side, one thread each.

    ``progress`` is called with what is done, seconds of work done and in all. Raises what a piece raises; pieces that
    were finished stay kept.
    """
    results: dict[str, Any] = {}
    open_ = []
    for piece in pieces:
        kept = piece.kept()
        if kept is None:
            open_.append(piece)
        else:
            results[piece.name] = kept
    total, done = sum(piece.seconds for piece in open_), 0.0

    def tell(piece: Piece, value: Any) -> None:
        nonlocal done
        done += piece.seconds
        if piece.keep:
            store.write(f"credibility-{piece.name}", piece.digest, value)
        results[piece.name] = value
        if progress:
            progress(piece.name, done, total)

    if progress and open_:
        progress("starting", 0.0, total)
    side_by_side = [piece for piece in open_ if not piece.known]
    if processes > 1 and len(side_by_side) > 1:
        _in_processes(sorted(side_by_side, key=lambda piece: -piece.seconds), processes, tell)
        open_ = [piece for piece in open_ if piece.known]
    for piece in open_:
        tell(piece, perform(piece.call, piece.given, threads))
    return results


def perform(call: str, given: tuple[Any, ...], threads: int | None = None) -> Any:
    """Call ``module:function`` with these arguments and threads."""
    module, _, name = call.partition(":")
    return getattr(import_module(module), name)(*given, threads=threads)


PATIENCE_S = 5.0  # for a process that was asked to end


def _in_processes(pieces: Sequence[Piece], processes: int, tell: Callable[[Piece, Any], None]) -> None:
    """The pieces in fresh processes; when anything stops us, no process is left behind."""
    before = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")  # a fork would copy threads of compiled code
    count = min(processes, len(pieces))
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_quiet)
    try:
        waiting = {pool.submit(perform, piece.call, piece.given, 1): piece for piece in pieces}
        for future in as_completed(waiting):
            tell(waiting[future], future.result())
        pool.shutdown()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        started = set(multiprocessing.active_children()) - before
        for child in started:
            child.terminate()
        for child in started:  # a signal may be lost on a process that is just starting
            child.join(PATIENCE_S)
            if child.is_alive():
                child.kill()
        raise


def _quiet() -> None:
    """Ctrl-C is the parent's affair."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
