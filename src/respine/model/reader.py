"""Read documents from outside in a process of their own: a library that falls takes nobody with it."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

from respine.errors import InputError, Problem
from respine.model.content import Content
from respine.model.limits import Limits
from respine.model.reader_process import IDLE, receive, send
from respine.model.source import Source

_START = "import sys; sys.path[:] = sys.argv[1].split({sep!r}); from respine.model.reader_process import main; main()"
_lock = threading.Lock()
_reader: _Reader | None = None


def _after_fork() -> None:
    """A forked process starts a reader of its own; the lock may have been held by a thread that is not here."""
    global _lock, _reader
    _lock, _reader = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def start() -> None:
    """Start the process, so that it is ready when there is something to read."""
    global _reader
    with _lock:
        if _reader is None or not _reader.ready():
            _reader = _Reader()


def stop() -> None:
    """End the process; the next document starts another."""
    global _reader
    with _lock:
        if _reader is not None:
            _reader.end()
        _reader = None


def read(source: Source, limits: Limits) -> Content:
    """What a document declares. Raises InputError with all its problems, or that the reader died of it."""
    with _lock:
        kind, value = _ask(source, limits)
    if kind == "content":
        return value
    raise InputError(*value)


def _ask(source: Source, limits: Limits) -> tuple[str, Any]:
    global _reader
    while True:
        if _reader is None or not _reader.ready():
            _reader = _Reader()
        try:
            return _reader.ask(source, limits)
        except (EOFError, OSError):
            ended, _reader = _reader, None
            if not ended.was_idle():
                return "problems", [ended.ended(source, limits)]


class _Reader:
    """A running process; it belongs to the process that started it, not to one that was forked from that."""

    def __init__(self) -> None:
        package = str(Path(__file__).parents[2])
        path = os.pathsep.join([package, *(p for p in sys.path if p)])
        code = _START.format(sep=os.pathsep)
        self.owner = os.getpid()
        self.overdue = False
        # -S -E: the path is given, so that neither site packages nor the environment need to be looked through
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        atexit.register(self.end)

    def ready(self) -> bool:
        return self.process.poll() is None

    def ask(self, source: Source, limits: Limits) -> tuple[str, Any]:
        """The answer. Raises EOFError or OSError where the process ends without one."""
        overdue = threading.Timer(limits.seconds, self._stop)
        overdue.daemon = True
        overdue.start()
        try:
            send(_open(self.process.stdin), (source, limits))
            return receive(_open(self.process.stdout))
        except (EOFError, OSError):  # it ends, and its exit code tells why
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=2)
            self._kill()
            raise
        except BaseException:  # the user interrupts: the answer would come to the next question
            self._kill()
            raise
        finally:
            overdue.cancel()

    def _stop(self) -> None:
        self.overdue = True
        self.process.kill()

    def _kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def was_idle(self) -> bool:
        """Whether it ended before it had this document, because nobody had asked for long."""
        return not self.overdue and self.process.wait() == IDLE

    def ended(self, source: Source, limits: Limits) -> Problem:
        """Why there is no answer."""
        code = self.process.wait()
        self.end()
        library = "libSBML" if source.language == "SBML" else "Antimony"
        if self.overdue:
            why = f"{library} does not end reading it within {limits.seconds:g} s."
            cure = "Give a smaller model, or limits=Limits(seconds=...) if it is meant."
            return Problem(source.name, "time", "", why, cure)
        reason = f"exit code {code}"
        with contextlib.suppress(ValueError):
            reason = signal.strsignal(-code) or reason if code < 0 else reason
        why = f"{library} died while reading it ({reason}); the document is damaged, or meets a fault of {library}."
        return Problem(source.name, source.language, "", why, "Have it checked or written anew by another tool.")

    def end(self) -> None:
        """Let the process end; it does when its input closes."""
        atexit.unregister(self.end)
        if self.owner != os.getpid():
            return
        for stream in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                _open(stream).close()
        try:
            self.process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _open(stream: IO[bytes] | None) -> Any:
    assert stream is not None
    return stream
