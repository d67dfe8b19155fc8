"""The SBML semantic test suite and BioModels: read and written here, run by libRoadRunner, against known results."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import roadrunner

from respine.model import load_sbml
from tests.conftest import cases_of, reference_folder

from .documents import rates_at_start, simulate

CASES = sorted(p.name for p in (reference_folder() / "sbml-semantic" / "sample").glob("?????"))
MODELS = sorted(p.stem for p in (reference_folder() / "biomodels-neuro" / "models").glob("*.xml"))


def table(file: Path) -> tuple[list[str], np.ndarray]:
    rows = list(csv.reader(file.read_text(encoding="utf-8").splitlines()))
    return [h.strip() for h in rows[0]], np.array([[float(x) for x in row] for row in rows[1:] if row])


@pytest.mark.parametrize("case", cases_of(CASES))
def test_semantic_case(case: str) -> None:
    folder = reference_folder() / "sbml-semantic" / "sample" / case
    lines = (folder / f"{case}-settings.txt").read_text().splitlines()
    settings = {key.strip(): text.strip() for key, _, text in (line.partition(":") for line in lines)}
    system = load_sbml(next(folder.glob("*-sbml-*.xml")))
    names, data = table(folder / f"{case}-results.csv")
    wanted = {}
    for name in names[1:]:
        wanted[name] = ("sym", name)
        for kind in ("amount", "concentration"):
            if name in settings[kind].replace(" ", "").split(","):
                wanted[name] = getattr(system.species[name], kind)
    values = simulate(system, data[:, 0], wanted)
    allowed = float(settings["absolute"]) + float(settings["relative"]) * np.abs(data[:, 1:])
    same = (
        (np.abs(values - data[:, 1:]) <= allowed) | (values == data[:, 1:]) | (np.isnan(values) & np.isnan(data[:, 1:]))
    )
    assert same.all(), [(names[1 + j], data[i, 0], values[i, j], data[i, 1 + j]) for i, j in np.argwhere(~same)[:3]]


@pytest.mark.parametrize("model", cases_of(MODELS))
def test_right_hand_side_of_a_published_model(model: str) -> None:
    """Every rate at time 0 is the one libRoadRunner computes from the original file."""
    file = reference_folder() / "biomodels-neuro" / "models" / f"{model}.xml"
    system = load_sbml(file)
    rates = rates_at_start(system)
    runner = roadrunner.RoadRunner(str(file))
    size = max((abs(v) for v in rates.values()), default=0.0)
    compared = 0
    for name, rate in rates.items():
        try:
            expected = float(runner.getValue(f"{name}'"))  # of a species: its amount
        except RuntimeError:
            continue
        species = system.species.get(name)
        if species is not None and species.means == "concentration":
            expected /= float(runner.getValue(species.compartment))
        assert rate == pytest.approx(expected, rel=1e-9, abs=1e-12 * size), name
        compared += 1
    assert compared >= len(rates) - 1
