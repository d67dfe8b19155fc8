"""`respine status`, `respine verify`, `respine collect`: what there is of a run, whether it is whole, putting parts together."""

from __future__ import annotations

from pathlib import Path

import typer

from respine.cli.errors import report_errors
from respine.cli.run import show
from respine.cli.signals import preemptible

_DIR = typer.Argument(..., metavar="DIR", help="Folder of a run.")
_JSON = typer.Option(False, "--json", help="Print JSON on stdout, everything else on stderr.")
_THREADS = typer.Option(None, metavar="K", help="Threads; all cores when left out.")
_REPAIR = typer.Option(False, "--repair", help="Compute again what is missing or damaged, and finish the run.")
_QUIET = typer.Option(False, "--quiet", "-q", help="Print nothing but errors (and JSON, if asked).")


@report_errors
def status(folder: Path = _DIR, json: bool = _JSON) -> None:
    """Say how far a run is, how fast it goes and when it will be done."""
    from dataclasses import asdict

    from respine.cli.screen import Screen, print_json
    from respine.run import speed
    from respine.run import status as of

    progress, screen = of(folder), Screen(as_json=json)
    if json:
        print_json(asdict(progress))
        return
    share = f"{100 * progress.people_done // max(1, progress.people)} %"
    screen.say(f"{progress.study}  {progress.state}: {progress.people_done} of {progress.people} people ({share}), "
               f"{progress.shards_done} of {progress.shards} shards")  # fmt: skip
    if progress.state != "complete" and progress.people_per_s and progress.seconds_left is not None:
        left = speed.duration_text(progress.seconds_left)
        screen.say(f" {progress.people_per_s:.0f} people/s, about {left} left at this pace")
    if progress.failed:
        screen.say(f" {progress.failed} not simulated to the end")
    if progress.last:
        screen.say(f" last sign of life {progress.last}")
    for warning in progress.warnings:
        screen.say(f" note: {warning}")


@report_errors
def verify(
    folder: Path = _DIR,
    repair: bool = _REPAIR,
    threads: int | None = _THREADS,
    json: bool = _JSON,
    quiet: bool = _QUIET,
) -> None:
    """Compare every file of a run with its checksum; with --repair make again what is missing or damaged.

    Exit code 0: whole (or unfinished and whole so far); 1: something is damaged or lost.
    """
    from respine.cli.screen import Screen, print_json
    from respine.run import repair as mend
    from respine.run import verify as look

    screen = Screen(as_json=json, quiet=quiet)
    verified = look(folder)
    screen.say(f"{folder}: {verified.state}, {verified.checked} files compared with their checksums")
    for finding in verified.findings:
        screen.say(f" {'damaged' if finding.harm else 'note'}: {finding.what}: {finding.why}")
    if verified.missing:
        screen.say(
            f" {len(verified.missing)} shards are still to be computed: go on with `respine run --resume {folder}`"
        )
    if repair and (not verified.sound or verified.state != "complete"):
        with preemptible(), screen.progress(0) as progress:
            results = mend(folder, threads=threads, progress=progress)
        screen.say(f" mended: {results.folder} is whole and finished")
        verified = look(folder)
    elif repair:
        screen.say(" nothing to mend")
    if json:
        print_json(verified.to_dict())
    if not verified.sound:
        if not repair:
            screen.say(f" mend it with `respine verify {folder} --repair`")
        raise typer.Exit(1)


@report_errors
def collect(folder: Path = _DIR, threads: int | None = _THREADS, json: bool = _JSON, quiet: bool = _QUIET) -> None:
    """Put the parts that `respine run --shard i/n` computed together into the tables and the report of the run."""
    from respine.cli.screen import Screen
    from respine.run import collect as gather

    screen = Screen(as_json=json, quiet=quiet)
    with preemptible(), screen.progress(0) as progress:
        results = gather(folder, threads=threads, progress=progress)
    show(results, None, screen)
