"""Rows that a simulated study speaks to: clinical and preclinical results beside trials of the published size."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from respine import study as studies
from respine import trial
from respine.errors import InputError
from respine.evidence import direction, kinship, store
from respine.evidence.row import ComparedRow, about, score, unpredicted, within
from respine.protocol import resolve
from respine.published import About, BarKind, Match, NotCompared, Reason, Remark, beside, matches
from respine.published.bars import number
from respine.published.reasons import note
from respine.study.endpoints import Contrast, Score
from respine.study.scales import is_scale
from respine.study.schema import Study
from respine.trial.panel import TOLERANCE_H

SUBJECTS = 800  # virtual people per arm: 80 draws of the uncertain typical values, 10 people each
Progress = Callable[[str, int, int], None]
RULE = "published value within 90 % of simulated trials of that size"


def predict(
    chosen: Iterable[Study], subjects: int = SUBJECTS, *, threads: int | None = None, progress: Progress | None = None
) -> list[ComparedRow]:
    """Lines of every row the studies are compared with, in the order of the studies.

    ``progress`` is called with the study's name, people done and people in all. A study that cannot be run gives its
    rows back with the reason. Raises KeyboardInterrupt when stopped: finished parts are kept, the next call goes on.
    """
    work = [part for study in chosen for part in by_trials(*completed(study))]
    total = sum(len(study.arms) for study, _ in work) * subjects
    done, rows = 0, []
    for study, found_matches in work:
        report = _offset(progress, study.name, done, total)
        rows += _lines(study, found_matches, subjects, threads, report)
        done += len(study.arms) * subjects
        if progress:
            progress(study.name, done, total)
    return rows


def by_trials(study: Study, matched: list[Match]) -> list[tuple[Study, list[Match]]]:
    """The rows by the number of trials behind them, each with the study as a pool of so many and of the people of its rows."""
    groups: dict[int, list[Match]] = {}
    for match in matched:
        groups.setdefault(match.trials or study.pooled_trials, []).append(match)
    return [(_pool_of(study, trials, rows), rows) for trials, rows in groups.items()] or [(study, matched)]


def _pool_of(study: Study, trials: int, rows: list[Match]) -> Study:
    if trials == study.pooled_trials:
        return study
    sizes = _sizes(rows)
    arms = {}
    for name, arm in study.arms.items():
        people = sizes.get(name) or round((arm.n_published or 0) * trials / study.pooled_trials)
        arms[name] = arm.model_copy(update={"n_published": people or None})
    return study.replace(pooled_trials=trials, arms=arms)


def _offset(progress: Progress | None, name: str, done: int, total: int) -> store.Progress | None:
    return None if progress is None else lambda here, _: progress(name, done + here, total)


def completed(study: Study) -> tuple[Study, list[Match]]:
    """The study with the visits, scales and outputs that its published rows need besides its own, and these rows.

    Everything else stays as written. An arm without ``n_published`` takes the number of people from its rows.
    """
    matched = matches(study)
    wanted = [match.endpoint for match in matched if match.endpoint is not None]
    grid = {round(float(t), 6) for t in trial.rating_times(study)}
    times = {t for e in wanted for t in (*e.ratings, *e.visits, *e.ends) if t >= study.start}
    new = sorted(t for t in times if not any(abs(t - old) <= TOLERANCE_H for old in grid))
    protocol = resolve(study)
    own = {*trial.observed_scales(protocol), *trial.observed_outputs(protocol)}
    lacking = dict.fromkeys(e.of for e in wanted if e.of not in own)
    scales = [name for name in lacking if is_scale(study.library, name)]
    outputs = [_output_endpoint(study, name, i) for i, name in enumerate(n for n in lacking if n not in scales)]
    sizes = _sizes(matched)
    arms = {
        name: arm if arm.n_published or name not in sizes else arm.model_copy(update={"n_published": sizes[name]})
        for name, arm in study.arms.items()
    }
    if not (new or lacking or arms != study.arms):
        return study, matched
    update: dict[str, Any] = {"arms": arms}
    if new:
        update["visits"] = [f"{time!r} h" for time in sorted({*study.visits, *new})]
    if scales:
        update["observe"] = (*study.observe, *scales)
    if outputs:
        update["endpoints"] = (*study.endpoints, *outputs)
    return study.replace(**update), matched


def _output_endpoint(study: Study, output: str, index: int) -> Score:
    at = f"{study.visits[-1]!r} h"
    return Score.model_validate({"name": f"needed-{index}", "of": output, "kind": "score", "at": at})


def _sizes(matched: Iterable[Match]) -> dict[str, int]:
    """The largest number of people of each arm that rows tell."""
    sizes: dict[str, int] = {}
    for match in matched:
        people = match.people or number(match.row.get("n") or "")
        if people is None or people < 1 or match.endpoint is None or isinstance(match.endpoint, Contrast):
            continue
        sizes[match.arm] = max(sizes.get(match.arm, 0), int(people))
    return sizes


def _lines(
    study: Study, matched: list[Match], subjects: int, threads: int | None, progress: store.Progress | None
) -> list[ComparedRow]:
    if not any(match.endpoint is not None for match in matched):
        return [_without(match) for match in matched]
    rows = repr([sorted(match.row.items()) for match in matched])
    digest = store.key(store.study_text(study), str(subjects), rows)
    stored = store.read(study.name, digest)
    if stored is not None:
        return [ComparedRow.of(item) for item in stored]
    try:
        results = store.simulate(study, subjects, threads, progress)
    except InputError as error:
        problems = "; ".join(f"{problem.why} {problem.cure}" for problem in error.problems)
        reason = NotCompared.STUDY_FAILS.because(f"the study cannot be run: {problems}")
        return [_without(match, reason) for match in matched]
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped; what was finished is kept. The same command goes on where it was.") from None
    units = trial.Units(study)
    compared = [_line(study, results, match, units) for match in matched]
    store.write(study.name, digest, [item.to_dict() for item in compared])
    store.forget(results)
    return compared


def _line(study: Study, results: Any, match: Match, units: trial.Units) -> ComparedRow:
    """One row beside its prediction."""
    if match.endpoint is None:
        return _without(match)
    failed, why = _failures(results, match.arm)
    if failed >= results.study.subjects:
        text = f"nobody was simulated to the end in arm {match.arm}: {why}"
        return _without(match, NotCompared.NOTHING_COMPUTED.because(text))
    comparison = beside(study, results.panel, match, units=units)
    if comparison.interval is None:
        return _without(match, comparison.reason)
    row, result, interval = match.row, comparison.result, comparison.interval
    remarks = list(comparison.remarks)
    if failed:
        remarks.append(Remark(About.FAILURES, f"{failed} people failed: {why}"))
    facts = about(row, table_of(row)) | {
        "kind": "trial", "study": study.name, "arm": match.arm, "time_h": comparison.time_h, "unit": comparison.unit,
        "predicted": interval.median, "low": interval.p05, "high": interval.p95, "q25": interval.p25,
        "q75": interval.p75, "quantiles": interval.quantiles, "arm_type": kinship.arm_type(study, match.arm, match.endpoint),
        "kin": kinship.kin(study, match.arm, match.endpoint), "n": result.n if result else None, "note": note(remarks),
        "remarks": tuple(remark.text for remark in remarks if remark.is_warning),
    }  # fmt: skip
    if result is not None:
        facts |= {"published_low": result.low, "published_high": result.high}
        inside, rule = comparison.inside, RULE
        if result.bar.kind is BarKind.RANGE:  # wide ranges overlap with anything: their centre must lie inside
            rule = "centre of the published range within 90 % of simulated trials of that size"
        z = score(result.value, interval.median, interval.p05, interval.p95)
        half = within(result.value, interval.p25, interval.p75)
        return ComparedRow(**facts, published=result.value, inside=inside, inside_50=half, z=z, rule=rule)
    word, reference = (row.get("direction") or "").strip(), match.endpoint.no_change
    if word in direction.WORDS and reference is not None:
        agrees = direction.holds(word, interval.median, interval.p05, interval.p95, reference)
        facts |= {"kind": "direction", "published_text": f"{word} ({row.get('value')})"}
        return ComparedRow(**facts, inside=agrees, rule=direction.rule(word, reference))
    return ComparedRow(**facts, rule="no number and no direction to judge by: shown only")


def _failures(results: Any, arm: str) -> tuple[int, str]:
    """How many people of an arm were not simulated to the end, and the commonest reason."""
    of_arm = results.failures[results.failures["arm"] == arm]
    if not len(of_arm):
        return 0, ""
    state, reason = of_arm.groupby(["state", "reason"]).size().idxmax()
    return int(of_arm["subject"].nunique()), f"{reason} ({state})" if state else str(reason)


def _without(match: Match, reason: Reason | None = None) -> ComparedRow:
    """A row without prediction, for this reason or that of the match."""
    reason = reason or match.reason
    assert reason is not None
    return unpredicted(match.row, table_of(match.row), reason)


def table_of(row: Mapping[str, str]) -> str:
    """Name of the table a row comes from (``_table`` for a user's rows)."""
    return row.get("_table") or row["_file"].rpartition("/")[2].removesuffix(".csv")


def library_studies() -> list[Study]:
    """All studies of the library that are compared with something."""
    from respine import library

    loaded = [studies.load(name) for name in library.names("studies")]
    return [study for study in loaded if study.compare and not study.rules]


def without_duplicates(rows: Iterable[ComparedRow]) -> list[ComparedRow]:
    """Each row of each study and arm once; a row without prediction only where no study predicts it."""
    kept: dict[tuple[str, str, str], ComparedRow] = {}
    for row in rows:
        known = kept.get((row.id, row.study, row.arm))
        if known is None or (known.reason and not row.reason):
            kept[row.id, row.study, row.arm] = row
    predicted = {row.id for row in kept.values() if not row.reason}
    result, listed = [], set()
    for row in kept.values():
        if row.reason and (row.id in predicted or row.id in listed):
            continue
        listed.add(row.id)
        result.append(dataclasses.replace(row))
    return result
