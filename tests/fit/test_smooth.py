"""Smooth shares stand close to the counted ones, and move where counts stand still."""

from __future__ import annotations

import numpy as np
import pytest

from respine.fit import smooth
from respine.study.endpoints import Endpoint, endpoint
from respine.trial import scales
from respine.trial.endpoints import estimate, sample_of
from respine.trial.panel import Panel

TIMES = np.array([0.0, 24.0, 168.0, 336.0, 672.0])


def panel(rounded: bool) -> Panel:
    rng = np.random.default_rng(5)
    base = rng.normal(33, 5, 4000)
    scores = base[:, None] * np.column_stack(
        [np.ones(4000), *(np.clip(rng.normal(m, 0.25, 4000), 0, 1.3) for m in (0.5, 0.6, 0.7, 0.8))]
    )
    scale = scales.load("MADRS")
    scores = scale.printed(scores) if rounded else np.clip(scores, scale.low, scale.high)
    return Panel(np.arange(4000), np.zeros(4000, np.int64), {"MADRS": TIMES}, {("a", "MADRS"): scores})


@pytest.mark.parametrize(
    ("of", "within"),
    [
        (endpoint("response", name="r", of="MADRS", at=24.0, drop=0.5), 1.0),
        (endpoint("response", name="r", of="MADRS", by=168.0, drop=0.5), 1.0),
        (endpoint("remission", name="r", of="MADRS", at=24.0, below=10.0), 1.0),
        (endpoint("relapse-free", name="r", of="MADRS", at=24.0, above=20.0, until=672.0), 1.0),
        (endpoint("time-to-relapse", name="r", of="MADRS", at=24.0, above=20.0, until=672.0), 10.0),
    ],
)
def test_smooth_shares_are_close_to_counts(of: Endpoint, within: float) -> None:
    counted = float(estimate(of, "a", sample_of(of, panel(True), ["a"])))
    assert smooth.share(of, panel(False), "a") == pytest.approx(counted, abs=within)
