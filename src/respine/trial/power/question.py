"""What a power calculation asks: which arms are compared, on which outcome, at which visits, by which analysis, with how many."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from respine.errors import InputError, Problem, argument
from respine.files.suggest import nearest
from respine.protocol import Protocol
from respine.protocol.output_times import rating_times
from respine.study.endpoints import Contrast, Endpoint
from respine.trial.endpoints import of_study
from respine.trial.replicates.analyses import CONTINUOUS

MOST_SIZES = 20
LEAST, MOST = 4, 20_000
CHANGES = ("change", "difference-in-change", "effect-size", "score", "difference", "percent-change")


@dataclass(frozen=True)
class Outcome:
    """What is compared: ``kind`` change, response or remission of a ``scale`` at rating ``column`` (``time`` hours)."""

    name: str
    kind: str
    scale: str
    time: float
    column: int
    method: str
    threshold: float = 0.0
    lower_is_better: bool = True


@dataclass(frozen=True)
class Comparison:
    """An arm against another on an outcome."""

    arm: str
    against: str
    outcome: Outcome

    @property
    def label(self) -> str:
        """The arms in words."""
        return f"{self.arm} against {self.against}"


def sizes(asked: str | int | Iterable[int]) -> tuple[int, ...]:
    """People an arm: a number, a list (``20,40,80``) or a range (``20:200``, ``20:200:30``). Raises InputError."""
    cure = 'Write "20:200", "20:200:30" or "20,40,80".'
    if isinstance(asked, str):
        parts = re.fullmatch(r"\s*(\d+)\s*:\s*(\d+)\s*(?::\s*(\d+)\s*)?", asked)
        if parts:
            low, high = int(parts[1]), int(parts[2])
            if high < low:
                raise InputError(argument("n", asked, "The range ends before it begins.", cure))
            step = int(parts[3]) if parts[3] else max(1, round((high - low) / 6))
            sizes = [*range(low, high + 1, step)] if step else []
            sizes = sizes if sizes and sizes[-1] == high else [*sizes, high]
        elif re.fullmatch(r"[\s\d,]+", asked):
            sizes = [int(word) for word in asked.replace(",", " ").split()]
        else:
            raise InputError(argument("n", asked, "These are no numbers of people.", cure))
    else:
        sizes = [asked] if isinstance(asked, int) else [int(size) for size in asked]
    sizes = sorted(set(sizes))
    if not sizes or sizes[0] < LEAST or sizes[-1] > MOST:
        raise InputError(argument("n", asked, f"A trial has {LEAST} to {MOST} people an arm here.", cure))
    if len(sizes) > MOST_SIZES:
        raise InputError(argument("n", asked, f"These are {len(sizes)} sizes; {MOST_SIZES} are the most.", cure))
    return tuple(sizes)


def comparisons(
    protocol: Protocol, *, endpoint: str | None = None, against: str | None = None, visits: Sequence[float] | None = None,
    method: str | None = None,
) -> tuple[Comparison, ...]:  # fmt: skip
    """Every comparison asked for, arm by arm and visit by visit. Raises InputError with all mistakes.

    Without ``against`` an arm is compared with the arm its endpoint names, else with every control arm, else with the first arm;
    without ``visits`` at the endpoint's own visit.
    """
    study = protocol.study
    if len(study.arms) < 2:
        where = str(study.file or study.origin.where)
        raise InputError(Problem(where, "arms", "", "One arm cannot be compared.", "Add an arm to compare with."))
    chosen = _endpoint(protocol, endpoint)
    if against is not None and against not in study.arms:
        raise InputError(
            argument("against", against, "The study has no arm of this name.", nearest(against, study.arms))
        )
    ratings = rating_times(study)
    times = [chosen.time] if visits is None else list(visits)
    comparisons = []
    for time in times:
        column = int(np.argmin(np.abs(ratings - time)))
        if abs(ratings[column] - time) > 0.02 or column == 0:
            shown = ", ".join(f"{t / 24:g} d" for t in ratings[1:])
            raise InputError(argument("visits", f"{time:g} h", "Nobody is rated then.", f"Write some of: {shown}."))
        outcome = _outcome(protocol, chosen, column, float(ratings[column]), method)
        comparisons += [Comparison(arm, other, outcome) for arm, other in _pairs(protocol, chosen, against)]
    return tuple(comparisons)


def _endpoint(protocol: Protocol, name: str | None) -> Endpoint:
    own = [e for e in of_study(protocol.study) if protocol.is_scale(e.of) and e.time == e.time
           and (e.kind in CHANGES or e.kind.startswith(("response", "remission")))]  # fmt: skip
    where = str(protocol.study.file or protocol.study.origin.where)
    if name is None:
        best = [e for e in own if isinstance(e, Contrast)] or own
        if not best:
            why = "The study has no endpoint on a scale that a trial could be powered for."
            cure = "Add for example {name: primary, of: MADRS, kind: difference-in-change, at: 28 d, arm: placebo}."
            raise InputError(Problem(where, "endpoints", "", why, cure))
        return best[0]
    endpoint = next((e for e in own if e.name == name), None)
    if endpoint is None:
        why = "The study has no endpoint of this name that a trial could be powered for (a change, response or remission)."
        raise InputError(argument("endpoint", name, why, nearest(name, [e.name for e in own])))
    return endpoint


def _pairs(protocol: Protocol, endpoint: Endpoint, against: str | None) -> list[tuple[str, str]]:
    arms = protocol.study.arms
    named = against or next(iter(endpoint.reference_arms), None)
    if named is not None:
        return [(arm, named) for arm in arms if arm != named]
    controls = [name for name, arm in arms.items() if arm.control is not None and arm.control.kind != "open-label"]
    controls = controls if 0 < len(controls) < len(arms) else [next(iter(arms))]
    return [(arm, control) for control in controls for arm in arms if arm not in controls]


def _outcome(protocol: Protocol, endpoint: Endpoint, column: int, time: float, method: str | None) -> Outcome:
    scale = protocol.scale(endpoint.of)
    better = scale.rule in ("severity", "relative")
    if endpoint.kind.startswith(("response", "remission")):
        kind = endpoint.kind.partition("-")[0]
        if method not in (None, "score-test"):
            why = f"A {kind} is yes or no; it is tested by the score test of two shares."
            raise InputError(argument("analysis", method, why, "Leave it out, or take an endpoint of change."))
        threshold = float(endpoint.drop if kind == "response" else endpoint.below)  # type: ignore[attr-defined]
        return Outcome(endpoint.name, kind, scale.name, time, column, "score-test", threshold, False)
    if method is not None and method not in CONTINUOUS:
        raise InputError(
            argument("analysis", method, "There is no analysis of this name here.", nearest(method, CONTINUOUS))
        )
    return Outcome(endpoint.name, "change", scale.name, time, column, method or "mmrm", 0.0, better)
