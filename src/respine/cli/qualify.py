"""`respine qualify`: outside referees, each on any folder of its public layout; the last line is ``N/M pass``."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from respine.cli.errors import report_errors

if TYPE_CHECKING:
    from respine.qualify import Case, Findings

group = typer.Typer(help="Outside referees: published suites and reference answers.", no_args_is_help=True)

FOLDER = typer.Argument(..., metavar="FOLDER", help="A copy of the public material.")
JSON = typer.Option(False, "--json", help="Print JSON instead of tables.")
ALL = typer.Option(False, "--all", help="Print the cases that pass, too.")


@group.command("stiff")
@report_errors
def stiff(folder: Path = FOLDER, json: bool = JSON) -> None:
    """Stiff test problems at seven tolerances against reference end values."""
    from respine.qualify.stiff import qualify

    judge(qualify, folder, as_json=json)


@group.command("sbml")
@report_errors
def sbml(folder: Path = FOLDER, every: bool = ALL, json: bool = JSON) -> None:
    """The SBML semantic test suite, or any part of it; results per tag."""
    from respine.qualify.sbml import qualify

    judge(qualify, folder, every=every, as_json=json)


@group.command("models")
@report_errors
def models(folder: Path = FOLDER, json: bool = JSON) -> None:
    """Published SBML models against stored trajectories."""
    from respine.qualify.models import qualify

    judge(qualify, folder, as_json=json)


@group.command("nonmem")
@report_errors
def nonmem(
    path: Path = typer.Argument(
        ...,
        metavar="FILE_OR_FOLDER",
        help="The nmtest data set or its folder, or a folder of control streams with tables.",
    ),
    every: bool = ALL,
    json: bool = JSON,
) -> None:
    """Against NONMEM: the event designs of the nmtest data set, or control streams with what NONMEM printed for them."""
    from respine.qualify import control_streams

    if control_streams.has_streams(path):
        judge(control_streams.qualify, path, every=every, as_json=json)
    from respine.qualify.nonmem import qualify

    judge(qualify, path, as_json=json)


@group.command("table")
@report_errors
def table(
    file: Path = typer.Argument(
        ..., metavar="TABLE", help="A table as NONMEM's $TABLE writes it, with PRED (and IPRED with ETAs)."
    ),
    model: Path = typer.Option(
        None, "--model", help="Its control stream or problem file; the one of the same name if left out."
    ),
    tolerance: float = typer.Option(
        1e-8, "--tolerance", min=0.0, max=1.0, help="Relative, where more digits are printed."
    ),
    every: bool = ALL,
    json: bool = JSON,
) -> None:
    """Your own table with predictions as the referee of a model."""
    from respine.qualify.control_streams import qualify_table

    judge(lambda path, _: qualify_table(path, model, tolerance), file, every=every, as_json=json)


@group.command("petab")
@report_errors
def petab(folder: Path = FOLDER, every: bool = ALL, json: bool = JSON) -> None:
    """The PEtab test suites, versions 1 and 2, and PEtab problems with stored simulations."""
    from respine.qualify.petab import qualify

    judge(qualify, folder, every=every, as_json=json)


def judge(
    qualify: Callable[[Path, Callable[[int, int], None]], Findings],
    folder: Path,
    *,
    every: bool = True,
    as_json: bool = False,
) -> None:
    """Run a qualification, print what it found, and leave with 0 only where all bound cases pass."""
    from respine.cli.screen import print_json

    findings = qualify(folder, _count)
    if as_json:
        print_json(_plain(findings))
    else:
        _show(findings, every=every)
    raise typer.Exit(0 if findings.ok else 1)


def _count(done: int, total: int) -> None:
    """How far it is, on a terminal only."""
    if sys.stderr.isatty():
        typer.echo(f"\r{done}/{total} cases" if done < total else "\r" + " " * 24 + "\r", nl=False, err=True)


def _show(findings: Findings, *, every: bool) -> None:
    """Cases, then tags where there are any, then the verdict."""
    from respine.cli.screen import columns
    from respine.qualify import by_tag

    typer.echo(f"{findings.title}\n{findings.rule}\n")
    shown = [c for c in findings.cases if every or c.outcome != "pass"]
    if shown:
        rows = [[c.name, *_padded(c, len(findings.columns)), c.outcome] for c in shown]
        lines = columns(
            rows, ["case", *findings.columns, "outcome"], right=range(2, len(findings.columns) + 1)
        ).splitlines()
        typer.echo(lines[0])
        for line, case in zip(lines[1:], shown, strict=True):
            typer.echo(line)
            if case.note:
                typer.echo(textwrap.fill(case.note, 116, initial_indent="    ", subsequent_indent="    "))
        typer.echo()
    tags = [[tag, f"{passed}/{bound}", str(refused or "")] for tag, passed, bound, refused in by_tag(findings.cases)]
    if tags:
        typer.echo(columns(tags, ["tag", "pass", "refused"], right=(1, 2)) + "\n")
    for remark in findings.remarks:
        typer.echo(remark)
    refused = sum(c.outcome == "refused" for c in findings.cases)
    reported = sum(c.outcome == "reported" for c in findings.cases)
    if refused or reported:
        typer.echo(f"not bound: {refused} refused, {reported} reported only")
    typer.echo(findings.last_line())


def _padded(case: Case, count: int) -> list[str]:
    return [*case.cells, *[""] * (count - len(case.cells))][:count]


def _plain(findings: Findings) -> dict[str, object]:
    from respine.qualify import by_tag

    return {
        "title": findings.title,
        "rule": findings.rule,
        "remarks": list(findings.remarks),
        "cases": [
            {
                "case": c.name,
                "outcome": c.outcome,
                **dict(zip(findings.columns, c.cells, strict=False)),
                "note": c.note,
                "tags": list(c.tags),
            }
            for c in findings.cases
        ],
        "tags": [{"tag": t, "pass": p, "bound": b, "refused": r} for t, p, b, r in by_tag(findings.cases)],
        "passed": findings.passed,
        "bound": findings.bound,
    }
