"""Everything a page holds beside its code: model, study, people, treatments, published points, record, provenance."""

from __future__ import annotations

import base64
import gzip
import json
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from respine.library import BUILT_IN
from respine.protocol import Protocol, resolve
from respine.trial import expectancy as expectancy_room
from respine.web import points, record
from respine.web.kernel import kernel
from respine.web.people import people_of
from respine.web.scenes import Scene
from respine.web.symbols import sources_of, symbols_of
from respine.web.treatments import dosed_states, treatments_of

DENDRITE = (
    "spine_filopodium", "spine_thin", "spine_mushroom", "spine_total", "spine_head_size", "ampa_gain", "dendrite_arbor",
    "circuit", "nmdar_occupancy", "synapse_number", "symptom", "cadss_drive",
)  # fmt: skip
"""What the drawing, the sentence and the scores read, beside what is plotted."""


@dataclass(frozen=True)
class Payload:
    """The values of a page (``data``, as JSON) and the module of its model."""

    data: dict[str, Any]
    code: bytes

    def packed(self) -> str:
        """``data`` compressed, as base64; the same bytes for the same values."""
        text = json.dumps(_plain(self.data), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()

    def module(self) -> str:
        """The module compressed, as base64."""
        return base64.b64encode(gzip.compress(self.code, 9, mtime=0)).decode()


def payload(
    scene: Scene, compute: bool = False, progress: Any = None, *, own: str | Path | None = None
) -> Payload:  # fmt: skip
    """What the page of a scene holds; ``compute``: predictions of all evidence as well (minutes at first); ``own``: a CSV
    of own results to stand on the curves.

    Raises InputError for a study or model that a page cannot hold.
    """
    protocol = resolve(scene.study)
    system, library = protocol.system, scene.study.library
    given = treatments_of(protocol, library)
    scales = {name: _scale(protocol, name) for name in scene.scales}
    felt = protocol.scale("CADSS").output
    wanted = (
        *scene.chain,
        *scene.side_effects,
        *(s["output"] for s in scales.values()),
        *DENDRITE,
        felt,
        *scene.study.record,
    )
    outputs = [name for name in dict.fromkeys(wanted) if name in protocol.symbols]
    module, facts = kernel(system, outputs, dosed_states(given, protocol), protocol.begin)
    known = symbols_of(system)
    healthy = _healthy(protocol, outputs)
    is_library = system.name in BUILT_IN.names("models")
    published_record = (
        record.record(compute, progress=progress) if is_library else {"complete": True, "claims": [], "rows": []}
    )
    placed = points.points_of(protocol)
    if own is not None:
        placed += points.own_points(protocol, [*scene.chain, *scene.side_effects, *scales], own)
    data = {
        "format": "respine/page/1",
        "scene": {
            "name": scene.name, "title": scene.title, "question": scene.question, "chain": list(scene.chain),
            "scales": list(scene.scales), "sideEffects": [name for name in scene.side_effects if name in outputs],
            "lookAt": list(scene.look_at), "begin": scene.begin, "cursor": scene.cursor, "tries": list(scene.tries),
        },
        "study": {"schema": "respine/study/1", **scene.study.to_dict()},
        "model": {"name": system.name, "species": protocol.species, "time": system.time_unit, "library": is_library,
                  "symbols": known, "healthy": healthy, **facts},
        "treatments": given,
        "people": people_of(protocol),
        "scales": scales,
        "expectancy": _expectancy(protocol),
        "felt": felt if felt in outputs else "",
        "points": placed,
        "record": published_record,
        "sources": sources_of(known, library),
        "provenance": _provenance(protocol, facts["sha256"]),
    }  # fmt: skip
    return Payload(data, module.code)


def _scale(protocol: Protocol, name: str) -> dict[str, Any]:
    scale = protocol.scale(name)
    entry = {
        "title": scale.title, "unit": scale.unit, "rule": scale.rule, "output": scale.output, "low": scale.low,
        "high": scale.high, "numbers": dict(scale.numbers), "responseDrop": scale.response_drop,
        "remission": scale.remission_at_most, "aliases": list(scale.aliases),
    }  # fmt: skip
    if scale.conversion is not None:
        entry["conversion"] = {"scale": scale.conversion.scale, "from": list(scale.conversion.from_scores),
                               "to": list(scale.conversion.to_scores)}  # fmt: skip
    return entry


def _expectancy(protocol: Protocol) -> dict[str, Any]:
    model = protocol.expectancy
    return {
        "numbers": dict(model.numbers), "belief": {kind: dict(v) for kind, v in model.belief.items()},
        "procedureRoutes": sorted(model.procedure_routes), "procedureExposures": sorted(model.procedure_exposures),
        "treatmentExposures": sorted(model.treatment_exposures), "antidepressants": sorted(model.antidepressants),
        "procedures": {name: [float(t) for t in expectancy_room.procedure_times(protocol.arm(name))]
                       for name in protocol.arms},
    }  # fmt: skip


def _healthy(protocol: Protocol, outputs: list[str]) -> dict[str, float]:
    """Each output at rest, before anything happens: the start of the model without inputs."""
    import numpy as np

    from respine import engine

    levels = engine.solve(protocol.system, outputs, [0.0]).values[0, 0]
    return {name: float(value) for name, value in zip(outputs, levels, strict=True) if np.isfinite(value)}


def _provenance(protocol: Protocol, module: str) -> dict[str, Any]:
    from importlib.metadata import version

    import llvmlite

    return {
        "versions": {
            "respine": version("respine"),
            "llvmlite": llvmlite.__version__,
            "python": platform.python_version(),
        },
        "fingerprint": protocol.fingerprint,
        "facts": {**protocol.facts, "module": module, "whole library": BUILT_IN.fingerprint()},
    }


def _plain(value: Any) -> Any:
    """Values as JSON knows them: infinities and NaN as words that the page reads back."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value
