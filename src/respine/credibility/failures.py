"""Where the model is known to be wrong, from the checks themselves: assertions that fail, results far outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from respine.evidence import assertions
from respine.evidence.row import ComparedRow


def checked(threads: int | None = None) -> list[dict[str, Any]]:
    """All assertions as plain values; threads do not matter."""
    return [one.to_dict() for one in assertions.evaluate()]


def failing(found: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows ``label, title, study, what, target, value, unit, evidence``: each check that does not hold."""
    rows = [
        {"label": one["label"], "title": one["title"], "study": one["study"], "what": check["what"],
         "target": check["target"], "value": check["value"], "unit": check["unit"],
         "evidence": ", ".join(f"{row['id']} ({row['role']})" for row in one["evidence"])}
        for one in found for check in one["checks"] if not check["holds"]
    ]  # fmt: skip
    columns = ["label", "title", "study", "what", "target", "value", "unit", "evidence"]
    return pd.DataFrame(rows, columns=columns)


def assertion_table(found: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows ``label, title, what, target, value, unit, holds``: each check of each assertion."""
    rows = [
        {"label": one["label"], "title": one["title"], "what": check["what"], "target": check["target"],
         "value": check["value"], "unit": check["unit"], "holds": check["holds"]}
        for one in found for check in one["checks"]
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["label", "title", "what", "target", "value", "unit", "holds"])


def outside(lines: Sequence[ComparedRow]) -> pd.DataFrame:
    """Judged lines that do not hold, the farthest first, one row a published result."""
    wrong = [one for one in lines if one.inside is False]
    wrong.sort(key=lambda one: -abs(one.z) if np.isfinite(one.z) else 0.0)
    rows = [
        {"id": one.id, "system": one.system, "what": one.what, "study": one.study, "arm": one.arm, "unit": one.unit,
         "predicted": one.predicted, "low": one.low, "high": one.high, "published": one.published,
         "published_text": one.published_text, "z": one.z, "role": one.role, "kind": one.kind}
        for one in wrong
    ]  # fmt: skip
    columns = ["id", "system", "what", "study", "arm", "unit", "predicted", "low", "high", "published",
               "published_text", "z", "role", "kind"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)
