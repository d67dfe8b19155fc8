"""The times at which a run keeps its trajectories: ratings, a fine grid after each dose, and the days between."""

from __future__ import annotations

import numpy as np

from respine.files.constants import SAME_MOMENT_H
from respine.protocol.protocol import Protocol
from respine.protocol.rule_doses import dose_times
from respine.study.schema import Study

# after a dose things move within minutes at first, within hours later; the doses' own grid is denser where they are
# denser
AFTER_DOSE_H = (
    2 / 60,
    5 / 60,
    10 / 60,
    20 / 60,
    30 / 60,
    40 / 60,
    50 / 60,
    1.0,
    4 / 3,
    5 / 3,
    2.0,
    3.0,
    4.0,
    6.0,
    8.0,
    12.0,
    18.0,
    24.0,
)
BRIEFLY_AFTER_H = (20 / 60, 40 / 60, 1.0)  # of doses that a rule may give in between: their peak
MOST_FINE_DOSES = 12  # of a long course the first and the last get the fine grid; what lies between repeats
MOST_STEADY = 200  # points of the even grid


def rating_times(study: Study) -> np.ndarray:
    """Hours at which scores are taken: the baseline, the visits and the times that endpoints name."""
    times = {float(study.start), *map(float, study.visits)}
    times |= {float(t) for endpoint in study.endpoints for t in endpoint.visits}
    return np.array(sorted(t for t in times if t >= study.start))


def output_times(protocol: Protocol) -> np.ndarray:
    """Hours, ascending, the same for every arm so that arms can be laid over each other; the ratings are among them."""
    study = protocol.study
    ratings = rating_times(study)
    decisions = [float(t) for arm in protocol.arms.values() for t in arm.decision_times]
    first, last = study.start, float(ratings[-1])
    ends = [t for endpoint in study.endpoints for t in endpoint.ends]
    last = max([last, *ends])
    written = [
        time
        for arm in protocol.arms.values()
        for times in (
            *(dose.times for dose in arm.planned if dose.why == "scheduled"),
            *(exposure.times for exposure in arm.exposures),
        )
        for time in times
    ]
    by_rule = dose_times(study)
    doses = sorted({*written, *by_rule})
    if len(doses) > MOST_FINE_DOSES:
        half = MOST_FINE_DOSES // 2
        doses = [*doses[:half], *doses[-half:]]
    times = [*ratings.tolist(), *(t + d for t in doses for d in (0.0, *AFTER_DOSE_H))]
    step = study.record_every or _even_step(last - first)
    times += [t + d for t in by_rule for d in (0.0, *BRIEFLY_AFTER_H)]
    times += np.arange(first, last + SAME_MOMENT_H, step).tolist()
    times.append(last)
    inside = np.array([t for t in times if first - SAME_MOMENT_H <= t <= last + SAME_MOMENT_H])
    return _merged(np.unique(np.round(inside, 9)), np.concatenate([ratings, decisions]))


def _even_step(span: float) -> float:
    for step in (0.5, 1.0, 2.0, 4.0, 6.0, 12.0, 24.0, 48.0, 168.0):
        if span / step <= MOST_STEADY:
            return step
    return span / MOST_STEADY


def _merged(times: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Without times that differ by rounding only; a rating time is kept as it is written."""
    keep = np.unique(keep)
    near = np.abs(times[:, None] - keep[None, :]).min(axis=1) < SAME_MOMENT_H
    return np.unique(np.concatenate([times[~near], keep]))
