"""Each solver in a process of its own: so that one's memory, threads and crashes are not another's."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Timed:
    """One call of ``solve``: wall seconds and, if asked for, the trajectories (subjects, times, states)."""

    seconds: float
    trajectories: np.ndarray | None


class PeerFailed(Exception):
    """A peer could not be prepared, ran out of its time or raised; the text is the reason printed in the table."""


class Worker:
    """A peer in its own process, kept on one core; ``prepared`` is what its first subject cost from nothing."""

    def __init__(self, peer: str, problem: str, subjects: int, *, cores: list[int], arguments: dict[str, Any],
                 environment: dict[str, str] | None = None, limit: float = 600.0) -> None:  # fmt: skip
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(theirs, peer, problem, subjects, cores, arguments, environment or {}), daemon=True
        )
        self.process.start()
        theirs.close()
        try:
            self.prepared = self._answer(limit)
        except PeerFailed:
            self.close()
            raise

    def start(self, rtol: float, *, keep: bool) -> None:
        self.connection.send((rtol, keep))

    def wait(self, limit: float = 600.0) -> Timed:
        return Timed(*self._answer(limit))

    def solve(self, rtol: float, *, keep: bool = False, limit: float = 600.0) -> Timed:
        self.start(rtol, keep=keep)
        return self.wait(limit)

    def ask(self, question: str) -> Any:
        """``memory`` in MB at its highest beyond the loaded problem, or ``account`` of respine's last run."""
        self.connection.send(question)
        return self._answer(60.0)

    def close(self) -> None:
        self.process.kill()
        self.process.join()

    def _answer(self, limit: float) -> Any:
        try:
            if not self.connection.poll(limit):
                self.close()
                raise PeerFailed(f"not done after {limit:.0f} s")
            good, answer = self.connection.recv()
        except (EOFError, ConnectionResetError):
            raise PeerFailed("its process ended") from None
        if not good:
            raise PeerFailed(answer)
        return answer


def _serve(connection: Connection, peer: str, problem: str, subjects: int, cores: list[int], arguments: dict[str, Any],
           environment: dict[str, str]) -> None:  # fmt: skip
    os.environ.update(environment)
    os.environ["PATH"] = os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    )  # tools of peers
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    quiet = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # peers print warnings at every event
        os.dup2(quiet, stream)
    try:
        import models
        import peers

        given = models.PROBLEMS[problem]()
        people = given.draw(subjects)
        given.sbml  # noqa: B018 - writing it is no peer's work
        _forget_highest_memory()
        before = _memory()
        begun = time.perf_counter()
        module = peers.peer(peer)
        account = None
        whole = hasattr(module, "build")
        first = module.build(given, people[:1], **arguments)[0] if whole else module.prepare(given, people[:1])
        _try(first, (1e-4, 1e-5, 1e-6))
        cold = time.perf_counter() - begun
        if hasattr(module, "build"):
            solve, account = module.build(given, people, **arguments)
        else:
            solve = first if subjects == 1 else module.prepare(given, people)
        connection.send((True, cold))
        while True:
            asked = connection.recv()
            if asked == "memory":
                connection.send((True, _memory() - before))
            elif asked == "account":
                connection.send((True, account() if account else {}))
            else:
                rtol, keep = asked
                begun = time.perf_counter()
                try:
                    result = solve(rtol)
                except Exception as error:  # the next tolerance may do
                    connection.send((False, _reason(error)))
                    continue
                seconds = time.perf_counter() - begun
                connection.send((True, (seconds, result[:64] if keep else None)))
    except EOFError:
        return
    except BaseException as error:
        connection.send((False, _reason(error)))


def _try(solve: Callable[[float], Any], tolerances: Sequence[float]) -> None:
    """Solve at the first of the tolerances at which it succeeds."""
    for rtol in tolerances[:-1]:
        try:
            solve(rtol)
            return
        except Exception:  # some solvers fail at a loose tolerance
            continue
    solve(tolerances[-1])


def _reason(error: BaseException) -> str:
    first = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    return first if str(error) else traceback.format_exc().splitlines()[-1]


def _memory() -> float:
    """Highest resident memory of this process so far, MB."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return int(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def _forget_highest_memory() -> None:
    with contextlib.suppress(OSError):  # Linux only; elsewhere the memory of loading the problem may hide the peer's
        Path("/proc/self/clear_refs").write_text("5")
