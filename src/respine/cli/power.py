"""`respine power STUDY`: how many people, for which arm, visit and test; power and assurance side by side."""

from __future__ import annotations

import math
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from respine.cli.errors import report_errors
from respine.cli.names import complete_study

if TYPE_CHECKING:
    from respine.cli.screen import Screen
    from respine.trial.power import PowerResults

_N = typer.Option("20:200", "--n", metavar="N", help='People an arm: "20:200", "20:200:30" or "20,40,80".')
_SET = typer.Option(None, "--set", metavar="NAME=VALUE", help="Change one thing of the study, as in `respine run`.")


@report_errors
def power(
    study: str = typer.Argument(
        ..., metavar="NAME|FILE", autocompletion=complete_study, help="A study with two arms or more."
    ),
    n: str = _N,
    alpha: float = typer.Option(
        0.05, help="Type I error of both sides together; a trial is won where the arm is better."
    ),
    dropout: list[str] | None = typer.Option(
        None, metavar="SHARE|ARM=SHARE", help='Who has left at random by the last visit: "15%", or by arm: "drug=10%".'
    ),
    endpoint: str | None = typer.Option(
        None, metavar="NAME", help="Endpoint of the study; its first contrast if left out."
    ),
    against: str | None = typer.Option(None, metavar="ARM", help="Arm to compare with."),
    visit: list[str] | None = typer.Option(
        None, metavar="TIME", help='Visits ("24 h"; may be given again); "all" for all.'
    ),
    analysis: str | None = typer.Option(None, metavar="NAME", help="mmrm (if left out), ancova or t-test."),
    estimand: str | None = typer.Option(
        None, metavar="NAME", help="Estimand of the study, or a strategy for all events."
    ),
    replicates: int = typer.Option(400, help="Trials to simulate at most."),
    budget: str = typer.Option("5 min", metavar="TIME", help="Time after which no further trials are simulated."),
    costs: list[str] | None = typer.Option(
        None,
        "--cost",
        metavar="NAME=NUMBER",
        help="person, fixed, miss (an effective arm loses), false (an ineffective one wins).",
    ),
    seed: int | None = typer.Option(None, help="Seed of all random numbers, instead of the study's."),
    threads: int | None = typer.Option(None, metavar="K", help="Threads; all cores when left out."),
    set: list[str] | None = _SET,
    figure: Path | None = typer.Option(None, metavar="FILE", help="Write the curves (png, svg, pdf)."),
    out: Path | None = typer.Option(None, "--out", "-o", metavar="FILE.csv", help="Write the table of power."),
    json: bool = typer.Option(False, "--json", help="Print JSON instead of tables."),
) -> None:
    """Power given the parameters and assurance over them, from simulated trials, side by side."""
    from respine.cli.run import with_changes
    from respine.cli.screen import Screen, print_json
    from respine.files.store import write_bytes
    from respine.trial.power import power as calculate
    from respine.trial.power.question import sizes

    screen = Screen(as_json=json)
    changed = with_changes(study, set or [])
    largest = sizes(n)[-1]
    screen.say(f"at most {replicates} trials of {largest} people an arm, twice; no new ones after {budget}")
    with screen.progress(replicates, "simulating trials") as progress:
        results = calculate(
            changed, n, alpha=alpha, dropout=shares(dropout or []), endpoint=endpoint, against=against,
            visits=_visits(changed, visit), analysis=analysis, estimand=estimand, replicates=replicates, budget=budget,
            seed=seed, costs=_costs(costs or []), threads=threads, progress=progress,
        )  # fmt: skip
    if out is not None:
        write_bytes(out, results.table.to_csv(index=False).encode())
    if figure is not None:
        results.plot().save(figure)
    if json:
        print_json(results.plain())
    else:
        show(results, screen)
    for path in (out, figure):
        if path is not None:
            screen.say(f"written: {path}")


def shares(texts: list[str]) -> str | dict[str, str] | None:
    """Dropout as it is written on the command line: one share for all, or shares by arm. Raises InputError."""
    from respine.errors import InputError, argument

    if not texts:
        return None
    if len(texts) == 1 and "=" not in texts[0]:
        return texts[0]
    pairs = [part.strip().partition("=") for text in texts for part in text.split(",")]
    if any(not sign for _, sign, _ in pairs):
        raise InputError(argument("dropout", " ".join(texts), "One share is for all arms, several name theirs.",
                                  'Write {dropout} "15%", or {dropout} "drug=10%,placebo=20%".'))  # fmt: skip
    return {arm.strip(): share.strip() for arm, _, share in pairs}


def _costs(texts: list[str]) -> dict[str, float]:
    from respine.errors import InputError, argument
    from respine.files.numbers import number

    costs = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            costs[name.strip()] = number(value)
        except ValueError:
            raise InputError(argument("costs", text, "This is no cost.", "Write for example person=25000.")) from None
    return costs


def _visits(study: Any, visits: list[str] | None) -> list[str | float] | None:
    if not visits:
        return None
    if visits != ["all"]:
        return list(visits)
    from respine.study import load

    read = load(study) if isinstance(study, str) else study
    return [t for t in read.visits if t > read.start]


def show(results: PowerResults, screen: Screen) -> None:
    """The tables and notes of a power calculation."""
    from respine.cli.screen import columns

    for key, rows in results.table.groupby(["arm", "against", "endpoint", "visit_h"], sort=False):
        arm, against, endpoint, visit = str(key[0]), str(key[1]), str(key[2]), float(rows.iloc[0]["visit_h"])
        effect = _of(results.effects, arm, against, visit)
        head = f"\n{arm} against {against}: {endpoint} ({rows.iloc[0]['scale']}), {days(visit)}, {rows.iloc[0]['analysis']}"
        screen.say(head)
        screen.say(
            f"  difference {effect['effect']:.2f}; between parameter draws {effect['effect_over_draws']:.2f} SD "
            f"{effect['sd_between_draws']:.2f}; SD of a person's change within a draw {effect['sd_within']:.2f}"
        )
        missing = 100 * effect["missing_arm"], 100 * effect["missing_against"]
        if max(missing) > 0:
            screen.say(f"  without a score at this visit: {missing[0]:.0f} % and {missing[1]:.0f} %")
        header = ["n an arm", "power", "+/-", "assurance", "+/-", "wrong way"]
        shown = ("power", "power_error", "assurance", "assurance_error", "wrong")
        cells = [[f"{r['n']}", *(f"{100 * r[c]:.1f} %" for c in shown)] for _, r in rows.iterrows()]
        if "cost" in rows:
            header.append("expected cost")
            cells = [[*line, f"{r['cost']:,.0f}"] for line, (_, r) in zip(cells, rows.iterrows(), strict=True)]
        screen.say(columns(cells, header, right=range(len(header))))
        for kind in ("power", "assurance"):
            reach = _of(results.sizes[results.sizes["for"] == kind], arm, against, visit, whole=True)
            screen.say(f"  n an arm for {kind} of " + ", ".join(_size(r) for _, r in reach.iterrows()))
    screen.say("")
    screen.say(
        "power: typical parameters; assurance: over parameter draws and trial settings; +/-: Monte Carlo standard error"
    )
    for note in results.notes:
        screen.say("\n".join(textwrap.wrap(f"note: {note}", 110, subsequent_indent="  ")))
    screen.say(screen.DISCLAIMER)


def _of(table: Any, arm: str, against: str, visit: float, whole: bool = False) -> Any:
    rows = table[(table["arm"] == arm) & (table["against"] == against) & (table["visit_h"] == visit)]
    return rows if whole else rows.iloc[0]


def _size(row: Any) -> str:
    target = f"{100 * row['target']:.0f} %"
    if math.isnan(row["n"]):
        return f"{target}: not told by these sizes"
    if math.isinf(row["n"]):
        return f"{target}: none (levels off at {100 * row['limit']:.0f} %)"
    high = "more" if math.isinf(row["high"]) else f"{row['high']:.0f}"
    return f"{target}: {row['n']:.0f} ({row['low']:.0f} to {high}{'' if row['simulated'] else '; beyond the sizes simulated'})"


def days(hours: float) -> str:
    """A visit in words."""
    return f"{hours / 24:g} d" if hours >= 24 else f"{hours:g} h"
