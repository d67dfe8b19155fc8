"""`respine import` and `respine export`: models of other tools in, ours out."""

from __future__ import annotations

from pathlib import Path

import typer

from respine.cli.errors import report_errors, stop

FORMATS = ("sbml", "antimony", "omex", "mrgsolve")
SUFFIXES = {
    ".xml": "sbml",
    ".sbml": "sbml",
    ".ant": "antimony",
    ".omex": "omex",
    ".cpp": "mrgsolve",
    ".mod": "mrgsolve",
}

_MODEL = typer.Argument(
    ...,
    metavar="MODEL",
    help="SBML (.xml), COMBINE archive (.omex), Antimony (.ant), mrgsolve text (.cpp) or a NONMEM control stream (.ctl, .mod).",
)
_FOLDER = typer.Option(..., "--out", "-o", help="The folder to make.")
_SET = typer.Option(
    [], "--set", metavar="NAME=VALUE", help="A number the file leaves out, such as the size of a compartment."
)
_UNTIL = typer.Option(100.0, "--until", help="How long the study and the check run, in the model's time unit.")
_DATA = typer.Option(None, "--data", help="Of a control stream: the data file, where it is not the one $DATA names.")
_ESTIMATES = typer.Option(
    None, "--estimates", help="Of a control stream: an .ext file whose estimates become the starts."
)
_TABLE = typer.Option(
    None, "--table", help="Of a control stream: a table of its run, whose PRED and IPRED are compared."
)
_WHAT = typer.Argument(
    ...,
    metavar="NAME|FILE",
    help="A library model, a model file, a study (then: one arm, doses as events), or the folder of a run.",
)
_FILE = typer.Option(..., "--out", "-o", help="The file to write.")
_FORMAT = typer.Option(
    "",
    "--format",
    "-f",
    help=f"One of {', '.join(FORMATS)}, of a run parquet, csv, zarr, netcdf; by the file's ending when left out.",
)
_ARM = typer.Option(None, "--arm", help="Of a study: which arm; the first with doses when left out.")
_LENGTH = typer.Option(None, "--until", help="Of an archive: the end of its time course (a study's own, else 100).")
_POINTS = typer.Option(200, "--points", min=1, help="Of an archive: the number of steps that are reported.")


@report_errors
def import_model(
    model: Path = _MODEL, out: Path = _FOLDER, set: list[str] = _SET, until: float = _UNTIL, data: Path | None = _DATA,
    estimates: Path | None = _ESTIMATES, table: Path | None = _TABLE,
) -> None:  # fmt: skip
    """Bring a model of another tool: equations, a table of its numbers, a study that runs, a report of what was read.

    A NONMEM control stream becomes a problem file for respine fit, with its data and the same report.
    """
    from respine.errors import InputError, Problem
    from respine.files.numbers import number
    from respine.interop.control_stream.records import is_control_stream
    from respine.interop.imported import import_model as read

    if is_control_stream(model):
        if set:
            why = "a control stream has all its numbers."
            raise InputError(Problem("command line", "--set", set[0], why, "Change $THETA, or the problem file."))
        _control_stream(model, out, data, estimates, table)
        return
    for option, given in (("--data", data), ("--estimates", estimates), ("--table", table)):
        if given is not None:
            why = "it belongs to a NONMEM control stream."
            raise InputError(Problem("command line", option, str(given), why, "Leave it out."))
    values = {}
    for setting in set:
        name, sign, value = setting.partition("=")
        try:
            values[name.strip()] = number(value)
        except ValueError:
            sign = ""
        if not sign:
            raise InputError(Problem("command line", "--set", setting, "it is no NAME=VALUE.", "Write --set cell=1."))
    if not 0 < until < float("inf"):
        raise InputError(
            Problem("command line", "--until", f"{until:g}", "it is no length of time.", "Write --until 100.")
        )
    made = read(model, out, values=values, until=until)
    system = made.system
    typer.echo(f"{model.name}: {len(system.rates)} states, {len(system.rules)} rules, {len(system.parameters)} parameters, "
               f"{len(system.events)} events")  # fmt: skip
    for line in (*system.notes, *made.checks):
        typer.echo(f"  {line}")
    typer.echo(f"{out}: {', '.join(file.name for file in made.files)}\nNext: respine run {out / 'study.yaml'}")


def _control_stream(path: Path, out: Path, data: Path | None, estimates: Path | None, table: Path | None) -> None:
    from respine.interop.control_stream.write import import_control_stream, sentence

    made = import_control_stream(path, out, data=data, estimates=estimates, table=table)
    problem = made.problem
    typer.echo(f"{path.name}: {problem.data.n_subjects} subjects, {int(problem.data.observed.sum())} observations, "
               f"{len(problem.thetas)} fixed, {len((*problem.eta_names, *problem.kappa_names))} random effects")  # fmt: skip
    for line in (*made.notes, *(sentence(one) for one in made.compared)):
        typer.echo(f"  {line}")
    typer.echo(
        f"{out}: {', '.join(file.name for file in made.files)}\nNext: respine fit {out / 'problem.yaml'} --maxeval 0"
    )
    if not all(one.same for one in made.compared):
        raise typer.Exit(1)


@report_errors
def export(source: str = _WHAT, out: Path = _FILE, format: str = _FORMAT, arm: str | None = _ARM, until: float | None = _LENGTH,
           points: int = _POINTS) -> None:  # fmt: skip
    """Take a model or one arm of a study elsewhere: SBML, Antimony, a COMBINE archive with SED-ML, mrgsolve text.

    The folder of a finished run: its tables as parquet or csv with a column dictionary, or arrays as zarr or netcdf.
    """
    from respine.errors import InputError, Problem

    if (Path(source) / "manifest.json").is_file():
        from respine.run.export import FORMATS as TABLES
        from respine.run.export import export as take_out

        chosen = format or {".zarr": "zarr", ".nc": "netcdf"}.get(out.suffix.lower(), "parquet")
        if chosen not in TABLES:
            why = "a run has no such format."
            raise InputError(Problem("command line", "--format", chosen, why, f"Write one of {', '.join(TABLES)}."))
        written = take_out(source, out, chosen)
        typer.echo(f"{out} written: {', '.join(file.name for file in written)}")
        return
    format = format or SUFFIXES.get(out.suffix.lower(), "")
    if format not in FORMATS:
        why = "there is no such format."
        raise InputError(
            Problem("command line", "--format", format or out.name, why, f"Write one of {', '.join(FORMATS)}.")
        )
    if out.exists():
        stop(f"{out} exists already and is left as it is. Choose another name, or move it away.", code=2)
    data = _written(source, format, arm, until, points)
    with out.open("xb") as file:
        file.write(data)
    typer.echo(f"{out} written: {source}{f', arm {arm}' if arm else ''}, {format}.")


def _written(source: str, format: str, arm: str | None, until: float | None, points: int) -> bytes:
    from respine import model
    from respine.errors import InputError, Problem
    from respine.interop.study_model import model_of

    made = model_of(source, arm)
    if format == "antimony":
        from respine.interop.antimony_out import to_antimony

        return to_antimony(made.system, doses=made.doses, inputs=made.inputs).encode()
    if format == "mrgsolve":
        from respine.interop.mrgsolve import to_mrgsolve

        if made.doses or made.inputs:
            why = "mrgsolve takes doses and changing inputs from a data set, not from the model."
            raise InputError(
                Problem(source, "--format", "mrgsolve", why, "Export the model, or use sbml, antimony or omex.")
            )
        return to_mrgsolve(made.system).encode()
    sbml = model.to_sbml(made.system, doses=made.doses, inputs=made.inputs)
    if format == "sbml":
        return sbml.encode()
    from respine.interop.omex import archive

    return archive(sbml, made.outputs or made.system.states, until or made.until or 100.0, points, made.system.name)
