"""Damaged files are refused or accepted; and the counting of what is neither is itself put to the test."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from respine.errors import InputError, Problem

from . import fuzz_files, fuzz_models
from .fuzz_damage import Kind, Mutation
from .fuzz_files import ACCEPTED, DIED, HUNG, KINDS, REFUSED, TRACEBACK, WRONG

FEW = {"study": 30, "people": 30, "plan": 30, "fit": 30}  # what is dear to read


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_refused_or_accepted(kind: str) -> None:
    n = FEW.get(kind, 60)
    tally = fuzz_files.run(kind, range(n), patience=120)  # a busy machine is no hang
    assert tally.clean, tally.faults
    assert tally.counts[REFUSED] + tally.counts[ACCEPTED] == n
    assert tally.counts[REFUSED] >= n // 4 and tally.counts[ACCEPTED] >= 2  # neither a wall nor an open door


@pytest.mark.parametrize("kind", KINDS)
def test_whole_files_are_accepted(kind: str, tmp_path: Path) -> None:
    """A reader that refused everything would pass the test above."""
    for name, data in KINDS[kind].seeds().items():
        file = tmp_path / KINDS[kind].file
        file.write_bytes(data)
        assert fuzz_files.judge(KINDS[kind], file, referee=kind != "study") == (ACCEPTED, ""), name


@pytest.mark.parametrize("kind", KINDS)
def test_mutants_are_the_same_every_time_and_differ_from_each_other(kind: str) -> None:
    made = [KINDS[kind].mutant(k) for k in range(50)]
    assert made == [KINDS[kind].mutant(k) for k in range(50)]
    assert len({data for _, data in made}) > 40
    seeds = set(KINDS[kind].seeds().values())
    assert sum(data in seeds for _, data in made) < 15  # most are damaged indeed


@pytest.mark.parametrize(
    "mutation", sorted({m for kind in KINDS.values() for m in kind.mutations}, key=lambda m: m.__name__)
)
def test_every_mutation_takes_any_bytes_and_does_something(mutation: Mutation) -> None:
    rng = random.Random(1)
    for data in (b"", b"\n", b"<", b"<a", b'<a x="', b"\xff\xfe", b"x = 1\n", b"<a><a></a>"):
        for _ in range(20):
            mutation(rng, data)
    whole = [data for kind in KINDS.values() if mutation in kind.mutations for data in kind.seeds().values()]
    assert any(mutation(rng, data) != data for data in whole for _ in range(5))


# -- does it count what it should? -----------------------------------------------------------------------------------------

ENDS = (b"refuse", b"accept", b"raise", b"die", b"hang", b"unclear", b"hidden", b"exit")


def by_content(file: Path) -> None:
    match file.read_bytes():
        case b"refuse":
            raise InputError(Problem("f:1", "x", "", "it is so.", "Do this."))
        case b"raise":
            raise ValueError("a bug")
        case b"die":
            os.kill(os.getpid(), signal.SIGKILL)
        case b"exit":
            os._exit(0)
        case b"hang":
            time.sleep(60)
        case b"unclear":
            raise InputError(Problem("f:1", "x", "", "it is so.", ""))
        case b"hidden":
            error = InputError(Problem("f:1", "x", "", "it is so.", "Do this."))
            error.args = ("\x1b[2J",)
            raise error


def seeds() -> dict[str, bytes]:
    return {end.decode(): end for end in ENDS}


def untouched(rng: random.Random, data: bytes) -> bytes:
    return data


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_every_end_is_counted_as_what_it_is(tmp_path: Path) -> None:
    kind = Kind(seeds, "f.txt", (untouched,), by_content)
    expected = {
        b"refuse": REFUSED,
        b"accept": ACCEPTED,
        b"raise": TRACEBACK,
        b"die": DIED,
        b"exit": DIED,
        b"hang": HUNG,
        b"unclear": WRONG,
        b"hidden": WRONG,
    }
    mutants = []
    for end in ENDS:
        mutants += [k for k in range(200) if kind.mutant(k)[1] == end][:2]
    tally = fuzz_files.run(kind, mutants, jobs=2, keep=tmp_path / "kept", patience=4)
    assert tally.counts == Counter(expected[kind.mutant(k)[1]] for k in mutants)
    assert {(k, outcome) for k, _, outcome, _ in tally.faults} == {
        (k, expected[kind.mutant(k)[1]]) for k in mutants if expected[kind.mutant(k)[1]] not in (REFUSED, ACCEPTED)
    }
    assert not tally.clean
    assert len(list((tmp_path / "kept").iterdir())) == len(mutants) - 2  # all but what was refused


def test_the_referee_finds_a_wrong_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from respine import model

    file = tmp_path / "model.xml"
    file.write_bytes(fuzz_models.sbml_seeds()["oral"])
    assert fuzz_models.against_roadrunner(file) == ""
    right = model.load(file)
    wrong = replace(right, parameters={**right.parameters, "ka": 1.6})
    monkeypatch.setattr(model, "load", lambda _: wrong)
    assert "ka" in fuzz_models.against_roadrunner(file)
    turned = replace(right, rates={**right.rates, "depot": ("neg", right.rates["depot"])})
    monkeypatch.setattr(model, "load", lambda _: turned)
    assert "depot'" in fuzz_models.against_roadrunner(file)
