"""`respine model`: read the equations, numbers and sources; export them as SBML."""

from __future__ import annotations

import textwrap
from pathlib import Path

import typer

from respine.cli.errors import report_errors, stop

group = typer.Typer(help="The equations, their numbers and sources.", no_args_is_help=True)
_MODEL = typer.Option("human", "--model", "-m", help="Which library model: see `respine model names`.")
_WHAT = typer.Argument("", metavar="[NAME]", help="A model (rat), a module (bdnf), a symbol (circuit) or an SBML file.")
_FILE = typer.Argument(..., metavar="FILE.xml", help="The SBML file to write.")
_KINDS = ("models", "modules", "drugs", "exposures", "scales", "populations", "studies")


@group.command("names")
@report_errors
def names(json: bool = typer.Option(False, "--json", help="Print JSON instead of a list.")) -> None:
    """List what the library holds: models, modules, drugs, exposures, scales, populations, studies."""
    from respine import library
    from respine.cli.screen import print_json

    held = {kind: library.names(kind) for kind in _KINDS}
    if json:
        print_json(held)
        return
    for kind, members in held.items():
        typer.echo(f"{kind:<12} " + textwrap.fill(", ".join(members), 100, subsequent_indent=" " * 13))


@group.command("show")
@report_errors
def show(name: str = _WHAT, model: str = _MODEL) -> None:
    """Print equations, parameters and sources of a model, of one module, or all that is known of one symbol."""
    import shutil

    from respine import library
    from respine import model as models

    width = max(80, shutil.get_terminal_size((120, 40)).columns)
    if Path(name).suffix in (".xml", ".sbml"):
        typer.echo(models.show(models.load_sbml(Path(name)), width=width))
    elif name in library.names("models"):
        typer.echo(models.show(models.load(name), width=width))
    else:
        typer.echo(models.show(models.load(model), name or None, width=width))


@group.command("export")
@report_errors
def export(file: Path = _FILE, model: str = _MODEL) -> None:
    """Write a library model as SBML Level 3 Version 2."""
    from respine import model as models

    if file.exists():
        stop(f"{file} exists already and is left as it is. Choose another name, or move it away.", code=2)
    text = models.to_sbml(models.load(model))
    with file.open("x", encoding="utf-8") as out:
        out.write(text)
    typer.echo(f"{file} written: model {model}, SBML Level 3 Version 2.")
