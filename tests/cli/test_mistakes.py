"""A mistake gets its words and an exit code; nobody sees a traceback for a mistake of their own."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from respine.cli import errors
from respine.cli.errors import report_errors
from respine.errors import InputError, Problem


def outcome(trouble: BaseException) -> Result:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    @report_errors
    def command() -> None:
        raise trouble

    return CliRunner().invoke(app, [])


@pytest.mark.parametrize(
    ("trouble", "code", "words"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/x"), 1, "the disk is full at runs/x"),
        (PermissionError(errno.EACCES, "Permission denied", "/etc/x"), 1, "may not write or read /etc/x"),
        (OSError(errno.EROFS, "Read-only file system", "/x"), 1, "Choose another folder with --out"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "here"), 1, "here"),
        (KeyboardInterrupt(), 130, "stopped."),
        (KeyboardInterrupt("stopped after 2 of 4 shards"), 130, "2 of 4"),
        (MemoryError(), 1, "not enough memory"),
    ],
)
def test_troubles_of_the_machine_are_one_clear_line(trouble: BaseException, code: int, words: str) -> None:
    result = outcome(trouble)
    assert result.exit_code == code
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stdout == ""


def test_bad_input_is_printed_whole() -> None:
    first = Problem(
        "mine.yaml:14", "arms.ketamine.doses[0].amount", "0.5 mg", "dosed per body weight.", 'Write "0.5 mg/kg".'
    )
    two = Problem("mine.yaml:21", "visits[2]", "-24 h", "before the first visit.", "Write a time at or after 0 h.")
    result = outcome(InputError(first, two))
    assert result.exit_code == 2
    assert result.stderr == (
        'mine.yaml:14  arms.ketamine.doses[0].amount: "0.5 mg"\n  dosed per body weight.\n  Write "0.5 mg/kg".\n'
        'mine.yaml:21  visits[2]: "-24 h"\n  before the first visit.\n  Write a time at or after 0 h.\n'
        "2 errors; nothing was run.\n"
    )


def test_a_fault_of_ours_is_kept_in_a_file() -> None:
    result = outcome(ZeroDivisionError("division by zero"))
    assert result.exit_code == 1
    assert "a fault of respine: ZeroDivisionError: division by zero" in result.stderr
    assert "Traceback" not in result.stderr
    kept = Path(result.stderr.partition("The traceback is in ")[2].partition(";")[0])
    assert "raise trouble" in kept.read_text()
    kept.unlink()


def test_debug_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "DEBUG", True)
    assert isinstance(outcome(ZeroDivisionError("division by zero")).exception, ZeroDivisionError)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    command = [sys.executable, "-m", "respine.cli", "new", str(tmp_path / "mine.yaml")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    tmp_path.chmod(0o700)
    assert result.returncode == 1 and "may not write" in result.stderr
