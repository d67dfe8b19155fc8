"""What the server computes, as plain values in and out: checks, typical curves, trials. Each refuses what is too large."""

from __future__ import annotations

import math
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from respine.errors import InputError, Problem
from respine.files.yaml_file import Document
from respine.library import BUILT_IN
from respine.protocol import resolve
from respine.protocol.typical import TypicalStudy
from respine.study.read import checked
from respine.study.schema import Study
from respine.web.jobs import Overtaken

MOST_SUBJECTS, MOST_ARMS, MOST_SECONDS, MOST_OCCASIONS, MOST_OUTPUTS, MOST_TIMES = 2000, 8, 90.0, 5000, 40, 1000
MOST_REPLICATES = 100
LONGEST_H = 10 * 365.25 * 24


def study_of(body: Mapping[str, Any]) -> Study:
    """The study of a request, checked, and small enough. Raises InputError with all that is wrong."""
    raw = body.get("study")
    if not isinstance(raw, dict):
        raise InputError(
            _problem(
                "study",
                type(raw).__name__,
                "The study is missing.",
                'Send {"study": {...}} with the fields of a study file.',
            )
        )
    _no_files(raw)
    study = checked(Document(Path("request"), dict(raw), made=True), BUILT_IN)
    _limits(study)
    return study


def check(body: Mapping[str, Any]) -> dict[str, Any]:
    """Whether a study can be run: its arms, people and outputs."""
    protocol = resolve(study_of(body))
    return {"name": protocol.study.name, "arms": list(protocol.arms), "fingerprint": protocol.fingerprint,
            "species": protocol.species, "yaml": protocol.study.to_yaml()}  # fmt: skip


def typical(body: Mapping[str, Any], stop: threading.Event) -> dict[str, Any]:
    """Curves of the typical subject of every arm, by output."""
    study = study_of(body)
    outputs, times = body.get("outputs") or list(study.record) or ["symptom"], body.get("times")
    protocol = resolve(study)
    wrong = (
        [str(name) for name in outputs if not isinstance(name, str) or name not in protocol.symbols]
        if isinstance(outputs, list)
        else ["outputs"]
    )
    if wrong or len(outputs) > MOST_OUTPUTS:
        why = f"The model has no output of this name, or more than {MOST_OUTPUTS} were asked for."
        raise InputError(_problem("outputs", ", ".join(wrong)[:80], why, "Ask for states and rules of the model."))
    if times is not None:
        good = (
            isinstance(times, list)
            and 0 < len(times) <= MOST_TIMES
            and all(
                isinstance(t, int | float) and not isinstance(t, bool) and math.isfinite(t) and abs(t) <= LONGEST_H
                for t in times
            )
        )
        if not good:
            raise InputError(
                _problem(
                    "times",
                    str(times)[:40],
                    f"Times are 1 to {MOST_TIMES} numbers of hours.",
                    "Leave them out, or send [0, 1, 2].",
                )
            )
    _go_on(stop)
    solved = TypicalStudy(protocol, list(dict.fromkeys(outputs)), times)
    values = solved.predict(np.zeros((1, 0)))[0]
    curves = {
        arm: {name: _list(values[a, :, k]) for k, name in enumerate(solved.outputs)}
        for a, arm in enumerate(solved.arms)
    }
    return {"times": solved.times.tolist(), "arms": curves, "failures": solved.failures}


def trial(body: Mapping[str, Any], stop: threading.Event) -> dict[str, Any]:
    """The study simulated: a row an endpoint and arm, with the published result where there is one."""
    from respine.run import execute, plan

    study = study_of(body)
    subjects = body.get("subjects", min(study.subjects, 200))
    if not isinstance(subjects, int) or isinstance(subjects, bool) or not 1 <= subjects <= MOST_SUBJECTS:
        raise InputError(
            _problem(
                "subjects",
                str(subjects)[:40],
                f"Virtual people an arm are a whole number up to {MOST_SUBJECTS}.",
                "Write for example 200.",
            )
        )
    _go_on(stop)
    made = plan(study, subjects=subjects, threads=1)
    if made.seconds > MOST_SECONDS:
        cure = f"Take fewer people, or run it on the command line: `respine run`. The server takes up to {MOST_SECONDS:g} s."
        raise InputError(_problem("study", study.name, f"This takes about {made.seconds:.0f} s.", cure))
    with tempfile.TemporaryDirectory(prefix="respine-web-") as folder:
        results = execute(made, Path(folder) / "run", threads=1, progress=lambda done, of: _go_on(stop))
        columns = (
            "arm",
            "endpoint",
            "time_h",
            "median",
            "p05",
            "p95",
            "published",
            "published_low",
            "published_high",
            "unit",
            "role",
            "note",
        )
        rows = [{name: _plain(row.get(name)) for name in columns} for row in results.endpoints.to_dict("records")]
        return {"endpoints": [row for row in rows if row["median"] is not None], "subjects": subjects,
                "failures": len(results.failures), "notes": list(results.warnings)}  # fmt: skip


def power(body: Mapping[str, Any], stop: threading.Event) -> dict[str, Any]:
    """Power and assurance of the study's first contrast, by people an arm."""
    from respine.trial.power import power as computed

    study, n = study_of(body), body.get("n", "20:200")
    if not isinstance(n, str) or len(n) > 60:
        raise InputError(
            _problem("n", str(n)[:40], "People an arm are written as text.", 'Write "20:200" or "20,40,80".')
        )
    _go_on(stop)
    tables = computed(study, n, replicates=MOST_REPLICATES, budget=MOST_SECONDS / 3, threads=1,
                     progress=lambda *_: _go_on(stop)).plain()  # fmt: skip
    return {key: [{k: _plain(v) for k, v in row.items()} for row in value] if key in ("power", "sizes", "effects") else value
            for key, value in tables.items()}  # fmt: skip


def _go_on(stop: threading.Event) -> None:
    if stop.is_set():
        raise Overtaken


def _no_files(raw: Mapping[str, Any]) -> None:
    """A study that comes over the wire names no file of this machine."""
    problems = []
    who = raw.get("population")
    if isinstance(who, str) and who not in BUILT_IN.names("populations"):
        why = "The server takes populations of the library, or one written out."
        cure = f"Write one of {', '.join(BUILT_IN.names('populations'))}."
        problems.append(_problem("study.population", who[:80], why, cure))
    model = raw.get("model")
    if isinstance(model, str) and "\n" not in model:
        problems.append(
            _problem(
                "study.model", model[:80], "The server reads no file of this machine.", "Send the text of the model."
            )
        )
    if isinstance(raw.get("people"), str):
        problems.append(
            _problem(
                "study.people", str(raw["people"])[:80], "The server reads no file of this machine.", "Send the rows."
            )
        )
    if problems:
        raise InputError(*problems)


def _limits(study: Study) -> None:
    problems = []
    if len(study.arms) > MOST_ARMS:
        problems.append(
            _problem("study.arms", str(len(study.arms)), f"The server takes up to {MOST_ARMS} arms.", "Send fewer.")
        )
    last = max((abs(t) for t in study.visits), default=0.0)
    if last > LONGEST_H:
        problems.append(_problem("study.visits", f"{last:g} h", "The server takes up to ten years.", "End earlier."))
    many = sum(
        _occasions(given) for arm in study.arms.values() for given in (*arm.doses, *arm.co_medication, *arm.exposures)
    )
    if many > MOST_OCCASIONS:
        problems.append(
            _problem(
                "study.arms",
                f"{many} occasions",
                f"The server takes up to {MOST_OCCASIONS} doses and pulses.",
                "Send fewer.",
            )
        )
    if problems:
        raise InputError(*problems)


def _occasions(given: Any) -> float:
    if given.every is None:
        return len(given.at or ())
    if given.times is not None:
        return float(given.times)
    return (given.until - given.at[0]) / given.every if given.until is not None and given.at else 1.0


def _problem(field: str, seen: str, why: str, cure: str) -> Problem:
    return Problem("request", field, seen, why, cure)


def _list(values: np.ndarray) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in values]


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()
    if value is None or value != value:
        return None
    return None if isinstance(value, float) and not math.isfinite(value) else value
