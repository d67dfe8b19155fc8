"""Published ketamine constants against concentrations computed by another tool."""

from __future__ import annotations

import csv
import json
from collections import defaultdict

import numpy as np

from respine import engine
from tests.engine.systems import system


def test_ketamine_concentrations_to_one_in_a_million(reference):
    constants = json.loads((reference / "ketamine-pk" / "opentiva_ketamine_parameters.json").read_text())
    wanted = defaultdict(list)
    with open(reference / "ketamine-pk" / "opentiva_ketamine_cp.csv") as file:
        for row in csv.DictReader(file):
            key = (row["model"], float(row["dose_mg"]), float(row["infusion_min"]))
            wanted[key].append((float(row["time_min"]), float(row["cp_mg_per_L"])))
    assert len(wanted) == 12
    mammillary = system(
        {
            "central": "-(k10 + k12 + k13)*central + k21*second + k31*third",
            "second": "k12*central - k21*second",
            "third": "k13*central - k31*third",
        },
        {"central": 0.0, "second": 0.0, "third": 0.0},
        dict.fromkeys(("v1", "k10", "k12", "k21", "k13", "k31"), 1.0),
        rules={"cp": "central/v1"},
    )
    names = list(mammillary.parameters)
    solver = engine.build(mammillary, outputs=["cp"], vary=names)
    for (name, dose, minutes), points in wanted.items():
        times, cp = np.array(points).T
        schedule = engine.Schedule(1)
        schedule.dose("central", time=0.0, amount=dose, duration=minutes)
        p = np.array([[constants[name][k] for k in names]])
        got = solver.solve(p, schedule, times, rtol=1e-9)["cp"][0]
        assert np.max(np.abs(got / cp - 1)) < 1e-6, (name, minutes)
