"""A small assessment: one block and one experiment are computed, the rest is as small as its shape allows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from respine import fit
from respine import study as studies
from respine.credibility import (
    Assessment,
    Options,
    Work,
    assess,
    calibration,
    jobs,
    question,
    sensitivity,
    validation,
    verification,
)
from respine.evidence import store
from respine.evidence import studies as trials
from respine.evidence.row import ComparedRow


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results are kept here and nowhere else."""
    folder = tmp_path / "kept"
    monkeypatch.setattr(store, "folder", lambda: folder)
    return folder


def line(id: str, role: str, published: float, **more: Any) -> ComparedRow:
    facts = {"predicted": 10.0, "low": 6.0, "high": 14.0, "q25": 9.0, "q75": 11.0} | more
    inside = facts["low"] <= published <= facts["high"]
    return ComparedRow(id, "clinical", "ECT", f"result {id}", role, kind="trial", study="made-up", arm="one", time_h=24.0,
                unit="points", published=published, inside=inside, z=(published - 10) / 2.43, n=20, **facts)  # fmt: skip


ASSERTIONS = [
    {"label": "A1", "title": "holds <b>", "study": "s", "holds": True, "evidence": [{"id": "X", "role": "fit"}],
     "checks": [{"what": "w", "target": "1 to 2", "low": 1, "high": 2, "value": 1.5, "unit": "%", "holds": True}]},
    {"label": "A2", "title": "fails & is told", "study": "s", "holds": False, "evidence": [],
     "checks": [{"what": "too much", "target": "at most 2", "low": None, "high": 2, "value": 4.25, "unit": "%", "holds": False}]},
]  # fmt: skip


def cloud(name: str) -> dict[str, Any]:
    """Read-outs of an experiment from made-up numbers: the first parameter decides, the last read-out stands still."""
    ids = ["decides", "opposes", "idle"]
    x = np.random.default_rng(3).normal(size=(200, 3))
    rows = []
    for k, readout in enumerate(question.read().of_experiment(name)):
        y = np.zeros(200) if k == 3 else 3 * x[:, 0] - x[:, 1] ** 3
        rows.append(sensitivity.readout_facts(readout, "1", ids, x, y, 1.0))
    return {"experiment": name, "failures": [], "readouts": rows}


@pytest.fixture(scope="package")
def small() -> Iterator[Assessment]:
    """The findings of a small report."""
    asked = question.read()
    lines = [line("a", "fit", 10.5), line("b", "validate", 30.0), line("c", "validate", 9.5)]
    result: dict[str, Any] = {"assertions": ASSERTIONS, "kinetics": [row.to_dict() for row in lines]}
    for name in fit.names():
        if name == "side-effects":
            result[f"block-{name}"] = calibration.block(name)
        elif name == "expectancy":
            result[f"block-{name}"] = calibration.outline(name)
        else:
            result[f"block-{name}"] = dict(calibration.NOTHING) | {"block": name, "problem": "not asked for"}
    few = {name: trials.completed(studies.load(name)) for name in ("murrough-2013", "naive-ketamine-li-2010")}
    for name in asked.experiments:
        result[f"sensitivity-{name}"] = cloud(name)
        result[f"numerical-{name}"] = verification.numerical(name) if name == "rat-dose" else []
    planned = Work(Options(draws=200, quick=True), (), ())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "carry_out", lambda *_: result)
        patch.setattr(validation, "_compared", lambda: few)
        findings = assess(planned)
    yield findings
