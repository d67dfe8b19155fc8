"""What happened in a run, one JSON object a line, for people and programs that look later: ``log.jsonl`` in its folder."""

from __future__ import annotations

import contextlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from respine.run.plan import Plan

NAME = "log.jsonl"


class Log:
    """Lines appended as things happen. A log that cannot be written is left out: no run ends for it."""

    def __init__(self, out: Path, plan: Plan) -> None:
        self.out, self.plan = out, plan
        self._file: IO[str] | None = None

    def __enter__(self) -> Log:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        with contextlib.suppress(OSError):
            self._file = os.fdopen(os.open(self.out / NAME, flags, 0o644), "a", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()

    def write(self, event: str, **facts: Any) -> None:
        """One line: when, which process, what (``start``, ``shard``, ``damaged``, ``stopped``, ``failed``, ``complete``)."""
        if self._file is None:
            return
        when = datetime.now(UTC).isoformat(timespec="milliseconds")
        with contextlib.suppress(OSError, ValueError):
            self._file.write(json.dumps({"when": when, "process": os.getpid(), "event": event, **facts}) + "\n")
            self._file.flush()


def read(out: Path) -> list[dict[str, Any]]:
    """The lines of a log that can be read, in their order."""
    entries = []
    with contextlib.suppress(OSError, UnicodeDecodeError):
        for line in (out / NAME).read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                entries.append(json.loads(line))
    return entries
