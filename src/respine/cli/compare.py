"""`respine compare RUN1 RUN2`: what two runs were asked, what came out of each, and their curves on each other."""

from __future__ import annotations

from pathlib import Path

import typer

from respine.cli.errors import report_errors
from respine.cli.names import complete_run

_FIRST = typer.Argument(..., metavar="RUN1", autocompletion=complete_run, help="The folder of a finished run.")
_SECOND = typer.Argument(..., metavar="RUN2", autocompletion=complete_run, help="The folder of another one.")
_OUT = typer.Option(None, "--out", metavar="FILE", help="Where the curves go (svg, png, pdf); into RUN2 when left out.")
_PLOT = typer.Option(None, "--plot", metavar="NAME", help="Draw this output or scale alone (may be repeated).")
_JSON = typer.Option(False, "--json", help="Print JSON on stdout, everything else on stderr.")


@report_errors
def compare(
    first: Path = _FIRST,
    second: Path = _SECOND,
    out: Path | None = _OUT,
    plot: list[str] = _PLOT,
    json: bool = _JSON,
) -> None:
    """Show what differs between two runs: settings, results, and the curves of one on those of the other."""
    from respine.cli.screen import Screen, columns, print_json
    from respine.report import changes

    screen = Screen(as_json=json)
    comparison = changes.compare(first, second)
    target = out or second / f"compared-with-{first.resolve().name}.svg"
    drawn = _draw(comparison, target, plot or ())
    if json:
        print_json({"changed": comparison.changed.to_dict("records"), "endpoints": comparison.endpoints.to_dict("records"),
                    "figure": str(target) if drawn else None})  # fmt: skip
    else:
        if len(comparison.changed):
            typer.echo(columns(comparison.changed.values.tolist(), ("changed", "first", "second")))
        else:
            typer.echo("Both runs were asked the same.")
        if len(comparison.endpoints):
            header, rows = changes.as_text(comparison)
            typer.echo("\n" + columns(rows, header, right=(2, 3, 4)))
    if drawn:
        screen.say(f"\ncurves  {target}")
    else:
        screen.say("\nThe runs have no output or scale in common, so there are no curves to draw.")
    screen.say(screen.DISCLAIMER)


def _draw(comparison: object, target: Path, only: list[str] | tuple[str, ...]) -> bool:
    """Write the figure; False where the runs share nothing. Raises InputError for names that are not shared."""
    from respine.errors import InputError, Problem
    from respine.files.suggest import nearest
    from respine.report.changes import RunComparison
    from respine.report.panels import panels

    assert isinstance(comparison, RunComparison)
    shared = {panel.name for panel in panels(comparison.first)} & {panel.name for panel in panels(comparison.second)}
    unknown = [name for name in only if name not in shared]
    if unknown:
        why = "Both runs must have it to draw it."
        raise InputError(
            *(Problem("command line", "--plot", name, why, nearest(name, sorted(shared))) for name in unknown)
        )
    endings = (".svg", ".png", ".pdf", ".eps")
    if target.suffix not in endings:
        why = "The ending says what is written."
        raise InputError(Problem("command line", "--out", str(target), why, f"Write one of {', '.join(endings)}."))
    if shared:
        comparison.plot(only).save(target)
    return bool(shared)
