"""`respine run`: simulate a study, show it beside what was published, write the report."""

from __future__ import annotations

import shlex
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from respine.cli.errors import report_errors, stop
from respine.cli.names import complete_study

if TYPE_CHECKING:
    from respine.cli.screen import Screen
    from respine.report import Folder
    from respine.run import Plan, Results
    from respine.study import Study

_NAME = typer.Argument(..., metavar="NAME|FILE", autocompletion=complete_study,
                       help="A study of the library (`respine studies`) or a study file.")  # fmt: skip
_SUBJECTS = typer.Option(None, help="Virtual people per arm, instead of the study's number.")
_SEED = typer.Option(None, help="Seed of all random numbers, instead of the study's.")
_OUT = typer.Option(None, metavar="DIR", help="Folder of the run; runs/NAME-xxxx when left out.")
_RESUME = typer.Option(False, "--resume", help="Go on with a run that was stopped; finished parts are kept.")
_THREADS = typer.Option(None, metavar="K", help="Threads; all cores when left out. The result does not depend on it.")
_SET = typer.Option(
    None, "--set", metavar="NAME=VALUE",
    help="Change one thing: a parameter (k_spine_mature=0.004) or a field (arms.ketamine.doses[0].amount='1 mg/kg').",
)  # fmt: skip
_JSON = typer.Option(False, "--json", help="Print the comparison as JSON on stdout, everything else on stderr.")
_QUIET = typer.Option(False, "--quiet", "-q", help="Print nothing but errors (and JSON, if asked).")


@report_errors
def run(
    study: str = _NAME,
    subjects: int | None = _SUBJECTS,
    seed: int | None = _SEED,
    out: Path | None = _OUT,
    resume: bool = _RESUME,
    threads: int | None = _THREADS,
    set: list[str] | None = _SET,
    json: bool = _JSON,
    quiet: bool = _QUIET,
) -> None:
    """Simulate a study from dose to symptom score and compare it with what was published."""
    from respine.cli.screen import Screen, print_json
    from respine.run import Stopped, execute
    from respine.run import plan as make_plan

    screen = Screen(as_json=json, quiet=quiet)
    plan = make_plan(with_changes(study, set or []), subjects=subjects, seed=seed, threads=threads)
    folder = out if out is not None else _default_folder(plan)
    there = _finished(plan, folder)
    screen.say(f"{folder} holds this run already, finished; nothing is simulated again." if there else str(plan))
    for note in plan.notes:
        screen.say(f" note: {note}")
    try:
        with screen.progress(plan.people) as progress:
            results = execute(plan, folder, resume=resume or there, threads=threads, progress=progress)
    except Stopped as stopped:
        done = f"stopped after {stopped.finished} of {stopped.total} shards"
        stop(f"{done}. Go on with:\n  {_again(folder)}", code=130)
        return
    page = _report(results, plan, screen, again=not there)
    if json:
        print_json(results.to_json_rows())
    screen.say(f" report   {page}\n {screen.DISCLAIMER}")


def with_changes(study: str, changes: list[str]) -> str | Study:
    """The study with every NAME=VALUE of the command line. Raises InputError for one that is none."""
    from respine.errors import InputError, argument
    from respine.files.yaml_file import plain
    from respine.study import load

    if not changes:
        return study
    changed = load(study)
    for change in changes:
        name, sign, value = change.partition("=")
        if not sign or not name.strip():
            why = "This is no change of the form NAME=VALUE."
            raise InputError(argument("set", change, why, 'Write for example {set} "subjects=200".'))
        changed = changed.set(name.strip(), plain(value.strip()))
    return changed


def _default_folder(plan: Plan) -> Path:
    from respine.run.manifest import short_name

    return Path("runs") / short_name(plan)


def _finished(plan: Plan, folder: Path) -> bool:
    """Whether the folder holds exactly this run, complete."""
    from respine.errors import InputError
    from respine.run import manifest

    if not (folder / manifest.NAME).is_file():
        return False
    try:
        facts = manifest.read(folder)
        manifest.check_same(folder, facts, plan)
    except InputError:  # another run, or none: `execute` says so
        return False
    return bool(facts["state"] == "complete")


def _again(folder: Path) -> str:
    """The command that goes on with a run that was stopped."""
    given = [word for word in sys.argv[1:] if word != "--resume"]
    named = any(word == "--out" or word.startswith("--out=") for word in given)
    return shlex.join(["respine", *given, *([] if named else ["--out", str(folder)]), "--resume"])


def _report(results: Results, plan: Plan, screen: Screen, again: bool) -> Path:
    """Write the report (where it is there, only if ``again``) and show its table, warnings and failures."""
    from respine import report

    folder = report.read(results.folder, system=plan.protocol.system)
    page = folder.path / "report.html"
    if again or not page.is_file():
        page = report.write(folder)
    if not screen.as_json:
        _table(folder, screen)
    for warning in results.warnings:
        if warning in plan.notes:
            continue  # said before the run
        screen.say(f" note: {warning}")
    failed = len(results.failures)
    if failed:
        who = "person" if failed == 1 else "people"
        screen.say(f" {failed} {who} not simulated to the end: see failures.parquet")
    return page


def _table(folder: Folder, screen: Screen) -> None:
    from respine.cli.screen import columns
    from respine.report import comparison

    if folder.compared.empty:
        return
    table = comparison.text_table(folder)
    text = columns(table.rows, header=table.header, right=table.right)
    screen.say("\n" + "\n".join(f" {line}" for line in text.splitlines()))
    for sentence in filter(None, (comparison.interval_text(folder), *folder.interval_notes)):
        screen.say("\n".join(f" {line}" for line in textwrap.wrap(sentence, 100)))
    screen.say("")
