"""`respine doctor`: is this machine able to run respine, and if not, the one line that mends it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import typer

from respine.cli.errors import report_errors

# distributions whose import name differs from their own
_IMPORT_NAMES = {"python-libsbml": "libsbml", "ruamel-yaml": "ruamel.yaml"}
_REINSTALL = "pip install -e ."
_FREE_MB = 500


@dataclass(frozen=True)
class Check:
    """One finding: what was looked at, whether it is well, what was seen, and the line that mends it."""

    what: str
    ok: bool
    seen: str
    cure: str = ""


@report_errors
def doctor(json: bool = typer.Option(False, "--json", help="Print JSON instead of lines.")) -> None:
    """Check Python, packages, processor, engine, cache folder, disk and library; exit code 1 on a problem."""
    from respine.cli.screen import columns, print_json

    results = list(checks())
    if json:
        print_json([vars(finding) for finding in results])
    else:
        for check in results:
            typer.echo(columns([[f"{'ok' if check.ok else 'problem':<7}", f"{check.what:<22}", check.seen]]))
            if not check.ok:
                typer.echo(f"         -> {check.cure}")
    bad = sum(not finding.ok for finding in results)
    if not json:
        typer.echo("\nNo problem found." if not bad else f"\n{bad} problem{'s' if bad > 1 else ''}.")
    raise typer.Exit(1 if bad else 0)


def checks() -> Iterator[Check]:
    """All findings, in the order in which one problem may cause the next."""
    yield _python()
    yield from _packages()
    for subject, look, cure in _LOOKS:
        yield _guard(subject, look, cure)


def _guard(subject: str, look: Callable[[], tuple[bool, str]], cure: str) -> Check:
    """A look that must not bring the doctor down: an exception is a finding."""
    try:
        ok, seen = look()
    except Exception as trouble:
        first = str(trouble).strip().splitlines()
        ok, seen = False, f"{type(trouble).__name__}: {first[0] if first else ''}"
    return Check(subject, ok, seen, "" if ok else cure)


def _python() -> Check:
    seen = ".".join(map(str, sys.version_info[:3]))
    return Check("Python", sys.version_info >= (3, 11), seen, "install Python 3.11 or newer and make a new environment")


def _packages() -> Iterator[Check]:
    """Every required package, imported, with its version against the one asked for."""
    import re
    from importlib import import_module
    from importlib.metadata import PackageNotFoundError, requires, version

    for line in requires("respine") or []:
        if "extra ==" in line:
            continue
        match = re.match(r"([\w.\-]+)\s*(?:>=\s*([\d.]+))?", line)
        if match is None:
            continue
        name, least = match[1], match[2] or "0"
        try:
            have = version(name)
            import_module(_IMPORT_NAMES.get(re.sub(r"[-_.]+", "-", name), name.replace("-", "_")))
        except PackageNotFoundError:
            yield Check(name, False, "not installed", f"pip install '{name}>={least}'")
        except Exception as trouble:  # a broken binary raises more than ImportError
            cure = f"pip install --force-reinstall '{name}>={least}'"
            yield Check(name, False, f"cannot be imported: {trouble}", cure)
        else:
            enough = _numbers(have) >= _numbers(least)
            yield Check(name, enough, have, "" if enough else f"pip install -U '{name}>={least}'")


def _numbers(version: str) -> tuple[int, ...]:
    import re

    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _processor() -> tuple[bool, str]:
    import os

    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    wide = next((name for name in ("avx512f", "avx2", "neon", "sse2") if features.get(name)), "no vector unit known")
    lanes = {"avx512f": 8, "avx2": 4}.get(wide, 2)
    return True, f"{llvm.get_host_cpu_name()}, {os.cpu_count()} cores, {wide}: {lanes} people at a time per core"


def _engine() -> tuple[bool, str]:
    """Two decaying states with known answers: exp(-k t), one of them after a dose."""
    import time

    import numpy as np

    from respine import engine
    from respine.model.expression import num, sym
    from respine.model.system import System

    system = System(
        name="doctor",
        time_unit="h",
        parameters={"k": 0.5},
        inputs={},
        rules={},
        rates={"x": ("neg", ("mul", sym("k"), sym("x"))), "y": ("neg", ("mul", sym("k"), sym("y")))},
        initial={"x": num(1.0), "y": num(0.0)},
    )
    begin = time.perf_counter()
    solver = engine.build(system, outputs=["x", "y"], vary=["k"])
    compiled = time.perf_counter() - begin
    schedule = engine.Schedule(3)
    schedule.dose("y", time=1.0, amount=2.0)
    rates = np.array([[0.1], [0.5], [2.0]])
    times = np.array([0.0, 2.0, 5.0])
    solution = solver.solve(rates, schedule, times, start=0.0, rtol=1e-8)
    exact = np.stack([np.exp(-rates * times), np.where(times > 1, 2 * np.exp(-rates * (times - 1)), 0.0)], axis=-1)
    error = float(np.max(np.abs(solution.values - exact)))
    return bool(error < 1e-5), f"compiled in {compiled:.1f} s, a known answer met to {error:.0e}"


def _cache() -> tuple[bool, str]:
    import tempfile

    from respine.files.store import cache_folder

    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
    return True, f"{folder} can be written"


def _disk() -> tuple[bool, str]:
    import shutil

    free = shutil.disk_usage(".").free / 1e6
    return free > _FREE_MB, f"{free / 1000:.1f} GB free here"


def _library() -> tuple[bool, str]:
    from respine import library, model, population, study

    systems = [model.load(name) for name in library.names("models")]
    peoples = [population.load(name) for name in library.names("populations")]
    studies = [study.load(name) for name in library.names("studies")]
    seen = f"{len(systems)} models, {len(peoples)} populations, {len(studies)} studies are valid"
    return bool(systems and peoples and studies), seen


_LOOKS: tuple[tuple[str, Callable[[], tuple[bool, str]], str], ...] = (
    ("processor", _processor, _REINSTALL),
    ("engine", _engine, f"{_REINSTALL}, then `respine --debug doctor`; if it stays, report it with this output"),
    ("cache folder", _cache, "make it writable, or point RESPINE_CACHE at a folder that is"),
    ("disk", _disk, f"free some space: a run needs up to {_FREE_MB} MB here"),
    ("library", _library, "mend the file named (`respine model show` lists all mistakes), or undo the change"),
)
