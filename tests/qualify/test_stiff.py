"""Stiff problems: formulas from text, the pass rule, damage; the real set where it lies."""

from __future__ import annotations

import json

import numpy as np
import pytest

from respine.errors import InputError
from respine.model.expression import evaluate
from respine.qualify import stiff

LINEAR = {
    "t0": 0, "t_end": 3.0, "y0": [1.0, 0.0], "params": {"k": 1000.0},
    "rates": ["k*(y1 - y2)"], "rhs": ["-r1", "r1 - t*y2*0"],
    "reference": [0.5, 0.5],
}  # fmt: skip


def folder(tmp_path, **problems):
    (tmp_path / "set.json").write_text(json.dumps(problems), encoding="utf-8")
    return tmp_path


def test_exact_problem_passes_and_wrong_reference_fails(tmp_path):
    wrong = {**LINEAR, "reference": [0.5, 0.5 * (1 + 2e-8)]}
    findings = stiff.qualify(folder(tmp_path, good=LINEAR, wrong=wrong))
    assert [c.outcome for c in findings.cases] == ["pass", "FAIL"]
    assert findings.last_line() == "1/2 pass" and not findings.ok


def test_a_reference_nobody_reproduced_is_only_reported(tmp_path):
    doubtful = {**LINEAR, "reference": [7, 7], "scipy_radau_rtol1e-10_max_rel_diff": 0.9, "note": "hard"}
    findings = stiff.qualify(folder(tmp_path, doubtful=doubtful))
    assert findings.cases[0].outcome == "reported" and "0.9" in findings.cases[0].note
    assert findings.bound == 0 and not findings.ok


def test_formulas(tmp_path):
    system = stiff.to_system("p", LINEAR, tmp_path)
    values = {"y1": 3.0, "y2": 1.0, "k": 1000.0}
    values["r1"] = evaluate(system.rules["r1"], values, 2.0)
    assert values["r1"] == 2000 and evaluate(system.rates["y2"], values, 2.0) == 2000


def test_damage_is_named_all_at_once(tmp_path):
    bad = {**LINEAR, "rhs": ["-r1 +", "import os"]}
    with pytest.raises(InputError) as caught:
        stiff.qualify(folder(tmp_path, bad=bad))
    assert [p.field for p in caught.value.problems] == ["bad.rhs[0]", "bad.rhs[1]"]
    short = {**LINEAR, "y0": [1.0]}
    with pytest.raises(InputError, match="one entry a state"):
        stiff.qualify(folder(tmp_path, short=short))
    with pytest.raises(InputError, match="lacks reference"):
        stiff.qualify(folder(tmp_path, bare={k: v for k, v in LINEAR.items() if k != "reference"}))
    (tmp_path / "set.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="not JSON"):
        stiff.qualify(tmp_path)
    with pytest.raises(InputError, match="no stiff"):
        stiff.qualify(tmp_path / "absent")


def test_relative_error():
    assert stiff.relative_error(np.array([1.0, 5.0]), np.array([2.0, 0.0])) == 0.5
    assert stiff.relative_error(np.array([np.nan]), np.array([2.0])) == np.inf


def test_the_public_set(reference):
    findings = stiff.qualify(reference / "stiff-ode")
    assert findings.ok, [(c.name, c.cells) for c in findings.cases]
    assert findings.bound == 5
