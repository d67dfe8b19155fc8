"""What each kind of control does to a score, in points, with the belief it rests on and where that number comes from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from respine.files.yaml_file import read
from respine.protocol import Protocol
from respine.study.schema import Control
from respine.trial import expectancy

if TYPE_CHECKING:
    import pandas as pd


def control_points(
    protocol: Protocol, arm: str, scale: str, baseline: float, times: np.ndarray | list[float]
) -> pd.DataFrame:
    """The change in points that belief alone brings to an average person of ``arm`` at ``times`` (hours), for every control.

    Rows by ``kind, unblinding, time_h`` with ``belief, points, status, source, note``; ``baseline`` is the score at entry.
    Biology is left out: expectancy acts on what it leaves. Raises KeyError for no such arm or scale.
    """
    import pandas as pd

    of, asked = protocol.scale(scale), protocol.arm(arm)
    model, hours = protocol.expectancy, np.asarray(times, float)
    average = replace(model, numbers={**model.numbers, "person_cv": 0.0})
    rows, written = [], _sources(protocol)
    for kind, block in model.belief.items():
        for unblinding, belief in block.items():
            control = Control.model_validate({"kind": kind, "unblinding": unblinding})
            study = protocol.study.model_copy(
                update={
                    "expectancy": "full",
                    "arms": {**protocol.study.arms, arm: asked.asked.model_copy(update={"control": control})},
                }
            )
            changed = Protocol(study, protocol.population, protocol.system, protocol.drugs, protocol.exposures,
                               protocol.scale_files, model, protocol.people)  # fmt: skip
            gain = expectancy.strength(changed.arm(arm), np.array([0]), hours, None, model=average)[0]
            left = np.exp(-gain) ** of.number("power")
            floor = min(of.number("healthy"), baseline)
            note = written.get(kind, {}).get(unblinding, {})
            rows += [
                {"kind": kind, "unblinding": unblinding, "time_h": float(t), "belief": float(belief),
                 "points": float((baseline - floor) * (x - 1.0)), "status": note.get("status", ""),
                 "source": note.get("source", ""), "note": note.get("note", "")}
                for t, x in zip(hours, left, strict=True)
            ]  # fmt: skip
    return pd.DataFrame(rows)


def _sources(protocol: Protocol) -> dict[str, dict[str, dict[str, str]]]:
    data = read(protocol.study.library.top("scales/_expectancy.yaml"), "expectancy").data
    return dict(data.get("belief") or {})
