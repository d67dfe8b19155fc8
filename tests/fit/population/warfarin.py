"""Warfarin, concentrations and prothrombin activity together: the largest public fit in this folder, by equations."""

from __future__ import annotations

from pathlib import Path

from respine.fit.population import PopulationProblem

MODEL = """
depot' = -ka*depot
central' = ka*depot - CL/V*central
effect' = kin*(1 - emax*central/(V*ec50 + central)) - kout*effect
kin := e0*kout
effect = e0
"""


def warfarin(reference: Path) -> PopulationProblem:
    """Seven random effects of one dose each; an inhibited turnover."""
    names = {"ka": -0.3, "CL": -2.0, "V": 2.05, "ec50": 0.1, "kout": -2.9, "e0": 4.57}
    parameters = {f"l{name}": value for name, value in names.items()}
    return PopulationProblem.of(
        model=MODEL, data={"file": reference / "nlme" / "warfarin.csv", "dose_into": "depot"},
        parameters={**parameters, "lemax": 3.0, "prop": {"start": 0.1, "lower": 0.0}, "add": {"start": 0.5, "lower": 0.0},
                    "pd_sd": {"start": 4.0, "lower": 0.0}},
        random_effects={"eta_ka": 0.5, "eta_CL": 0.1, "eta_V": 0.05, "eta_ec50": 0.1, "eta_kout": 0.05, "eta_e0": 0.01},
        individual={**{name: f"exp(l{name} + eta_{name})" for name in names}, "emax": "expit(lemax)"},
        observations={"cp": {"dvid": "cp", "prediction": "central/V", "additive": "add", "proportional": "prop"},
                      "pca": {"dvid": "pca", "prediction": "effect", "additive": "pd_sd"}},
    )  # fmt: skip
