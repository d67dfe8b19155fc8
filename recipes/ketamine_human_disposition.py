"""Calibrate disposition and nasal uptake of ketamine in people: ``python recipes/ketamine_human_disposition.py``.

Published sets of ketamine disagree mostly because some sampled an artery and some a vein. Here one arterial model with
a delay through the arm is brought, all at once, to four sources of role ``fit``: the arterial set of Simons 2022, the
venous sets of Fanta 2015 and of Clements and Nimmo 1981, and the nasal exposures (28 and 84 mg) and bioavailability of
esketamine. The starting set (Ashraf 2018 for the volumes) is the prior; rows of role ``validate`` and ``context`` are
not read. Prints the rows of library/parameters/ketamine_human.csv with status ``calibrated``. Needs the ``test`` extra.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import antimony
import numpy as np
import roadrunner
from scipy.linalg import expm
from scipy.optimize import least_squares

from respine import library

# id -> (start, SD of the log prior)
PRIOR = {
    "ketamine_Vp1_70kg": (102.0, 0.4),
    "ketamine_Q1_70kg": (287.0, 0.4),
    "ketamine_Vp2_70kg": (180.0, 0.4),
    "ketamine_Q2_70kg": (22.4, 0.5),
    "nasal_ka": (2.93, 0.3),
    "nasal_fraction_first": (0.506, 0.1),
    "k_venous": (15.0, 1.0),
}
EXPOSURE_SD, BIOAVAILABILITY_SD, CURVE_SD = 0.1, 0.1, 0.25
INFUSED = ("s_ketamine_central", "s_ketamine_swallowed")


def evidence() -> dict[str, float]:
    """Value of every numeric row of role `fit`, by id."""
    rows = {}
    for row in library.rows("evidence", "pk"):
        if row["role"] == "fit" and re.fullmatch(r"[\d.]+", row["value"]):
            rows[row["id"]] = float(row["value"])
    return rows


def mammillary(
    dose: float, over: float, times: Sequence[float], v1: float, cl: float, tissues: Sequence[tuple[float, float]]
) -> np.ndarray:
    """Central concentration (ng/mL) of a published set: dose mg, hours, L, L/h, tissues as (volume, flow)."""
    n = 1 + len(tissues)
    rates = np.zeros((n + 1, n + 1))  # the last column carries the constant infusion
    rates[0, 0] = -cl / v1
    for i, (volume, flow) in enumerate(tissues, start=1):
        rates[0, 0] -= flow / v1
        rates[i, 0], rates[0, i], rates[i, i] = flow / v1, flow / volume, -flow / volume
    start = np.zeros(n + 1)
    if over == 0:
        start[0] = dose
    else:
        start[n], rates[0, n] = 1.0, dose / over
    free = rates.copy()
    free[0, n] = 0.0
    at_end = expm(rates * over) @ start
    amounts = [(expm(rates * t) @ start if t <= over else expm(free * (t - over)) @ at_end)[0] for t in times]
    return 1000 * np.array(amounts) / v1


class Model:
    """The library's human ketamine module under libRoadRunner, with infusion inputs added to two states."""

    def __init__(self) -> None:
        text = library.text("modules", "ketamine_human")
        states = re.findall(r"^\s*(\w+)'", text, re.M)
        for state in INFUSED:
            text = re.sub(rf"^(\s*{state}'\s*=)", rf"\1 infuse_{state} +", text, flags=re.M)
        values = {row["id"]: float(row["value"]) for row in library.rows("parameters", "ketamine_human")}
        values |= {name: start for name, (start, _) in PRIOR.items()}
        values |= {f"infuse_{state}": 0.0 for state in INFUSED} | dict.fromkeys(states, 0.0)
        text += "\n" + "\n".join(f"{name} = {value!r};" for name, value in values.items())
        antimony.clearPreviousLoads()
        if antimony.loadAntimonyString(f"model m\n{text}\nend\n") < 0:
            raise SystemExit(antimony.getLastError())
        self.solver = roadrunner.RoadRunner(antimony.getSBMLString("m"))
        self.solver.integrator.relative_tolerance, self.solver.integrator.absolute_tolerance = 1e-8, 1e-10

    def curve(
        self, doses: Sequence[tuple[float, str, float, float]], end: float, read: Sequence[str]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Times and the sum of ``read`` after doses (time h, state, mg, duration h)."""
        solver = self.solver
        solver.reset()
        stops = sorted({0.0, end, *(d[0] for d in doses), *(d[0] + d[3] for d in doses)})
        times, values = [], []
        for first, last in pairwise(stops):
            for at, state, amount, over in doses:
                if over == 0 and at == first:
                    solver[state] = solver[state] + amount
            for state in INFUSED:
                here = [(at, amount, over) for at, name, amount, over in doses if name == state and over > 0]
                rate = sum(amount / over for at, amount, over in here if at <= first < at + over - 1e-12)
                solver[f"infuse_{state}"] = rate
            points = max(20, int(1500 * (last - first) / end))
            table = np.array(solver.simulate(first, last, points, ["time", *read]))
            times.append(table[:, 0])
            values.append(table[:, 1:].sum(axis=1))
        return np.concatenate(times), np.concatenate(values)

    def nasal(self, sprays: int) -> tuple[float, float]:
        """Peak and area to 24 h of esketamine after 28 mg sprays five minutes apart."""
        doses = []
        for i in range(sprays):
            taken = self.solver["nasal_fraction_first"] * (self.solver["nasal_fraction_later_factor"] if i else 1.0)
            doses.append((i / 12, "s_ketamine_nasal_depot", 28 * taken, 0.0))
            doses.append((i / 12, "s_ketamine_swallowed", 28 * (1 - taken), self.solver["swallowed_duration"]))
        times, values = self.curve(doses, 24.0, ["s_ketamine_venous"])
        return float(values.max()), float(np.trapezoid(values, times))

    def bioavailability(self) -> float:
        """Mean over 28, 56 and 84 mg of esketamine in the nose."""
        one, factor = self.solver["nasal_fraction_first"], self.solver["nasal_fraction_later_factor"]
        flow, intrinsic = self.solver["ketamine_Qh"], self.solver["s_ketamine_CLint"]
        swallowed = self.solver["gut_escape"] * flow / (flow + intrinsic)
        nose = np.mean([one * (1 + factor * (n - 1)) / n for n in (1, 2, 3)])
        return float(nose + (1 - nose) * swallowed)


def main() -> None:
    known = evidence()
    fanta = [known[f"GPK{i:03d}"] for i in range(1, 7)]
    arterial_times = [0.1, 0.2, 1 / 3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6]
    v1, v2, v3, cl, q2, q3 = (known[f"GPK0{i}"] for i in range(27, 33))  # flows in L/min
    arterial = mammillary(20, 1 / 3, arterial_times, v1, 60 * cl, [(v2, 60 * q2), (v3, 60 * q3)])
    venous_times = [0.25, 0.5, 0.6, 0.75, 1, 1.5, 2, 3, 4, 6, 8]
    venous = mammillary(10, 0.5, venous_times, fanta[0], fanta[1], [(fanta[2], fanta[3]), (fanta[4], fanta[5])])
    bolus_times = [1 / 12, 1 / 6, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4]
    v1, k10, k12, k21 = 70 * known["PK108"], *(60 * known[f"PK{i}"] for i in (109, 110, 111))
    bolus = mammillary(17.5, 0, bolus_times, v1, v1 * k10, [(v1 * k12 / k21, v1 * k12)])
    exposures = np.array([known["PK036"], known["PK037"], known["PK044"], known["PK045"]])
    racemate = [(0.0, f"{form}_ketamine_central", 8.75, 0.0) for form in "sr"]
    model = Model()

    def misfit(log_ratio: np.ndarray) -> np.ndarray:
        for (name, (start, _)), x in zip(PRIOR.items(), log_ratio, strict=True):
            model.solver[name] = start * np.exp(x)
        nasal = np.array([*model.nasal(1), *model.nasal(3)])
        parts = [np.log(nasal / exposures) / EXPOSURE_SD]
        parts.append(np.array([np.log(100 * model.bioavailability() / known["PK250"]) / BIOAVAILABILITY_SD]))
        for times, target, doses, read in (
            (arterial_times, arterial, [(0.0, "s_ketamine_central", 20.0, 1 / 3)], ["s_ketamine_arterial"]),
            (venous_times, venous, [(0.0, "s_ketamine_central", 10.0, 0.5)], ["s_ketamine_venous"]),
            (bolus_times, bolus, racemate, ["s_ketamine_venous", "r_ketamine_venous"]),
        ):
            t, values = model.curve(doses, max(times) + 0.1, read)
            # neighbouring points of a curve repeat each other: three count as one
            parts.append(np.log(np.interp(times, t, values) / target) / CURVE_SD / np.sqrt(3))
        parts.append(log_ratio / np.array([sd for _, sd in PRIOR.values()]))
        return np.concatenate(parts)

    fit = least_squares(misfit, np.zeros(len(PRIOR)), diff_step=1e-3, xtol=1e-6, ftol=1e-6)
    spread = 1.645 * np.sqrt(np.diag(np.linalg.inv(fit.jac.T @ fit.jac)))
    print(f"misfit {(misfit(np.zeros(len(PRIOR))) ** 2).sum():.1f} -> {2 * fit.cost:.1f}\nid,value,low,high")
    for (name, (start, _)), x, s in zip(PRIOR.items(), fit.x, spread, strict=True):
        print(f"{name},{start * np.exp(x):.3g},{start * np.exp(x - s):.3g},{start * np.exp(x + s):.3g}")
    misfit(fit.x)
    for sprays, peak, area in ((1, "PK036", "PK037"), (3, "PK044", "PK045")):
        got = model.nasal(sprays)
        print(f"{28 * sprays} mg: peak {got[0]:.1f} ({known[peak]}) ng/mL, area {got[1]:.1f} ({known[area]}) ng*h/mL")
    print(f"bioavailability {100 * model.bioavailability():.1f} % ({known['PK250']:g} %)")


if __name__ == "__main__":
    main()
