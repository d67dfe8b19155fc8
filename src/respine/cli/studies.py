"""`respine studies`, `respine new`, `respine study schema`: what can be run, and how to write one's own."""

from __future__ import annotations

import shlex
from pathlib import Path

import typer

from respine.cli.errors import report_errors, stop
from respine.cli.names import complete_study

group = typer.Typer(help="The study file: its JSON Schema, and a check without running.", no_args_is_help=True)


@report_errors
def studies(json: bool = typer.Option(False, "--json", help="Print JSON instead of a table.")) -> None:
    """List the studies that come with respine."""
    from respine import library, study
    from respine.cli.screen import columns, print_json

    known = [study.load(name) for name in library.names("studies")]
    rows = [
        {
            "name": known_study.name,
            "title": known_study.title,
            "doi": known_study.doi,
            "model": study.population_of(known_study).model,
            "population": known_study.population,
            "arms": list(known_study.arms),
            "days": round((max(known_study.visits) - min(known_study.visits)) / 24, 2),
        }
        for known_study in known
    ]
    if json:
        print_json(rows)
        return
    typer.echo(columns([[s.name, study.population_of(s).model, _arms(len(s.arms)), s.title] for s in known]))
    typer.echo("\nRun one with: respine run NAME.  Write your own with: respine new STUDY.yaml")


def _arms(count: int) -> str:
    return "1 arm" if count == 1 else f"{count} arms"


@report_errors
def new(file: Path = typer.Argument(..., metavar="STUDY.yaml", help="The file to write.")) -> None:
    """Write a commented study file to start from."""
    from respine import study

    if file.exists():
        stop(f"{file} exists already and is left as it is. Choose another name, or move it away.", code=2)
    if not file.parent.is_dir():
        stop(f"{file.parent} is no folder. Make it first: mkdir -p {shlex.quote(str(file.parent))}", code=2)
    with file.open("x", encoding="utf-8") as out:  # "x": never over a file that appeared meanwhile
        out.write(study.template())
    typer.echo(f"{file} written. Edit it, then: respine run {shlex.quote(str(file))}")


@group.command("schema")
@report_errors
def schema() -> None:
    """Print the JSON Schema of study files, for editors and checks."""
    from respine import study
    from respine.cli.screen import print_json

    print_json(study.schema())


@group.command("check")
@report_errors
def check(file: str = typer.Argument(..., metavar="NAME|FILE", autocompletion=complete_study)) -> None:
    """Read a study file and list all its mistakes, without running it."""
    from respine import study
    from respine.protocol import decision_times

    parsed = study.load(file)
    study.require_result(parsed)
    typer.echo(f"{file}: ok ({_arms(len(parsed.arms))}, {len(parsed.visits)} visits)")
    for remark in parsed.remarks:
        typer.echo(f"note: {remark}")
    if parsed.rules:
        asked = ", ".join(f"{arm} {len(decision_times(parsed, arm))}" for arm in parsed.arms)
        typer.echo(f"decision rules: {len(parsed.rules)}, asked at so many times by arm: {asked}")
