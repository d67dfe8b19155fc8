"""The tables of a benchmark run as rows and as a Markdown page."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "respine", "numpy", "llvmlite", "numba", "scipy", "libroadrunner", "amici", "copasi-basico", "casadi", "numbalsoda",
    "diffrax", "jax",
)  # fmt: skip


def machine() -> str:
    """Processor, cores, vector width and versions; nothing that names the machine."""
    model = platform.processor()
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        lines = dict(line.split(":", 1) for line in facts.read_text().splitlines() if ":" in line)
        known = {k.strip(): v.strip() for k, v in lines.items()}
        model = known.get("model name", model) + f" (family {known.get('cpu family')}, model {known.get('model')})"
    from respine.engine.codegen.target import host_target

    target = host_target()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, {target.cpu}, {target.lanes} doubles a vector, Python {platform.python_version()}"


def _versions() -> str:
    entries = []
    for name in PACKAGES:
        try:
            entries.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(entries)


def rows(
    results: dict[str, list[Any]], peaks: dict[str, float], compiled: dict[str, tuple[float, float]]
) -> list[dict[str, Any]]:
    """One row a solver and model; ``ratio`` is to the fastest peer on as many cores."""
    rows = []
    for model, entries in results.items():
        best = {c: max((e.per_second(c) for e in entries if not e.ours), default=float("nan")) for c in (1, 2)}
        rows += [
            {
                "model": model, "solver": e.title + e.note, "rtol": f"{e.rtol:.3g}", "error_median": f"{e.error:.3g}",
                "ms_per_subject": f"{1e3 / e.per_second(1):.3f}", "subjects_per_s_1": f"{e.per_second(1):.1f}",
                "subjects_per_s_2": f"{e.per_second(2):.1f}", "ratio_1": f"{e.per_second(1) / best[1]:.1f}",
                "ratio_2": f"{e.per_second(2) / best[2]:.1f}",
                "ms_low": f"{min(e.one_core) * 1e3:.3f}", "ms_high": f"{max(e.one_core) * 1e3:.3f}",
                "cold_start_s": f"{e.cold:.2f}", "memory_mb": f"{e.memory:.0f}",
                "steps": f"{e.steps:.0f}" if e.ours else "", "gflops": f"{e.gflops:.1f}" if e.ours else "",
                "share_of_peak": f"{e.gflops / peaks[e.title.split()[1]]:.0%}" if e.ours else "",
                "compile_s": f"{compiled[model][0]:.2f}" if e.ours else "",
                "compile_cached_s": f"{compiled[model][1]:.2f}" if e.ours else "",
            }
            for e in entries
        ]  # fmt: skip
    return rows


def page(entries: list[dict[str, Any]], results: dict[str, list[Any]], grown: dict[str, list[dict[str, float]]],
         peaks: dict[str, float], skipped: list[tuple[str, str, str]], compiled: dict[str, tuple[float, float]],
         *, quick: bool) -> str:  # fmt: skip
    """The Markdown page."""
    parts = [
        "# Engine benchmark",
        "",
        "Made by `python benchmarks/engine.py" + (" --quick" if quick else "") + "`. " + machine() + ".",
        "",
        _versions() + ".",
        "",
        f"Multiply-add peak of one core, measured: {peaks['float64']:.0f} GFLOP/s in float64, "
        f"{peaks['float32']:.0f} in float32.",
        "",
        "Every solver runs at the tolerance that gives it the stated median error (largest error over all states "
        "and times, scaled by each state's largest value; median of subjects) against a 1e-11 reference. Solvers take "
        f"turns; medians of {len(next(iter(results.values()))[0].one_core)} rounds (one, for peers ten times slower than the "
        "fastest), in brackets lowest and highest. "
        "respine keeps every equation (`keep_all`) and returns all states. Two cores: respine with two threads, peers "
        "as two processes. Ratio: to the fastest peer on as many cores. Cold start: from a started Python to the "
        "first subject solved, with nothing cached. Memory: highest, beyond the interpreter with the loaded problem.",
        "",
    ]
    for model in results:
        parts += [f"## {model}", "", *_table([r for r in entries if r["model"] == model]), ""]
        cold, cached = compiled[model]
        parts += [text for e in results[model] if e.ours for text in (e.account, "")]
        parts += [f"Machine code of the whole model: {cold:.2f} s from nothing, {cached:.2f} s from the cache.", ""]
        if model in grown:
            parts += _population(grown[model])
        parts += [f"Not measured here: {peer}: {reason}." for name, peer, reason in skipped if name == model] + [""]
    return "\n".join(parts) + "\n"


def _table(entries: list[dict[str, Any]]) -> list[str]:
    heads = {
        "solver": "solver", "error_median": "error", "rtol": "rtol", "ms_per_subject": "ms/subject",
        "subjects_per_s_1": "subj/s 1 core", "subjects_per_s_2": "2 cores", "ratio_1": "ratio 1", "ratio_2": "ratio 2",
        "cold_start_s": "cold start s", "memory_mb": "memory MB", "share_of_peak": "share of peak",
    }  # fmt: skip
    order = sorted(entries, key=lambda r: -float(r["subjects_per_s_1"]))
    lines = ["| " + " | ".join(heads.values()) + " |", "|" + "---|" * len(heads)]
    for r in order:
        cells = {**r, "ms_per_subject": f"{r['ms_per_subject']} ({r['ms_low']}-{r['ms_high']})"}
        lines.append("| " + " | ".join(str(cells[k]) for k in heads) + " |")
    return lines


def _population(grown: list[dict[str, float]]) -> list[str]:
    lines = [
        "| subjects (visit outputs, two threads) | float64 ms each | MB | float32 ms each | MB |",
        "|---|---|---|---|---|",
    ]
    sizes = sorted({r["subjects"] for r in grown})
    for size in sizes:
        both = {r["precision"]: r for r in grown if r["subjects"] == size}
        cells = [f"{both[p]['ms']:.3f} | {both[p]['memory']:.0f}" for p in ("float64", "float32")]
        lines.append(f"| {size:.0f} | {' | '.join(cells)} |")
    for precision in ("float64", "float32"):
        costs = [r["ms"] for r in grown if r["precision"] == precision]
        lines += ["", f"{precision}: cost per subject varies by {max(costs) / min(costs) - 1:.0%} over these sizes."]
    return [*lines, ""]
