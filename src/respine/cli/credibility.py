"""`respine credibility`: one offline page that says how far the model can be believed, and where it is wrong."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from respine.cli.errors import report_errors

if TYPE_CHECKING:
    from respine.cli.screen import Screen
    from respine.credibility import Assessment

_OUT = typer.Option(None, "--out", metavar="FILE.html", help="The page; respine-credibility.html when left out.")
_JSON = typer.Option(False, "--json", help="Print the findings as JSON on stdout, everything else on stderr.")
_QUICK = typer.Option(False, "--quick", help="Under a minute: simulate no study and fit no block that is not kept.")
_SUBJECTS = typer.Option(None, min=20, max=1_000_000, help="Virtual people per arm; 400 when left out.")
_DRAWS = typer.Option(None, min=1, max=1_000_000, help="Parameter vectors of the sensitivity; 4096, quick 1024.")
_SEED = typer.Option(None, min=0, help="Seed of the sensitivity's random numbers.")
_THREADS = typer.Option(None, "--threads", metavar="K", min=1, help="Cores to use; all when left out.")
_HELP = "Result of `respine qualify ... --json`; may be repeated."
_FILES = typer.Option(None, "--qualification", metavar="FILE.json", help=_HELP)


@report_errors
def credibility(
    out: Path | None = _OUT,
    json: bool = _JSON,
    quick: bool = _QUICK,
    subjects: int | None = _SUBJECTS,
    draws: int | None = _DRAWS,
    seed: int | None = _SEED,
    threads: int | None = _THREADS,
    qualification: list[Path] = _FILES,
) -> None:
    """Assess the model: provenance, calibration, validation, sensitivity, known failures, on one offline page."""
    from respine import credibility as room
    from respine.cli.screen import Screen, print_json

    screen = Screen(as_json=json)
    place = room.place_for(out)
    cores = threads or os.cpu_count() or 1
    given = {"subjects": subjects, "draws": draws, "seed": seed}
    options = room.Options(quick=quick, threads=threads, processes=cores, qualification=tuple(qualification or ()),
                           **{name: value for name, value in given.items() if value is not None})  # fmt: skip
    work = room.plan(options)
    screen.say(str(work))
    try:
        with screen.steps() as progress:
            assessment = room.assess(work, _whole(progress) if progress else None)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped; no page was written. The same command goes on where it was.") from None
    page = room.write(assessment, place)
    if json:
        print_json(assessment.to_dict())
    _print_summary(screen, assessment, page)


def _whole(progress: Callable[[str, int, int], None]) -> Callable[[str, float, float], None]:
    return lambda task, done, total: progress(task, round(done), max(1, round(total)))


def _print_summary(screen: Screen, assessment: Assessment, page: Path) -> None:
    from respine.cli.screen import columns
    from respine.credibility import text

    cells = [[row["what"], row["asked"], row["found"], {"yes": "yes", "no": "NO", "-": "-"}[row["met"]]]
             for row in text.criteria(assessment)]  # fmt: skip
    screen.say("\n" + columns(cells, ("criterion", "asked for", "found", "met")))
    screen.say(f"\nreport  {page}\n{screen.DISCLAIMER}")
