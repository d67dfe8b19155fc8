"""`respine trials STUDY`: the simulated trials themselves, kept in a folder, and what each of them answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from respine.cli.errors import report_errors, stop
from respine.cli.names import complete_study

if TYPE_CHECKING:
    import pandas as pd

    from respine.cli.screen import Screen
    from respine.trial.analysis.sequential.design import Design
    from respine.trial.power.question import Comparison
    from respine.trial.replicates import Trials

_STUDY = typer.Argument(
    ..., metavar="NAME|FILE", autocompletion=complete_study, help="A study of the library or a study file."
)
_N = typer.Option(None, "--n", metavar="N|ARM=N,...", help="People an arm; the study's own size if left out.")
_SET = typer.Option(None, "--set", metavar="NAME=VALUE", help="Change one thing of the study, as in `respine run`.")
_OUT = typer.Option(
    None, "--out", "-o", metavar="DIR", help="Folder of the trials; runs/NAME-trials-xxxx when left out."
)
_FIGURE = typer.Option(
    None, "--figure", metavar="NAME",
    help="responses, forest, belief, dropout, discontinuation, rescue or relapse; may be given again. Written into the folder.",
)  # fmt: skip


@report_errors
def trials(
    study: str = _STUDY,
    replicates: int = typer.Option(400, help="Trials to simulate."),
    n: str | None = _N,
    typical: bool = typer.Option(False, "--typical", help="Typical parameters in every trial, in place of a draw of each."),
    dropout: list[str] | None = typer.Option(None, metavar="SHARE|ARM=SHARE", help="As in `respine power`."),
    endpoint: str | None = typer.Option(None, metavar="NAME", help="Endpoint of the study; its first contrast if left out."),
    against: str | None = typer.Option(None, metavar="ARM", help="Arm to compare with."),
    visit: list[str] | None = typer.Option(None, metavar="TIME", help='Visits ("24 h"; may be given again); "all" for all.'),
    analysis: str | None = typer.Option(None, metavar="NAME", help="mmrm (if left out), ancova or t-test."),
    estimand: str | None = typer.Option(None, metavar="NAME", help="Estimand of the study, or a strategy for all events."),
    alpha: float = typer.Option(0.05, help="Type I error of both sides together."),
    boundary: str | None = typer.Option(None, metavar="NAME", help="Look at the data on the way: OF, P, asOF, asP ..."),
    looks: str = typer.Option("2", metavar="K|SHARES", help='Looks, or their shares of information: "0.5,1".'),
    futility: str | None = typer.Option(None, metavar="Z,Z", help="Futility bounds on z, one for each look but the last."),
    enlarge: float = typer.Option(
        1.0, help="Re-estimate the size at the first of two looks: the second stage grows to at most so many times its size."
    ),
    seed: int | None = typer.Option(None, help="Seed of all random numbers, instead of the study's."),
    threads: int | None = typer.Option(None, metavar="K", help="Threads; all cores when left out."),
    budget: str | None = typer.Option(None, metavar="TIME", help='Begin no further trials after this time ("2 min").'),
    set: list[str] | None = _SET,
    out: Path | None = _OUT,
    resume: bool = typer.Option(False, "--resume", help="Go on with the trials of the folder, also to a greater number."),
    table: int | None = typer.Option(None, metavar="TRIAL", help="Write this trial as CSV for `respine analyze`."),
    items: list[str] | None = typer.Option(None, metavar="SCALE", help="Add the items of this scale (MADRS) to the CSV."),
    figure: list[str] | None = _FIGURE,
    json: bool = typer.Option(False, "--json", help="Print JSON instead of tables."),
) -> None:  # fmt: skip
    """Simulate trials of a study and analyse each: estimates, who wins, looks at the data, and one trial's table to sign."""
    from respine.cli.screen import Screen
    from respine.cli.signals import PREEMPTED, preemptible
    from respine.run import Stopped
    from respine.run import trials as kept
    from respine.trial.power.compute import seconds

    screen = Screen(as_json=json)
    protocol = _protocol(study, set or [], seed, dropout or [])
    plan = None if boundary is None else _plan(boundary, looks, futility, alpha)
    asked = _asked(protocol, endpoint, against, visit, analysis)
    sizes = _sizes(n)
    folder = out or Path("runs") / kept.short_name(kept.facts_of(protocol, sizes, typical))
    try:
        with preemptible(), screen.progress(0, "simulating trials") as progress:
            made = kept.simulate_into(folder, protocol, replicates, sizes, typical=typical, resume=resume or out is None,
                                      seconds=seconds(budget), threads=threads, progress=progress)  # fmt: skip
    except Stopped as stopped:
        told = f"stopped after {stopped.finished} of {stopped.total} parts; {_again(folder)}"
        stop(told, code=130 if stopped.signal is None else PREEMPTED)
        return
    if made < replicates:
        screen.say(f"the budget was used up after {made} of {replicates} trials; {_again(folder)}")
    whole = kept.load_trials(folder).head(made)
    _answer(whole, asked, estimand, alpha, plan, enlarge, folder, screen, figure or [], json)
    if table is not None:
        screen.say(f"written: {_write_table(whole, table, asked[0].outcome.scale, items or [], folder)}")
    screen.say(screen.DISCLAIMER)


def _again(folder: Path) -> str:
    return f"go on with --resume --out {folder}"


def _protocol(study: str, changes: list[str], seed: int | None, dropout: list[str]) -> Any:
    from respine.cli.power import shares
    from respine.cli.run import with_changes
    from respine.protocol import resolve
    from respine.study import load
    from respine.trial.power.compute import with_dropout

    changed = with_changes(study, changes)
    read = load(changed) if isinstance(changed, str) else changed
    protocol = resolve(read)
    if seed is not None:
        protocol = protocol.with_study(seed=seed)
    share = shares(dropout)
    return protocol if share is None else protocol.with_study(behaviour=with_dropout(protocol.study, share))


def _asked(
    protocol: Any, endpoint: str | None, against: str | None, visit: list[str] | None, analysis: str | None
) -> Any:
    from respine.cli.power import _visits
    from respine.trial.power.compute import hours
    from respine.trial.power.question import comparisons

    times = _visits(protocol.study, visit)
    return comparisons(protocol, endpoint=endpoint, against=against, method=analysis,
                       visits=None if times is None else [hours(t) for t in times])  # fmt: skip


def _sizes(text: str | None) -> int | dict[str, int] | None:
    from respine.errors import InputError, argument

    if text is None:
        return None
    try:
        if "=" not in text:
            return int(text)
        pairs = [part.partition("=") for part in text.split(",")]
        return {name.strip(): int(size) for name, _, size in pairs}
    except ValueError:
        raise InputError(
            argument("n", text, "These are no numbers of people.", 'Write "100" or "drug=100,placebo=50".')
        ) from None


def _plan(boundary: str, looks: str, futility: str | None, alpha: float) -> Design:
    from respine.cli.design import make_design

    return make_design(boundary, looks, alpha / 2, 1, futility, None, 0.1, {})


def _answer(
    whole: Trials, asked: tuple[Comparison, ...], estimand: str | None, alpha: float, plan: Design | None, enlarge: float,
    folder: Path, screen: Screen, figures: list[str], as_json: bool,
) -> None:  # fmt: skip
    """Tables of what the trials answer, on the screen and in the folder, and the figures asked for."""
    from respine.cli.screen import print_json
    from respine.files.store import write_bytes
    from respine.trial.power.answers import answers, summary, with_looks

    found = answers(whole, asked, estimand=estimand, alpha=alpha)
    write_bytes(folder / "answers.csv", found.to_csv(index=False).encode())
    short, stages = summary(found), []
    for one in asked if plan is not None else ():
        looked = with_looks(whole, one, plan, enlarge=enlarge, estimand=estimand)  # type: ignore[arg-type]
        stages.append(looked.assign(arm=one.arm, against=one.against, visit_h=one.outcome.time))
    if stages:
        import pandas as pd

        write_bytes(folder / "looks.csv", pd.concat(stages, ignore_index=True).to_csv(index=False).encode())
    drawn = [str(_draw(whole, name, found, folder)) for name in figures]
    if as_json:
        looks = [_ends(part) for part in stages]
        print_json({"trials": len(whole), "folder": str(folder), "answers": short.to_dict("records"), "looks": looks,
                    "figures": drawn})  # fmt: skip
        return
    _show(short, len(whole), screen)
    for part in stages:
        _show_looks(part, screen)
    screen.say(f"every trial's answer: {folder / 'answers.csv'}")
    for path in drawn:
        screen.say(f"written: {path}")


def _show(short: pd.DataFrame, count: int, screen: Screen) -> None:
    from respine.cli.power import days
    from respine.cli.screen import columns

    header = ["arm", "against", "endpoint", "visit", "analysis", "difference", "SD of trials", "mean SE", "won", "wrong way",
              "not analysed"]  # fmt: skip
    rows = [
        [r["arm"], r["against"], r["endpoint"], days(r["visit_h"]), r["analysis"], f"{r['estimate']:.2f}", f"{r['sd']:.2f}",
         f"{r['se']:.2f}", f"{100 * r['won']:.1f} %", f"{100 * r['wrong']:.1f} %", f"{r['missing']}"]
        for r in short.to_dict("records")
    ]  # fmt: skip
    screen.say(f"\n{count} simulated trials")
    screen.say(columns(rows, header, right=range(5, len(header))))


def _ends(part: pd.DataFrame) -> dict[str, Any]:
    ends = part["end"].value_counts(normalize=True)
    return {
        "arm": part["arm"].iloc[0], "against": part["against"].iloc[0], "visit_h": float(part["visit_h"].iloc[0]),
        "won": float(ends.get("win", 0.0)), "futile": float(ends.get("futile", 0.0)), "people": float(part["people"].mean()),
        "most_people": int(part["people"].max()), "stopped_at": part["look"].value_counts(normalize=True).sort_index().to_dict(),
        "enlarged": float((part["enlarged"] > 1).mean()),
    }  # fmt: skip


def _show_looks(part: pd.DataFrame, screen: Screen) -> None:
    from respine.cli.power import days

    facts = _ends(part)
    stops = ", ".join(f"look {k}: {100 * share:.1f} %" for k, share in facts["stopped_at"].items())
    grown = f"; second stage enlarged in {100 * facts['enlarged']:.1f} %" if facts["enlarged"] else ""
    screen.say(f"with looks, {facts['arm']} against {facts['against']}, {days(facts['visit_h'])}: "
               f"won {100 * facts['won']:.1f} %, futile {100 * facts['futile']:.1f} %; ended at {stops}")  # fmt: skip
    screen.say(f"  people {facts['people']:.0f} on average, {facts['most_people']} at most{grown}")


def _draw(whole: Trials, name: str, found: pd.DataFrame, folder: Path) -> Path:
    from respine import report

    drawing = report.plot_answers(found) if name == "forest" else report.plot_trials(whole, name)
    drawing.table.to_csv(folder / f"{name}.csv", index=False)
    return drawing.save(folder / f"{name}.svg")


def _write_table(whole: Trials, trial: int, scale: str, items: list[str], folder: Path) -> Path:
    from respine.errors import InputError, argument

    at = trial - whole.first
    if not 0 <= at < len(whole):
        raise InputError(argument("table", trial, "There is no trial of this number.", f"Write 0 to {len(whole) - 1}."))
    table = whole.table(at, scale)
    for name in items:
        for item, values in whole.items(name).items():
            table[item] = values[at][:, 1:].ravel()
    path = folder / f"trial-{trial}.csv"
    table.to_csv(path, index=False)
    return path
