"""The SBML semantic test suite: does respine compute what the specification says?

Cases: any folder that holds case folders ``NNNNN`` (``sample/``, ``cases/semantic/`` or directly), each with a settings
file, expected results and the model. Tags come from ``NNNNN-model.m`` or from ``cases_index.csv`` beside the cases.
Suite: github.com/sbmlteam/sbml-test-suite.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from respine.errors import InputError, Problem
from respine.files.csv_rows import csv_records, csv_rows
from respine.model.system import System
from respine.qualify.outcome import FAIL, PASS, REFUSED, Case, Findings, judged_case

# what respine refuses by design: the suite's tag, and how it shows in a model file whose tags are missing
UNSUPPORTED = {
    "AlgebraicRule": r"<algebraicRule",
    "FastReaction": r'fast="(true|1)"',
    "CSymbolDelay": r"symbols/delay",
    "fbc:": r"/fbc/version",
    "FluxBalanceSteadyState": r"/fbc/version",
    "distrib:": r"/distrib/version",
    "arrays:": r"/arrays/version",
    "multi:": r"/multi/version",
    "qual:": r"/qual/version",
    "spatial:": r"/spatial/version",
}
FORMATS = sorted([(1, 1), (1, 2), *((2, v) for v in range(1, 6)), (3, 1), (3, 2)], reverse=True)


@dataclass(frozen=True)
class Settings:
    """What a case asks for."""

    start: float
    duration: float
    steps: int
    variables: tuple[str, ...]
    absolute: float
    relative: float
    amount: frozenset[str]
    concentration: frozenset[str]


@dataclass(frozen=True)
class Sample:
    """One case on disk."""

    name: str
    model: Path
    settings: Path
    results: Path
    tags: tuple[str, ...]


def qualify(folder: Path, progress: Callable[[int, int], None] | None = None) -> Findings:
    """Run every case of a folder. Raises InputError where there is none or a file of the suite is damaged."""
    samples = find(folder)
    cases = []
    for k, sample in enumerate(samples):
        cases.append(judged_case(partial(run, sample), sample.name, sample.tags))
        if progress:
            progress(k + 1, len(samples))
    return Findings(
        "SBML semantic test suite",
        "every value: |x - expected| <= absolute + relative * |expected|, with the tolerances of the case",
        ("file", "worst"),
        cases,
        (
            "refused: algebraic rules, fast reactions, delay(), packages that change the mathematics - by design; never numbers",
        ),
    )


def run(sample: Sample) -> Case:
    """One case."""
    from respine.model import load_sbml

    settings = read_settings(sample.settings)
    cells = (sample.model.name.removeprefix(f"{sample.name}-sbml-").removesuffix(".xml"),)
    try:
        system = load_sbml(sample.model)
    except InputError as refusal:
        first = refusal.problems[0]
        note = f"{first.field} {first.seen}: {first.why} ({first.where.rsplit(':', 1)[-1]})".replace("  ", " ")
        return Case(
            sample.name, REFUSED if by_design(sample) else FAIL, (*cells, ""), " ".join(note.split()), sample.tags
        )
    times, expected = read_results(sample.results, settings)
    outcome, worst, note = compare(system, settings, times, expected)
    return Case(sample.name, outcome, (*cells, worst), note, sample.tags)


def compare(system: System, settings: Settings, times: np.ndarray, expected: np.ndarray) -> tuple[str, str, str]:
    """Outcome, worst error in units of the tolerance, and a note on it."""
    from respine.qualify.solving import Unsolved, trajectories

    system, outputs = with_outputs(system, settings)
    missing = [v for v, o in zip(settings.variables, outputs, strict=True) if o == ""]
    if missing:
        return FAIL, "", f"the model has no {', '.join(missing)}"
    rtol = float(np.clip(1e-4 * settings.relative, 1e-11, 1e-8))
    try:
        got = trajectories(system, list(dict.fromkeys(outputs)), times, rtol)
    except Unsolved as reason:
        return FAIL, "", str(reason)
    got = got[:, [list(dict.fromkeys(outputs)).index(o) for o in outputs]]
    with np.errstate(all="ignore"):
        ratio = np.abs(got - expected) / (settings.absolute + settings.relative * np.abs(expected))
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    ratio = np.where(same, 0.0, np.where(np.isnan(ratio), np.inf, ratio))
    row, column = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
    worst = float(ratio[row, column])
    where = (
        f"{settings.variables[column]} at {times[row]:g}: {got[row, column]:.8g}, expected {expected[row, column]:.8g}"
    )
    return (PASS, f"{worst:.2g}", "") if worst <= 1 else (FAIL, f"{worst:.2g}", where)


def with_outputs(system: System, settings: Settings) -> tuple[System, list[str]]:
    """The system with rules for amounts and concentrations, and the name of the output behind each variable."""
    rules, outputs = {}, []
    known = {*system.states, *system.rules, *system.parameters, *system.inputs}
    for v in settings.variables:
        species = system.species.get(v)
        expr = None
        if species is not None:
            expr = (
                species.amount
                if v in settings.amount
                else species.concentration
                if v in settings.concentration
                else None
            )
        if expr is not None and expr != ("sym", v):
            rules[f"{v} asked"] = expr
            outputs.append(f"{v} asked")
        else:
            outputs.append(v if v in known else "")
    return system.with_rules(rules), outputs


def by_design(sample: Sample) -> bool:
    """Whether the case uses something respine says it does not support."""
    if any(tag == name or (name.endswith(":") and tag.startswith(name)) for tag in sample.tags for name in UNSUPPORTED):
        return True
    text = sample.model.read_text(encoding="utf-8", errors="replace")
    return any(re.search(pattern, text) for pattern in UNSUPPORTED.values())


# ---- the suite's files ----------------------------------------------------------------------------------------------
def find(folder: Path) -> list[Sample]:
    """All cases below a folder, by number. Raises InputError where there is none."""
    if not folder.is_dir():
        raise InputError(Problem(str(folder), "folder", "", "there is no such folder.", "Name a copy of the suite."))
    index = _index(folder)
    samples = []
    for settings in sorted(_settings_files(folder), key=lambda p: p.parent.name):
        home, name = settings.parent, settings.parent.name
        model = next((p for lv in FORMATS if (p := home / f"{name}-sbml-l{lv[0]}v{lv[1]}.xml").is_file()), None)
        results = home / f"{name}-results.csv"
        if model is not None and results.is_file():
            samples.append(
                Sample(name, model, settings, results, _tags(home / f"{name}-model.m") or index.get(name, ()))
            )
    if not samples:
        cure = "Name a folder with case folders NNNNN, each with NNNNN-settings.txt, NNNNN-results.csv and a model."
        raise InputError(Problem(str(folder), "folder", "", "it holds no case of the SBML test suite.", cure))
    return samples


def _settings_files(folder: Path) -> Iterator[Path]:
    """Case folders at most three levels down (``cases/semantic/NNNNN``)."""
    for depth in ("", "*/", "*/*/", "*/*/*/"):
        for path in folder.glob(f"{depth}*-settings.txt"):
            if path.name == f"{path.parent.name}-settings.txt":
                yield path


MOST_STEPS = 10_000_000


def _index(folder: Path) -> dict[str, tuple[str, ...]]:
    path = next((p for p in (folder / "cases_index.csv", folder.parent / "cases_index.csv") if p.is_file()), None)
    if path is None:
        return {}
    rows = csv_records(path)
    return {
        row["case"]: _split(f"{row.get('componentTags') or ''},{row.get('testTags') or ''}")
        for row in rows
        if row.get("case")
    }


def _tags(path: Path) -> tuple[str, ...]:
    """Tags of a case's own description."""
    if not path.is_file():
        return ()
    text = path.read_text(encoding="utf-8", errors="replace")
    tags = re.findall(r"^\s*(?:componentTags|testTags|testType)\s*:(.*)$", text, re.MULTILINE)
    return tuple(t for t in _split(",".join(tags)) if t != "TimeCourse")


def _split(text: str) -> tuple[str, ...]:
    parts = (part.strip() for part in text.split(","))
    return tuple(dict.fromkeys(part for part in parts if part and not re.search(r":\s", part)))  # "comp:X" is a tag


def read_settings(path: Path) -> Settings:
    """A case's settings. Raises InputError where one is missing or not a number."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    settings = {
        key.strip().lower(): value.strip() for key, mark, value in (line.partition(":") for line in lines) if mark
    }

    def number(key: str, default: float | None = None) -> float:
        text = settings.get(key, "")
        if not text and default is not None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            why = "the settings of a case need this number."
            raise InputError(Problem(str(path), key, text, why, f"Write {key}: and a number."))
        return value

    def steps() -> int:
        value = number("steps", 0.0)
        if not 0 <= value <= MOST_STEPS or value != int(value):
            why = f"the steps of a case are a whole number up to {MOST_STEPS}."
            raise InputError(Problem(str(path), "steps", f"{value:g}", why, "Write steps: and such a number."))
        return int(value)

    variables = _split(settings.get("variables", ""))
    return Settings(
        number("start", 0.0), number("duration", 0.0), steps(), variables, number("absolute"),
        number("relative"), frozenset(_split(settings.get("amount", ""))),
        frozenset(_split(settings.get("concentration", ""))),
    )  # fmt: skip


def read_results(path: Path, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """Times (n_times,) and expected values (n_times, n_variables). Raises InputError for a damaged file."""
    rows = csv_rows(path)
    header = [cell.strip().strip('"') for cell in rows[0]] if rows else []
    table = _numbers(path, rows[1:], len(header))
    named = header[1:]  # the first column is the time; a variable may be called "time" too
    missing = [v for v in settings.variables if v not in named]
    if missing or not settings.variables or not len(table):
        why = f"the results lack {', '.join(missing) or 'values'}."
        raise InputError(Problem(f"{path}:1", "header", ",".join(header), why, "Restore the file from the suite."))
    columns = [1 + named.index(v) for v in settings.variables]
    return _moments(table[:, 0], settings), table[:, columns]


def _moments(written: np.ndarray, settings: Settings) -> np.ndarray:
    """The times meant: as written (0.3), but in full where the file cut their digits (0.333333333)."""
    if len(written) != settings.steps + 1 or settings.duration <= 0:
        return written
    even = settings.start + settings.duration * np.arange(settings.steps + 1) / settings.steps
    apart = np.abs(even - written)
    cut = (apart > 1e-12 * np.abs(even)) & (apart < 1e-6 * settings.duration / settings.steps)
    return np.where(cut, even, written)


def _numbers(path: Path, rows: list[list[str]], width: int) -> np.ndarray:
    table = np.empty((len(rows), width))
    for k, row in enumerate(rows):
        try:
            table[k] = [float(cell) for cell in row[:width]]
        except ValueError:
            why = f"a row of {width} numbers is expected."
            raise InputError(Problem(f"{path}:{k + 2}", "row", ",".join(row)[:80], why, "Restore the file.")) from None
    return table
