"""The command tree: one file a command group, gathered here."""

from __future__ import annotations

import typer

from respine.cli import (
    analyze,
    cache,
    calibrate,
    compare,
    credibility,
    design,
    doctor,
    errors,
    evidence,
    exchange,
    figure,
    fit,
    forecasts,
    model,
    page,
    posterior,
    power,
    qualify,
    run,
    runs,
    studies,
    sweep,
    trials,
)

app = typer.Typer(
    name="respine",
    help="From dose to dendrite to mood: how stress takes brain connections away and treatments give them back.",
    epilog="Research software. Not advice for any person.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # errors.report_errors says what happened; a traceback is kept in a file
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"respine {version('respine')}")
        raise typer.Exit()


@app.callback()
def options(
    debug: bool = typer.Option(False, "--debug", help="Show the full traceback of an unexpected error."),
    _: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version and stop."),
) -> None:
    errors.DEBUG = debug


app.command("run")(run.run)
app.command("status")(runs.status)
app.command("verify")(runs.verify)
app.command("collect")(runs.collect)
app.command("sweep", context_settings={"allow_extra_args": True})(sweep.sweep)
app.command("cache")(cache.cache)
app.command("compare")(compare.compare)
app.command("figure")(figure.figure)
app.command("page")(page.page)
app.command("explore")(page.explore)
app.command("studies")(studies.studies)
app.command("new")(studies.new)
app.add_typer(studies.group, name="study")
app.add_typer(model.group, name="model")
app.command("import")(exchange.import_model)
app.command("export")(exchange.export)
app.command("calibrate")(calibrate.calibrate)
app.command("posterior")(posterior.posterior)
app.command("evidence")(evidence.evidence)
app.command("assertions")(evidence.assertions)
app.command("claims")(evidence.claims)
app.command("forecasts")(forecasts.forecasts)
app.command("credibility")(credibility.credibility)
app.command("analyze")(analyze.analyze)
app.command("power")(power.power)
app.command("design")(design.design)
app.command("trials")(trials.trials)
app.command("fit")(fit.fit)
app.add_typer(fit.data, name="data")
app.command("doctor")(doctor.doctor)
app.add_typer(qualify.group, name="qualify")


def main() -> None:
    """Entry point of the ``respine`` command."""
    app()
