"""One study at many values: every combination of a grid, or a Sobol design, with the same people in every cell.

Each cell is a run of its own in ``cells/000``, so that a sweep that is stopped goes on where it was.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from respine.errors import InputError, Problem, argument
from respine.files import numbers, parquet, store
from respine.files.suggest import nearest
from respine.files.yaml_file import plain
from respine.model.expression import symbols
from respine.protocol import Protocol, resolve
from respine.run import manifest
from respine.run.execute import execute, folder_problem
from respine.run.folder import refuse_links
from respine.run.plan import Plan, draws_of, plan
from respine.run.work import Executor
from respine.study import load
from respine.study.read import check_study
from respine.study.schema import Study

if TYPE_CHECKING:
    import xarray

Progress = Callable[[int, int], None]
NAME = "sweep.json"
TABLE = "sweep.parquet"
FORMAT = "respine/sweep/1"
MOST_CELLS = 100_000
RESULTS = ("arm", "endpoint", "against", "time_h", "unit", "median", "p05", "p95", "value", "se", "n_simulated")
WORDS = {"dose": "amount of every dose that has one", "interval": "time between repeated doses"}


@dataclass(frozen=True)
class Axis:
    """What is changed and to what: a parameter, a field of the study by its path, or ``dose`` or ``interval``."""

    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Sweep:
    """Results of a sweep: ``table`` has a row for every cell, arm and endpoint, the axes' values in columns by their names;
    ``indices`` the Sobol indices, empty for a grid.
    """

    study: Study
    folder: Path
    axes: tuple[Axis, ...]
    table: pd.DataFrame
    indices: pd.DataFrame

    def to_xarray(self) -> xarray.Dataset:
        """``median``, ``p05``, ``p95`` and ``value`` over the axes, arm and endpoint. Raises InputError without xarray, or
        for a Sobol design, which has no axes of even steps.
        """
        try:
            import xarray  # noqa: F401
        except ImportError:
            why = "xarray is not installed."
            raise InputError(argument("to_xarray", "", why, "Install it: pip install 'respine[cluster]'.")) from None
        if len(self.indices):
            raise InputError(argument("to_xarray", "", "A Sobol design has no grid.", "Take the table."))
        names = [*(axis.name for axis in self.axes), "arm", "endpoint"]
        indexed = self.table.set_index(names)[["median", "p05", "p95", "value"]]
        return indexed.to_xarray()

    def plot(self, arm: str | None = None, endpoint: str | None = None) -> Any:
        """A line over one axis, a heat map over two, small multiples over three; hands back figure and table."""
        from importlib import import_module

        return import_module("respine.report").plot_sweep(self, arm, endpoint)


def axis_of(text: str, argument_name: str = "grid") -> Axis:
    """From ``dose=0.25,0.5,1.0`` or ``k_x=0.1:0.5:5`` (five values of even steps). Raises InputError."""
    name, sign, listed = text.partition("=")
    name, values = name.strip(), tuple(part.strip() for part in listed.split(","))
    if not sign or not name or not all(values):
        why = "This is no axis of the form NAME=VALUE,VALUE,..."
        raise InputError(argument(argument_name, text, why, "Write for example {grid} dose=0.25,0.5,1.0."))
    span = re.fullmatch(r"([^:]+):([^:]+):([0-9]{1,5})", listed.strip())
    if span:
        low, high = _number(span.group(1), text), _number(span.group(2), text)
        if int(span.group(3)) < 2:
            raise InputError(argument(argument_name, text, "Even steps need two values or more.", "Write LOW:HIGH:5."))
        return Axis(name, tuple(float(f"{v:.12g}") for v in np.linspace(low, high, int(span.group(3)))))
    points = tuple(plain(value) for value in values)
    if len(set(points)) < len(points):
        raise InputError(argument(argument_name, text, "A value stands there twice.", "Remove one of them."))
    return Axis(name, points)


def range_of(text: str) -> tuple[str, float, float]:
    """From ``k_x=0.1:0.5``: a name and the bounds of its values. Raises InputError."""
    name, sign, listed = text.partition("=")
    low, colon, high = listed.partition(":")
    if not (name.strip() and sign and colon):
        why = "This is no range of the form NAME=LOW:HIGH."
        raise InputError(argument("grid", text, why, "Write for example k_spine_mature=0.002:0.008."))
    bounds = _number(low, text), _number(high, text)
    if not bounds[0] < bounds[1]:
        raise InputError(argument("grid", text, "The lower bound is not below the upper one.", "Turn them round."))
    return name.strip(), *bounds


def _number(text: str, whole: str) -> float:
    try:
        value = numbers.number(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise InputError(argument("grid", whole, f'"{text}" is no number.', "Write LOW:HIGH with numbers."))
    return value


def changed(study: Study, name: str, value: Any) -> Study:
    """The study with one axis at one value. Raises InputError."""
    if name in ("dose", "interval") and name not in type(study).model_fields:
        return _doses_changed(study, name, value)
    return study.set(name, value)


def _doses_changed(study: Study, field: str, value: Any) -> Study:
    """The study with the amount, or the interval, of all its doses changed; a number alone is in the unit that is written."""
    data, count = study.to_dict(), 0
    for name, arm in study.arms.items():
        written = list(data["arms"][name].get("doses", ()))
        for k, dose in enumerate(arm.doses):
            entry = dict(written[k])
            if field == "dose" and dose.amount is not None and _has_amount(study, name):
                number = isinstance(value, (int, float)) and not isinstance(value, bool)
                entry["amount"] = f"{value} {dose.amount.unit}" if number else value
            elif field == "interval" and (dose.every is not None or len(dose.at) > 1):
                step = f"{value} h" if isinstance(value, (int, float)) and not isinstance(value, bool) else value
                if dose.every is None:
                    entry |= {"at": [f"{dose.at[0]} h"], "times": len(dose.at)}
                entry["every"] = step
            else:
                continue
            written[k], count = entry, count + 1
        if "doses" in data["arms"][name]:
            data["arms"][name]["doses"] = written
    if not count:
        why = f"The study has no dose with {'an amount' if field == 'dose' else 'an interval: each is given once'}."
        raise InputError(argument("grid", field, why, "Name a field by its path: arms.NAME.doses[0].amount."))
    return study.replace(**data)


def _has_amount(study: Study, arm: str) -> bool:
    """Whether an arm's doses are those that are studied: not the comparator's, where another arm has none."""
    control = study.arms[arm].control
    return control is None or control.kind in ("none", "open-label")


def cells_of(study: Study, axes: Sequence[Axis]) -> list[tuple[tuple[Any, ...], Study]]:
    """Every combination with its study. Raises InputError with the faults of all axes at once."""
    problems: list[Problem] = []
    names = [axis.name for axis in axes]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems += (argument("grid", name, "The axis stands there twice.", "Remove one of them."),)
    for axis in axes:
        for value in axis.values:
            try:
                check_study(changed(study, axis.name, value), study.library)
            except InputError as fault:
                problems += [problem for problem in fault.problems if problem not in problems]
    if problems:
        raise InputError(*problems)
    total = int(np.prod([len(axis.values) for axis in axes]))
    if not axes or total > MOST_CELLS:
        why = "A grid needs an axis." if not axes else f"{total} cells are more than {MOST_CELLS}."
        raise InputError(argument("grid", total, why, "Write {grid} NAME=VALUE,VALUE."))
    cells = []
    for values in itertools.product(*(axis.values for axis in axes)):
        cell = study
        for name, value in zip(names, values, strict=True):
            cell = changed(cell, name, value)
        cells.append((values, cell))
    return cells


def check_used(protocol: Protocol, made: Plan, names: Sequence[str]) -> None:
    """Raise InputError for parameters that nothing in this study depends on: every cell would be the same."""
    system, used = protocol.system, _used(protocol, made)
    problems = []
    for name in names:
        if name in system.parameters and name not in used:
            why = f"Nothing this study records or scores depends on {name}: every cell would be the same."
            problems.append(argument("grid", name, why, nearest(name, sorted(used & set(system.parameters)))))
    if problems:
        raise InputError(*problems)


def _used(protocol: Protocol, made: Plan) -> set[str]:
    """Names that the outputs of a run depend on: through live states, rules, starts and the formulas of drugs given."""
    system = protocol.system
    solver = protocol.solver(made.outputs, made.vary, precision=made.precision)
    few = range(min(2, protocol.study.subjects))
    live: set[str] = set()
    for arm in protocol.arms.values():
        people = arm.people(few, draw=draws_of(few))
        live |= set(solver.live_states(arm.schedule(people, given=() if arm.rules else None)))
    given: list[str] = []
    for drug in protocol.drugs.values():
        for route in drug.species.get(protocol.species, {}).values():
            formulas = [f for into in route.into for f in (into.lag, into.duration, into.fraction, into.later)]
            formulas += [f for sets in route.sets for f in (sets.lasts, sets.level)]
            given += [name for formula in formulas if formula is not None for name in symbols(formula)]
    return system.dependencies([*made.outputs, *live, *given], live)


def sweep(
    study: Study | str | Path, axes: Sequence[Axis] = (), folder: str | Path | None = None, *, subjects: int | None = None,
    seed: int | None = None, threads: int | None = None, resume: bool = False, precision: str = "float64",
    progress: Progress | None = None, executor: Executor | None = None, ranges: Sequence[tuple[str, float, float]] = (),
    sobol: int | None = None,
) -> Sweep:  # fmt: skip
    """Simulate a study in every cell of a grid of ``axes``, or of a Sobol design of 2^k = ``sobol`` base samples in ``ranges``.

    The same people, by number and seed, are in every cell: what differs between cells is what was changed. Raises
    InputError for axes that cannot be meant, Stopped when interrupted; cells that are done stay.
    """
    base = study if isinstance(study, Study) else load(study)
    changes = {name: value for name, value in (("subjects", subjects), ("seed", seed)) if value is not None}
    base = base.replace(**changes) if changes else base
    if sobol is not None:
        from respine.run import sobol as design

        names = [name for name, _, _ in ranges]
        points = design.points(ranges, sobol, base.seed)
        cells = [(tuple(map(float, point)), _at(base, names, point)) for point in points]
        axes = tuple(Axis(name, (low, high)) for name, low, high in ranges)
    else:
        cells, axes = cells_of(base, axes), tuple(axes)
    first = resolve(cells[0][1])
    check_used(first, plan(first, threads=threads, precision=precision), [axis.name for axis in axes])
    out = Path(folder) if folder is not None else Path("runs") / f"{base.name}-sweep-{_digest(base, cells)[:4]}"
    _begin(out, base, axes, cells, precision, resume)
    rows = []
    for k, (values, cell) in enumerate(cells):
        place = out / "cells" / f"{k:05d}"
        made = plan(cell, threads=threads, keep=0, precision=precision)
        done = k * made.people
        tell = None if progress is None else _offset(progress, done, made.people * len(cells))
        there = (place / manifest.NAME).exists() or (place / manifest.COPY).exists()
        result = execute(made, place, resume=there, threads=threads, progress=tell, executor=executor)
        part = result.endpoints.loc[
            result.endpoints["median"].notna() | result.endpoints["value"].notna(), list(RESULTS)
        ]
        for name, value in zip((axis.name for axis in axes), values, strict=True):
            part.insert(0, name, value)
        rows.append(part.assign(cell=k))
    table = pd.concat(rows, ignore_index=True)
    table = table[[*(axis.name for axis in axes), *RESULTS, "cell"]]
    indices = pd.DataFrame()
    if sobol is not None:
        from respine.run import sobol as design

        indices = design.indices(table, ranges, len(cells), base.seed)
        store.write_bytes(out / "sobol.parquet", parquet.encode(indices))
    store.write_bytes(out / TABLE, parquet.encode(table))
    return Sweep(base, out, tuple(axes), table, indices)


def _at(base: Study, names: Sequence[str], point: Sequence[float]) -> Study:
    study = base
    for name, value in zip(names, point, strict=True):
        study = changed(study, name, float(value))
    return study


def _offset(progress: Progress, before: int, total: int) -> Progress:
    return lambda here, _: progress(before + here, total)


def _digest(base: Study, cells: Sequence[tuple[tuple[Any, ...], Study]]) -> str:
    return store.fingerprint(json.dumps(base.to_dict(), sort_keys=True), repr([values for values, _ in cells]))


def _begin(
    out: Path,
    base: Study,
    axes: Sequence[Axis],
    cells: Sequence[tuple[tuple[Any, ...], Study]],
    precision: str,
    resume: bool,
) -> None:
    """Make the folder of a sweep, or see that it holds this one. Raises InputError."""
    facts = {"format": FORMAT, "study": base.name, "digest": _digest(base, cells), "precision": precision,
             "axes": {axis.name: list(axis.values) for axis in axes}, "cells": len(cells)}  # fmt: skip
    if out.exists() and not out.is_dir():
        raise InputError(folder_problem(out, "This is a file, not a folder.", "Choose another {folder}."))
    out.mkdir(parents=True, exist_ok=True)
    refuse_links(out)
    held = sorted(path.name for path in out.iterdir())
    if not held:
        store.write_json(out / NAME, facts)
    there = _read(out / NAME)
    if there is None:
        why = f"The folder is not empty and holds no sweep ({', '.join(held[:3])})."
        raise InputError(folder_problem(out, why, "Choose an empty or new {folder}."))
    different = [name for name in facts if there.get(name) != facts[name]]
    if different:
        why = f"The folder belongs to another sweep: {', '.join(different)} differed."
        raise InputError(folder_problem(out, why, "Choose another {folder}, or restore what was swept there."))
    if held and not resume:
        raise InputError(folder_problem(out, "The folder holds this sweep already.", "Add {resume} to go on with it."))
    (out / "cells").mkdir(exist_ok=True)


def _read(file: Path) -> Mapping[str, Any] | None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return (
        content if isinstance(content, dict) and str(content.get("format", "")).startswith("respine/sweep/") else None
    )
