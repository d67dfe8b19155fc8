"""What is asked of the model: question, context of use, criteria, experiments and read-outs of ``assessment.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from respine.evidence import experiment
from respine.evidence.measures import TAKES
from respine.files import units, yaml_file
from respine.study.schema import Study

SCHEMA = "respine/credibility/1"
FILE = Path(__file__).with_name("assessment.yaml")
WINDOW_POINTS = 121


@dataclass(frozen=True)
class Readout:
    """One number of a typical subject: ``of`` at ``times[0]`` or ``take`` over ``times`` (hours), less or over the value
    at ``reference``.
    """

    name: str
    label: str
    experiment: str
    arm: str
    of: str
    times: tuple[float, ...]
    take: str = ""
    reference: float | None = None
    relation: str = ""

    @property
    def needed(self) -> tuple[float, ...]:
        """All times at which ``of`` is asked for, hours."""
        return self.times if self.reference is None else (self.reference, *self.times)

    def of_course(self, grid: np.ndarray, course: np.ndarray) -> np.ndarray:
        """The read-out ``(n,)`` of courses ``(n, n_times)`` on ``grid`` (hours)."""
        at = np.searchsorted(grid, np.asarray(self.times) - 1e-9)
        value = TAKES[self.take](course[:, at], axis=1) if self.take else course[:, at[0]]
        if self.reference is None:
            return np.asarray(value)
        first = course[:, int(np.searchsorted(grid, self.reference - 1e-9))]
        return np.asarray(value - first if self.relation == "minus" else value / first)


@dataclass(frozen=True)
class Question:
    """The assessment file: ``data`` as written, read-outs checked."""

    data: Mapping[str, Any]
    readouts: tuple[Readout, ...]

    def criterion(self, name: str) -> Any:
        """What counts as enough: a number, or a pair of bounds."""
        return self.data["criteria"][name]

    def study(self, name: str) -> Study:
        """The study of an experiment of the file."""
        asked = self.data["experiments"][name]
        return experiment.study_of(f"credibility-{name}", asked["population"], asked["arms"], asked["until"])

    def of_experiment(self, name: str) -> list[Readout]:
        """The read-outs of one experiment."""
        return [readout for readout in self.readouts if readout.experiment == name]

    @property
    def experiments(self) -> list[str]:
        """Experiments that some read-out needs, in the order of the file."""
        return [name for name in self.data["experiments"] if self.of_experiment(name)]


def read(file: Path = FILE) -> Question:
    """The question in a file. Raises ValueError for a file of another schema, KeyError for an experiment it lacks."""
    data = yaml_file.read(file, "assessment").data
    if data.get("schema") != SCHEMA:
        raise ValueError(f"{file} has the schema {data.get('schema')!r}; {SCHEMA!r} is wanted")
    data = _plain(data)
    return Question(data, tuple(_readout(raw, data["experiments"]) for raw in data["readouts"]))


def _plain(value: Any) -> Any:
    """Words without the marks that folding leaves in long lines."""
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return " ".join(value.replace("\a", " ").split()) if isinstance(value, str) else value


def _readout(raw: Mapping[str, Any], experiments: Mapping[str, Any]) -> Readout:
    arms = experiments[raw["experiment"]]["arms"]
    if raw["arm"] not in arms:
        raise KeyError(f"{raw['name']}: experiment {raw['experiment']} has no arm {raw['arm']}")
    if "at" in raw:
        times: tuple[float, ...] = (units.hours(raw["at"]),)
    else:
        window = np.linspace(units.hours(raw["from"]), units.hours(raw["to"]), WINDOW_POINTS)
        times = tuple(np.round(window, 9).tolist())
    relation = next((word for word in ("minus", "over") if word in raw), "")
    reference = units.hours(raw[relation]) if relation else None
    return Readout(raw["name"], raw["label"], raw["experiment"], raw["arm"], raw["of"], times, raw.get("take", ""),
                   reference, relation)  # fmt: skip
