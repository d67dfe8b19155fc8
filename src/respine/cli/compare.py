"""`respine compare`: two finished runs side by side, what changed between them and how far their endpoints lie apart."""

from __future__ import annotations

from pathlib import Path

import typer

from respine.cli.errors import report_errors

_FIRST = typer.Argument(..., metavar="RUN1", help="Folder of a finished run.")
_SECOND = typer.Argument(..., metavar="RUN2", help="Folder of another.")
_PLOT = typer.Option(None, "--plot", metavar="OUTPUT", help="Draw this output or scale of both runs over time.")
_OUT = typer.Option(
    None, "--out", metavar="FILE", help="Where to write the drawing (png, svg, pdf); compare.svg if left out."
)
_JSON = typer.Option(False, "--json", help="Print JSON on stdout.")


@report_errors
def compare(
    first: Path = _FIRST, second: Path = _SECOND, plot: str | None = _PLOT, out: Path | None = _OUT, json: bool = _JSON
) -> None:
    """Show what two runs ask differently and how far their endpoints lie apart."""
    from respine.cli.screen import columns, print_json
    from respine.run import compare as side_by_side

    both = side_by_side(first, second)
    if json:
        print_json({name: getattr(both, name).astype(object).where(getattr(both, name).notna(), None).to_dict("records")
                    for name in ("changed", "endpoints")})  # fmt: skip
    else:
        changed = [[str(row.field), str(row.first), str(row.second)] for row in both.changed.itertuples()]
        typer.echo(columns(changed, header=("changed", "first", "second")) if changed else "The studies are the same.")
        rows = [[str(r.arm), str(r.endpoint), f"{r.first:.4g}", f"{r.second:.4g}", f"{r.difference:+.3g}", str(r.unit)]
                for r in both.endpoints.itertuples()]  # fmt: skip
        typer.echo("\n" + columns(rows, header=("arm", "endpoint", "first", "second", "difference", "unit")))
    if plot is not None:
        typer.echo(f"drawing {both.plot(plot).save(out or Path('compare.svg'))}", err=json)
