"""`respine sweep`: one study at many values, with the same people in every cell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from respine.cli.errors import report_errors, stop
from respine.cli.names import complete_study
from respine.cli.signals import PREEMPTED, preemptible

if TYPE_CHECKING:
    from respine.run import Sweep

_NAME = typer.Argument(
    ..., metavar="NAME|FILE", autocompletion=complete_study, help="A study of the library or a study file."
)
_GRID = typer.Option(
    None, "--grid", metavar="NAME=A,B,C ...",
    help="Values of a parameter, a field (arms.NAME.doses[0].amount), dose or interval; LOW:HIGH:N for even steps. More axes "
    "may follow or have a --grid of their own.",
)  # fmt: skip
_SOBOL = typer.Option(
    None, metavar="N", help="A Sobol design: N base samples in ranges NAME=LOW:HIGH given as --grid (SALib)."
)
_SUBJECTS = typer.Option(None, help="Virtual people per arm, instead of the study's number.")
_SEED = typer.Option(None, help="Seed of all random numbers, instead of the study's.")
_OUT = typer.Option(None, metavar="DIR", help="Folder of the sweep; runs/NAME-sweep-xxxx when left out.")
_RESUME = typer.Option(False, "--resume", help="Go on with a sweep that was stopped.")
_THREADS = typer.Option(None, metavar="K", help="Threads; all cores when left out.")
_CLUSTER = typer.Option(None, metavar="ADDRESS", help="Compute on a Dask cluster: tcp://host:8786, or local:N.")
_PRECISION = typer.Option(
    "float64", metavar="float64|float32", help="float32 is faster and checks itself against float64."
)
_ARM = typer.Option(None, help="Arm of the picture; the first when left out.")
_ENDPOINT = typer.Option(None, help="Endpoint of the picture; the first when left out.")
_JSON = typer.Option(False, "--json", help="Print the table as JSON on stdout, everything else on stderr.")
_QUIET = typer.Option(False, "--quiet", "-q", help="Print nothing but errors (and JSON, if asked).")


@report_errors
def sweep(
    context: typer.Context,
    study: str = _NAME,
    grid: list[str] | None = _GRID,
    sobol: int | None = _SOBOL,
    subjects: int | None = _SUBJECTS,
    seed: int | None = _SEED,
    out: Path | None = _OUT,
    resume: bool = _RESUME,
    threads: int | None = _THREADS,
    cluster: str | None = _CLUSTER,
    precision: str = _PRECISION,
    arm: str | None = _ARM,
    endpoint: str | None = _ENDPOINT,
    json: bool = _JSON,
    quiet: bool = _QUIET,
) -> None:
    """Simulate a study at every combination of values, or in a Sobol design, with the same people everywhere."""
    from respine.cli.run import executor
    from respine.cli.screen import Screen, print_json
    from respine.run import Stopped
    from respine.run import sweep as carry_out
    from respine.run.sweep import axis_of, range_of

    screen, written = Screen(as_json=json, quiet=quiet), [*(grid or []), *context.args]
    axes = [] if sobol is not None else [axis_of(text) for text in written]
    ranges = [range_of(text) for text in written] if sobol is not None else []
    try:
        with preemptible(), screen.progress(0) as progress:
            result = carry_out(
                study, axes, out, subjects=subjects, seed=seed, threads=threads, resume=resume, precision=precision,
                progress=progress, executor=executor(cluster), ranges=ranges, sobol=sobol,
            )  # fmt: skip
    except Stopped as stopped:
        message = (
            "stopped in the cell of the sweep that was in hand; go on with the same command and --resume --out DIR"
        )
        stop(message, code=130 if stopped.signal is None else PREEMPTED)
        return
    _show(result, arm, endpoint, screen)
    if json:
        rows = result.indices if len(result.indices) else result.table
        print_json(rows.to_dict("records"))


def _show(result: Sweep, arm: str | None, endpoint: str | None, screen: object) -> None:
    from respine.cli.screen import Screen, columns

    assert isinstance(screen, Screen)
    picture = result.plot(arm, endpoint)
    file = picture.save(result.folder / "sweep.png", dpi=150)
    table = result.indices if len(result.indices) else picture.table
    shown = [name for name in table.columns if name not in ("cell", "against", "time_h", "n_simulated", "value", "se")]
    cells = [[f"{value:.4g}" if isinstance(value, float) else str(value) for value in row]
             for row in table[shown].head(60).itertuples(index=False)]  # fmt: skip
    if not screen.as_json:
        screen.say(columns(cells, header=shown))
    screen.say(f" table    {result.folder / 'sweep.parquet'}\n picture  {file}\n {screen.DISCLAIMER}")
