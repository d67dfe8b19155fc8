"""`respine model`: read the equations, numbers and sources; export them as SBML."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from respine.cli.errors import report_errors, stop
from respine.cli.names import complete_any, complete_kind, complete_model

if TYPE_CHECKING:
    from respine.model import System

group = typer.Typer(help="What the library holds: equations, numbers, sources, drugs, scales ...", no_args_is_help=True)
_MODEL = typer.Option(None, "--model", "-m", autocompletion=complete_model,
                      help="Which library model; the first that has the name (human, rat, mouse) when left out.")  # fmt: skip
_WHAT = typer.Argument("", metavar="[NAME]", autocompletion=complete_any,
                       help="A model (rat), a module (bdnf), a symbol (circuit), a drug, exposure, scale, population or study, "
                            "or an SBML or Antimony file.")  # fmt: skip
_KIND = typer.Argument("", metavar="[KIND]", autocompletion=complete_kind, help="One kind: drugs, studies ...")
_FILE = typer.Argument(..., metavar="FILE.xml", help="The SBML file to write.")
_OF = typer.Option("human", "--model", "-m", autocompletion=complete_model, help="Which library model.")
_FIRST = ("human", "rat", "mouse")


@group.command("names")
@report_errors
def names(kind: str = _KIND, json: bool = typer.Option(False, "--json", help="Print JSON instead of a list.")) -> None:
    """List what the library holds, a name and its meaning a line; into a pipe: name, kind and meaning between tabs."""
    from respine import library
    from respine.cli.names import KINDS, kind_word, meaning
    from respine.cli.screen import columns, print_json
    from respine.errors import InputError, Problem

    if kind and kind not in KINDS:
        near = get_close_matches(kind, KINDS, 1)
        cure = f"Write {near[0]}." if near else f"Write one of {', '.join(KINDS)}."
        raise InputError(Problem("command line", "KIND", kind, "The library has no such kind of file.", cure))
    held = {folder: library.names(folder) for folder in KINDS if kind in ("", folder)}
    if json:
        print_json(held)
    elif sys.stdout.isatty():
        blocks = [
            f"{folder}\n" + columns([[f"  {name}", meaning(folder, name)] for name in held[folder]]) for folder in held
        ]
        typer.echo("\n\n".join(blocks) + "\n\nAll that is known of one: respine model show NAME")
    else:
        for kind_name, members in held.items():
            for name in members:
                typer.echo(f"{name}\t{kind_word(kind_name)}\t{meaning(kind_name, name)}")


@group.command("show")
@report_errors
def show(name: str = _WHAT, model: str | None = _MODEL) -> None:
    """Print all that is known of a model, module, symbol, drug, exposure, scale, population or study."""
    import shutil

    from respine import model as models
    from respine.cli import cards
    from respine.cli.names import kinds_of
    from respine.model.source import SUFFIXES

    width = max(80, shutil.get_terminal_size((120, 40)).columns)
    if Path(name).suffix.lower() in SUFFIXES:
        typer.echo(models.show(models.load(Path(name)), width=width))
        return
    kinds = kinds_of(name) if name else []
    if "models" in kinds or not name:
        typer.echo(models.show(models.load(name or model or "human"), width=width))
        return
    texts = [cards.card(kind, name, width) for kind in kinds if kind in cards.KINDS]
    texts = texts or [cards.card(kind, file, width) for kind, file in cards.by_alias(name)]
    system = _holding(name, model, required=not texts)
    if system is not None:  # an exposure and the module or input behind it share their name
        texts.append(models.show(system, name, width=width))
    typer.echo(f"\n\n{'-' * 40}\n\n".join(texts))


def _holding(name: str, model: str | None, required: bool) -> System | None:
    """The model that has a module or symbol of this name. Raises InputError where none has and one is required."""
    from respine import library
    from respine import model as models
    from respine.cli.names import KINDS, symbols
    from respine.errors import InputError, Problem
    from respine.model.describe import knows

    known = library.names("models")
    order = [model] if model else sorted(known, key=lambda m: (*_FIRST, m).index(m) if m in _FIRST else len(_FIRST))
    for model_name in order:
        system = models.load(model_name)
        if knows(system, name):
            return system
    if not required:
        return None
    every = [n for kind in KINDS for n in library.names(kind)]
    every += [n for n, _ in symbols()]
    near = get_close_matches(name, dict.fromkeys(every), 3, 0.7)
    where = f"the {model} model" if model else "the library"
    why = f"{where[:1].upper()}{where[1:]} has no module, symbol or file of that name."
    cure = f"Write {' or '.join(near)}." if near else "`respine model names` lists what there is."
    raise InputError(Problem("library", "show", name, why, cure))


@group.command("export")
@report_errors
def export(file: Path = _FILE, model: str = _OF) -> None:
    """Write a library model as SBML Level 3 Version 2."""
    from respine import model as models

    if file.exists():
        stop(f"{file} exists already and is left as it is. Choose another name, or move it away.", code=2)
    text = models.to_sbml(models.load(model))
    with file.open("x", encoding="utf-8") as out:
        out.write(text)
    typer.echo(f"{file} written: model {model}, SBML Level 3 Version 2.")
