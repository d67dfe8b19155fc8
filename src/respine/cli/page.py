"""`respine page`, `respine explore`: the living model in one file, or served beside what needs the machine."""

from __future__ import annotations

from pathlib import Path

import typer

from respine.cli.errors import report_errors, stop
from respine.cli.names import complete_study

_WHAT = typer.Argument(..., metavar="SCENE|STUDY|RUN|MODEL.xml", autocompletion=complete_study,
                       help="A scene (rat-under-stress ...), a study, a run folder or a model file.")  # fmt: skip
_SCENE = typer.Argument("treatment-resistant", metavar="[SCENE]", help="A scene, study, run folder or model file.")
_OUT = typer.Option(None, "--out", "-o", metavar="FILE.html", help="The file to write; NAME.html when left out.")
_EVIDENCE = typer.Option(
    False, "--evidence", help="Compute the predictions of all published rows for it (minutes at first)."
)
_DATA = typer.Option(
    None,
    "--data",
    metavar="FILE.csv",
    help="Own results on the curves: arm, output or scale, time, mean, sem or sd, n.",
)
_HOST = typer.Option("127.0.0.1", "--host", help="Address to listen at; other machines reach it only if you say so.")
_PORT = typer.Option(0, "--port", min=0, max=65535, help="Port; a free one when left out.")
_NO_BROWSER = typer.Option(False, "--no-browser", help="Do not open a browser.")


@report_errors
def page(source: str = _WHAT, out: Path | None = _OUT, evidence: bool = _EVIDENCE, data: Path | None = _DATA) -> None:
    """Write the living model as one HTML file that needs no server and no network."""
    from respine import web
    from respine.cli.screen import Screen

    screen = Screen()
    scene = web.scene_of(source)
    target = out if out is not None else Path(f"{scene.name}.html")
    with screen.steps() as progress:
        path = web.write(scene, target, evidence=evidence, data=data, progress=progress)
    typer.echo(f"{path}  {path.stat().st_size / 1000:.0f} kB: open it in a browser, mail it, or put it on any host.")
    screen.say(screen.DISCLAIMER)


@report_errors
def explore(scene: str = _SCENE, host: str = _HOST, port: int = _PORT, no_browser: bool = _NO_BROWSER) -> None:
    """Open the living model in a browser, served from this machine, with trials beside it."""
    from respine.web import server

    def announce(address: str) -> None:
        typer.echo(f"{address}\nStop with Ctrl-C. Research software. Not advice for any person.")
        if not no_browser:
            import webbrowser

            webbrowser.open(address)

    try:
        server.serve(scene, host, port, announce)
    except ImportError as lacking:
        stop(str(lacking), code=2)
