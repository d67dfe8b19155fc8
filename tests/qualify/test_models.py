"""Published models against stored trajectories: the pass rule and refusals on small cases; the real set too."""

from __future__ import annotations

import numpy as np
import pytest

from respine.errors import InputError
from respine.qualify import models
from tests.qualify.test_sbml import ALGEBRAIC, MODEL, TIMES


def folder(tmp_path, scale: float = 1.0, rules: str = "", size: float = 1.0):
    """One model whose species' concentration is exp(-t/2)."""
    (tmp_path / "models").mkdir()
    (tmp_path / "reference").mkdir()
    text = MODEL.format(rules=rules, fast="").replace('initialConcentration="1"', f'initialConcentration="{size!r}"')
    (tmp_path / "models" / "A1.xml").write_text(text, encoding="utf-8")
    rows = [f"{t:g},{size * scale * np.exp(-0.5 * t):.12g}" for t in TIMES]
    (tmp_path / "reference" / "A1.csv").write_text("\n".join(["time,S", *rows]), encoding="utf-8")
    (tmp_path / "index.csv").write_text("id,name\nA1,a small model\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("size", [1.0, 1e-20, 1e9])
def test_within_the_limit(tmp_path, size):
    findings = models.qualify(folder(tmp_path, 1 + 0.8e-4, size=size))
    assert findings.ok and findings.cases[0].cells[0] == "a small model"


@pytest.mark.parametrize("size", [1.0, 1e-20])
def test_beyond_the_limit(tmp_path, size):
    (case,) = models.qualify(folder(tmp_path, 1 + 1.5e-4, size=size)).cases
    assert case.outcome == "FAIL" and case.note.startswith("S at 0")


def test_refusal_names_its_reason(tmp_path):
    findings = models.qualify(folder(tmp_path, rules=ALGEBRAIC))
    assert findings.cases[0].outcome == "refused" and "algebraic" in findings.cases[0].note
    assert findings.bound == 0 and not findings.ok


def test_unknown_variable_fails(tmp_path):
    path = folder(tmp_path) / "reference" / "A1.csv"
    path.write_text(path.read_text().replace("time,S", "time,Z"), encoding="utf-8")
    (case,) = models.qualify(tmp_path).cases
    assert case.outcome == "FAIL" and "no Z" in case.note


def test_damaged_reference_is_named(tmp_path):
    path = folder(tmp_path) / "reference" / "A1.csv"
    path.write_text("time,S\n0,1\n1,x\n", encoding="utf-8")
    with pytest.raises(InputError, match="2 numbers"):
        models.qualify(tmp_path)
    path.write_text("S\n1\n", encoding="utf-8")
    with pytest.raises(InputError, match="column time"):
        models.qualify(tmp_path)
    with pytest.raises(InputError, match="no reference"):
        models.qualify(tmp_path / "absent")


@pytest.mark.slow
def test_the_public_models(reference):
    findings = models.qualify(reference / "biomodels-neuro")
    assert not [(c.name, c.note) for c in findings.cases if c.outcome == "FAIL"]
    assert findings.ok


def test_a_concentration_in_a_compartment_without_size_is_refused(tmp_path):
    home = folder(tmp_path)
    path = home / "models" / "A1.xml"
    text = path.read_text(encoding="utf-8").replace(' size="4"', "")
    text = text.replace("<ci>k</ci><ci>S</ci><ci>C</ci>", "<ci>k</ci><ci>S</ci>")
    path.write_text(
        text.replace('initialConcentration="1.0"', 'initialAmount="1"').replace('Units="false"', 'Units="true"')
    )
    (case,) = models.qualify(home).cases
    assert case.outcome == "refused" and "C has no size" in case.note


def test_a_missing_model_is_no_refusal(tmp_path):
    home = folder(tmp_path)
    (home / "models" / "A1.xml").unlink()
    (case,) = models.qualify(home).cases
    assert case.outcome == "FAIL" and "missing" in case.note


POLES = {  # equations, values at 100 (closed forms or a close run at default tolerances, see the comments)
    # the pole of p' lies at c = -0.004; as published: h, p, c at 100
    "below zero": (
        "h' = 50 - 0.01*h; p' = (10*h + 0.004)*(1 - 0.99*c/(0.004 + c)) - 0.035*p; c' = 5e5*p + 0.01 - 0.01*c; h = 50; p = 0; c = 0",
        {"h": 3178.997, "p": 7168.22, "c": 1.245556e11},
    ),
    # x^2 = t and its pole at x = -1e-6
    "a root": ("x' = 0.5/(x + 1e-6); y' = 0*y; x = 0; y = 1e9", {"x": 10.0, "y": 1e9}),
    # c rises to 1e-6 beside states of 1e8
    "tiny beside large": ("c' = 1e-6 - c; b' = -0.01*b; c = 0; b = 1e8", {"c": 1e-6, "b": 1e8 * np.exp(-1)}),
    "logarithm": ("c' = -0.1*c*ln(1 + c/0.01) + 0.01; b' = -0.01*b; c = 0; b = 1e8", {"b": 1e8 * np.exp(-1)}),
}  # fmt: skip


@pytest.mark.parametrize("case", POLES)
def test_a_rough_run_that_fails_is_no_verdict(case):
    from respine.model import load
    from respine.qualify.solving import trajectories

    text, expected = POLES[case]
    got = trajectories(load(text), list(expected), np.array([0.0, 50.0, 100.0]), 1e-9)
    assert got[-1] == pytest.approx(list(expected.values()), rel=2e-6, abs=1e-8)


def test_rough_runs_may_all_fail(monkeypatch):
    """The starts give the scale then, and the close run alone decides."""
    from respine.model import load
    from respine.qualify import solving

    right = solving._solver

    def unwilling(system, outputs):
        solve = right(system, outputs)

        def picky(times, rtol, atol):
            if rtol > 1e-9:
                raise solving.Unsolved("too rough")
            return solve(times, rtol, atol)

        return picky

    monkeypatch.setattr(solving, "_solver", unwilling)
    got = solving.trajectories(load("x' = -0.1*x; x = 3"), ["x"], np.array([0.0, 10.0]), 1e-9)
    assert got[-1, 0] == pytest.approx(3 * np.exp(-1), rel=1e-7)
    with pytest.raises(solving.Unsolved):
        solving.trajectories(load("x' = -0.1*x; x = 3"), ["x"], np.array([0.0, 10.0]), 1e-8)
