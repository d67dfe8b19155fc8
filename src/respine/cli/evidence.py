"""`respine evidence`, `respine assertions`, `respine claims`: the model beside what was published."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from respine.cli.errors import report_errors

if TYPE_CHECKING:
    from respine.cli.screen import Screen
    from respine.evidence import ComparedRow

_ROLE = typer.Option(None, "--role", help="fit, validate or context: rows of this role alone (may be repeated).")
_SYSTEM = typer.Option("", "--system", help="Rows of one system alone, for example ECT.")
_JSON = typer.Option(False, "--json", help="Print the rows as JSON on stdout, everything else on stderr.")
_ALL = typer.Option(False, "--all", help="List also the rows that cannot be predicted, with the reason of each.")
SUBJECTS = typer.Option(None, min=20, max=1_000_000, help="Virtual people per arm; 800 when left out.")
THREADS = typer.Option(None, metavar="K", help="Threads; all cores when left out. The result does not depend on it.")
_ROWS = typer.Option(None, "--rows", metavar="FILE.csv", help="Your own published results, schema of the library.")
_STUDIES = typer.Option(None, "--studies", metavar="DIR", help="The study files (.yaml) that simulate these results.")


@report_errors
def evidence(
    role: list[str] = _ROLE,
    system: str = _SYSTEM,
    json: bool = _JSON,
    everything: bool = _ALL,
    subjects: int | None = SUBJECTS,
    threads: int | None = THREADS,
    rows: Path | None = _ROWS,
    studies: Path | None = _STUDIES,
) -> None:
    """Show every published row beside its prediction, and how often the prediction holds."""
    from respine import evidence as room
    from respine.cli.screen import Screen, print_json

    screen = Screen(as_json=json)
    _both(rows, studies)
    count = room.SUBJECTS if subjects is None else subjects
    with screen.steps() as progress:
        if rows is not None and studies is not None:
            compared = room.predict_user_data(rows, studies, count, threads=threads, progress=progress)
            compared = [
                row for row in compared if (not role or row.role in role) and (not system or row.system == system)
            ]
        else:
            compared = room.predict(count, roles=role or (), system=system, threads=threads, progress=progress)
    if json:
        print_json([row.to_dict() for row in compared])
    else:
        _table(compared, everything or rows is not None)
    _print_summary(screen, compared, everything or rows is not None, count)


def _both(rows: Path | None, studies: Path | None) -> None:
    from respine.errors import InputError, Problem

    if (rows is None) != (studies is None):
        given, lacking = ("--rows", "--studies") if studies is None else ("--studies", "--rows")
        why = "Results and the studies that simulate them are needed together."
        cure = f"Add {lacking} {'DIR' if lacking == '--studies' else 'FILE.csv'}."
        raise InputError(Problem("command line", given, str(rows or studies), why, cure))


def _table(rows: Sequence[ComparedRow], everything: bool) -> None:
    from respine.cli.screen import columns

    shown = [row for row in rows if not row.reason]
    header = ("id", "system", "what", "predicted (90 %)", "published", "inside", "z", "role")
    cells = [
        [row.id, row.system, _cut(row.what), _interval(row.predicted, row.low, row.high), _published(row),
         {True: "yes", False: "NO", None: "-"}[row.inside], _number(row.z, 1), row.role]
        for row in shown
    ]  # fmt: skip
    if cells:
        typer.echo(columns(cells, header, right=(3, 4, 6)))
    remarks = [[row.id, remark] for row in shown for remark in row.remarks]
    if remarks and everything:
        typer.echo("\nremarks:")
        typer.echo(columns(remarks))
    left = [row for row in rows if row.reason]
    if left and everything:
        typer.echo("\nnot predicted:")
        cells = [[row.id, row.role, _cut(row.what), row.reason] for row in left]
        typer.echo(columns(cells, ("id", "role", "what", "why")))


def _print_summary(screen: Screen, rows: Sequence[ComparedRow], everything: bool, subjects: int) -> None:
    from respine import evidence as room
    from respine.cli.screen import columns

    counts = room.summary(rows)
    if counts:
        header = ("system", "role", "rows", "predicted", "judged", "inside", "share")
        cells = [
            [row["system"], row["role"], *(str(row[name]) for name in header[2:6]),
             "-" if row["share"] is None else f"{100 * row['share']:.0f} %"]
            for row in counts
        ]  # fmt: skip
        screen.say("\n" + columns(cells, header, right=(2, 3, 4, 5, 6)))
    honest = room.calibration(rows)
    if honest["rows"]:
        screen.say(
            f"\nIntervals on {honest['rows']} validate rows with a number: {100 * honest['inside_50']:.0f} % of "
            f"published values lie inside the 50 % interval, {100 * honest['inside_90']:.0f} % inside the 90 % one "
            f"(root mean square of z: {_number(honest['root_mean_square_z'] or math.nan, 2)})."
        )
    if subjects < 200:
        screen.say(
            f"\n{subjects} virtual people per arm are few: intervals are rough. Take 800 or more to judge by them."
        )
    left = room.reasons(rows)
    if left:
        screen.say(f"\n{sum(left.values())} rows could not be predicted:")
        screen.say(columns([[str(n), reason] for reason, n in left.items()], right=(0,)))
        if not everything:
            screen.say("`--all` lists them one by one.")
    screen.say(f"\n{screen.DISCLAIMER}")


def _cut(text: str, most: int = 64) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def _number(value: float, digits: int | None = None) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:.{digits}f}" if digits is not None else f"{value:.3g}"


def _interval(middle: float, low: float, high: float) -> str:
    return f"{_number(middle)} ({_number(low)} ... {_number(high)})"


def _published(compared_row: ComparedRow) -> str:
    if not math.isfinite(compared_row.published):
        return _cut(compared_row.published_text, 30)
    if not math.isfinite(compared_row.published_low):
        return _number(compared_row.published)
    return f"{_number(compared_row.published)} ({_number(compared_row.published_low)} ... {_number(compared_row.published_high)})"


_LABELS = typer.Argument(None, metavar="[LABEL]...", help="Labels such as A7; all when left out.")
_IDS = typer.Argument(None, metavar="[CLAIM]...", help="Names such as within-hours; all when left out.")
_MARKDOWN = typer.Option(None, "--markdown", metavar="FILE", help="Write the table as a Markdown page.")


@report_errors
def assertions(labels: list[str] = _LABELS, json: bool = _JSON) -> None:
    """Check the model's typical animal and person against named findings: target, value, holds."""
    from respine.cli.screen import Screen, columns, print_json
    from respine.evidence import assertions as room

    screen = Screen(as_json=json)
    with screen.steps() as progress:
        results = room.evaluate(labels or (), progress=progress)
    if json:
        print_json([assertion.to_dict() for assertion in results])
    else:
        cells = [
            [assertion.label if k == 0 else "", _cut(check.what, 70), f"{check.target} {check.unit}".strip(),
             _number(check.value), "yes" if check.holds else "NO",
             ", ".join(dict.fromkeys(role for _, role in assertion.evidence)) if k == 0 else ""]
            for assertion in results for k, check in enumerate(assertion.checks)
        ]  # fmt: skip
        typer.echo(columns(cells, ("", "what", "target", "value", "holds", "evidence"), right=(3,)))
    good = sum(assertion.holds for assertion in results)
    failing = ", ".join(assertion.label for assertion in results if not assertion.holds)
    screen.say(f"\n{good} of {len(results)} assertions hold" + (f"; not {failing}." if failing else "."))
    screen.say(screen.DISCLAIMER)


@report_errors
def claims(
    names: list[str] = _IDS,
    json: bool = _JSON,
    subjects: int | None = SUBJECTS,
    threads: int | None = THREADS,
    markdown: Path | None = _MARKDOWN,
) -> None:
    """Run the claims of the 2012 article: what the model says, and what the published record says."""
    from respine.cli.screen import Screen, columns, print_json
    from respine.evidence import claims as room

    screen = Screen(as_json=json)
    with screen.steps() as progress:
        count = room.SUBJECTS if subjects is None else subjects
        results = room.evaluate(names or (), count, threads=threads, progress=progress)
    if json:
        print_json([claim.to_dict() for claim in results])
    else:
        cells = [[claim.claim, claim.model_verdict, claim.record_verdict] for claim in results]
        typer.echo(columns(cells, ("claim", "model", "published record")))
        for claim in results:
            typer.echo(f"\n{claim.claim}")
            sides = (("model", claim.model, claim.model_note), ("record", claim.record, claim.record_note))
            for title, conditions, note in sides:
                for condition in conditions:
                    typer.echo(f"  {title:6}  {room.condition_text(condition)}")
                if note:
                    typer.echo(f"  {title:6}  {note}")
            if claim.note:
                typer.echo(f"          {claim.note}")
    if markdown is not None:
        markdown.write_text(room.markdown(results), encoding="utf-8")
        screen.say(f"\n{markdown} written.")
    screen.say(f"\n{screen.DISCLAIMER}")
