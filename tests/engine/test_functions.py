"""Elementary functions: exact to rounding in every vector width, and powers where their base is zero or below."""

import math

import numpy as np
import pytest

from respine import engine
from tests.engine.systems import system

BASES = np.array([-2.0, -0.5, -1e-30, 0.0, 1e-30, 0.3, 1.0, 7.0])
EXPONENTS = np.array([-3.0, -2.0, -0.7, 0.0, 0.4, 1.0, 1.5, 2.0, 3.0, 17.0])


def at_rest(rules: dict[str, str]):
    """States x and b that stay, so that nothing of the rules can be computed beforehand."""
    return system({"x": "0*x", "b": "0*b"}, {"x": "x0", "b": "b0"}, {"x0": 1.0, "b0": 1.0}, rules=rules)


def values(rules: dict[str, str], x: np.ndarray, b: np.ndarray, **options):
    options = engine.Options(keep_all=True, **options)
    solver = engine.build(at_rest(rules), outputs=[*rules], vary=["x0", "b0"], options=options)
    return solver.solve(np.stack([x, b], axis=1), None, [0.0])


def power(x: float, b: float) -> float:
    """What is meant: a base that undershoots zero by less than the tolerance is zero."""
    whole = b == int(b)
    if x == 0 or (not whole and -1e-9 < x < 0):
        return 0.0 if b > 0 else 1.0 if b == 0 else math.inf
    return math.nan if x < 0 and not whole else x**b


@pytest.mark.parametrize("lanes", [1, 2, 4, 8])
def test_powers_of_every_kind_of_base_and_exponent(lanes):
    x, b = (a.ravel() for a in np.meshgrid(BASES, EXPONENTS))
    got = values({"p": "x**b"}, x, b, lanes=lanes)["p"][:, 0]
    assert np.allclose(got, [power(*pair) for pair in zip(x, b, strict=True)], rtol=1e-13, equal_nan=True)


@pytest.mark.parametrize("base", ["abs(x)", "max(0, x)", "x*x", "exp(x)"])
def test_powers_of_what_cannot_be_negative(base):
    x, b = (a.ravel() for a in np.meshgrid(BASES, EXPONENTS))
    got = values({"p": f"({base})**b"}, x, b)["p"][:, 0]
    known = {"abs(x)": abs, "max(0, x)": lambda v: max(0.0, v), "x*x": lambda v: v * v, "exp(x)": math.exp}[base]
    assert np.allclose(got, [power(known(v), e) for v, e in zip(x, b, strict=True)], rtol=1e-13)


@pytest.mark.parametrize("name,function", [("exp", np.exp), ("ln", np.log), ("sin", np.sin), ("cos", np.cos)])
@pytest.mark.parametrize("lanes", [2, None])
def test_functions_side_by_side_are_exact(name, function, lanes):
    random = np.random.default_rng(1)
    x, b = 10 ** random.uniform(-12, 12, 400), random.uniform(-40, 40, 400)
    solution = values(
        {f"f{k}": f"{name}(x*{k + 1})" if name == "ln" else f"{name}(b + {k})" for k in range(9)}, x, b, lanes=lanes
    )
    for k in range(9):
        argument = x * (k + 1) if name == "ln" else b + k
        assert np.allclose(solution[f"f{k}"][:, 0], function(argument), rtol=3e-14, atol=3e-15)


def test_too_large_and_too_small_for_a_number():
    b = np.array([-1e4, -746.0, 710.0, 1e4])
    got = values({"e": "exp(b)"}, np.ones(4), b)["e"][:, 0]
    assert np.array_equal(got, [0.0, 0.0, np.inf, np.inf])
