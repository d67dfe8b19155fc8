"""Published results that have a place on a curve of a page, and how a scene did against published trials."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

from respine.protocol import Protocol
from respine.published import matches, published
from respine.published.rows import is_benefit, text_of
from respine.report import own_data

ON_CURVE = {"score", "change", "percent-of-control"}
"""Kinds of endpoints that are one level at one moment; shares of people and differences of arms have no place there."""


def points_of(protocol: Protocol) -> list[dict[str, Any]]:
    """A point for every published row that the study names: output or scale, arm, hours, value, bar, role, DOI.

    ``placed`` false: a result (a share of people, a difference) that is told in words only. ``kind`` ``change`` counts
    from the baseline; ``percent-of-control`` is a level where the control is healthy.
    """
    points = []
    for match in matches(protocol.study):
        result = published(match.row)
        if match.endpoint is None or result is None:
            continue
        endpoint, row = match.endpoint, match.row
        sign = -1.0 if is_benefit(row) else 1.0
        scale = 0.01 if endpoint.kind == "percent-of-control" else 1.0
        values = [sign * scale * x for x in (result.value, result.low, result.high)]
        low, high = sorted(values[1:])
        name = protocol.scale(endpoint.of).name if protocol.is_scale(endpoint.of) else endpoint.of
        points.append({
            "of": name, "arm": match.arm, "time": endpoint.time, "kind": endpoint.kind, "value": values[0],
            "low": _finite(low), "high": _finite(high), "n": result.n, "role": row.get("role") or "",
            "placed": endpoint.kind in ON_CURVE, "id": row.get("id") or "", "what": text_of(row), "unit": result.unit,
            "study": f"{row.get('study', '')} {row.get('year', '')}".strip(), "doi": _doi(row),
            "source": row.get("source") or "", "verified": row.get("verified") or "",
        })  # fmt: skip
    return points


def own_points(protocol: Protocol, names: Collection[str], data: str | Path) -> list[dict[str, Any]]:
    """A user's own results (see ``report.own_data``) as points of a page. Raises InputError with every mistake."""
    return [
        {
            "of": point.of, "arm": point.arm, "time": point.time_h, "kind": "own", "control": point.control, "value": point.mean,
            "low": _finite(point.low), "high": _finite(point.high), "n": point.n, "role": "own", "placed": True, "id": "",
            "what": "own data", "unit": "", "study": Path(data).name, "doi": "", "source": "", "verified": "",
        }
        for point in own_data.read(data, list(protocol.arms), names)
    ]  # fmt: skip


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _doi(row: Any) -> str:
    if row.get("doi"):
        return str(row["doi"])
    text = row.get("source") or ""
    return text.partition("doi:")[2].split()[0].rstrip(".,;") if "doi:" in text else ""
