"""Rows that a simulated study speaks to: clinical and preclinical results beside trials of the published size."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from respine import study as studies
from respine import trial
from respine.errors import InputError
from respine.evidence import direction, store
from respine.evidence.line import NAN, Line, about, has_bar, score, unpredicted, within
from respine.protocol import resolve
from respine.study.schema import Endpoint as StudyEndpoint
from respine.study.schema import Study
from respine.trial.compare import Match, line, matches
from respine.trial.panel import TOLERANCE_H
from respine.trial.published import number, published

SUBJECTS = 400  # virtual people per arm: 20 draws of the uncertain typical values, 20 people each
Progress = Callable[[str, int, int], None]
RULE = "published value within 90 % of simulated trials of that size"


def predict(
    chosen: Iterable[Study], subjects: int = SUBJECTS, *, threads: int | None = None, progress: Progress | None = None
) -> list[Line]:
    """Lines of every row the studies are compared with, in the order of the studies.

    ``progress`` is called with the study's name, people done and people in all. A study that cannot be run gives its
    rows back with the reason. Raises KeyboardInterrupt when stopped: finished parts are kept, the next call goes on.
    """
    work = [completed(study) for study in chosen]
    total = sum(len(study.arms) for study, _ in work) * subjects
    done, found = 0, []
    for study, found_matches in work:
        tell = _offset(progress, study.name, done, total)
        found += _lines(study, found_matches, subjects, threads, tell)
        done += len(study.arms) * subjects
        if progress:
            progress(study.name, done, total)
    return found


def _offset(progress: Progress | None, name: str, done: int, total: int) -> store.Progress | None:
    return None if progress is None else lambda here, _: progress(name, done + here, total)


def completed(study: Study) -> tuple[Study, list[Match]]:
    """The study with the visits, scales and outputs that its published rows need besides its own, and these rows.

    Everything else stays as written. An arm without ``n_published`` takes the number of people from its rows.
    """
    found = matches(study)
    wanted = [match.endpoint for match in found if match.endpoint is not None]
    grid = {round(float(t), 6) for t in trial.rating_times(study)}
    times = {t for e in wanted for t in (e.at, e.by, e.begin) if t is not None and t >= study.start}
    new = sorted(t for t in times if not any(abs(t - old) <= TOLERANCE_H for old in grid))
    protocol = resolve(study)
    own = {*trial.observed_scales(protocol), *trial.observed_outputs(protocol)}
    lacking = dict.fromkeys(e.of for e in wanted if e.of not in own)
    scales = [name for name in lacking if trial.is_scale(name, study.library)]
    outputs = [_output_endpoint(study, name, i) for i, name in enumerate(n for n in lacking if n not in scales)]
    sizes = _sizes(found)
    arms = {
        name: arm if arm.n_published or name not in sizes else arm.model_copy(update={"n_published": sizes[name]})
        for name, arm in study.arms.items()
    }
    if not (new or lacking or arms != study.arms):
        return study, found
    update: dict[str, Any] = {"arms": arms}
    if new:
        update["visits"] = [f"{time!r} h" for time in sorted({*study.visits, *new})]
    if scales:
        update["observe"] = (*study.observe, *scales)
    if outputs:
        update["endpoints"] = (*study.endpoints, *outputs)
    return study.replace(**update), found


def _output_endpoint(study: Study, output: str, index: int) -> StudyEndpoint:
    at = f"{study.visits[-1]!r} h"
    return StudyEndpoint.model_validate({"name": f"needed-{index}", "of": output, "kind": "score", "at": at})


def _sizes(found: Iterable[Match]) -> dict[str, int]:
    """The largest printed number of people of each arm."""
    sizes: dict[str, int] = {}
    for match in found:
        people = number(match.row.get("n") or "")
        if people is not None and people >= 1 and match.endpoint is not None and match.endpoint.arm is None:
            sizes[match.arm] = max(sizes.get(match.arm, 0), int(people))
    return sizes


def _lines(
    study: Study, found: list[Match], subjects: int, threads: int | None, progress: store.Progress | None
) -> list[Line]:
    if not any(match.endpoint is not None for match in found):
        return [_reason(match) for match in found]
    rows = repr([sorted(match.row.items()) for match in found])
    digest = store.key(store.study_text(study), str(subjects), rows)
    kept = store.read(study.name, digest)
    if kept is not None:
        return [Line.of(one) for one in kept]
    try:
        results = store.simulate(study, subjects, threads, progress)
    except InputError as error:
        told = "; ".join(f"{one.why} {one.cure}" for one in error.problems)
        return [_reason(match, f"the study cannot be run: {told}") for match in found]
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped; what was finished is kept. The same command goes on where it was.") from None
    lines = [_line(study, results, match) for match in found]
    store.write(study.name, digest, [one.to_dict() for one in lines])
    store.forget(results)
    return lines


def _line(study: Study, results: Any, match: Match) -> Line:
    """One row beside its prediction."""
    if match.endpoint is None:
        return _reason(match)
    failed, words = _failures(results, match.arm)
    if failed >= results.study.subjects:
        return _reason(match, f"nobody was simulated to the end in arm {match.arm}: {words}")
    told = line(study, results.panel, match)
    if not math.isfinite(_float(told["median"])):
        return _reason(match, str(told["note"]))
    row, table = match.row, table_of(match.row)
    median, low, high = (_float(told[name]) for name in ("median", "p05", "p95"))
    facts = about(row, table) | {
        "kind": "trial", "study": study.name, "arm": match.arm, "time_h": _float(told["time_h"]),
        "unit": str(told["unit"]), "predicted": median, "low": low, "high": high,
        "q25": _float(told.get("p25", NAN)), "q75": _float(told.get("p75", NAN)),
        "n": told["n"], "note": str(told["note"]) + (f"; {failed} people failed: {words}" if failed else ""),
    }  # fmt: skip
    result = published(row)
    word = (row.get("direction") or "").strip()
    if result is not None:
        value = result.value
        if has_bar(result, row):
            facts |= {"published_low": result.low, "published_high": result.high}
        spread = (facts["q25"], facts["q75"])
        inside = told["inside"]
        rule = RULE
        if result.low < result.high and result.how == "range as published":  # a range: overlap is agreement
            inside, rule = bool(low <= result.high and high >= result.low), "published range and 90 % interval overlap"
        return Line(**facts, published=value, inside=_bool(inside), inside_50=within(value, *spread),
                    z=score(value, median, low, high), rule=rule)  # fmt: skip
    reference = direction.reference_of(match.endpoint)
    if word in direction.WORDS and reference is not None:
        agrees = direction.holds(word, median, low, high, reference)
        facts |= {"kind": "direction", "published_text": f"{word} ({row.get('value')})"}
        return Line(**facts, inside=agrees, rule=direction.rule(word, reference))
    return Line(**facts, rule="no number and no direction to judge by: shown only")


def _failures(results: Any, arm: str) -> tuple[int, str]:
    """How many people of an arm were not simulated to the end, and the commonest reason."""
    mine = results.failures[results.failures["arm"] == arm]
    if not len(mine):
        return 0, ""
    state, reason = mine.groupby(["state", "reason"]).size().idxmax()
    return int(mine["subject"].nunique()), f"{reason} ({state})" if state else str(reason)


def _reason(match: Match, reason: str = "") -> Line:
    return unpredicted(match.row, table_of(match.row), reason or match.reason or "no reason given")


def table_of(row: Mapping[str, str]) -> str:
    """Name of the table a row comes from (``_table`` for a user's rows)."""
    return row.get("_table") or row["_file"].rpartition("/")[2].removesuffix(".csv")


def _float(value: Any) -> float:
    return NAN if value is None else float(value)


def _bool(value: Any) -> bool | None:
    return None if value is None else bool(value)


def library_studies() -> list[Study]:
    """All studies of the library that are compared with something."""
    from respine import library

    found = [studies.load(name) for name in library.names("studies")]
    return [study for study in found if study.compare and not study.rules]


def without_duplicates(lines: Iterable[Line]) -> list[Line]:
    """Each row of each study and arm once; a row without prediction only where no study predicts it."""
    kept: dict[tuple[str, str, str], Line] = {}
    for one in lines:
        known = kept.get((one.id, one.study, one.arm))
        if known is None or (known.reason and not one.reason):
            kept[one.id, one.study, one.arm] = one
    predicted = {one.id for one in kept.values() if not one.reason}
    result, told = [], set()
    for one in kept.values():
        if one.reason and (one.id in predicted or one.id in told):
            continue
        told.add(one.id)
        result.append(dataclasses.replace(one))
    return result
