"""NONMEM control streams with what NONMEM printed for them: predictions of their tables, objectives of their runs.

A folder of control streams (.ctl, .mod, .con), such as ``nonmem_anchor`` of github.com/FeRx-NLME/ferx-core: data where $DATA
says, the table of NAME.ctl in ``NAME.tab``, ``results/NAME.tab`` or the file its $TABLE names, final estimates and objective in
NAME.ext.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from respine.errors import InputError, Problem
from respine.fit.population import PopulationProblem, evaluate
from respine.interop.control_stream import assemble, printed
from respine.interop.control_stream.compare import FINEST, Compared, compare, final_estimates
from respine.interop.control_stream.write import problem_of, sentence
from respine.qualify.outcome import FAIL, PASS, REFUSED, REPORTED, Case, Findings, judged_case

STREAMS, TABLES = (".ctl", ".mod", ".con"), (".tab", ".sdtab", ".csv", ".fit", "")
COLUMNS = ("records", "predictions", "objective", "NONMEM")
OBJECTIVE = 1e-5  # relative, of an objective above 1
RULE = f"PRED and IPRED as printed, {FINEST:g} relative where there are more digits; objectives of evaluations to {OBJECTIVE:g}"


def qualify(folder: Path, progress: Callable[[int, int], None] | None = None) -> Findings:
    """Read and solve every control stream of a folder. Raises InputError where there is none."""
    streams = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in STREAMS]
    cases = []
    for k, path in enumerate(streams):
        cases.append(judged_case(partial(_stream, path), path.name))
        if progress:
            progress(k + 1, len(streams))
    return Findings("NONMEM control streams", RULE, COLUMNS, cases)


def has_streams(folder: Path) -> bool:
    return folder.is_dir() and any(path.suffix.lower() in STREAMS for path in folder.iterdir())


def _stream(path: Path) -> Case:
    ends = _beside(path, (".ext",))
    try:
        values = final_estimates(ends) if ends is not None else None
        stream = assemble.read(path, values=values)
        problem = problem_of(stream)
        table = _beside(path, TABLES[:-1]) or _named_table(path)
        compared = compare(problem, printed.read(table), ipred=stream.typical) if table is not None else []
    except InputError as refusal:
        return Case(path.name, REFUSED, (), str(refusal.problems[0]).replace("\n", " "))
    objective, theirs = "", ""
    faults = [sentence(one) for one in compared if not one.same]
    if values is not None and stream.evaluates and np.isfinite(values.get("OBJ", np.nan)):
        ours = evaluate(problem).objective
        objective, theirs = f"{ours:.8g}", f"{values['OBJ']:.8g}"
        if not abs(ours - values["OBJ"]) <= OBJECTIVE * max(abs(values["OBJ"]), 1.0):
            faults.append("the objective differs")
    if not compared and not objective:
        return Case(path.name, REPORTED, (str(len(stream.labels)),), "read; nothing printed to compare with")
    worst = max((one.relative for one in compared), default=0.0)
    cells = (str(len(stream.labels)), f"{worst:.1e}" if compared else "", objective, theirs)
    return Case(path.name, FAIL if faults else PASS, cells, "; ".join(faults))


def _beside(path: Path, suffixes: Sequence[str]) -> Path | None:
    places = (path.parent, path.parent / "results")
    return next((f for suffix in suffixes for place in places if (f := place / f"{path.stem}{suffix}").is_file()), None)


def _named_table(path: Path) -> Path | None:
    """The file that $TABLE names."""
    text = path.read_text("utf-8", errors="replace")
    for name in re.findall(r"\bFILE\s*=\s*['\"]?([^\s'\"]+)", text, re.IGNORECASE):
        for place in (path.parent, path.parent / "results"):
            if (place / Path(name).name).is_file():
                return place / Path(name).name
    return None


# ---- one table of a user ---------------------------------------------------------------------------------------------
def qualify_table(file: Path, model: Path | None = None, tolerance: float = FINEST) -> Findings:
    """A user's own table with PRED (and IPRED with its ETAs) against a control stream or problem file: a case a subject.

    ``model``: the file of the same name beside the table where left out. Raises InputError.
    """
    table = printed.read(file)
    path = model or next((f for suffix in (*STREAMS, ".yaml") if (f := file.with_suffix(suffix)).is_file()), None)
    if path is None:
        why = "No control stream and no problem file of this name lies beside it, so the model is not known."
        raise InputError(
            Problem(str(file), "{model}", "", why, "Name it: --model run.ctl, or --model problem.yaml.", ("model",))
        )
    remarks = [f"model: {path}"]
    ipred = True
    if path.suffix.lower() in (".yaml", ".yml"):
        problem = PopulationProblem.from_yaml(path)
    else:
        ends = _beside(path, (".ext",))
        if ends is not None:
            remarks.append(f"estimates: {ends}")
        stream = assemble.read(path, values=final_estimates(ends) if ends is not None else None)
        remarks += stream.notes
        problem, ipred = problem_of(stream), stream.typical
    compared = compare(problem, table, tolerance, ipred=ipred)
    if not compared:
        why = "The table has no PRED, and no IPRED with its ETA1, ETA2 ..."
        raise InputError(
            Problem(
                str(file),
                "columns",
                ", ".join(table.values)[:200],
                why,
                "Write PRED into $TABLE, and ETAS(1:LAST) beside IPRED.",
            )
        )
    cases = [case for s in range(problem.data.n_subjects) for case in _subject(problem, compared, s)]
    rule = f"half a unit of the last digit printed, or {tolerance:g} relative where there are more digits"
    return Findings(
        f"predictions of {file.name}", rule, ("kind", "records", "worst", "at", "ours", "table"), cases, tuple(remarks)
    )


def _subject(problem: PopulationProblem, compared: Sequence[Compared], subject: int) -> list[Case]:
    data, found = problem.data, []
    rows = np.arange(data.n_records) if len(compared[0].theirs) == data.n_records else np.flatnonzero(data.observed)
    mine = data.subject[rows] == subject
    for one in compared:
        counted = mine & one.counted
        label = data.labels[subject]
        if not counted.any():
            found.append(Case(label, REPORTED, (one.name, "0"), "no prediction to compare"))
            continue
        k = int(np.argmax(np.where(counted, one.away, -1.0)))
        relative = abs(one.ours[k] - one.theirs[k]) / max(abs(one.theirs[k]), 1e-300)
        cells = (
            one.name,
            str(int(counted.sum())),
            f"{relative:.1e}",
            f"{data.time[rows[k]]:g}",
            f"{one.ours[k]:.8g}",
            f"{one.theirs[k]:.8g}",
        )
        found.append(Case(label, PASS if one.away[k] <= 1 else FAIL, cells))
    return found
