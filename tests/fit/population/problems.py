"""Problems of public reference data, written from their descriptions; `reference` is the folder they lie in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from respine.fit.population import PopulationProblem

ONE = "central' = -CL/V*central"
ORAL = "depot' = -ka*depot\ncentral' = ka*depot - CL/V*central"


def table(file: Path) -> pd.DataFrame:
    return pd.read_csv(file, na_values=["."])


def theophylline(reference: Path, **changes: Any) -> PopulationProblem:
    """One compartment, oral, on the log scale (nlmixr2qual); starts of `nlmixr2` unless changed."""
    start = {"tka": 0.45, "tcl": 1.0, "tv": 3.45, "add_sd": {"start": 0.7, "lower": 0.0}}
    omega = {"eta_ka": 0.6, "eta_cl": 0.3, "eta_v": 0.1}
    return PopulationProblem.of(
        model=ORAL, data=reference / "nlme" / "theo_sd.csv", parameters={**start, **changes.pop("parameters", {})},
        random_effects={**omega, **changes.pop("random_effects", {})},
        individual={"ka": "exp(tka + eta_ka)", "CL": "exp(tcl + eta_cl)", "V": "exp(tv + eta_v)"},
        observations={"cp": {"prediction": "central/V", "additive": "add_sd"}}, **changes,
    )  # fmt: skip


def phenobarbital(reference: Path, **changes: Any) -> PopulationProblem:
    """Pharmpy's run: CL and V without covariates, proportional error."""
    return PopulationProblem.of(
        model=ONE, data={"file": reference / "nlme" / "pheno.dta"},
        parameters={"TVCL": {"start": 0.00469307, "lower": 0.0}, "TVV": {"start": 1.00916, "lower": 0.0},
                    **changes.pop("parameters", {})},
        random_effects={"eta_cl": 0.0309626, "eta_v": 0.031128, **changes.pop("random_effects", {})},
        residual_effects={"eps": 0.013241, **changes.pop("residual_effects", {})},
        individual=changes.pop("individual", {"CL": "TVCL*exp(eta_cl)", "V": "TVV*exp(eta_v)"}),
        observations={"cp": {"prediction": "central/V", "error": "ipred*(1 + eps)"}}, **changes,
    )  # fmt: skip


def steady_lag(reference: Path) -> PopulationProblem:
    return PopulationProblem.of(
        model=ONE, data=reference / "nonmem-anchor" / "ss-lag-ge-ii" / "data.csv",
        parameters={"TVCL": 10.0, "TVV": 50.0, "power": 0.75},
        random_effects={"eta1": 0.09, "eta2": 0.09}, residual_effects={"eps": 0.0025},
        individual={"CL": "TVCL*(WT/70)**power*exp(eta1)", "V": "TVV*exp(eta2)"}, doses={"central": {"lag": "LG"}},
        observations={"cp": {"prediction": "central/V", "error": "ipred*(1 + eps)"}},
    )  # fmt: skip


def steady_infusion(reference: Path) -> PopulationProblem:
    return PopulationProblem.of(
        model=ONE, data=reference / "nonmem-anchor" / "ss-infusion-lag" / "data.csv",
        parameters={"TVCL": 10.0, "TVV": 50.0, "power": 0.75, "TVLAG": 0.7},
        random_effects={"eta1": 0.09, "eta2": 0.09, "eta3": 0.04}, residual_effects={"eps": 0.0025},
        individual={"CL": "TVCL*(WT/70)**power*exp(eta1)", "V": "TVV*exp(eta2)", "LAG": "TVLAG*exp(eta3)"},
        doses={"central": {"lag": "LAG"}},
        observations={"cp": {"prediction": "central/V", "error": "ipred*(1 + eps)"}},
    )  # fmt: skip


def zero_order(reference: Path) -> PopulationProblem:
    return PopulationProblem.of(
        model=ONE, data=reference / "nonmem-anchor" / "lagged-zero-order" / "data.csv",
        parameters={"TVCL": 5.0, "TVV": 50.0, "DUR": 2.0, "LAG": 1.5},
        random_effects={"eta1": 0.09, "eta2": 0.04}, residual_effects={"eps": 0.0225},
        individual={"CL": "TVCL*exp(eta1)", "V": "TVV*exp(eta2)"},
        doses={"central": {"lag": "LAG", "duration": "DUR"}},
        observations={"cp": {"prediction": "central/V", "error": "ipred*(1 + eps)"}},
    )  # fmt: skip


def box_cox(reference: Path) -> PopulationProblem:
    return PopulationProblem.of(
        model=ONE, data=reference / "nonmem-anchor" / "eta-boxcox" / "data.csv",
        parameters={"TVCL": 2.0, "TVV": 20.0, "shape": 0.5},
        random_effects={"eta1": 0.2, "eta2": 0.1}, residual_effects={"eps": 0.01},
        individual={"CL": "TVCL*exp((exp(eta1)**shape - 1)/shape)", "V": "TVV*exp(eta2)"},
        observations={"cp": {"prediction": "central/V", "error": "ipred*(1 + eps)"}},
    )  # fmt: skip


def event_time(reference: Path) -> PopulationProblem:
    model = ORAL + "\nH' = hazard\nhazard := 0.02*exp(0.15*time)*exp(0.5*central/V)"
    return PopulationProblem.of(
        model=model, data=reference / "nonmem-anchor" / "pk-tte-gompertz" / "data.csv",
        parameters={"ka": 1.0, "CL": 1.0, "V": 10.0}, residual_effects={"eps": 0.01},
        observations={"cp": {"cmt": 2, "prediction": "central/V", "error": "ipred*(1 + eps)"},
                      "event": {"cmt": 3, "hazard": "hazard", "cumulative_hazard": "H"}},
    )  # fmt: skip


def transit_chain(reference: Path, start: dict[str, float] | None = None) -> PopulationProblem:
    at = {"TVCL": 9.0, "TVV": 60.0, "MTT": 3.0, "LAG": 0.5, "omega_CL": 0.09, "omega_V": 0.09, "sigma_var_prop": 0.01}
    at |= start or {}
    model = ("t1' = -4/MTT*t1\nt2' = 4/MTT*(t1 - t2)\nt3' = 4/MTT*(t2 - t3)\nt4' = 4/MTT*(t3 - t4)\n"
             "central' = 4/MTT*t4 - CL/V*central")  # fmt: skip
    return PopulationProblem.of(
        model=model, data=reference / "nonmem-anchor" / "transit-lag-bioavailability" / "data.csv",
        parameters={name: {"start": at[name], "lower": 0.0} for name in ("TVCL", "TVV", "MTT", "LAG")},
        random_effects={"eta1": at["omega_CL"], "eta2": at["omega_V"]}, residual_effects={"eps": at["sigma_var_prop"]},
        individual={"CL": "TVCL*(WT/70)**0.75*exp(eta1)", "V": "TVV*exp(eta2)"},
        doses={"t1": {"lag": "LAG", "bioavailability": "0.7"}},
        observations={"cp": {"prediction": "central/V", "error": "ipred*(1 + eps)"}},
    )  # fmt: skip


def transit_occasions(reference: Path, start: dict[str, float] | None = None) -> PopulationProblem:
    at = {"TVCL": 5.0, "TVV": 30.0, "TVMTT": 3.0, "N": 3.0, "omega_CL": 0.09, "omega_V": 0.04, "omega_kappa_CL": 0.04,
          "omega_lambda_MTT": 0.09, "sigma_var_prop": 0.01} | (start or {})  # fmt: skip
    return PopulationProblem.of(
        model=ONE, data=reference / "nonmem-anchor" / "transit-iov" / "data.csv",
        parameters={name: {"start": at[name], "lower": 0.0} for name in ("TVCL", "TVV", "TVMTT", "N")},
        random_effects={"eta1": at["omega_CL"], "eta2": at["omega_V"]}, occasion="OCC",
        occasion_effects={"kappa": at["omega_kappa_CL"], "lambda_": at["omega_lambda_MTT"]},
        residual_effects={"eps": at["sigma_var_prop"]},
        individual={"CL": "TVCL*exp(eta1 + kappa)", "V": "TVV*exp(eta2)", "MTT": "TVMTT*exp(lambda_)"},
        doses={"central": {"input": {"law": "transit", "n": "N", "mtt": "MTT"}}},
        observations={"cp": {"prediction": "central/V", "error": "ipred*(1 + eps)"}},
    )  # fmt: skip


def myelosuppression(reference: Path, at: dict[str, float]) -> PopulationProblem:
    model = """
    central' = -(K10 + K12)*central + K21*peripheral
    peripheral' = K12*central - K21*peripheral
    prol' = 4/MTT*prol*((1 - SLOPE*central/V1)*(BAS/circ)^GAM - 1)
    transit1' = 4/MTT*(prol - transit1)
    transit2' = 4/MTT*(transit1 - transit2)
    transit3' = 4/MTT*(transit2 - transit3)
    circ' = 4/MTT*(transit3 - circ)
    prol = 1e-300; transit1 = 1e-300; transit2 = 1e-300; transit3 = 1e-300; circ = 1e-300
    """
    model = model.replace("1e-300", "BAS")
    data = table(reference / "nonmem-anchor" / "ode-myelosuppression" / "data.csv")
    data = data[~((data.EVID == 1) & (data.CMT > 2))]  # the data start the cells by doses of 1 with bioavailability BAS
    data.loc[data.AMT.isna(), "AMT"] = 0
    return PopulationProblem.of(
        model=model, data=data,
        parameters={name: {"start": at[name], "lower": 0.0} for name in ("TVBAS", "TVMTT", "TVSLOPE", "GAM")},
        random_effects={"eta1": at["omega_BAS"], "eta2": at["omega_MTT"], "eta3": at["omega_SLOPE"]},
        residual_effects={"eps": at["sigma_var_prop"]},
        individual={"BAS": "TVBAS*exp(eta1)", "MTT": "TVMTT*exp(eta2)", "SLOPE": "TVSLOPE*exp(eta3)",
                    "V1": "V1I", "K10": "K10I", "K12": "K12I", "K21": "K21I"},
        observations={"circ": {"prediction": "circ", "error": "ipred*(1 + eps)"}},
    )  # fmt: skip


def sparse(reference: Path, at: dict[str, float]) -> PopulationProblem:
    model = "central' = -CL/V1*central - Q/V1*central + Q/V2*peripheral\nperipheral' = Q/V1*central - Q/V2*peripheral"
    block = [[at["omega11"]], [at["omega21"], at["omega22"]], [at["omega31"], at["omega32"], at["omega33"]]]
    return PopulationProblem.of(
        model=model, data=reference / "nonmem-anchor" / "saem-sparse-combined" / "data.csv",
        parameters={name: {"start": at[name], "lower": 0.0} for name in ("TVCL", "TVV1", "TVV2")},
        random_effects={"eta1, eta2, eta3": block},
        residual_effects={"eps1": at["sigma_var_prop"], "eps2": at["sigma_var_add"]},
        individual={"CL": "TVCL*exp(eta1)", "V1": "TVV1*exp(eta2)", "Q": "12", "V2": "TVV2*exp(eta3)"},
        observations={"cp": {"prediction": "central/V1", "error": "ipred*(1 + eps1) + eps2"}},
    )  # fmt: skip
