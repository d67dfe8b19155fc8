"""`respine calibrate BLOCK`: reproduce the library's calibrated numbers from published rows of role fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from respine.cli.errors import report_errors, stop
from respine.cli.names import complete_recipe

if TYPE_CHECKING:
    from respine.fit import Calibration


@report_errors
def calibrate(
    block: str = typer.Argument(
        "", metavar="BLOCK", autocompletion=complete_recipe, help="A block, or the file of a recipe of your own."
    ),
    list_: bool = typer.Option(False, "--list", help="List the blocks."),
    write: bool = typer.Option(False, "--write", help="Put the results into the parameter tables."),
    json: bool = typer.Option(False, "--json", help="Print JSON instead of tables."),
    threads: int = typer.Option(0, "--threads", min=0, help="Threads; all cores if left out."),
    check: bool = typer.Option(False, "--check", help="Exit with 1 if a value of the library is not reproduced."),
) -> None:
    """Fit a block of parameters to rows of role fit and compare the result with the library."""
    from respine import fit
    from respine.cli.screen import Screen

    if list_ or not block:
        _list(json, asked=list_)
        return
    screen = Screen(as_json=json)
    screen.say(f"calibrating {block} ...")
    calibration = fit.calibrate(block, threads or None, None if json else screen.say)
    changed = [str(path) for path in fit.write(calibration)] if write else []
    _show(calibration, changed, json)
    if check and not calibration.reproduced:
        off = ", ".join(calibration.parameters.loc[~calibration.parameters["within"], "parameter"])
        stop(f"the library does not hold the recipe's values: {off}. Run with --write to take them over.")


def _list(as_json: bool, asked: bool) -> None:
    from respine import fit
    from respine.cli.screen import columns, print_json

    recipes = [fit.load(name) for name in fit.names()]
    if as_json:
        print_json([
            {"block": r.block, "title": r.title, "parameters": [p.name for p in r.parameters],
             "rows": sorted({t.id for t in r.targets})}
            for r in recipes
        ])  # fmt: skip
        return
    rows = [[r.block, str(len(r.parameters)), str(len({t.id for t in r.targets})), r.title] for r in recipes]
    typer.echo(columns(rows, ["block", "numbers", "rows", ""], right=(1, 2)))
    if not asked:
        typer.echo("\nRun one with: respine calibrate BLOCK")


def _show(calibration: Calibration, changed: list[str], as_json: bool) -> None:
    from respine.cli.screen import columns, print_json
    from respine.fit.values import shown

    if as_json:
        print_json({
            "block": calibration.recipe.block, "reproduced": calibration.reproduced, "cost": calibration.minimum.cost,
            "converged": calibration.minimum.converged, "steps": calibration.minimum.steps,
            "start_costs": list(calibration.start_costs), "seconds": calibration.seconds,
            "parameters": calibration.parameters.to_dict("records"),
            "targets": calibration.targets.to_dict("records"), "written": changed,
        })  # fmt: skip
        return

    def number(value: Any) -> str:
        return "" if value != value else shown(float(value))

    rows = [
        [str(r["parameter"]), number(r["value"]), f"{number(r['low'])} to {number(r['high'])}", number(r["library"]),
         number(r["difference"]), "yes" if r["within"] else "no", number(r["prior"]), f"{100 * r['shrinkage']:.0f} %"]
        for r in calibration.parameters.to_dict("records")
    ]  # fmt: skip
    header = ["parameter", "recipe", "90 %", "library", "difference", "held", "prior", "learned"]
    typer.echo("\n" + columns(rows, header, right=(1, 3, 4, 6, 7)) + "\n")
    rows = [
        [str(r["row"]), str(r["arm"]), str(r["what"]), f"{r['bound']} {number(r['published'])}".strip(),
         number(r["tolerance"]), number(r["predicted"]), f"{r['z']:+.1f}"]
        for r in calibration.targets.to_dict("records")
    ]  # fmt: skip
    typer.echo(columns(rows, ["row", "arm", "read as", "published", "error", "fitted", "z"], right=(3, 4, 5, 6)))
    inside = int(calibration.targets["within"].sum())
    typer.echo(f"\n{inside} of {len(rows)} targets within 1.6 standard errors; {calibration.seconds:.0f} s.")
    for path in changed:
        typer.echo(f"written: {path}")
