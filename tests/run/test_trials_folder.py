"""Simulated trials in a folder: the same numbers in parts, after a stop, with more trials, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from respine.errors import InputError
from respine.protocol import Protocol, resolve
from respine.run import Stopped
from respine.run import trials as kept
from respine.study import Study
from respine.trial.replicates import Trials, simulate_trials
from tests.run.tiny import tiny_system
from tests.trial.replicates.conftest import TEXT

BEHAVIOUR = "behaviour: {dropout: {by: random, share: 20 %, until: 14 d}}\n"


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    return resolve(Study.from_yaml(TEXT + BEHAVIOUR), system=tiny_system())


@pytest.fixture(scope="module")
def whole(protocol: Protocol) -> Trials:
    return simulate_trials(protocol, 60, 6)


@pytest.fixture(autouse=True)
def same_system(monkeypatch: pytest.MonkeyPatch, protocol: Protocol) -> None:
    monkeypatch.setattr(kept, "resolve", lambda study: protocol)


def assert_same(one: Trials, other: Trials) -> None:
    for (name, first), (again, second) in zip(kept._arrays(one), kept._arrays(other), strict=True):
        assert name == again
        np.testing.assert_array_equal(first, second, err_msg=name)


def test_a_folder_holds_what_one_call_gives(protocol: Protocol, whole: Trials, tmp_path: Path) -> None:
    assert kept.simulate_into(tmp_path / "t", protocol, 60, 6) == 60
    assert_same(kept.load_trials(tmp_path / "t"), whole)


def test_a_stop_loses_a_part_at_most_and_more_can_be_added(protocol: Protocol, whole: Trials, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done > 300:
            raise KeyboardInterrupt

    with pytest.raises(Stopped) as stopped:
        kept.simulate_into(tmp_path / "t", protocol, 40, 6, progress=interrupt)
    assert 0 < stopped.value.finished <= stopped.value.total == 2
    part = tmp_path / "t" / "parts" / "0000000.npz"
    part.write_bytes(part.read_bytes()[:2000])  # a part that was damaged is made again
    kept.simulate_into(tmp_path / "t", protocol, 40, 6, resume=True)
    kept.simulate_into(tmp_path / "t", protocol, 60, 6, resume=True)
    assert_same(kept.load_trials(tmp_path / "t"), whole)
    assert_same(kept.load_trials(tmp_path / "t").head(7), simulate_trials(protocol, 7, 6))


def test_a_budget_ends_between_parts(protocol: Protocol, tmp_path: Path) -> None:
    made = kept.simulate_into(tmp_path / "t", protocol, 60, 6, seconds=1e-9)
    assert made == kept.PART == len(kept.load_trials(tmp_path / "t"))


def test_other_trials_and_other_folders_are_refused(protocol: Protocol, tmp_path: Path) -> None:
    kept.simulate_into(tmp_path / "t", protocol, 2, 6)
    for changed, options in (
        ({"n": 7}, {"resume": True}),
        ({"n": 6}, {"resume": False}),
        ({"n": 6, "typical": True}, {"resume": True}),
    ):
        with pytest.raises(InputError):
            kept.simulate_into(tmp_path / "t", protocol, 2, **changed, **options)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("")
    with pytest.raises(InputError):
        kept.simulate_into(tmp_path / "other", protocol, 2, 6)
    with pytest.raises(InputError):
        kept.load_trials(tmp_path / "other")
