"""`respine posterior`: the joint posterior of the library's uncertain numbers, shown, made, and made again as a check."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from respine.cli.errors import report_errors, stop

if TYPE_CHECKING:
    from respine.population import Posterior

SECONDS_A_VECTOR = 0.8  # of one core
SHOWN = 25


@report_errors
def posterior(
    make: bool = typer.Option(False, "--make", help="Make it from the rows of role fit; a stopped run goes on."),
    write: bool = typer.Option(False, "--write", help="With --make: put it into the library."),
    out: str = typer.Option("", "--out", metavar="FILE", help="With --make: put it into this file."),
    draws: int = typer.Option(0, "--draws", min=0, help="Draws; as the recipe says if left out."),
    seed: int = typer.Option(0, "--seed", min=0, help="Seed; the recipe's if left out."),
    fresh: bool = typer.Option(
        False, "--fresh", help="With --make: search from the library's values, not from the mode kept."
    ),
    check: bool = typer.Option(False, "--check", help="Make the first draws again; exit with 1 if they differ."),
    numbers: bool = typer.Option(False, "--numbers", help="Show prior and posterior of every number."),
    json: bool = typer.Option(False, "--json", help="Print JSON instead of tables."),
    threads: int = typer.Option(0, "--threads", min=0, help="Processes; all cores if left out."),
) -> None:
    """Show the joint posterior beside the prior; make it (minutes), or check that it can be made again."""
    from respine.cli.screen import Screen
    from respine.fit import posterior as room
    from respine.library import BUILT_IN
    from respine.population import posterior as tables

    screen = Screen(as_json=json)
    processes = threads or os.cpu_count() or 1
    joint = room.load()
    if make:
        n = draws or joint.settings.draws
        vectors = 1500 + n * (joint.settings.steps + 2)
        minutes = vectors * SECONDS_A_VECTOR / processes / 60
        screen.say(f"{n} draws take about {vectors} vectors, {minutes:.0f} minutes on {processes} cores")
        kept = tables.load(BUILT_IN)
        start: dict[str, float] | None = kept.facts["mode"] if kept is not None and not fresh else None
        made = room.make(joint, draws_wanted=n, seed=seed or None, processes=processes, say=screen.say, start=start)
        if kept is not None and set(made.forward.names) <= {*kept.values, *kept.trials}:
            away, ratio = room.agreement(made, kept)
            screen.say(
                f"against the table there: means {away:.2f} standard errors apart (1 by chance), SDs {ratio:.2f} of its"
            )
        content = room.encode(made, joint, seed or joint.settings.seed)
        if write or out:
            screen.say(f"written: {room.write(content, Path(out) if out else None)}")
        else:
            screen.say("not written: --write puts it into the library, --out FILE elsewhere")
    stored = tables.load(BUILT_IN)
    if stored is None:
        stop("The library has no posterior. Make one with: respine posterior --make --write")
        return
    faults: list[str] = room.check(joint, stored, processes, screen.say) if check else []
    _show(stored, numbers, json, faults)
    if faults:
        stop(
            "The posterior is not reproduced: "
            + "; ".join(faults)
            + ". Make it again with: respine posterior --make --write"
        )


def _show(stored: Posterior, every: bool, as_json: bool, faults: list[str]) -> None:
    from respine.cli.screen import columns, print_json
    from respine.fit import posterior as room
    from respine.fit.values import shown

    facts: Any = stored.facts
    table = room.beside_prior(stored)
    if as_json:
        facts_shown = {k: v for k, v in facts.items() if k not in ("mode", "laplace_sd", "jacobian")}
        print_json({**facts_shown, "faults": faults, "numbers": table.to_dict("records")})
        return
    typer.echo(f"{facts['draws']} draws ({facts['distinct']} distinct, of equal weight) of {len(stored.values)} numbers, given "
               f"{facts['rows']} rows; digest {stored.digest[:12]}")  # fmt: skip
    typer.echo(f"chi-square {facts['chi2_median']:.0f} of {facts['residuals']} residuals in the median draw, "
               f"{facts['chi2_mode']:.0f} at the mode; {facts['uninformed']} numbers that no row informs"
               + (f" (SD {facts['uninformed_sd']:.2f} of the prior's)" if facts["uninformed"] else ""))  # fmt: skip
    if facts.get("refined", len(stored)) < len(stored):
        typer.echo(
            f"{facts['refined']} draws went {facts['steps']} step beyond the straight line, the others stand on it"
        )
    rows = [
        [str(r["block"]), str(r["residuals"]), f"{r['mode']:.2f}", f"{r['draws']:.2f}"]
        for r in room.by_block(facts).to_dict("records")
    ]
    typer.echo("\n" + columns(rows, ["block", "residuals", "chi2 a residual, mode", "median draw"], right=(1, 2, 3)))
    chosen = table if every else table.head(SHOWN)
    rows = [
        [str(r["number"]), shown(r["prior"]), f"{shown(r['prior_low'])} to {shown(r['prior_high'])}", shown(r["median"]),
         f"{shown(r['low'])} to {shown(r['high'])}", f"{100 * max(r['contraction'], 0):.0f} %", f"{r['moved']:+.1f}"]
        for r in chosen.to_dict("records")
    ]  # fmt: skip
    head = ["number", "prior", "90 %", "posterior", "90 %", "learned", "moved, SD"]
    typer.echo("\n" + columns(rows, head, right=(1, 3, 5, 6)))
    if not every:
        typer.echo(f"... the {SHOWN} most informed of {len(table)}; all with --numbers")
    if facts["misfits"]:
        rows = [[m["row"], m["study"], m["what"], f"{m['z']:+.1f}"] for m in facts["misfits"]]
        typer.echo("\nrows that stay two standard errors away in the median draw")
        typer.echo(columns(rows, ["row", "study", "read as", "z"], right=(3,)))
