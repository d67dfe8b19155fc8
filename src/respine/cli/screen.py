"""What the terminal shows: lines, aligned columns, progress on stderr, pure JSON on stdout."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer

EVERY = 60.0  # seconds between two lines of progress off a terminal


class Screen:
    """Where words go: to stdout, to stderr when stdout carries JSON, nowhere when quiet."""

    DISCLAIMER = "Research software. Not advice for any person."

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet

    def say(self, text: str) -> None:
        """One line for the reader, off when quiet."""
        if not self.quiet:
            typer.echo(text, err=self.as_json)

    @contextmanager
    def progress(self, total: int, label: str = "simulating") -> Iterator[Callable[[int, int], None]]:
        """A progress line with rate and time left on stderr; off a terminal one line a minute. Yields ``(done, total)``."""
        if self.quiet:
            yield lambda done, total: None
            return
        if not sys.stderr.isatty():
            yield Minutely(label, lambda line: typer.echo(line, err=True))
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn
        from rich.progress import TimeRemainingColumn as TimeLeft
        from rich.text import Text

        class Rate(ProgressColumn):
            def render(self, task: Any) -> Text:
                said = f"{task.speed:,.0f} people/s".replace(",", " ") if task.speed else ""
                return Text(said, no_wrap=True, overflow="ellipsis")

        parts = (TextColumn(label), BarColumn(24), MofNCompleteColumn(), Rate(), TimeLeft())
        with Progress(*parts, console=Console(stderr=True)) as bar:
            task = bar.add_task(label, total=total)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    @contextmanager
    def steps(self) -> Iterator[Callable[[str, int, int], None] | None]:
        """A progress line that names the step at work; yields ``(step, done, total)``, None off a terminal."""
        if self.quiet or not sys.stderr.isatty():
            yield None
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        share, step = TextColumn("{task.percentage:3.0f} %"), TextColumn("{task.description}")
        parts = (BarColumn(24), share, TimeRemainingColumn(), step)
        with Progress(*parts, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=1)
            yield lambda label, done, total: bar.update(task, description=label, completed=done, total=total)


class Minutely:
    """Progress for a file of output: a line a minute, none in a run that is over before."""

    def __init__(self, task: str, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.task, self.say, self.clock = task, say, clock
        self.began = self.last = clock()
        self.first: int | None = None

    def __call__(self, done: int, total: int) -> None:
        """So many of ``total`` are done."""
        now = self.clock()
        if self.first is None:
            self.first, self.began = done, now  # what was there before tells nothing of the pace
        if now - self.last < EVERY:
            return
        self.last = now
        pace = (done - self.first) / (now - self.began) if now > self.began else 0.0
        line = f"{self.task} {done} of {total} people ({100 * done // max(1, total)} %)"
        if pace > 0:
            from respine.run.speed import duration_text

            line += f", {pace:.0f} people/s, about {duration_text((total - done) / pace)} left"
        self.say(line)


def columns(rows: Sequence[Sequence[str]], header: Sequence[str] = (), right: Collection[int] = ()) -> str:
    """Rows of text as aligned columns two spaces apart, never cut or wrapped; ``right`` are aligned to the right."""
    lines = [header, *rows] if header else rows
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]

    def line(cells: Sequence[str]) -> str:
        aligned = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
        return "  ".join(aligned).rstrip()

    return "\n".join(map(line, lines))


def print_json(value: Any) -> None:
    """JSON on stdout; numbers that JSON lacks (NaN, infinity) become null."""
    typer.echo(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, str):  # a NumPy scalar
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
