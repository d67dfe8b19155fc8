"""`respine figure`: a figure for a paper, from a run."""

from __future__ import annotations

from pathlib import Path

import typer

from respine.cli.errors import report_errors

_RUN = typer.Argument(..., metavar="RUN", help="A run folder (runs/NAME-xxxx).")
_ONLY = typer.Option(
    None, "--only", metavar="NAME", help="An output or scale to draw (may be repeated, or a,b); all when left out."
)
_ARMS = typer.Option(
    None, "--arms", metavar="NAME", help="An arm to draw (may be repeated, or a,b); all when left out."
)
_DATA = typer.Option(
    None,
    "--data",
    metavar="FILE.csv",
    help="Own results on top: arm, output or scale, time, mean, sem or sd, n, control.",
)
_WIDTH = typer.Option("85mm", "--width", help="Width of the figure: 85mm for one column, 180mm for two.")
_HEIGHT = typer.Option("", "--height", help="Height of the figure; by the number of panels when left out.")
_FORMAT = typer.Option("svg", "--format", help="svg, png, pdf, eps; several with commas.")
_OUT = typer.Option(
    None, "--out", "-o", metavar="NAME", help="Name of the files without ending; RUN/figure when left out."
)
_BANDS = typer.Option(
    None, "--bands/--no-bands", help="5-95 % of subjects; left out for more than four arms unless asked for."
)
_DPI = typer.Option(300.0, "--dpi", min=50, max=1200, help="Dots an inch of a PNG.")


@report_errors
def figure(
    run: Path = _RUN, only: list[str] = _ONLY, arms: list[str] = _ARMS, data: Path | None = _DATA, width: str = _WIDTH,
    height: str = _HEIGHT, format: str = _FORMAT, out: Path | None = _OUT, bands: bool | None = _BANDS, dpi: float = _DPI,
) -> None:  # fmt: skip
    """Draw chosen panels and arms of a run at the size of a paper's column, with your own data on top."""
    from respine.errors import InputError, argument
    from respine.report import figure as paper

    endings = [ending.strip().lower() for ending in format.split(",") if ending.strip()]
    wrong = [ending for ending in endings if ending not in paper.FORMATS]
    if wrong or not endings:
        raise InputError(argument("format", format, "This is no format.", f"Write {', '.join(paper.FORMATS)}."))
    drawing = paper.figure(
        run, only=_split(only), arms=_split(arms), data=data, width_mm=paper.millimetres(width),
        height_mm=paper.millimetres(height) if height else None, bands=bands,
    )  # fmt: skip
    stem = out if out is not None else run / "figure"
    stem.parent.mkdir(parents=True, exist_ok=True)
    for ending in endings:
        typer.echo(drawing.save(stem.with_name(f"{stem.name}.{ending}"), dpi))
    table = stem.with_name(f"{stem.name}.csv")
    drawing.table.to_csv(table, index=False)
    typer.echo(f"{table}  the numbers in it")


def _split(names: list[str] | None) -> list[str]:
    return [part.strip() for name in names or [] for part in name.split(",") if part.strip()]
