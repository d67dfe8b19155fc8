"""``--set NAME=VALUE``: every change that cannot be made is told at once, with the words that were written."""

from __future__ import annotations

import subprocess
import sys

import pytest

from respine.cli.run import with_changes
from respine.errors import InputError


def test_every_change_that_cannot_be_made_is_told_at_once() -> None:
    changes = ["subjects=x", "arms.ketamin.doses[0].amount=1 mg/kg", "k_venos=9", "seed"]
    with pytest.raises(InputError) as error:
        with_changes("murrough-2013", changes)
    told = [(problem.where, problem.field) for problem in error.value.problems]
    assert told[0] == ('--set "subjects=x"', "subjects")
    assert told[1][0] == '--set "arms.ketamin.doses[0].amount=1 mg/kg"'
    assert error.value.problems[2].seen == "seed"
    assert told[3][1] == "parameters.k_venos"


def test_the_command_line_is_where_a_change_was_written() -> None:
    words = [sys.executable, "-m", "respine.cli", "run", "murrough-2013", "--set", "k_venos=9"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith("command line  parameters.k_venos"), done.stderr
