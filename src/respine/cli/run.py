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
from respine.cli.signals import PREEMPTED, preemptible

if TYPE_CHECKING:
    from respine.cli.screen import Screen
    from respine.report import Folder
    from respine.run import Budget, Plan, Results
    from respine.run.work import Executor
    from respine.study import Study

_NAME = typer.Argument(..., metavar="NAME|FILE", autocompletion=complete_study,
                       help="A study of the library (`respine studies`) or a study file.")  # fmt: skip
_SUBJECTS = typer.Option(None, help="Virtual people per arm, instead of the study's number.")
_SEED = typer.Option(None, help="Seed of all random numbers, instead of the study's.")
_OUT = typer.Option(None, metavar="DIR", help="Folder of the run; runs/NAME-xxxx when left out.")
_RESUME = typer.Option(
    False,
    "--resume",
    help="Go on with a run that was stopped; finished parts are kept. Also: respine run --resume DIR.",
)
_THREADS = typer.Option(None, metavar="K", help="Threads; all cores when left out. The result does not depend on it.")
_SET = typer.Option(
    None, "--set", metavar="NAME=VALUE",
    help="Change one thing: a parameter (k_spine_mature=0.004) or a field (arms.ketamine.doses[0].amount='1 mg/kg').",
)  # fmt: skip
_DRY = typer.Option(
    False, "--dry-run", help="Say what the run would cost: people, shards, time, memory, disk. Run nothing."
)
_BUDGET = typer.Option(
    None,
    metavar="TIME|PEOPLE",
    help="End after a time (10min, 2h) or a number of people (20000), with what is known by then.",
)
_PRECISION = typer.Option(None, metavar="float64|float32", help="float32 is faster and checks itself against float64.")
_KEEP = typer.Option(
    None, "--keep", metavar="N", help="People of each arm whose trajectories are kept; 100 when left out."
)
_SIZE = typer.Option(None, "--shard-people", metavar="N", help="People that are simulated and written together.")
_CLUSTER = typer.Option(
    None,
    metavar="ADDRESS",
    help="Compute on a Dask cluster: tcp://host:8786, or local:N for N processes here (extra: cluster).",
)
_PART = typer.Option(
    None,
    "--shard",
    metavar="I/N",
    help="Compute only part I of N, for batch arrays; then `respine collect`.",
)
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
    dry_run: bool = _DRY,
    budget: str | None = _BUDGET,
    precision: str | None = _PRECISION,
    keep: int | None = _KEEP,
    shard_people: int | None = _SIZE,
    shard: str | None = _PART,
    cluster: str | None = _CLUSTER,
    json: bool = _JSON,
    quiet: bool = _QUIET,
) -> None:
    """Simulate a study from dose to symptom score and compare it with what was published.

    Exit code 75: the system asked the run to end (SIGTERM, SIGUSR1); it goes on with --resume.
    """
    from respine.cli.screen import Screen
    from respine.run import Budget, Stopped, part_of
    from respine.run import plan as make_plan

    screen = Screen(as_json=json, quiet=quiet)
    on = executor(cluster)
    limit, part = Budget.of(budget) if budget else Budget(), part_of(shard) if shard else None
    if resume and out is None and _is_run(study):
        plan, out = _plan_there(Path(study), threads), Path(study)
    else:
        plan = make_plan(with_changes(study, set or []), subjects=subjects, seed=seed, threads=threads, shard=shard_people,
                         keep=keep, precision=precision or "float64")  # fmt: skip
    if dry_run:
        _cost(plan, screen)
        return
    folder = out if out is not None else _default_folder(plan)
    try:
        with preemptible():
            _carry_out(plan, folder, resume, threads, limit, part, on, screen)
    except Stopped as stopped:
        done = f"stopped after {stopped.finished} of {stopped.total} shards"
        by = f" by signal {stopped.signal}, not failed" if stopped.signal is not None else ""
        stop(f"{done}{by}. Go on with:\n  {_again(folder)}", code=130 if stopped.signal is None else PREEMPTED)


def executor(cluster: str | None) -> Executor | None:
    """Whoever computes the shards; None for this process. Raises InputError."""
    if cluster is None:
        return None
    from respine.run.cluster import Cluster

    return Cluster(cluster)


def _carry_out(
    plan: Plan, folder: Path, resume: bool, threads: int | None, limit: Budget, part: tuple[int, int] | None,
    on: Executor | None, screen: Screen,
) -> None:  # fmt: skip
    from respine.run import execute, run_part
    from respine.run.s3 import is_address

    if is_address(folder):
        _in_store(plan, str(folder), resume, threads, part, on, screen)
        return
    if part is not None:
        screen.say(str(plan))
        with screen.progress(plan.people) as progress:
            there, total = run_part(plan, folder, *part, threads=threads, progress=progress, budget=limit, executor=on)
        text = f"part {part[0]} of {part[1]}: {there} of {total} shards are there. "
        screen.say(text + f"Once all parts are there: respine collect {folder}")
        return
    there_already = _finished(plan, folder)
    screen.say(
        f"{folder} holds this run already, finished; nothing is simulated again." if there_already else str(plan)
    )
    for note in plan.notes:
        screen.say(f" note: {note}")
    with screen.progress(plan.people) as progress:
        results = execute(
            plan, folder, resume=resume or there_already, threads=threads, progress=progress, budget=limit, executor=on
        )
    if results.details["state"] != "complete":
        _show_so_far(results, screen)
        return
    show(results, plan, screen, again=not there_already)


def _in_store(
    plan: Plan, address: str, resume: bool, threads: int | None, part: tuple[int, int] | None, on: Executor | None,
    screen: Screen,
) -> None:  # fmt: skip
    """A run kept in an S3-compatible store; tables and report are put together in the cache folder and uploaded."""
    from respine.errors import InputError, argument
    from respine.files import store
    from respine.run.s3 import Bucket, execute_in_store

    if part is not None:
        why = "Parts of a run are kept in a folder that all tasks share."
        raise InputError(argument("part", address, why, "Take a folder, or {cluster} with this store."))
    screen.say(str(plan))
    work = store.cache_folder() / "store" / store.fingerprint(address)[:16]
    work.parent.mkdir(parents=True, exist_ok=True)
    with screen.progress(plan.people) as progress:
        results = execute_in_store(plan, address, work, resume, threads, progress, executor=on)
    show(results, plan, screen)
    Bucket(address).put("report.html", (work / "report.html").read_bytes())
    screen.say(f" in      {address}")


def _show_so_far(results: Results, screen: Screen) -> None:
    """What a run that ended with its budget says, and how to go on."""
    from respine.cli.screen import columns, print_json

    rows = results.to_json_rows()
    if screen.as_json:
        print_json(rows)
    else:
        cells = [(r["arm"], r["endpoint"], *(f"{r[k]:.3g}" for k in ("median", "p05", "p95"))) for r in rows]
        screen.say(columns(cells, header=("arm", "endpoint", "median", "p05", "p95"), right=(2, 3, 4)))
    for warning in results.warnings:
        screen.say(f" note: {warning}")
    screen.say(f" the budget is spent. Go on with:\n  {_again(results.folder, without=('--budget',))}")


def show(results: Results, plan: Plan | None, screen: Screen, again: bool = True) -> None:
    """Report, comparison, warnings of a finished run."""
    from respine.cli.screen import print_json

    page = _report(results, plan, screen, again=again)
    if screen.as_json:
        print_json(results.to_json_rows())
    screen.say(f" report   {page}\n {screen.DISCLAIMER}")


def _is_run(name: str) -> bool:
    from respine.run import manifest

    return any((Path(name) / file).is_file() for file in (manifest.NAME, manifest.COPY))


def _plan_there(folder: Path, threads: int | None) -> Plan:
    """The plan of the run in a folder. Raises InputError."""
    from respine.run import manifest, plan_of

    return plan_of(folder, manifest.read(folder), threads)


def _cost(plan: Plan, screen: Screen) -> None:
    """What the run would cost, before anything is written."""
    from respine.cli.screen import print_json
    from respine.run import speed

    cost = {
        "study": plan.study.name, "arms": len(plan.study.arms), "people": plan.people, "shards": len(plan.shards),
        "people_a_shard": max(shard.last - shard.first for shard in plan.shards), "equations": plan.equations,
        "threads": plan.threads, "precision": plan.precision, "seconds": round(plan.seconds, 1),
        "seconds_compiling": round(plan.compiling, 1),
        "memory_mb": round(plan.memory), "disk_mb": round(plan.megabytes, 1),
        "disk_mb_until_the_end": round(plan.megabytes + plan.passing, 1),
    }  # fmt: skip
    if screen.as_json:
        print_json(cost)
        return
    screen.say(str(plan))
    screen.say(
        f" {plan.people} people in {len(plan.shards)} shards of {cost['people_a_shard']}, {plan.precision}, "
        f"{plan.threads} threads\n about {speed.duration_text(plan.seconds)}, {plan.memory:.0f} MB of memory, "
        f"{max(1, round(plan.megabytes))} MB of disk\n nothing was simulated or written"
    )


def with_changes(study: str, changes: list[str]) -> str | Study:
    """The study with every NAME=VALUE of the command line. Raises InputError with every change that cannot be made."""
    from dataclasses import replace

    from respine.errors import InputError, Problem, argument, shortened
    from respine.files.yaml_file import plain
    from respine.study import load
    from respine.study.read import check_study

    if not changes:
        return study
    changed = load(study)
    problems: list[Problem] = []
    for change in changes:
        name, sign, value = change.partition("=")
        if not sign or not name.strip():
            why = "This is no change of the form NAME=VALUE."
            problems.append(argument("set", change, why, 'Write for example {set} "subjects=200".'))
            continue
        try:
            changed = changed.set(name.strip(), plain(value.strip()))
        except InputError as error:
            problems += [replace(problem, where=f'--set "{shortened(change, 60)}"') for problem in error.problems]
    if not problems:
        return changed
    try:
        check_study(changed)
    except InputError as error:
        problems += error.problems
    raise InputError(*problems)


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


def _again(folder: Path, without: tuple[str, ...] = ()) -> str:
    """The command that goes on with a run that was stopped, without some options."""
    words = sys.argv[1:]
    given = [word for k, word in enumerate(words)
             if word != "--resume" and word.split("=")[0] not in without and not (k and words[k - 1] in without)]  # fmt: skip
    named = any(word == "--out" or word.startswith("--out=") for word in given) or str(folder) in given
    return shlex.join(["respine", *given, *([] if named else ["--out", str(folder)]), "--resume"])


def _report(results: Results, plan: Plan | None, screen: Screen, again: bool) -> Path:
    """Write the report (where it is there, only if ``again``) and show its table, warnings and failures."""
    from respine import report

    folder = report.read(results.folder, system=plan.protocol.system if plan else None)
    page = folder.path / "report.html"
    if again or not page.is_file():
        page = report.write(folder)
    if not screen.as_json:
        _table(folder, screen)
    for warning in results.warnings:
        if plan is not None and warning in plan.notes:
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
