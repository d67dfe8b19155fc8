"""The people of a page: the typical subject, and a cohort for the band."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from respine import population
from respine.protocol import Protocol
from respine.protocol.people import MET
from respine.protocol.typical import typical_covariates
from respine.study.schema import Arm

COHORT = 200
_MIXED = "of the person"


def people_of(protocol: Protocol, cohort: int = COHORT) -> dict[str, Any]:
    """Typical covariates and history, and the parameters of ``cohort`` people, as a run of the study draws them."""
    study, who = protocol.study, protocol.population
    bare = Arm.model_validate({})
    typical = typical_covariates(who, bare)
    drawn = population.sample(who, protocol.system, range(cohort), study.seed, typical=study.parameters)
    columns = [str(name) for name in drawn.parameters.columns]
    numbers = drawn.parameters.to_numpy(np.float32)
    covariates = {
        str(name): [float(x) for x in drawn.covariates[name]]
        for name in drawn.covariates.columns
        if name != "subject" and drawn.covariates[name].dtype.kind in "fiu"
    }
    own = {id: float(override.value) for id, override in who.parameters.items()}
    return {
        "title": who.title,
        "note": who.note.strip(),
        "typical": {name: value if isinstance(value, str) else float(value) for name, value in typical.items()},
        "parameters": own,
        "history": [
            {"inputs": list(phase.inputs), "until": phase.until, "suffix": "" if i == 0 else f"_{i + 1}"}
            for i, phase in enumerate(who.history)
        ],
        "runIn": who.run_in,
        "genotypes": MET,
        "units": {name: getattr(covariate, "unit", "") for name, covariate in who.covariates.items()},
        "cohort": {
            "n": cohort,
            "columns": columns,
            "numbers": base64.b64encode(numpy_bytes(numbers)).decode(),
            "covariates": covariates,
            "expectancy": _normals(study.seed, f"expectancy {_MIXED}", cohort),
            "felt": _normals(study.seed, "sensitivity CADSS", cohort),
        },
    }


def numpy_bytes(numbers: np.ndarray) -> bytes:
    """Row by row, little endian."""
    return np.ascontiguousarray(numbers, "<f4").tobytes()


def _normals(seed: int, purpose: str, n: int) -> list[float]:
    return [round(float(x), 6) for x in population.normals(seed, purpose, 0, n, 1)[:, 0]]
