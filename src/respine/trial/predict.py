"""The study's own endpoints in trials of the published size, whether or not anything was published."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from respine.study.schema import Study
from respine.trial import endpoints as ep
from respine.trial.panel import Panel
from respine.trial.setting import laboratory_factors
from respine.trial.trials import TRIALS, in_trials_of_published_size

COLUMNS = ("study", "arm", "endpoint", "time_h", "median", "p05", "p95", "published", "inside", "role",
           "published_low", "published_high", "published_text", "unit", "n", "against", "note")  # fmt: skip
DETAILS = ("scale", "kind", "n_simulated", "value", "sd", "se")
"""What the table of endpoints holds besides."""


def predict(
    study: Study, panel: Panel, *, trials: int = TRIALS, known: Collection[tuple[str, str]] = ()
) -> pd.DataFrame:
    """The study's own endpoints in every arm, with the values over all virtual people.

    ``known``: arm and name of endpoints whose interval is known already and left out here.

    Columns ``COLUMNS``, those of a published result blank, then ``DETAILS``: ``scale, kind, n_simulated, value, sd, se``.
    """
    sizes = {name: a.n_published for name, a in study.arms.items() if a.n_published}
    own = {e.name: e for e in ep.of_study(study)}
    rows = []
    for row in ep.endpoint_values(study, panel).to_dict("records"):
        endpoint, arm = own[str(row["endpoint"])], str(row["arm"])
        nothing = dict.fromkeys(("median", "p05", "p95", "published", "published_low", "published_high"), np.nan)
        line: dict[str, object] = {
            "study": study.name, "endpoint": endpoint.name, "inside": None, "role": "", "published_text": "",
            "n": sizes.get(arm), "n_simulated": row["n"],
        }  # fmt: skip
        copied = ("arm", "time_h", "unit", "against", "note", "scale", "kind", "value", "sd", "se")
        line |= nothing | {name: row[name] for name in copied}
        if row["n"] and (arm, endpoint.name) not in known:
            got = in_trials_of_published_size(
                endpoint, arm, panel, sizes, study.seed, arms=list(study.arms), trials=trials,
                laboratory=laboratory_factors(study, endpoint, trials),
            )  # fmt: skip
            note = "; ".join(part for part in (str(row["note"]), got.note) if part)
            line |= {"median": got.median, "p05": got.p05, "p95": got.p95, "note": note}
        rows.append(line)
    return pd.DataFrame(rows, columns=[*COLUMNS, *DETAILS])
