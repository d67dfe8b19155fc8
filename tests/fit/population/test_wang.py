"""The error models of Wang 2007 (J Pharmacokinet Pharmacodyn 34:575), data of its table 1, against what NONMEM
prints.

Values: NONMEM's FOCEI, FOCE and FO as kept in the tests of nlmixr2est (github.com/nlmixr2/nlmixr2est,
test-focei-wang2007.R).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from respine.fit.population import PopulationProblem, evaluate
from respine.fit.population.objective import evaluate_at

DV = [10.68, 3.6837, 10.402, 6.454, 9.8814, 5.8565, 9.3408, 5.6209, 10.082, 6.7583, 9.8938, 6.5049, 9.8908, 6.9557, 10.234,
      6.4488, 9.9882, 6.7112, 9.6736, 6.6402]  # fmt: skip
DATA = pd.DataFrame({"ID": np.repeat(np.arange(1, 11), 2), "TIME": np.tile([0.0, 1.0], 10), "DV": DV})
SD = float(np.sqrt(0.1))
F2 = "(ipred/(ipred + 5))"
MODELS = {
    "additive": ({"additive": "s"}, -2.059, -2.059, 0.026),
    "proportional": ({"proportional": "s"}, 39.458, 39.207, 39.213),
    "combined, variances": ({"additive": "s", "proportional": "s"}, 39.735, 39.499, 39.505),
    "combined, sds": ({"additive": "s", "proportional": "s", "combine": "sds"}, 43.554, 43.394, 43.398),
    "power": ({"power": "s", "exponent": "0.5"}, 9.966, 9.331, 9.651),
    "proportional to a formula": ({"proportional": "s", "of": F2}, 6.496, 6.275, 9.262),
    "power of a formula": ({"power": "s", "exponent": "0.5", "of": F2}, 0.776, 0.580, 3.200),
    "log-normal": ({"additive": "s", "transform": "log"}, 40.039, 40.039, 40.055),
    "log-normal, proportional": ({"proportional": "s", "transform": "log"}, 118.419, 118.311, 118.311),
    "additive and power, sds": ({"additive": "s", "power": "s", "exponent": "0.5", "combine": "sds"}, 16.231, 16.008, 16.093),
    "additive and power, variances": ({"additive": "s", "power": "s", "exponent": "0.5"}, 10.886, 10.417, 10.662),
}  # fmt: skip


def problem(**observation) -> PopulationProblem:
    return PopulationProblem.of(
        data=DATA, parameters={"ke0": 0.5, "s": SD} if "error" not in observation else {"ke0": 0.5},
        random_effects={"eta": 0.04}, individual={"ke": "ke0*exp(eta)"},
        residual_effects={"eps": 0.1} if "error" in observation else {},
        observations={"y": {"prediction": "10*exp(-ke*t)", **observation}},
    )  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_objectives_are_nonmems_to_the_last_printed_digit(name):
    observation, focei, foce, fo = MODELS[name]
    got = evaluate_at(problem(**observation), ["focei", "foce", "fo"])
    assert [round(v, 3) for v in got.values()] == [focei, foce, fo]


@pytest.mark.parametrize(
    ("error", "same"),
    [("ipred*(1 + eps)", {"proportional": "s"}), ("ipred + eps", {"additive": "s"}), ("ipred*exp(eps)", {"proportional": "s"}),
     (f"ipred + {F2}*eps", {"proportional": "s", "of": F2})],
)  # fmt: skip
def test_nonmems_way_of_writing_errors_means_the_same(error, same):
    got, want = (evaluate_at(problem(**o), ["focei", "foce", "fo", "laplace"]) for o in ({"error": error}, same))
    assert got == pytest.approx(want, rel=1e-12)


def test_boxcox_and_yeojohnson_contain_their_special_cases():
    log = evaluate_at(problem(additive="s", transform="log"), ["focei"])["focei"]
    plain = evaluate_at(problem(additive="s"), ["focei"])["focei"]
    box = {k: {"kind": "box-cox", "parameter": k} for k in ("0", "1", "1e-7")}
    assert evaluate_at(problem(additive="s", transform=box["0"]), ["focei"])["focei"] == pytest.approx(log, rel=1e-12)
    assert evaluate_at(problem(additive="s", transform=box["1e-7"]), ["focei"])["focei"] == pytest.approx(log, rel=1e-5)
    assert evaluate_at(problem(additive="s", transform=box["1"]), ["focei"])["focei"] == pytest.approx(plain, rel=1e-10)
    yeo = {"kind": "yeo-johnson", "parameter": "1"}
    assert evaluate_at(problem(additive="s", transform=yeo), ["focei"])["focei"] == pytest.approx(plain, rel=1e-10)


def test_modes_and_predictions_are_nonmems():
    fit = evaluate(problem(proportional="s"), "focei")
    modes = [
        0.071545,
        0.0057045,
        0.024947,
        0.03195,
        -0.0047874,
        0.0039789,
        -0.011804,
        0.0058801,
        -0.0031367,
        -0.00066641,
    ]
    assert fit.random_effects["eta"].to_numpy() == pytest.approx(modes, rel=2e-4)
    assert fit.individual["ke"].to_numpy() == pytest.approx(0.5 * np.exp(modes), rel=1e-4)
    shares = [5.2018, 3.776, 3.7206, 3.7958, 3.848, 3.7726, 3.9287, 3.7643, 3.831, 3.8188]
    assert fit.random_effects["OBJ"].to_numpy() == pytest.approx(shares, abs=1e-4)
