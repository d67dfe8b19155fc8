"""Is what is solved solved right? Read-outs at a far tighter tolerance, the same bits on any threads, stored qualifications."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from respine.credibility.question import read
from respine.credibility.sensitivity import Courses, uncertain
from respine.errors import InputError, Problem
from respine.protocol import resolve
from respine.protocol.settings import FIT_RTOL
from respine.protocol.typical import typical_parameters, typical_people

TIGHT = 1e-10
KEYS = ("title", "passed", "bound")
HOW = (
    ("stiff", "stiff test problems against reference end values"),
    ("sbml", "the SBML semantic test suite"),
    ("models", "published SBML models against stored trajectories"),
    ("nonmem", "event designs of the public nmtest data set against NONMEM"),
)


def numerical(name: str, threads: int | None = None) -> list[dict[str, Any]]:
    """The read-outs of one experiment at the tolerance of use and a far tighter one, and whether threads change bits.

    Rows ``name, label, unit, value, tight, difference, relative, same_bits``; ``relative`` is the difference over the
    value, or over 1 where the value is smaller than that times a millionth.
    """
    question = read()
    protocol = resolve(question.study(name))
    rows = []
    for arm in dict.fromkeys(readout.arm for readout in question.of_experiment(name)):
        of_arm, subject = [readout for readout in question.of_experiment(name) if readout.arm == arm], protocol.arm(arm)
        courses = Courses(protocol, arm, of_arm, ())
        ids = uncertain(subject)
        own = typical_parameters(subject)
        people = typical_people(subject, 2, {id: np.full(2, value) for id, value in own.items()})
        begin, times = courses.typical.begin, courses.typical.times
        solved = [
            subject.solve(people, courses.typical.outputs, times, begin=begin, rtol=rtol, threads=count).values
            for rtol, count in ((FIT_RTOL, 1), (FIT_RTOL, 2), (TIGHT, 1))
        ]
        same = bool(np.array_equal(solved[0], solved[1], equal_nan=True))
        use, tight = (courses.of_courses(solution)[0] for solution in (solved[0], solved[2]))
        for k, readout in enumerate(of_arm):
            gap = abs(float(use[k] - tight[k]))
            size = abs(float(tight[k]))
            rows.append({
                "name": readout.name, "label": readout.label, "unit": courses.units[k], "value": float(use[k]),
                "tight": float(tight[k]), "difference": gap, "relative": gap / (size if size > 1e-6 else 1.0),
                "same_bits": same, "uncertain": len(ids),
            })  # fmt: skip
    return rows


def stored(files: Sequence[Path]) -> list[dict[str, Any]]:
    """Results of ``respine qualify NAME FOLDER --json`` from files: ``title, passed, bound, failed, file``.

    Raises InputError with every file that is none.
    """
    suites, problems = [], []
    for file in files:
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
            if not isinstance(data, Mapping) or any(key not in data for key in KEYS):
                raise ValueError("it lacks title, passed or bound")
            cases = [c for c in data.get("cases", []) if isinstance(c, Mapping)]
            failed = [str(c.get("case", "")) for c in cases if c.get("outcome") not in ("pass", "refused", "reported")]
            suites.append({"title": str(data["title"]), "passed": int(data["passed"]), "bound": int(data["bound"]),
                          "failed": ", ".join(failed[:12]), "file": file.name})  # fmt: skip
        except (OSError, ValueError, TypeError) as error:
            why = f"This is no result of a qualification ({error})."
            cure = "Make one with: respine qualify stiff FOLDER --json > FILE."
            problems.append(Problem("command line", "--qualification", str(file), why, cure))
    if problems:
        raise InputError(*problems)
    return suites
