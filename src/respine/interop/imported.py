"""A model of another tool as a project: Antimony, a table of its numbers, a study that runs, and a report of what was read."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from respine.errors import InputError, Problem
from respine.interop.antimony_out import to_antimony
from respine.interop.mrgsolve import read_mrgsolve
from respine.interop.omex import model_in
from respine.model import LIMITS, Limits, load, load_sbml, to_sbml
from respine.model.system import System

UNTIL, POINTS = 100.0, 50
SAME = 1e-6  # relative difference from libRoadRunner, of values above 1e-6 of the largest
_PATIENCE = 60  # seconds
_REFEREE = """
import json, sys
import roadrunner
roadrunner.Logger.disableLogging()
asked = json.load(sys.stdin)
model = roadrunner.RoadRunner(asked["sbml"])
model.integrator.relative_tolerance, model.integrator.absolute_tolerance = 1e-10, 1e-14
model.integrator.maximum_num_steps = 100000
found = model.simulate(0, asked["until"], asked["points"] + 1, asked["names"])
json.dump([list(map(float, row)) for row in found], sys.stdout)
"""


@dataclass(frozen=True)
class Imported:
    """``system`` as it was read; ``files`` that were written; ``checks``: sentences on what was compared."""

    system: System
    files: tuple[Path, ...]
    checks: tuple[str, ...]


def import_model(
    path: str | Path, folder: str | Path, *, values: Mapping[str, float] | None = None, until: float = UNTIL,
    limits: Limits = LIMITS,
) -> Imported:  # fmt: skip
    """Read SBML (.xml), a COMBINE archive (.omex), Antimony (.ant) or mrgsolve text (.cpp, .mod) into a new folder.

    ``values`` gives numbers to symbols the file leaves without one (the size of a compartment). Raises InputError with
    every construct that respine cannot compute faithfully, and nothing is written then.
    """
    path, folder = Path(path), Path(folder)
    if folder.exists():
        why = "it exists already and is left as it is."
        raise InputError(Problem(str(folder), "{folder}", "", why, "Name a folder that does not exist.", ("folder",)))
    system, original = _read(path, values, limits)
    name, text = _equations(system, limits)
    checks = [_against_referee(system, original, until), f"{name} reads back with the same states, rules and events."]
    if name != "model.ant":
        checks.append("It is kept as SBML: some of its names mean something else in Antimony.")
    files = {
        name: text,
        "parameters.csv": parameter_table(system),
        "study.yaml": study_text(system, path, until, name),
        "report.md": report(system, path, checks, name),
    }
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return Imported(system, tuple(folder / name for name in files), tuple(checks))


def _read(path: Path, values: Mapping[str, float] | None, limits: Limits) -> tuple[System, str | None]:
    """The system, and its SBML as it was given, where there is any."""
    suffix = path.suffix.lower()
    if suffix in (".cpp", ".mod", ".txt"):
        return read_mrgsolve(path), None
    if suffix in (".omex", ".sedx", ".zip"):
        text = model_in(path).decode("utf-8", errors="replace")
        system = load_sbml(text, values=values, limits=limits)
        return replace(system, name=system.name or path.stem), text
    system = load(path, values=values, limits=limits)
    return system, path.read_text("utf-8", errors="replace") if suffix in (".xml", ".sbml") else None


# ---- checks ----------------------------------------------------------------------------------------------------------
def _trajectories(system: System, until: float) -> np.ndarray:
    from respine import engine

    solver = engine.build(system, outputs=list(system.states))
    solution = solver.solve(times=np.linspace(0, until, POINTS + 1), rtol=1e-9)
    if solution.failures:
        raise ValueError(str(solution.failures[0]))
    return np.asarray(solution.values[0])


def _against_referee(system: System, sbml: str | None, until: float) -> str:
    """What libRoadRunner says of the file as it was given; of our own SBML where it was given as something else."""
    if find_spec("roadrunner") is None:
        return "Not compared with libRoadRunner: it is not installed (pip install libroadrunner)."
    if not system.rates:
        return "Not compared with libRoadRunner: nothing moves in the model."
    names = [s if s not in system.species or system.species[s].means == "amount" else f"[{s}]" for s in system.states]
    names = [name if sbml is not None else name.strip("[]") for name in names]
    asked = {"sbml": sbml or to_sbml(system), "until": until, "points": POINTS, "names": names}
    try:
        own = _trajectories(system, until)
        done = subprocess.run([sys.executable, "-c", _REFEREE], input=json.dumps(asked), capture_output=True, text=True,
                              timeout=_PATIENCE, check=False)  # fmt: skip
        theirs = np.array(json.loads(done.stdout), float)
    except subprocess.TimeoutExpired:
        return f"Not compared with libRoadRunner: it took more than {_PATIENCE} s."
    except Exception as reason:  # a referee that falls, or a model that ends: told, no more
        return f"Not compared with libRoadRunner: {' '.join(str(reason).split())[:200] or type(reason).__name__}."
    scale = np.maximum(np.abs(theirs), 1e-6 * np.nanmax(np.abs(theirs), axis=0, initial=0.0) + 1e-300)
    with np.errstate(all="ignore"):
        away = np.abs(own - theirs) / scale
    worst = float(np.nanmax(away, initial=0.0))
    verdict = "the same" if worst <= SAME else "NOT the same"
    where = system.states[int(np.unravel_index(np.nanargmax(away), away.shape)[1])] if away.size else ""
    return f"Compared with libRoadRunner up to time {until:g}: {verdict}, largest relative difference {worst:.2g} ({where})."


def _equations(system: System, limits: Limits) -> tuple[str, str]:
    """The project's file of equations and its text: Antimony, or SBML where a name means something else in Antimony."""
    for name, write in (("model.ant", to_antimony), ("model.xml", to_sbml)):
        text = write(system)
        with contextlib.suppress(InputError):
            again = load(text, limits=limits)
            if set(again.rates) == set(system.rates) and len(again.events) == len(system.events):
                return name, text
    why = "it was read, and cannot be written without a change."
    raise InputError(Problem(system.name, "model", "", why, "Please report it with the file."))


# ---- files -----------------------------------------------------------------------------------------------------------
def parameter_table(system: System) -> str:
    """Parameters and inputs of a model as CSV: id, role, value, unit, label, where it stands in the file."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("id", "role", "value", "unit", "label", "file"))
    for role, table in (("parameter", system.parameters), ("input", system.inputs)):
        for name, value in table.items():
            q = system.quantities.get(name)
            where = f"{q.file}:{q.line}" if q and q.line else ""
            writer.writerow((name, role, repr(float(value)), q.unit if q else "", q.label if q else "", where))
    return out.getvalue()


def study_text(system: System, path: Path, until: float, file: str = "model.ant") -> str:
    """A study of the model that runs as it is."""
    name = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-") or "model"
    name = name if name[0].isalpha() else f"model-{name}"
    shown = list(system.states)[:40] or list(system.rules)[:40]
    visits = ", ".join(f"{until * k / 5:g} h" for k in range(6))
    unit = system.time_unit or "the unit of its own rates"
    return (
        f"# Times are those of the model ({unit}), written as h.\n"
        f"schema: respine/study/1\nname: {name}\ntitle: {json.dumps(f'{path.name}, as it was read')}\nmodel: {file}\n"
        "subjects: 1\nseed: 1\narms:\n  as-written: {}\n"
        "  # changed: {parameters: {NAME: 2.0}, doses: [{into: STATE, amount: 1 mg, at: 0 h}]}\n"
        f"visits: [{visits}]\nrecord: [{', '.join(shown)}]\n"
    )


def report(system: System, path: Path, checks: list[str], file: str = "model.ant") -> str:
    """What was read, what was left out, what was compared."""
    counts = (f"{len(system.rates)} states, {len(system.rules)} rules, {len(system.parameters)} parameters, "
              f"{len(system.inputs)} inputs that events or studies change, {len(system.events)} events")  # fmt: skip
    notes = [f"- {note}" for note in system.notes] or ["- nothing"]
    spread = [q for q in system.quantities.values() if q.variability]
    clock = system.time_unit or "a unit the file does not name"
    lines = [f"# {path.name}", "", f"Model {system.name or path.stem}: {counts}. Time in {clock}."]
    lines += ["", "## Read and not used", "", *notes, "", "## Checks", "", *(f"- {check}" for check in checks)]
    if spread:
        lines += ["", "## Variability", "", *(f"- {q.id}: {q.distribution}, {q.variability:g}" for q in spread)]
    commands = ("run study.yaml", f"model show {file}", f"export {file} --format omex --out model.omex")
    lines += ["", "## Go on", "", *(f"    respine {command}" for command in commands), ""]
    return "\n".join(lines)
