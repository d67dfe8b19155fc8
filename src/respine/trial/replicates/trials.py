"""Many trials of a study at once, each with people and a parameter draw of its own; as arrays of trials by people by visits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from respine.errors import InputError, Problem, argument
from respine.protocol import Protocol
from respine.study.read import document
from respine.study.scales import load
from respine.study.schema import Study
from respine.study.trial_form import MOST_PEOPLE, TrialForm
from respine.trial.items import item_scores, rated_by_itself
from respine.trial.replicates.behave import KINDS
from respine.trial.replicates.cohort import Cohort, Course
from respine.trial.replicates.randomise import allot, subjects

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[int, int], None]
AT_ONCE = 4000  # people of one arm solved together: bounds the memory


@dataclass(frozen=True)
class Trials:
    """``R`` trials of ``n`` people each, seen at ``V`` ratings (``times``, hours; the baseline first).

    ``subject`` and ``arm`` (codes of ``arms``) are ``(R, n)`` in the order of enrolment; ``scores`` (as written down) and
    ``true`` by scale, ``belief`` and ``felt`` are ``(R, n, V)``; ``events`` hours by kind ``(R, n)``, infinite where nothing
    happened; ``seen`` ``(R, n, V)`` whether a rating took place. Scores that were not seen are there all the same: they are
    what the estimand of everybody would have needed.
    """

    protocol: Protocol
    arms: tuple[str, ...]
    typical: bool
    first: int
    subject: np.ndarray
    arm: np.ndarray
    times: np.ndarray
    scores: Mapping[str, np.ndarray]
    true: Mapping[str, np.ndarray]
    belief: np.ndarray
    felt: np.ndarray
    events: Mapping[str, np.ndarray]
    seen: np.ndarray
    strata: np.ndarray | None = None
    failed: int = 0
    _held: dict[str, object] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.subject)

    def column(self, time: float) -> int:
        """Which of the ratings lies at a time (hours). Raises KeyError where none does."""
        k = int(np.argmin(np.abs(self.times - time)))
        if abs(self.times[k] - time) > 0.02:
            raise KeyError(f"there is no rating at {time:g} h")
        return k

    def head(self, count: int) -> Trials:
        """The first ``count`` of the trials."""
        groups: dict[str, Any] = {name: {key: values[:count] for key, values in getattr(self, name).items()}
                                  for name in ("scores", "true", "events")}  # fmt: skip
        plain: dict[str, Any] = {
            name: getattr(self, name)[:count] for name in ("subject", "arm", "belief", "felt", "seen")
        }
        return replace(self, **groups, **plain, strata=None if self.strata is None else self.strata[:count])

    def observed(self, scale: str) -> np.ndarray:
        """Scores as a trial has them, ``(R, n, V)``, NaN where no rating took place."""
        return np.where(self.seen, self.scores[scale], np.nan)

    def plot(self, name: str = "responses", scale: str | None = None, time: float | None = None) -> Any:
        """A figure that hands back its table as ``.table``: ``"responses"`` (mean changes with the range of the trials),
        ``"belief"`` against effect at ``time`` hours, or people without ``"dropout"``, ``"discontinuation"``, ``"rescue"`` or
        ``"relapse"`` over time."""
        from importlib import import_module

        return import_module("respine.report").plot_trials(self, name, scale, time)  # a later room: drawn there

    def __repr__(self) -> str:
        people = ", ".join(f"{name} {(self.arm == k).sum(axis=1).mean():.0f}" for k, name in enumerate(self.arms))
        return (
            f"{len(self)} simulated trials of {self.protocol.study.name} ({people} people), {len(self.times)} ratings of "
            f"{', '.join(self.scores)}; .observed, .true, .events, .table, .items, .plot()"
        )

    def items(self, scale: str) -> dict[str, np.ndarray]:
        """A scale item by item, each ``(R, n, V)`` whole numbers that add up to the score, NaN where no rating took place.

        Raises InputError for a scale that the study does not observe or whose file has no items.
        """
        known = load(self.protocol.study.library, scale)
        if known.name not in self.scores:
            raise InputError(argument("scale", scale, "The study does not observe it.",
                                      f"Write one of: {', '.join(self.scores)}."))  # fmt: skip
        seen = self.observed(known.name)
        made = np.full((*seen.shape, max(len(known.items), 1)), np.nan)
        alone = rated_by_itself(known, list(self.scores))
        for code, arm in enumerate(self.arms):
            of = self.arm == code
            own = {item: self.observed(other)[of] for item, other in alone.items()}
            made[of] = item_scores(self.protocol.study.seed, known, arm, self.subject[of], seen[of], own)
        return {name: made[..., k] for k, name in enumerate(known.items)}

    def table(self, trial: int, scale: str) -> pd.DataFrame:
        """One trial as a table for ``respine analyze``: a row a patient and visit, missing scores as NaN.

        Columns ``subject, arm, visit_d`` (days), ``baseline, score, change`` and, for each kind of event that happened, 1 from
        the event on (``discontinuation`` ...).
        """
        import pandas as pd

        seen, rows = self.observed(scale)[trial], []
        names = [k for k in KINDS if np.isfinite(self.events[k][trial]).any()]
        for i in range(self.subject.shape[1]):
            for v, time in enumerate(self.times[1:], 1):
                row = {"subject": int(self.subject[trial, i]), "arm": self.arms[self.arm[trial, i]], "visit_d": time / 24,
                       "baseline": seen[i, 0], "score": seen[i, v], "change": seen[i, v] - seen[i, 0]}  # fmt: skip
                rows.append(row | {k: int(self.events[k][trial, i] <= time) for k in names})
        return pd.DataFrame(rows)


def form_of(study: Study) -> TrialForm:
    """How the trial is carried out, as the study says or by default."""
    return study.trial or TrialForm.model_validate({})


def sizes_of(study: Study, n: int | Mapping[str, int] | None = None) -> dict[str, int]:
    """People of each arm: as asked, as the study's trial says, or as published. Raises InputError."""
    asked = n if n is not None else form_of(study).n
    sizes = {}
    for name, arm in study.arms.items():
        size = asked.get(name) if isinstance(asked, Mapping) else asked
        sizes[name] = size if size is not None else arm.n_published
    missing = [name for name, size in sizes.items() if size is None]
    if missing:
        where = document(study).where(("arms", missing[0]))
        raise InputError(Problem(where, f"arms.{missing[0]}", "", "Nothing says how many people this arm has in a trial.",
                                 'Add "trial: {n: 100}" to the study, or "n_published" to the arm.'))  # fmt: skip
    return {name: int(size) for name, size in sizes.items() if size is not None}


def simulate_trials(
    protocol: Protocol, replicates: int, n: int | Mapping[str, int] | None = None, *, first: int = 0,
    typical: bool = False, threads: int | None = None, progress: Progress | None = None,
) -> Trials:  # fmt: skip
    """Simulate ``replicates`` trials, from number ``first`` on; ``n`` people an arm in place of the study's.

    Every trial has people of its own and one draw of the uncertain parameters, the same for its arms; with ``typical`` all have
    the typical values. A person keeps every random number whatever the arms, sizes, trials or cores. Raises InputError for a
    study that says nothing of its size.
    """
    study, form = protocol.study, form_of(protocol.study)
    sizes = sizes_of(study, n)
    total = sum(sizes.values())
    if total > MOST_PEOPLE:
        raise ValueError(f"{total} people in one trial; {MOST_PEOPLE} are the most")
    trials = np.arange(first, first + replicates)
    who = subjects(trials, total)
    arms = tuple(sizes)
    cohorts = [Cohort(protocol.arm(name), typical=typical, threads=threads) for name in arms]
    strata = _strata(form, cohorts[0], who, trials)
    by_name = sorted(arms)  # so that the order in which a file lists its arms moves nobody to another one
    allotted = allot(
        study.seed, who, [sizes[name] for name in by_name], method=form.randomisation.method,
        block=form.randomisation.block, strata=strata,
    )  # fmt: skip
    allotted = np.array([arms.index(name) for name in by_name])[allotted]
    made = _Arrays(who, cohorts[0])
    done = 0
    for code, cohort in enumerate(cohorts):
        for rows in _batches(trials, sizes[arms[code]]):
            at = np.nonzero(allotted[rows] == code)
            row = at[0] + rows.start
            if not len(row):
                continue
            people = cohort.people(who[row, at[1]], trials[row])
            made.put(row, at[1], cohort.follow(people))
            done += len(row)
            if progress is not None:
                progress(done, who.size)
    return Trials(
        protocol, arms, typical, first, who, allotted, cohorts[0].times, made.scores, made.true, made.belief, made.felt,
        made.events, made.seen, strata, int((~made.ok).sum()),
    )  # fmt: skip


def _batches(trials: np.ndarray, size: int) -> Iterator[slice]:
    step = max(1, AT_ONCE // max(1, size))
    for k in range(0, len(trials), step):
        yield slice(k, min(k + step, len(trials)))


def _strata(form: TrialForm, cohort: Cohort, who: np.ndarray, trials: np.ndarray) -> np.ndarray | None:
    """Code of each person's stratum, ``(R, n)``. Raises InputError for a covariate that the people do not have."""
    if not form.randomisation.strata:
        return None
    rows, n = who.shape
    people = cohort.people(who.ravel(), np.repeat(trials, n))
    codes = np.zeros(rows * n, np.int64)
    study = cohort.study
    for i, stratum in enumerate(form.randomisation.strata):
        if stratum.covariate not in people.covariates:
            where = document(study).where(("trial", "randomisation", "strata", i))
            known = ", ".join(c for c in people.covariates.columns if c != "subject")
            raise InputError(Problem(where, f"trial.randomisation.strata[{i}]", stratum.covariate,
                                     "The people have no covariate of this name.", f"Write one of: {known}."))  # fmt: skip
        values = people.covariates[stratum.covariate].to_numpy()
        if stratum.cut is not None:
            own = (values.astype(float) >= stratum.cut).astype(np.int64)
        else:
            own = np.unique(values.astype(str), return_inverse=True)[1].ravel()
        codes = codes * (int(own.max()) + 1) + own
    return codes.reshape(rows, n)


class _Arrays:
    """What all trials hold, filled course by course."""

    def __init__(self, who: np.ndarray, cohort: Cohort) -> None:
        shape = (*who.shape, len(cohort.times))
        names = [scale.name for scale in cohort.scales]
        self.scores = {name: np.full(shape, np.nan) for name in names}
        self.true = {name: np.full(shape, np.nan) for name in names}
        self.belief, self.felt = np.full(shape, np.nan), np.full(shape, np.nan)
        self.events = {kind: np.full(who.shape, np.inf) for kind in KINDS}
        self.seen, self.ok = np.zeros(shape, bool), np.zeros(who.shape, bool)

    def put(self, row: np.ndarray, column: np.ndarray, course: Course) -> None:
        for name, scores in course.scores.items():
            self.scores[name][row, column] = np.where(course.ok[:, None], scores, np.nan)
            self.true[name][row, column] = np.where(course.ok[:, None], course.true[name], np.nan)
        self.belief[row, column], self.felt[row, column] = course.belief, course.felt
        for kind, times in course.events.items():
            self.events[kind][row, column] = times
        self.seen[row, column], self.ok[row, column] = course.seen, course.ok


def chosen(trials: Trials, arms: Sequence[str]) -> list[np.ndarray]:
    """Positions of the people of each of these arms in every trial, ``(R, n_arm)``; equal sizes in every trial are needed."""
    places = []
    for name in arms:
        mask = trials.arm == trials.arms.index(name)
        counts = mask.sum(axis=1)
        if len(set(counts.tolist())) != 1:
            raise ValueError(f"arm {name} has different numbers of people in different trials")
        places.append(np.nonzero(mask)[1].reshape(len(mask), int(counts[0])))
    return places
