"""NONMEM's models by name: amounts against the matrix exponential, every TRANS against the rates it stands for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from respine.errors import InputError
from respine.fit.population import PopulationProblem
from respine.fit.population.prediction import Predictor

MICRO = {1: {"K": 0.2}, 2: {"K": 0.2, "KA": 1.1}, 3: {"K": 0.2, "K12": 0.3, "K21": 0.15},
         4: {"K": 0.2, "K23": 0.3, "K32": 0.15, "KA": 1.1},
         11: {"K": 0.2, "K12": 0.3, "K21": 0.15, "K13": 0.1, "K31": 0.05},
         12: {"K": 0.2, "K23": 0.3, "K32": 0.15, "K24": 0.1, "K42": 0.05, "KA": 1.1}}  # fmt: skip


def matrix(advan: int) -> np.ndarray:
    """Rates of the compartments in NONMEM's order, built by their names."""
    rates, oral = MICRO[advan], "KA" in MICRO[advan]
    c, n = (1 if oral else 0), sum(name.startswith("K") and len(name) == 3 for name in rates) // 2
    a = np.zeros((c + 1 + n,) * 2)
    a[c, c] -= rates["K"]
    for name, value in rates.items():
        if len(name) == 3:
            i, j = int(name[1]) - 1, int(name[2]) - 1
            a[j, i] += value
            a[i, i] -= value
    if oral:
        a[0, 0], a[1, 0] = -rates["KA"], rates["KA"]
    return a


def hybrid(advan: int) -> np.ndarray:
    a = matrix(advan)
    c = 1 if "KA" in MICRO[advan] else 0
    return np.sort(-np.linalg.eigvals(a[c:, c:]).real)[::-1]


def values(advan: int, trans: int) -> dict[str, float]:
    """NONMEM's parameters that mean the micro-constants above (central volume 7)."""
    m, v = MICRO[advan], 7.0
    rest = {"KA": m["KA"]} if "KA" in m else {}
    c = 2 if rest else 1
    if trans == 1:
        return dict(m)
    if advan in (1, 2):
        return {"CL": m["K"] * v, "V": v, **rest}
    out, back = m[f"K{c}{c + 1}"], m[f"K{c + 1}{c}"]
    rates = hybrid(advan)
    if advan in (11, 12):
        deep, home = m[f"K{c}{c + 2}"], m[f"K{c + 2}{c}"]
        if trans == 6:
            return {
                **dict(zip(("ALPHA", "BETA", "GAMMA"), rates, strict=True)),
                f"K{c + 1}{c}": back,
                f"K{c + 2}{c}": home,
                **rest,
            }
        return {"CL": m["K"] * v, f"V{c}": v, f"Q{c + 1}": out * v, f"V{c + 1}": out * v / back,
                f"Q{c + 2}": deep * v, f"V{c + 2}": deep * v / home, **rest}  # fmt: skip
    q = out * v
    if trans == 3:
        return {"CL": m["K"] * v, "V": v, "Q": q, "VSS": v + q / back, **rest}
    if trans == 4:
        return {"CL": m["K"] * v, f"V{c}": v, "Q": q, f"V{c + 1}": q / back, **rest}
    alpha, beta = rates
    if trans == 5:
        return {"AOB": (alpha - back) / (back - beta), "ALPHA": alpha, "BETA": beta, **rest}
    return {"ALPHA": alpha, "BETA": beta, f"K{c + 1}{c}": back, **rest}


CASES = [(a, t) for a, ts in {1: (1, 2), 2: (1, 2), 3: (1, 3, 4, 5, 6), 4: (1, 3, 4, 5, 6), 11: (1, 4, 6), 12: (1, 4, 6)}.items()
         for t in ts]  # fmt: skip


@pytest.mark.parametrize(("advan", "trans"), CASES)
def test_amounts_are_those_of_the_matrix_exponential(advan, trans):
    from scipy.linalg import expm

    times = np.array([0.5, 2.0, 7.0, 24.0])
    rows = [{"ID": 1, "TIME": 0.0, "AMT": 100.0, "DV": 0.0, "EVID": 1}]
    rows += [{"ID": 1, "TIME": t, "AMT": 0.0, "DV": 0.0, "EVID": 0} for t in times]
    problem = PopulationProblem.of(
        model=f"ADVAN{advan} TRANS{trans}", data=pd.DataFrame(rows), parameters=values(advan, trans),
        observations={"a": {"prediction": "central", "additive": "1"}},
    )  # fmt: skip
    predictor = Predictor(problem)
    got = predictor.predict(np.array([0]), predictor.directions.start, np.zeros((1, 0))).pieces[0].ipred.value
    a = matrix(advan)
    place = 1 if "KA" in MICRO[advan] else 0
    want = [100 * expm(a * t)[place, 0] for t in times]
    assert got == pytest.approx(want, rel=1e-7)


def test_names_that_are_no_model_are_refused():
    frame = pd.DataFrame([{"ID": 1, "TIME": 0.0, "AMT": 100.0, "DV": 0.0, "EVID": 1}, {"ID": 1, "TIME": 1.0, "AMT": 0.0, "DV": 1.0, "EVID": 0}])  # fmt: skip
    part = {"a": {"prediction": "central", "additive": "1"}}
    for model, said in (("advan6", "write yours as Antimony"), ("advan2 trans4", "it has TRANS1, TRANS2")):
        with pytest.raises(InputError, match=said):
            PopulationProblem.of(model=model, data=frame, parameters={"K": 1.0}, observations=part)
    mm = PopulationProblem.of(model="advan10", data=frame, parameters={"VM": 5.0, "KM": 20.0}, observations=part)
    assert list(mm.system.states) == ["central"] and mm.dose_state[0] == "central"
