"""Population fits judged by simulation, and how long they take.

    python benchmarks/fits.py speed            # theophylline, warfarin PK/PD, myelosuppression (needs the reference folder)
    python benchmarks/fits.py recover 200      # simulate, estimate: bias and coverage of 200 data sets
    python benchmarks/fits.py calibrate 100    # simulation-based calibration of the posterior by NUTS

Writes tables to stdout, and with --out as CSV. Truths of `recover`: oral one compartment, 50 people, 8 samples each.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
CURVE = "100*ka/(V*(ka - CL/V))*(exp(-CL/V*TIME) - exp(-ka*TIME))"  # in closed form: 200 fits in half a minute
TRUTH = {"TVKA": 1.2, "TVCL": 4.0, "TVV": 30.0, "OMEGA(eta_ka)": 0.16, "OMEGA(eta_cl)": 0.09, "OMEGA(eta_v)": 0.04,
         "SIGMA(eps)": 0.0225}  # fmt: skip
TIMES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0)


def problem(frame: pd.DataFrame, start: dict[str, float] = TRUTH):
    """The problem of `recover` with these data, begun at ``start``."""
    from respine.fit.population import PopulationProblem

    return PopulationProblem.of(
        data=frame[frame.EVID == 0].drop(columns=["AMT"]),
        parameters={k: {"start": start[k], "lower": 0.0} for k in ("TVKA", "TVCL", "TVV")},
        random_effects={k[6:-1]: v for k, v in start.items() if k.startswith("OMEGA")},
        residual_effects={"eps": start["SIGMA(eps)"]},
        individual={"ka": "TVKA*exp(eta_ka)", "CL": "TVCL*exp(eta_cl)", "V": "TVV*exp(eta_v)"},
        observations={"cp": {"prediction": CURVE, "error": "ipred*(1 + eps)"}},
    )  # fmt: skip


def design(n: int, times: tuple[float, ...] = TIMES) -> pd.DataFrame:
    """Records of n people: 100 mg by mouth, samples at the times."""
    rows = []
    for s in range(1, n + 1):
        rows.append({"ID": s, "TIME": 0.0, "AMT": 100.0, "DV": 0.0, "EVID": 1})
        rows += [{"ID": s, "TIME": t, "AMT": 0.0, "DV": 0.0, "EVID": 0} for t in times]
    return pd.DataFrame(rows)


def recover(replicates: int, n: int = 50) -> pd.DataFrame:
    """One row a parameter: truth, mean, bias (per cent) with its Monte Carlo error, coverage of 95 % limits."""
    from respine.fit.population import fit
    from respine.fit.population.objective import Objective, start_point
    from respine.fit.population.simulate import simulate

    frame = design(n)
    frame = frame[frame.EVID == 0].reset_index(drop=True)
    true = problem(frame)
    objective = Objective(true, "focei")
    data = simulate(objective, start_point(objective), replicates, seed=20)
    off = {name: value * f for (name, value), f in zip(TRUTH.items(), (0.7, 1.3, 1.2, 1.5, 0.6, 1.5, 1.5), strict=True)}
    result, failed, begun = [], 0, time.perf_counter()
    for k in range(replicates):
        got = fit(problem(frame.assign(DV=data[k]), off), "focei")
        if not got.is_answer:
            failed += 1
            print(k, [str(f) for f in got.findings], flush=True)
            continue
        rows = got.estimates.set_index("name")
        result.append(rows[["estimate", "low", "high"]])
        if k % 20 == 19:
            print(f"{k + 1} of {replicates}, {time.perf_counter() - begun:.0f} s", flush=True)
    table = []
    for name, value in TRUTH.items():
        own = np.array([rows.loc[name].to_numpy(float) for rows in result])
        inside = (own[:, 1] <= value) & (value <= own[:, 2])
        table.append({"parameter": name, "truth": value, "mean": own[:, 0].mean(),
                      "bias %": 100 * (own[:, 0].mean() / value - 1),
                      "its error %": 100 * own[:, 0].std() / value / np.sqrt(len(own)),
                      "coverage %": 100 * inside.mean()})  # fmt: skip
    print(f"{len(result)} answers, {failed} without, {time.perf_counter() - begun:.0f} s")
    return pd.DataFrame(table)


def calibrate(replicates: int, n: int = 8, draws: int = 150, tune: int = 150) -> pd.DataFrame:
    """Ranks of parameters drawn from the prior among draws of the posterior given data made with them (Talts et al. 2018,
    arXiv 1804.06788): one row a parameter, with the chi-squared statistic over 5 bins, its p value and the mean rank.
    """
    from scipy.stats import chi2

    from respine.fit.population import PopulationProblem, posterior
    from respine.fit.population.bayes.prior import Prior
    from respine.fit.population.estimate import Outer
    from respine.fit.population.objective import Objective
    from respine.fit.population.simulate import simulate

    frame = design(n, (1.0, 4.0, 12.0)).query("EVID == 0").drop(columns=["AMT"])

    def made(data: pd.DataFrame) -> PopulationProblem:
        return PopulationProblem.of(
            data=data, parameters={"lcl": 1.4, "lv": 3.4}, random_effects={"eta_cl": 0.09}, residual_effects={"eps": 0.02},
            individual={"CL": "exp(lcl + eta_cl)", "V": "exp(lv)"},
            observations={"cp": {"prediction": "log(100/V) - CL/V*TIME", "error": "ipred + eps"}},
            priors={"lcl": {"normal": {"mean": 1.4, "sd": 0.3}}, "lv": {"normal": {"mean": 3.4, "sd": 0.3}}},
        )  # fmt: skip

    base = made(frame)
    outer = Outer(base, "focei")
    prior, objective = Prior(outer.vector, outer.begin), Objective(base, "focei")
    ranks, lost, begun = [], 0, time.perf_counter()
    for k in range(replicates):
        x = prior.draw(np.random.default_rng([7, k]))
        point = outer.vector.unpack(x, outer.begin)
        data = simulate(objective, point, 1, seed=1000 + k)[0]
        seen = frame.EVID == 0
        there = made(frame.assign(DV=np.where(seen, data, 0.0)))
        # the defaults of the prior belong to the start of the problem: it stays the same, only the data change
        got = posterior(there, draws=draws, tune=tune, chains=2, accept=0.95, seed=k)
        lost += got.divergences > 0
        kept = got.x.reshape(-1, got.x.shape[2])[:: max(1, 2 * draws // 99)][:99]
        ranks.append((kept < x).mean(axis=0) * len(kept) / (len(kept) + 1))
        if k % 10 == 9:
            print(f"{k + 1} of {replicates}, {time.perf_counter() - begun:.0f} s", flush=True)
    table = []
    for j, name in enumerate(outer.vector.names):
        counts = np.histogram([r[j] for r in ranks], bins=5, range=(0, 1))[0]
        expected = replicates / 5
        statistic = float(np.sum((counts - expected) ** 2 / expected))
        table.append({"parameter": name, "bins": " ".join(map(str, counts)), "chi2": statistic,
                      "p": float(chi2.sf(statistic, 4)), "mean rank": float(np.mean([r[j] for r in ranks]))})  # fmt: skip
    print(f"{replicates} data sets, {lost} with divergences, {time.perf_counter() - begun:.0f} s")
    return pd.DataFrame(table)


def speed() -> pd.DataFrame:
    """Seconds of a fit with its covariance step, from a problem to its estimates, machine code in the cache."""
    from respine.fit.population import fit
    from tests.fit.population import problems
    from tests.fit.population.warfarin import warfarin

    reference = Path(os.environ.get("RESPINE_REFERENCE", ROOT.parent / "shared" / "reference"))
    start = json.loads((reference / "nonmem-anchor" / "ode-myelosuppression" / "answer.json").read_text())["start"]
    start |= {"omega_BAS": 0.05, "omega_MTT": 0.05, "omega_SLOPE": 0.05}
    makers = {
        "theophylline, 12 people": (lambda: problems.theophylline(reference), 1.0),
        "warfarin PK/PD by equations, 32 people": (lambda: warfarin(reference), 20.0),
        "myelosuppression, 7 equations, 24 people": (lambda: problems.myelosuppression(reference, start), 15.0),
    }
    rows = []
    for name, (make, most) in makers.items():
        fit(make(), "focei") if name.startswith("theo") else None  # compiled once
        wall, cpu = time.perf_counter(), time.process_time()
        got = fit(make(), "focei")
        rows.append({"fit": name, "objective": got.objective, "s": time.perf_counter() - wall,
                     "cpu s": time.process_time() - cpu, "allowed s": most})  # fmt: skip
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "recover", "calibrate"))
    parser.add_argument("replicates", nargs="?", type=int, default=200)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    table = (
        speed() if asked.what == "speed" else {"recover": recover, "calibrate": calibrate}[asked.what](asked.replicates)
    )
    print(table.to_string(index=False, float_format=lambda v: f"{v:.4g}"))
    if asked.out:
        table.to_csv(asked.out, index=False)


if __name__ == "__main__":
    main()
