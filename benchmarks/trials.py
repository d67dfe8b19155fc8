"""Trials by simulation: how long many replicates of a study take with a mixed model each, and the mixed model alone.

    python benchmarks/trials.py                       # 1,000 trials of 2 x 100 people, 4 weeks, 15 % dropout, MMRM each
    python benchmarks/trials.py --replicates 100

On a machine that others use, seconds of processor are the steadier figures; they count all threads and processes.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

import numpy as np

TEXT = """
schema: respine/study/1
name: four-weeks
title: Ketamine twice a week for four weeks against midazolam
population: mdd-treatment-resistant
subjects: 100
seed: 1
arms:
  ketamine:
    n_published: 100
    doses: [{drug: ketamine, route: iv, amount: 0.5 mg/kg, over: 40 min, at: 0 h, every: 84 h, times: 8}]
  midazolam:
    n_published: 100
    control: {kind: active-placebo, unblinding: low}
    doses: [{drug: midazolam, route: iv, amount: 0.045 mg/kg, over: 40 min, at: 0 h, every: 84 h, times: 8}]
visits: [0 h, 24 h, 7 d, 14 d, 21 d, 28 d]
observe: [MADRS]
endpoints: [{name: primary, of: MADRS, kind: difference-in-change, arm: midazolam, at: 28 d}]
behaviour: {dropout: {by: score, scale: MADRS, share: 15 %, until: 28 d, at: 25, ratio: 1.06}}
"""


class Clock:
    """Seconds on the clock and of the processor, its children's included."""

    def __init__(self) -> None:
        self.began, self.cpu = time.perf_counter(), self._cpu()

    @staticmethod
    def _cpu() -> float:
        t = os.times()
        return t.user + t.system + t.children_user + t.children_system

    def __str__(self) -> str:
        return f"{time.perf_counter() - self.began:.1f} s ({self._cpu() - self.cpu:.1f} s of the processor)"


def mixed_models(count: int) -> None:
    """MMRM of 2 x 100 people, 5 visits, unstructured, Kenward-Roger, a fifth of the scores missing at the end."""
    from respine.trial.replicates.analyses import mmrm

    rng = np.random.default_rng(1)
    y = rng.normal(30, 5, (count, 200, 1)) + 3 * rng.standard_normal((count, 200, 6)).cumsum(axis=2)
    gone = rng.random(y.shape) < 0.05
    gone[..., :2] = False
    y[np.maximum.accumulate(gone, axis=2)] = np.nan
    mmrm(y[:2, :100], y[:2, 100:], [5])
    clock = Clock()
    answers = mmrm(y[:, :100], y[:, 100:], [5])[0]
    print(f"{count} mixed models of 2 x 100 people, 5 visits: {clock}; {answers.known.sum()} answered")


def trials(replicates: int) -> Any:
    """Simulated trials with their analysis."""
    import respine as rs
    from respine import study as studies
    from respine.trial.power.question import comparisons
    from respine.trial.replicates import simulate_trials
    from respine.trial.replicates.analyses import mmrm
    from respine.trial.replicates.trials import chosen

    protocol = rs.resolve(studies.Study.from_yaml(TEXT))
    simulate_trials(protocol, 1)  # machine code is made beforehand
    column = comparisons(protocol)[0].outcome.column
    clock = Clock()
    made = simulate_trials(protocol, replicates)
    print(f"{replicates} trials of 2 x 100 people, 4 weeks: {clock}")
    rows = np.arange(replicates)[:, None]
    a, b = (made.observed("MADRS")[rows, who] for who in chosen(made, ("ketamine", "midazolam")))
    analysed = Clock()
    answers = mmrm(a, b, [column])[0]
    print(
        f"their mixed models: {analysed}; {np.isnan(a[..., -1]).mean():.0%} and {np.isnan(b[..., -1]).mean():.0%} missing"
    )
    print(f"both: {clock}; mean difference {np.nanmean(answers.estimate):.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--replicates", type=int, default=1000)
    asked = parser.parse_args()
    mixed_models(asked.replicates)
    trials(asked.replicates)
