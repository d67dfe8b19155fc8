"""The endpoints of a study, and their table over all virtual people."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd

from respine.population import model_tables
from respine.study import scales
from respine.study.endpoints import Endpoint, TimeToRelapse
from respine.study.read import population_of
from respine.study.schema import Study
from respine.trial.endpoints.base import arms_needed, estimate, sample_of, why_not
from respine.trial.panel import Panel

COLUMNS = (
    "arm", "endpoint", "scale", "kind", "against", "time_h", "unit", "n", "value", "sd", "se", "middle", "note",
)  # fmt: skip


def of_study(study: Study) -> list[Endpoint]:
    """The endpoints of a study file with their baseline, the defaults and the library's name of their scales."""
    result: list[Endpoint] = []
    for written in study.endpoints:
        endpoint: Endpoint = written.from_start(study.start)
        if scales.is_scale(study.library, endpoint.of):
            scale = scales.load(study.library, endpoint.of)
            update: dict[str, object] = {"of": scale.name}
            if getattr(endpoint, "drop", 0.0) is None:
                update["drop"] = scale.response_drop
            endpoint = endpoint.model_copy(update=update)
        result.append(endpoint)
    return result


class Units:
    """Units of the endpoints of a study: those of its scales, and of the outputs of its model (``ng/mL``)."""

    def __init__(self, study: Study) -> None:
        self.study = study

    def of(self, endpoint: Endpoint) -> str:
        """Unit of an endpoint's number."""
        library = self.study.library
        if scales.is_scale(library, endpoint.of):
            return endpoint.unit(scales.load(library, endpoint.of).unit)
        row = self._tables.variables.get(endpoint.of) or self._tables.parameters.get(endpoint.of) or {}
        return endpoint.unit(row.get("unit", ""))

    @cached_property
    def _tables(self) -> model_tables.ModelTables:
        return model_tables.of_model(self.study.library, population_of(self.study).model)


def endpoint_values(study: Study, panel: Panel) -> pd.DataFrame:
    """Every endpoint of the study in every arm it can be computed in, over all virtual people.

    Columns ``arm, endpoint, scale, kind, against, time_h, unit, n, value, sd, se, middle, note``: ``against`` names the arm
    that is subtracted or divided by; ``sd`` and ``se`` are of the people's values (in percent points for shares),
    ``middle`` is their median; a reason stands in ``note`` where there is no value.
    """
    rows: list[dict[str, object]] = []
    arms, units = list(study.arms), Units(study)
    for endpoint in of_study(study):
        for arm in arms:
            if arm in endpoint.reference_arms:
                continue
            row: dict[str, object] = {
                "arm": arm, "endpoint": endpoint.name, "scale": endpoint.of, "kind": endpoint.kind,
                "against": next(iter(endpoint.reference_arms), ""), "time_h": endpoint.time,
                "unit": units.of(endpoint),
            }  # fmt: skip
            reason = why_not(endpoint, panel, arm)
            if reason:
                nothing = {"n": 0, "value": np.nan, "sd": np.nan, "se": np.nan, "middle": np.nan, "note": reason}
                rows.append(row | nothing)
                continue
            sample = sample_of(endpoint, panel, arms_needed(endpoint, arm, arms))
            value = {"value": float(estimate(endpoint, arm, sample)), "note": _note(endpoint)}
            rows.append(row | _spread(endpoint, sample[arm][0]) | value)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _spread(endpoint: Endpoint, values: np.ndarray) -> dict[str, object]:
    known = values[np.isfinite(values)]
    factor = 100.0 if endpoint.is_share else 1.0
    sd = float(known.std(ddof=1)) * factor if len(known) > 1 else float("nan")
    middle = float(np.median(known)) * factor if len(known) else float("nan")
    return {"n": len(known), "sd": sd, "se": sd / np.sqrt(len(known)) if len(known) else np.nan, "middle": middle}


def _note(endpoint: Endpoint) -> str:
    if isinstance(endpoint, TimeToRelapse):
        return "responders without relapse count with the end of follow-up"
    return ""
