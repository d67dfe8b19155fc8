"""A user's own drugs, exposures, scales, parameter tables and results to draw, as seeds of damaged files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from respine import library
from respine.library import Library

STUDY = """\
schema: respine/study/1
name: own
title: A study of files of its own
population: {population}
subjects: 4
seed: 1
arms:
  a: {{{arm}}}
visits: [0 h, 24 h, 7 d]
observe: [{scale}]
record: [spine_total]
"""
DRUGS = {"ketamine": "iv", "esketamine": "nasal", "riluzole": "oral", "midazolam": "iv"}
EXPOSURES = {"stress": "mdd", "restraint": "mouse-naive", "ect": "mdd"}
SCALES = ("MADRS", "HAMD17")
TABLES = ("bdnf", "ketamine_human", "symptoms")


def _seeds(kind: str, names: tuple[str, ...]) -> dict[str, bytes]:
    return {name: library.text(kind, name).encode() for name in names}


@cache
def drug_seeds() -> dict[str, bytes]:
    """Drugs of the library; a study beside takes the damaged one in place of it."""
    return _seeds("drugs", tuple(DRUGS))


@cache
def exposure_seeds() -> dict[str, bytes]:
    return _seeds("exposures", tuple(EXPOSURES))


@cache
def scale_seeds() -> dict[str, bytes]:
    return _seeds("scales", SCALES)


@cache
def parameter_seeds() -> dict[str, bytes]:
    return _seeds("parameters", TABLES)


def _in_a_folder(file: Path, kind: str, name: str, read: Callable[[Path], object]) -> object:
    """Put the file where a user's own of this kind and name lies, and read what is made of it."""
    folder = file.with_suffix(".d")
    place = folder / kind / f"{name}{file.suffix}"
    place.parent.mkdir(parents=True)
    shutil.copyfile(file, place)
    try:
        return read(folder)
    finally:
        shutil.rmtree(folder)


def _named(file: Path, key: str, names: list[str]) -> str:
    """The name that the damaged file still bears, or the first."""
    text = file.read_bytes().decode("utf-8", "replace")
    return next((name for name in names if f"{key}: {name}\n" in text), names[0])


def _planned(folder: Path, population: str, arm: str, scale: str = "MADRS") -> object:
    from respine import study
    from respine.run import plan

    file = folder / "study.yaml"
    file.write_text(STUDY.format(population=population, arm=arm, scale=scale), encoding="utf-8")
    return plan(study.load(file))


def read_drug(file: Path) -> object:
    """A study that gives the drug."""
    name = _named(file, "drug", list(DRUGS))
    amount = {"esketamine": "56 mg", "riluzole": "50 mg", "midazolam": "2 mg"}.get(name, "0.5 mg/kg")
    dose = f"doses: [{{drug: {name}, route: {DRUGS[name]}, amount: {amount}, at: 0 h}}]"
    return _in_a_folder(file, "drugs", name, lambda folder: _planned(folder, "mdd", dose))


def read_exposure(file: Path) -> object:
    """A study with the exposure."""
    name = _named(file, "exposure", list(EXPOSURES))
    people = EXPOSURES[name]
    given = "at: [1 d]" if name == "ect" else "from: 0 d, until: 2 d"
    arm = f"exposures: [{{exposure: {name}, {given}}}]"
    return _in_a_folder(
        file, "exposures", name,
        lambda folder: _planned(folder, people, arm, "MADRS" if people == "mdd" else ""),
    )  # fmt: skip


def read_scale(file: Path) -> object:
    """A study that observes the scale."""
    name = _named(file, "name", list(SCALES))
    return _in_a_folder(file, "scales", name, lambda folder: _planned(folder, "mdd", "", name))


def read_parameters(file: Path) -> object:
    """The human model with the table in place of the library's."""
    from respine.model import assemble

    text = file.read_bytes().decode("utf-8", "replace")
    ids = {name: library.rows("parameters", name)[0]["id"] for name in TABLES}
    name = next((name for name, id in ids.items() if f"\n{id}," in text), TABLES[0])
    return _in_a_folder(file, "parameters", name, lambda folder: assemble.load("human", Library().overlay(folder)))


OWN_DATA = """\
arm,output,time,mean,sem,sd,n,control,note
ketamine,spine_total,24 h,0.82,0.05,,8,,a
ketamine,spine_total,7 d,95,,12,8,placebo,b
placebo,spine_total,24 h,0.6,,,,,
placebo,MADRS,1 d,28.5,1.5,,20,,
"""
OWN_SCORES = """\
arm,scale,time_h,mean,sd,n
ketamine,MADRS,24,18.2,8,20
placebo,MADRS,24,27.1,7.5,21
placebo,MADRS,168,26.0,,
"""


@cache
def own_data_seeds() -> dict[str, bytes]:
    """Results as a user writes them, to draw on top of predictions."""
    return {"outputs": OWN_DATA.encode(), "scores": OWN_SCORES.encode()}


def read_own_data(file: Path) -> object:
    """Read, as a figure does."""
    from respine.report import own_data

    points = own_data.read(file, ["ketamine", "placebo"], ["spine_total", "MADRS"])
    assert points and all(np.isfinite([p.time_h, p.mean]).all() for p in points)
    assert all(not p.low > p.mean and not p.high < p.mean for p in points)
    return points
