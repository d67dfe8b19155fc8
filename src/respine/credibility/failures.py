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
    return [assertion.to_dict() for assertion in assertions.evaluate()]


def failing(checked_assertions: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows ``label, title, study, what, target, value, unit, evidence``: each check that does not hold."""
    rows = [
        {"label": assertion["label"], "title": assertion["title"], "study": assertion["study"], "what": check["what"],
         "target": check["target"], "value": check["value"], "unit": check["unit"],
         "evidence": ", ".join(f"{row['id']} ({row['role']})" for row in assertion["evidence"])}
        for assertion in checked_assertions for check in assertion["checks"] if not check["holds"]
    ]  # fmt: skip
    columns = ["label", "title", "study", "what", "target", "value", "unit", "evidence"]
    return pd.DataFrame(rows, columns=columns)


def assertion_table(checked_assertions: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows ``label, title, what, target, value, unit, holds``: each check of each assertion."""
    rows = [
        {"label": assertion["label"], "title": assertion["title"], "what": check["what"], "target": check["target"],
         "value": check["value"], "unit": check["unit"], "holds": check["holds"]}
        for assertion in checked_assertions for check in assertion["checks"]
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["label", "title", "what", "target", "value", "unit", "holds"])


def outside(lines: Sequence[ComparedRow]) -> pd.DataFrame:
    """Judged lines that do not hold, the farthest first, one row a published result."""
    wrong = [row for row in lines if row.inside is False]
    wrong.sort(key=lambda row: -abs(row.z) if np.isfinite(row.z) else 0.0)
    rows = [
        {"id": row.id, "system": row.system, "what": row.what, "study": row.study, "arm": row.arm, "unit": row.unit,
         "predicted": row.predicted, "low": row.low, "high": row.high, "published": row.published,
         "published_text": row.published_text, "z": row.z, "role": row.role, "kind": row.kind}
        for row in wrong
    ]  # fmt: skip
    columns = ["id", "system", "what", "study", "arm", "unit", "predicted", "low", "high", "published",
               "published_text", "z", "role", "kind"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)
