"""`respine forecasts`: how good the model's predictions of trials were as forecasts, beside forecasts that need no model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import typer

from respine.cli.errors import report_errors
from respine.cli.evidence import SUBJECTS, THREADS

ROLES = ("fit", "validate")


@report_errors
def forecasts(
    trials: bool = typer.Option(False, "--trials", help="Show every trial."),
    json: bool = typer.Option(False, "--json", help="Print the record as JSON on stdout."),
    csv: str = typer.Option("", "--csv", metavar="FILE", help="Write a line for every row to this file."),
    m15: str = typer.Option("", "--m15", metavar="FILE", help="Write the assessment table of ICH M15 (.csv or .md)."),
    subjects: int | None = SUBJECTS,
    threads: int | None = THREADS,
) -> None:
    """Show coverage, sharpness and skill of predicted trials, by arm type and role, each trial counted once."""
    from respine import evidence as room
    from respine.cli.screen import Screen, columns, print_json
    from respine.evidence import forecasts as record
    from respine.files import store

    screen = Screen(as_json=json)
    count = room.SUBJECTS if subjects is None else subjects
    with screen.steps() as progress:
        lines = record.record(room.predict(count, roles=ROLES, threads=threads, progress=progress))
    if csv:
        store.write_bytes(Path(csv), lines.to_csv(index=False).encode())
        screen.say(f"written: {csv}")
    if m15:
        from respine.credibility import m15 as table

        store.write_bytes(Path(m15), table.text(table.assessment(lines), markdown=m15.endswith(".md")).encode())
        screen.say(f"written: {m15}")
    if json:
        print_json({
            "rows": record.to_plain(lines), "trials": record.to_plain(record.by_trial(lines)),
            "arm_types": {role: record.to_plain(record.by_arm_type(lines, role)) for role in ROLES},
            "histogram": {role: record.to_plain(record.histogram(lines[lines["role"] == role])) for role in ROLES},
        })  # fmt: skip
        return
    for role in ROLES:
        summary = record.by_arm_type(lines, role)
        if not len(summary):
            continue
        typer.echo(f"\nrows of role {role}, every trial counted once")
        cells = [
            [str(r["arm_type"]), str(r["trials"]), str(r["rows"]), _percent(r["inside_90"]), _percent(r["inside_50"]),
             f"{r['rms_z']:.2f}", _percent(r["above"]), _percent(r["class mean skill"]), _percent(r["meta-analysis skill"]),
             _percent(r["class mean interval skill"])]
            for r in summary.to_dict("records")
        ]  # fmt: skip
        head = ["arms", "trials", "rows", "in 90 %", "in 50 %", "rms z", "above median", "CRPS skill, class mean",
                "meta-analysis", "interval skill, class mean"]  # fmt: skip
        typer.echo(columns(cells, head, right=tuple(range(1, 10))))
        shares = record.histogram(lines[lines["role"] == role])["share"]
        typer.echo("place of published values in the forecast, by tenths (10 % each is honest): "
                   + " ".join(f"{100 * s:.0f}" for s in shares))  # fmt: skip
    if trials:
        cells = [
            [str(r["trial"]), str(r["role"]), str(r["rows"]), _percent(r["inside_90"]), _percent(r["inside_50"]),
             f"{r['rms_z']:.1f}", f"{r['crps']:.3g}", _number(r["class mean crps"]), _number(r["meta-analysis crps"])]
            for r in record.by_trial(lines).to_dict("records")
        ]  # fmt: skip
        head = ["trial", "role", "rows", "in 90 %", "in 50 %", "rms z", "CRPS", "class mean", "meta-analysis"]
        typer.echo("\n" + columns(cells, head, right=tuple(range(2, 9))))


def _percent(value: Any) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{100 * value:.0f} %"


def _number(value: Any) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.3g}"
