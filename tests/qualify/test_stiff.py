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


def test_formulas_may_use_the_functions_of_science(tmp_path):
    """Exact: y1 = 2 + sin(t), y2 = exp(-t), y3 = min(t, 2)."""
    problem = {
        "t0": 0, "t_end": 3.0, "y0": [2.0, 1.0, 0.0], "params": {"k": 1e4},
        "rhs": ["k*(2 + sin(t) - y1) + cos(t)", "-y2**2/y2", "piecewise(1, t < 2, 0) + 0*(tanh(y1) + log(y2)^2)"],
        "reference": [2 + np.sin(3.0), np.exp(-3.0), 2.0],
    }  # fmt: skip
    assert stiff.qualify(folder(tmp_path, problem=problem)).ok


def test_what_has_decayed_to_nothing_is_not_judged(tmp_path):
    problem = {
        "t0": 0,
        "t_end": 1.0,
        "y0": [1.0, 1.0],
        "params": {},
        "rhs": ["-y1", "-1e6*y2"],
        "reference": [np.exp(-1.0), 3e-99],
    }
    assert stiff.qualify(folder(tmp_path, problem=problem)).ok


def test_all_files_of_a_folder_are_read(tmp_path):
    folder(tmp_path, first=LINEAR)
    (tmp_path / "more.json").write_text(json.dumps({"second": LINEAR}), encoding="utf-8")
    assert [c.name for c in stiff.qualify(tmp_path).cases] == ["second", "first"]
    (tmp_path / "more.json").write_bytes(b"\xff\x00")
    with pytest.raises(InputError, match=r"more\.json"):
        stiff.qualify(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"params": {"k": "fast"}}, r"p\.k.*no number"),
        ({"t_end": "later"}, r"p\.t_end.*no number"),
        ({"t_end": -1}, "after the start"),
        ({"y0": [None, 1]}, r"p\.y0\[0\].*no number"),
        ({"y0": 1}, "must be a list"),
        ({"params": [1]}, "must be a list"),
        ({"rhs": ["-q*y1", "y7"]}, r"rhs\[0\].*q is not known.*rhs\[1\].*y7 is not known"),
        ({"rhs": [], "y0": [], "reference": []}, "one entry"),
        ({"rhs": ["delay(y1, 1)", "y2"]}, "delay"),
        ({"rates": ["r2", "y1"]}, "r2 is not known"),
        ({"rates": ["2 y1"]}, r"rates\[0\].*cannot be read"),
    ],
)  # fmt: skip
def test_damaged_problems(tmp_path, change, said):
    with pytest.raises(InputError, match=f"(?s){said}"):
        stiff.qualify(folder(tmp_path, p={**LINEAR, **change}))


def test_relative_error():
    assert stiff.relative_error(np.array([1.0, 5.0]), np.array([2.0, 0.0])) == 0.5
    assert stiff.relative_error(np.array([np.nan]), np.array([2.0])) == np.inf


def test_the_public_set(reference):
    findings = stiff.qualify(reference / "stiff-ode")
    assert findings.ok, [(c.name, c.cells) for c in findings.cases]
    assert findings.bound == 5
