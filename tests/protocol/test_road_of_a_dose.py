"""The road of one dose, from the study file to the score: the files it passes, counted by watching a run."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import respine
from respine import run, study
from respine.protocol.doses import Amounts, DoseRecord, PlannedDose
from respine.study.schema import Dose
from tests.run.tiny import tiny_system
from tests.trial.stand_ins import small_study

HOUSE = Path(respine.__file__).parent
DOSES = (Dose, PlannedDose, DoseRecord, Amounts)


def holds_a_dose(value: object) -> bool:
    """Whether an argument is a dose in any of its forms, or a few of them."""
    if isinstance(value, (tuple, list)):
        return len(value) < 50 and any(isinstance(part, DOSES) for part in value)
    return isinstance(value, DOSES) or (isinstance(value, dict) and value.get("drug") == "ketamine")


class Watch:
    """Calls of respine's files while it is open: those that were handed a dose, in their order, and calls by name."""

    def __init__(self) -> None:
        self.passed: dict[str, str] = {}
        self.calls: Counter[str] = Counter()

    def __enter__(self) -> Watch:
        sys.setprofile(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _call(self, frame: Any, event: str, _: object) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(str(HOUSE)):
            return
        file = Path(code.co_filename).relative_to(HOUSE).as_posix()
        self.calls[f"{file}:{code.co_name}"] += 1
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if any(holds_a_dose(frame.f_locals.get(name)) for name in names):
            self.passed.setdefault(file, code.co_name)


def test_a_dose_passes_seven_files_at_most(tmp_path: Path) -> None:
    with Watch() as watch:
        results = run.execute(run.plan(small_study(tmp_path), system=tiny_system(), threads=1), tmp_path / "run")
    assert (results.endpoints["median"].notna()).any()  # it reached a score
    assert len(watch.passed) <= 7, watch.passed
    assert {"study/check_doses.py", "protocol/arm.py", "protocol/doses.py", "protocol/schedule.py"} <= set(watch.passed)


def test_doses_are_put_on_the_clock_once_an_arm(tmp_path: Path) -> None:
    with Watch() as watch:
        plan = run.plan(small_study(tmp_path), system=tiny_system(), threads=1, shard=20)
        run.execute(plan, tmp_path / "run")
    asked = sum(len(arm.doses) + len(arm.co_medication) for arm in plan.study.arms.values())
    assert len(plan.shards) > 2 and watch.calls["protocol/doses.py:occasions"] == asked


def test_loading_a_study_enters_each_reader_once() -> None:
    with Watch() as watch:
        study.load("murrough-2013")
    for reader in (
        "study/read.py:load",
        "study/read.py:checked",
        "population/read.py:load",
        "population/read.py:checked",
    ):
        assert watch.calls[reader] == 1, reader
