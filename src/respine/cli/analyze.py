"""`respine analyze DATA --plan PLAN.yaml`: the analyses of a plan on the table of a trial."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from respine.cli.errors import report_errors

if TYPE_CHECKING:
    from respine.trial.analysis.results import Answer, Row

NEAR_ZERO = 5e-5  # a p value below is shown as less than a ten-thousandth


@report_errors
def analyze(
    data: str = typer.Argument(
        ..., metavar="DATA", help="The table of a trial, CSV or parquet: a row a patient and visit."
    ),
    plan: str = typer.Option(
        ..., "--plan", metavar="PLAN.yaml", help="What the columns are and what is done with them."
    ),
    json: bool = typer.Option(False, "--json", help="Print JSON instead of tables."),
    out: Path | None = typer.Option(
        None, "--out", "-o", metavar="FILE.csv", help="Also write all estimates to a CSV file."
    ),
) -> None:
    """MMRM, ANCOVA, responders, times to events and imputation, as a plan says."""
    from respine.cli.screen import Screen, print_json
    from respine.files.store import write_bytes
    from respine.trial.analysis import analyze as carry_out

    screen = Screen(as_json=json)
    results = carry_out(data, plan)
    if out is not None:
        write_bytes(out, results.table().to_csv(index=False).encode())
    if json:
        print_json(results.plain())
    else:
        if results.title:
            screen.say(results.title)
        for answer in results.answers:
            _show(answer)
    if out is not None:
        screen.say(f"written: {out}")


def _show(answer: Answer) -> None:
    from respine.cli.screen import columns

    estimand = f", estimand {answer.estimand}" if answer.estimand else ""
    typer.echo(f"\n{answer.name} ({answer.method}{estimand})")
    header = ["quantity", "group", "visit", "estimate", "SE", "df", "interval", "statistic", "p", ""]
    rows = [_cells(row) for row in answer.rows]
    kept = [i for i, name in enumerate(header) if name in ("quantity", "estimate") or any(row[i] for row in rows)]
    right = [k for k, i in enumerate(kept) if header[i] in ("estimate", "SE", "df", "statistic", "p")]
    typer.echo(columns([[row[i] for i in kept] for row in rows], [header[i] for i in kept], right=right))
    for note in answer.notes:
        typer.echo(f"  {note}")


def _cells(row: Row) -> list[str]:
    def number(value: float, digits: int = 4) -> str:
        if math.isnan(value):
            return ""
        return f"{value:.{digits + 2}g}" if abs(value) >= 1e5 else f"{value:.{digits}f}"

    df = (
        ""
        if math.isnan(row.df)
        else "normal"
        if math.isinf(row.df)
        else f"{row.df:.4g}"
        if row.df >= 1e4
        else f"{row.df:.1f}"
    )
    p = "" if math.isnan(row.p) else "<0.0001" if row.p < NEAR_ZERO else f"{row.p:.4f}"
    interval = (
        ""
        if math.isnan(row.lower) and math.isnan(row.upper)
        else f"{number(row.lower, 3) or '.'} to {number(row.upper, 3) or '.'}"
    )
    return [
        row.quantity,
        row.group,
        row.visit,
        number(row.estimate),
        number(row.se),
        df,
        interval,
        number(row.statistic, 3),
        p,
        row.note,
    ]
