"""`respine fit PROBLEM.yaml` and `respine data check FILE`: population fits, and the check of a table before one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from respine.cli import fit_more as more
from respine.cli.errors import report_errors, stop

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from respine.fit.population import Fit
    from respine.fit.population.check import Checked

data = typer.Typer(name="data", help="Tables of data: check one before it is used.", no_args_is_help=True)


@report_errors
def fit(
    problem: Path = typer.Argument(..., metavar="PROBLEM", help="The problem's YAML file; see docs/fitting.md."),
    method: str = typer.Option(
        "",
        "--method",
        help="fo, foce, focei, laplace, laplace-no-interaction, agq, imp, saem, or nuts (Bayes); the file's if left out.",
    ),
    maxeval: int = typer.Option(
        -1, "--maxeval", help="Most evaluations; 0 evaluates the objective at the start values."
    ),
    covariance: bool = typer.Option(
        False, "--covariance", help="With --maxeval 0: standard errors at the start values."
    ),
    starts: int = typer.Option(
        0, "--starts", min=0, help="How many different starts are tried; the file's if left out."
    ),
    seed: int = typer.Option(-1, "--seed", help="Seed of everything random; the file's if left out."),
    out: Path = typer.Option(None, "--out", help="Folder for the tables and, in SAEM, for checkpoints to go on from."),
    report: Path = typer.Option(None, "--report", help="Write one offline HTML page with figures, and its tables."),
    replicates: int = typer.Option(
        500, "--replicates", min=20, help="Simulated data sets of NPDE and VPC in the report."
    ),
    draws: int = typer.Option(1000, "--draws", min=4, help="Of nuts: draws a chain after tuning."),
    tune: int = typer.Option(500, "--tune", min=1, help="Of nuts: steps of tuning."),
    chains: int = typer.Option(4, "--chains", min=2, help="Of nuts: chains, which have to agree."),
    information: bool = typer.Option(
        False, "--information", help="Fit nothing: expected standard errors of the design at the start values."
    ),
    samples: int = typer.Option(
        0, "--samples", help="With --information: the best so many observation times a subject."
    ),
    people: int = typer.Option(1, "--people", min=1, help="With --information: people each subject stands for."),
    profile: bool = typer.Option(False, "--profile", help="95 % limits by likelihood profiles as well."),
    bootstrap: int = typer.Option(0, "--bootstrap", help="Fits to so many resampled data sets as well; kept in --out."),
    json: bool = typer.Option(False, "--json", help="Print JSON instead of text."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No progress."),
) -> None:
    """Estimate a nonlinear mixed-effects problem, or evaluate it. Exit code 1 where the estimates are no answer."""
    from respine.cli.screen import Screen
    from respine.fit import population

    screen = Screen(as_json=json, quiet=quiet)
    options: dict[str, Any] = {}
    if method and method not in METHODS:
        stop(f'there is no method "{method}"; write one of {", ".join(METHODS)}.', code=2)
    options |= {"max_evaluations": maxeval} if maxeval >= 0 else {}
    options |= {"starts": starts} if starts else {}
    options |= {"seed": seed} if seed >= 0 else {}
    asked = population.with_options(population.PopulationProblem.from_yaml(problem), **options)
    watch = None if json or quiet else screen.say
    if information:
        more.before(asked, samples, people, json)
        return
    if method == "nuts":
        made = population.posterior(asked, draws=draws, tune=tune, chains=chains, folder=out, watch=watch)
        more.posterior(made, out, json)
        return
    if maxeval == 0:
        fitted = population.evaluate(asked, method or None, covariance=covariance)
    else:
        fitted = population.fit(asked, method or None, folder=out, watch=watch)
    written = _tables(fitted, out) if out is not None else []
    if report is not None:
        from respine.fit.population.report import write

        written += write(fitted, report, replicates=replicates)
    extra = more.after(fitted, profile, bootstrap, out, watch) if fitted.converged and maxeval != 0 else {}
    written += more.written(extra, out) if out is not None and extra else []
    if json:
        _json(fitted, written, extra)
    else:
        typer.echo(str(fitted))
        more.show(extra)
        for path in written:
            typer.echo(f"written: {path}")
    if not fitted.is_answer and maxeval != 0:
        raise typer.Exit(1)


METHODS = ("fo", "foce", "focei", "laplace", "laplace-no-interaction", "agq", "imp", "saem", "nuts")


def _tables(fitted: Fit, out: Path) -> list[Path]:
    frames = {"estimates": fitted.estimates, "random-effects": fitted.random_effects, "individual": fitted.individual}
    return more.written(frames, out)


def _json(fitted: Fit, written: list[Path], extra: Mapping[str, pd.DataFrame]) -> None:
    from respine.cli.screen import print_json

    certain = fitted.certain
    print_json({
        "title": fitted.problem.title, "method": fitted.method, "objective": fitted.objective,
        "objective_error": fitted.objective_error, "objective_focei": fitted.objective_focei,
        "answer": fitted.is_answer, "converged": fitted.converged,
        "seconds": fitted.seconds, "subjects": fitted.problem.data.n_subjects,
        "observations": int(fitted.problem.data.observed.sum()), "estimates": fitted.estimates.to_dict("records"),
        "standard_errors": None if certain is None else {"kind": certain.kind, "condition": certain.condition,
                                                         "problem": certain.problem},
        "shrinkage": fitted.shrinkage.to_dict("records"), "random_effects": fitted.random_effects.to_dict("records"),
        "findings": [vars(finding) for finding in fitted.findings], "settings": dict(fitted.settings),
        "notes": list(fitted.problem.notes), "written": [str(path) for path in written],
        **{name: frame.to_dict("records") for name, frame in extra.items()},
    })  # fmt: skip


@data.command("check")
@report_errors
def check(
    file: Path = typer.Argument(..., metavar="FILE", help="A NONMEM-style table with a header."),
    ignore: str = typer.Option("", "--ignore", help='Leave out lines that start with this; "@": with a letter.'),
    columns: list[str] = typer.Option([], "--column", help="ITEM=COLUMN where an item has another name, e.g. DV=CONC."),
    json: bool = typer.Option(False, "--json", help="Print JSON instead of text."),
) -> None:
    """Find everything that is wrong or odd in a table, with the lines. Exit code 1 where it cannot be used."""
    from respine.fit.population.check import check as checked

    pairs = [pair.partition("=") for pair in columns]
    if any(not sign for _, sign, _ in pairs):
        stop("write --column ITEM=COLUMN, for example --column DV=CONC.", code=2)
    report = checked(file, {item.strip().upper(): name.strip() for item, _, name in pairs}, ignore)
    if json:
        from respine.cli.screen import print_json

        print_json({"file": str(report.file), "usable": report.usable, "counts": dict(report.counts),
                    "columns": list(report.others), "violations": [vars(v) for v in report.violations],
                    "notes": list(report.notes)})  # fmt: skip
    else:
        _show(report)
    if not report.usable:
        raise typer.Exit(1)


def _show(report: Checked) -> None:
    from respine.fit.population.check import shown

    for v in report.violations:
        lines = f"line{'s' if len(v.lines) != 1 else ''} {shown(v.lines)}" if v.lines else "file"
        typer.echo(f"{v.severity}: {report.file}, {lines}: {v.item}: {v.what}. {v.cure}")
    for note in report.notes:
        typer.echo(f"note: {note}")
    if report.counts:
        typer.echo(", ".join(f"{count} {name}" for name, count in report.counts.items() if count))
        typer.echo(f"other columns: {', '.join(report.others) or 'none'}")
    errors = sum(v.severity == "error" for v in report.violations)
    rest = len(report.violations) - errors
    typer.echo(f"{errors} error{'' if errors == 1 else 's'}, {rest} warning{'' if rest == 1 else 's'}.")
