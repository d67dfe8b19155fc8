"""What a user reads when something goes wrong: the mistake and its cure, never a traceback for a mistake of theirs."""

from __future__ import annotations

import errno
import functools
import os
import sys
from collections.abc import Callable
from typing import Any

import typer

from respine.errors import InputError

DEBUG = False  # set by `respine --debug`; the only state the command line keeps

FLAGS = {
    "folder": "--out", "resume": "--resume", "threads": "--threads", "subjects": "--subjects", "seed": "--seed",
    "set": "--set", "rows": "--rows", "studies": "--studies", "role": "--role", "system": "--system",
    "qualification": "--qualification", "n": "--n", "dropout": "--dropout", "costs": "--cost", "visits": "--visit",
    "only": "--only", "arms": "--arms", "width": "--width", "format": "--format",
    "endpoint": "--endpoint", "against": "--against", "analysis": "--analysis", "estimand": "--estimand",
    "replicates": "--replicates", "budget": "--budget", "alpha": "--alpha",
    "effect": "--effect", "rates": "--rates", "power": "--power",
    "boundary": "--boundary", "z": "--z", "looks": "--looks", "enlarge": "--enlarge", "figure": "--figure", "table": "--table",
    "part": "--shard", "shard": "--shard-people", "keep": "--keep", "precision": "--precision",
    "cluster": "--cluster", "grid": "--grid", "sobol": "--sobol", "trim": "--trim",
}  # fmt: skip
"""How the command line calls the arguments that errors speak of."""

_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}


def report_errors(command: Callable[..., None]) -> Callable[..., None]:
    """The command with its failures turned into one clear message and an exit code: 2 for bad input, 1 otherwise."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except InputError as mistake:
            stop(mistake.told(FLAGS), code=2)
        except KeyboardInterrupt as stopped:
            stop(_stopped(stopped), code=130)
        except BrokenPipeError:  # the reader of our output (head, less) went away
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - Python flushes it at exit
            raise typer.Exit(1) from None
        except MemoryError:
            stop("not enough memory. Run fewer people at once with --subjects, or close other programs.")
        except OSError as trouble:
            if trouble.errno is None:
                _unexpected(trouble)
            stop(_plain(trouble))
        except Exception as bug:
            _unexpected(bug)

    return wrapped


def _stopped(stopped: KeyboardInterrupt) -> str:
    finished, total = getattr(stopped, "finished", None), getattr(stopped, "total", None)
    if finished is None:
        return str(stopped) or "stopped."
    folder = getattr(stopped, "folder", "")
    return f"stopped after {finished} of {total} shards; go on with --resume --out {folder}"


def stop(message: str, code: int = 1) -> None:
    """Print a message to stderr and leave with an exit code."""
    typer.echo(message, err=True)
    raise typer.Exit(code)


def _plain(trouble: OSError) -> str:
    """One line that says what the machine refused and what to do."""
    place = f" {trouble.filename}" if trouble.filename else ""
    if trouble.errno in _FULL:
        return (
            f"the disk is full{' at' + place if place else ''}: {trouble.strerror}. Free some space, then use --resume."
        )
    if trouble.errno in _REFUSED:
        return f"may not write or read{place}: {os.strerror(trouble.errno or 0)}. Choose another folder with --out."
    return f"{os.strerror(trouble.errno or 0)}:{place}" if place else str(trouble)


def _unexpected(bug: BaseException) -> None:
    """A mistake of ours: keep the traceback in a file, tell the user where, or show it with --debug."""
    import tempfile
    import traceback

    if DEBUG:
        raise bug
    lines = "".join(traceback.format_exception(bug))
    with tempfile.NamedTemporaryFile("w", prefix="respine-error-", suffix=".txt", delete=False) as file:
        file.write(f"{' '.join(sys.argv)}\n\n{lines}")
    stop(
        f"unexpected error, a fault of respine: {type(bug).__name__}: {bug}\n"
        f"  The traceback is in {file.name}; please attach it to a report. `respine --debug ...` shows it here."
    )
