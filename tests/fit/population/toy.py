"""Small made-up data with known truth: one compartment, a bolus, log-normal CL and V."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from respine.fit.population import PopulationProblem

MODEL = "central' = -CL/V*central"
TIMES = (0.5, 1.0, 2.0, 4.0, 8.0, 12.0)


def data(n: int = 30, seed: int = 5, sd: float = 0.15, omega: tuple[float, float] = (0.09, 0.04)) -> pd.DataFrame:
    """Concentrations after 100 mg, proportional error, with a weight that matters for CL."""
    chance = np.random.default_rng(seed)
    rows = []
    for s in range(n):
        weight = float(np.round(chance.uniform(50, 100), 1))
        cl = 5.0 * (weight / 70) ** 0.75 * np.exp(np.sqrt(omega[0]) * chance.standard_normal())
        v = 40.0 * np.exp(np.sqrt(omega[1]) * chance.standard_normal())
        rows.append({"ID": s + 1, "TIME": 0.0, "AMT": 100.0, "DV": np.nan, "EVID": 1, "MDV": 1, "WT": weight})
        for t in TIMES:
            y = 100 / v * np.exp(-cl / v * t) * (1 + sd * chance.standard_normal())
            rows.append(
                {"ID": s + 1, "TIME": t, "AMT": 0.0, "DV": float(f"{y:.5g}"), "EVID": 0, "MDV": 0, "WT": weight}
            )
    return pd.DataFrame(rows)


def problem(frame: pd.DataFrame | None = None, **changes: Any) -> PopulationProblem:
    """The model the data were made with, started a little away from the truth."""
    fields: dict[str, Any] = {
        "parameters": {"TVCL": {"start": 4.0, "lower": 0.0}, "TVV": {"start": 50.0, "lower": 0.0}},
        "random_effects": {"eta_cl": 0.1, "eta_v": 0.1},
        "residual_effects": {"eps": 0.04},
        "individual": {"CL": "TVCL*(WT/70)**0.75*exp(eta_cl)", "V": "TVV*exp(eta_v)"},
        "observations": {"cp": {"prediction": "central/V", "error": "ipred*(1 + eps)"}},
    }
    return PopulationProblem.of(model=MODEL, data=data() if frame is None else frame, **{**fields, **changes})
