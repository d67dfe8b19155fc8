"""A small finished run held in memory, with numbers that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from respine import study as studies
from respine.model.system import Quantity
from respine.report import Folder

STUDY = """\
schema: respine/study/1
name: small
title: Ketamine <b>against</b> midazolam & more
doi: 10.1176/appi.ajp.2013.13030392
population: mdd-treatment-resistant
subjects: 4
seed: 1
arms:
  ketamine:
    n_published: 47
    doses: [{drug: ketamine, route: iv, amount: 0.5 mg/kg, over: 40 min, at: 0 h}]
  midazolam:
    n_published: 25
    doses: [{drug: midazolam, route: iv, amount: 0.045 mg/kg, over: 40 min, at: 0 h}]
visits: [0 h, 24 h, 7 d]
observe: [MADRS]
record: [plasma_ketamine, circuit]
endpoints:
  - {name: change-24h, of: MADRS, kind: change, at: 24 h}
  - {name: response-24h, of: MADRS, kind: response, drop: 50 %, at: 24 h}
"""

TIMES = np.array([0.0, 0.5, 1.0, 4.0, 12.0, 24.0, 96.0, 168.0])
BASE = {"ketamine": [30.0, 32.0, 34.0, 36.0], "midazolam": [30.0, 32.0, 34.0, 36.0]}
DROP = {"ketamine": [20.0, 18.0, 16.0, 14.0], "midazolam": [8.0, 6.0, 4.0, 2.0]}


def chain() -> pd.DataFrame:
    frames = []
    for arm in BASE:
        for k, output in enumerate(("symptom", "plasma_ketamine", "circuit")):
            median = np.exp(-TIMES / 10) * (k + 1)
            frames.append(
                pd.DataFrame(
                    {
                        "arm": arm,
                        "output": output,
                        "time_h": TIMES,
                        "n": 4,
                        "p05": median * 0.5,
                        "median": median,
                        "p95": median * 2,
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def visits() -> pd.DataFrame:
    rows = []
    for arm, base in BASE.items():
        for subject, (start, drop) in enumerate(zip(base, DROP[arm], strict=True)):
            rows += [(subject, arm, 0.0, "MADRS", start), (subject, arm, 24.0, "MADRS", start - drop)]
            if subject != 3:  # one person never comes to the last visit
                rows.append((subject, arm, 168.0, "MADRS", start - drop / 2))
    return pd.DataFrame(rows, columns=["subject", "arm", "time_h", "scale", "value"])


def comparison() -> pd.DataFrame:
    nan = float("nan")
    rows = [
        ("ketamine", "change-24h", 24.0, -15.93, -19.04, -12.61, -16.5, True, "fit", -19.1, -13.9, "MADRS points"),
        ("midazolam", "change-24h", 24.0, -8.4, -11.9, -5.0, -4.2, False, "validate", nan, nan, "MADRS points"),
        ("ketamine", "response-24h", 24.0, 61.0, 48.0, 74.0, 64.0, True, "validate", 49.8, 76.1, "%"),
        ("ketamine", "weight gain", 24.0, nan, nan, nan, 2.0, None, "context", nan, nan, "kg"),
    ]
    names = [
        "arm",
        "endpoint",
        "time_h",
        "median",
        "p05",
        "p95",
        "published",
        "inside",
        "role",
        "published_low",
        "published_high",
        "unit",
    ]
    table = pd.DataFrame(rows, columns=names)
    table.insert(0, "study", "small")
    return table.assign(inside=table["inside"].astype("boolean"), note=["", "", "", '"weight gain" is no endpoint'])


def failures(empty: bool = False) -> pd.DataFrame:
    names = ["subject", "arm", "status", "time_h", "state", "value", "reason", "cure"]
    rows = [(3, "ketamine", "step-budget", 3.2, "glutamate", 1.7, "the step budget ran out", "raise max_steps")]
    return pd.DataFrame([] if empty else rows, columns=names)


QUANTITIES = {
    q.id: q
    for q in (
        Quantity("plasma_ketamine", "rule", "ng/mL", label="Ketamine in plasma"),
        Quantity("circuit", "state", "1", label="Circuit function"),
        Quantity("symptom", "state", "1", label="Symptom"),
        Quantity("k_a", "parameter", "1/h", value=0.5, status="literature", source="li-2010", variability=0.2),
        Quantity("k_b", "parameter", "1/h", value=0.1, status="assumed", note="no measurement exists"),
    )
}


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> studies.Study:
    file = tmp_path_factory.mktemp("study") / "small.yaml"
    file.write_text(STUDY, encoding="utf-8")
    return studies.load(file)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, study: studies.Study) -> Folder:
    doses = pd.DataFrame({"subject": [0, 1, 0, 1], "arm": ["ketamine"] * 2 + ["midazolam"] * 2, "time_h": 0.0})
    return Folder(
        path=tmp_path_factory.mktemp("run"),
        study=study,
        chain=chain(),
        visits=visits(),
        doses=doses,
        comparison=comparison(),
        failures=failures(),
        quantities=QUANTITIES,
        when="2026-01-01 10:00 UTC",
        warnings=["1 of 8 people was not simulated"],
        facts=[("seed", "1")],
    )
