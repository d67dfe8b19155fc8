"""Everything a page can give: drugs with their routes, and exposures, in the species of a study."""

from __future__ import annotations

from typing import Any

from respine.files import units
from respine.library import Library
from respine.protocol import Protocol
from respine.study import treatments
from respine.study.treatments import ExposureFile, Route


def treatments_of(protocol: Protocol, library: Library) -> dict[str, Any]:
    """Drugs and exposures that act on something the study's model has, with all that a dose becomes."""
    system, species = protocol.system, protocol.species
    drugs = {}
    for name in library.names("drugs"):
        drug = treatments.drug(library, name)
        routes = {
            route: _route(form)
            for route, form in drug.species.get(species, {}).items()
            if all(into.state in system.rates for into in form.into)
            and all(sets.input in system.inputs for sets in form.sets)
        }
        if routes:
            drugs[name] = {
                "title": drug.title or name,
                "aliases": list(drug.aliases),
                "felt": drug.felt,
                "routes": routes,
            }
    exposures = {}
    for name in library.names("exposures"):
        exposure = treatments.exposure(library, name)
        if all(input in system.inputs for input in exposure.sets):
            exposures[name] = _exposure(exposure)
    units_of = {s: q.unit for s in system.states if (q := system.quantities.get(s)) is not None}
    return {
        "drugs": drugs,
        "exposures": exposures,
        "stateUnits": {s: units.canonical(units_of[s]) for s in _targets(drugs) if units_of.get(s)},
        "hours": {name: float(value) for name, value in units.HOURS.items()},
        "masses": units.MILLIGRAMS,
        "moles": units.NANOMOLES,
    }


def dosed_states(given: dict[str, Any], protocol: Protocol) -> list[str]:
    """States that drugs of the page enter; every state for an own model, which has no drugs."""
    states = {*_targets(given["drugs"]), *_straight(protocol)}
    return sorted(states) or list(protocol.system.states)


def _targets(drugs: dict[str, Any]) -> set[str]:
    return {into["state"] for drug in drugs.values() for route in drug["routes"].values() for into in route["into"]}


def _straight(protocol: Protocol) -> set[str]:
    return {dose.into for arm in protocol.study.arms.values() for dose in (*arm.doses, *arm.co_medication) if dose.into}


def _route(form: Route) -> dict[str, Any]:
    over, spray = form.over, form.spray
    return {
        "dose": [{"unit": d.unit, "low": d.low, "high": d.high} for d in form.dose],
        "over": over and {"default": over.default or 0.0, "low": over.low, "high": over.high},
        "spray": spray and {"value": spray.amount.value, "unit": spray.amount.unit, "apart": spray.apart},
        "into": [{"state": i.state, "fraction": i.fraction, "later": i.later, "lag": i.lag, "duration": i.duration}
                 for i in form.into],
        "sets": [{"input": s.input, "level": s.level, "lasts": s.lasts} for s in form.sets],
        "note": form.note,
    }  # fmt: skip


def _exposure(file: ExposureFile) -> dict[str, Any]:
    ratio = [high / file.sets[name] for name, (_, high) in file.range.items() if file.sets.get(name)]
    return {
        "title": file.title or file.exposure, "kind": file.kind, "sets": file.sets, "lasts": file.lasts,
        "most": min(ratio, default=2.0), "note": file.note.strip(), "source": list(file.source),
        "aliases": list(file.aliases),
    }  # fmt: skip
