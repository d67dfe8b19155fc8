"""What `respine model show` says of a drug, exposure, scale, population or study: meaning, ranges, action, sources, rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from respine import library
from respine.cli.card_action import actions, species_of_models
from respine.cli.card_sources import cited, evidence_rows, row_list, studies_with, study_list
from respine.cli.card_text import fields, indented, wrapped_table
from respine.cli.names import kind_word, meaning
from respine.cli.screen import columns
from respine.report.text import hours

if TYPE_CHECKING:
    from respine.study.treatments import Route


def card(kind: str, name: str, width: int = 120) -> str:
    """The text of one library file. Raises KeyError for a kind without cards (models and modules have equations)."""
    head = f"{name} ({kind_word(kind)}): {meaning(kind, name)}"
    return "\n\n".join([head, *(block for block in _CARDS[kind](name, width) if block)])


def by_alias(name: str) -> list[tuple[str, str]]:
    """Kind and file of what is also written like this: drugs, exposures and scales have such names."""
    known = [(kind, file) for kind in ("drugs", "exposures", "scales") for file in library.names(kind)]
    wanted = name.lower()
    return [(kind, file) for kind, file in known
            if wanted in {file.lower(), *(str(alias).lower() for alias in _yaml(kind, file).get("aliases") or ())}]  # fmt: skip


def _drug(name: str, width: int) -> Iterator[str]:
    from respine.study import treatments

    drug = treatments.drug(library.BUILT_IN, name)
    yield fields([
        ("also written", ", ".join(drug.aliases)), ("felt by patients", drug.felt), ("note", drug.note),
        ("source", cited(drug.source)),
    ], width)  # fmt: skip
    for species, routes in _alike(drug.species):
        rows = [row for route, way in routes.items() for row in _route_rows(route, way)]
        yield f"routes in {species}\n" + indented(columns(rows, ("route", "dose (sensible range)", "over", "enters")))
        notes = [
            (route, ". ".join(filter(None, (way.note.rstrip("."), cited(way.source))))) for route, way in routes.items()
        ]
        yield fields([(route, note) for route, note in notes if note], width)
    targets = {
        species: [part.state for way in routes.values() for part in way.into]
        + [part.input for way in routes.values() for part in way.sets]
        for species, routes in drug.species.items()
    }
    yield from actions({model: targets[of] for model, of in species_of_models().items() if of in targets}, width)
    yield evidence_rows([name, *drug.aliases], width)
    yield studies_with("drug", [name, *drug.aliases], width)
    yield f"written in library/drugs/{name}.yaml"


def _alike(species: Mapping[str, dict[str, Route]]) -> Iterator[tuple[str, dict[str, Route]]]:
    """Routes by species, species with the same routes together: "rat and mouse"."""
    seen: list[tuple[list[str], dict[str, Route]]] = []
    for name, routes in species.items():
        same = next((names for names, known in seen if known == routes), None)
        if same is None:
            seen.append(([name], routes))
        else:
            same.append(name)
    return ((" and ".join(names), routes) for names, routes in seen)


def _route_rows(route: str, way: Route) -> list[list[str]]:
    """The cells of a route; what enters where takes a line each."""
    from respine.model.infix import infix

    dose = " or ".join(f"{d.low:g} to {d.high:g} {d.unit}" for d in way.dose) or "no amount"
    over = ""
    if way.over is not None:
        default = "" if way.over.default is None else hours(way.over.default) or "0 min"
        bounds = f"{hours(way.over.low)} to {hours(way.over.high)}" if way.over.high is not None else ""
        over = f"{default} ({bounds})" if bounds else default
    if way.spray is not None:
        over = f"sprays of {way.spray.amount.text}, {hours(way.spray.apart)} apart"
    enters = [f"{part.state} ({_share(infix(part.fraction))})" for part in way.into]
    enters += [f"holds {part.input} at {infix(part.level)} for {_time(infix(part.lasts))}" for part in way.sets]
    first, *others = enters or ["nothing: an inert control"]
    return [[route, dose, over, first], *(["", "", "", other] for other in others)]


def _share(text: str) -> str:
    return "all" if text == "1" else text


def _time(text: str) -> str:
    try:
        return hours(float(text))
    except ValueError:
        return text


def _exposure(name: str, width: int) -> Iterator[str]:
    from respine.study import treatments

    known = treatments.exposure(library.BUILT_IN, name)
    sets = ", ".join(f"{target} = {value:g} at level 1" for target, value in known.sets.items())
    ranges = ", ".join(f"{target} {low:g} to {high:g}" for target, (low, high) in known.range.items())
    yield fields([
        ("also written", ", ".join(known.aliases)),
        ("kind", "a pulse at given times" if known.kind == "pulse" else "a level from one time until another"),
        ("sets", sets), ("sensible range", ranges), ("lasts", hours(known.lasts) if known.lasts else ""),
        ("note", known.note), ("source", cited(known.source)),
    ], width)  # fmt: skip
    yield from actions({model: list(known.sets) for model in species_of_models()}, width)
    inputs = set(known.sets)
    in_history = [p for p in library.names("populations") if inputs & set(_yaml("populations", p).get("history") or {})]
    yield fields([("in the history of", ", ".join(in_history))], width)
    yield evidence_rows([name, *known.aliases], width)
    yield studies_with("exposure", [name, *known.aliases], width)
    yield f"written in library/exposures/{name}.yaml"


def _scale(name: str, width: int) -> Iterator[str]:
    known = _yaml("scales", name)
    low, high = known.get("range", ("", ""))
    rule = {
        "severity": "healthy + (baseline - healthy) * severity, severity 1 at the first visit and 0 in health; expectancy counts",
        "relative": "healthy + (baseline - healthy) * severity, severity 1 at the first visit and 0 in health",
        "rise": "baseline + gain * rise of the output since the first visit",
        "level": "gain * output",
    }  # fmt: skip
    yield fields([
        ("also written", ", ".join(known.get("aliases", ()))), ("unit", known.get("unit", "")),
        ("range", f"{low} to {high}, in steps of {known.get('step', 1)}"), ("reads", str(known.get("output", ""))),
        ("score", rule.get(str(known.get("rule")), str(known.get("rule", "")))),
        ("response", f"a fall by {known['response_drop']} %" if "response_drop" in known else ""),
        ("remission", f"at most {known['remission_at_most']}" if "remission_at_most" in known else ""),
        ("note", str(known.get("note", ""))),
    ], width)  # fmt: skip
    rows = [_value_cells(key, value) for key, value in (known.get("values") or {}).items()]
    yield "numbers\n" + indented(
        wrapped_table(rows, ("", "value", "unit", "90 % belief", "status", "source, note"), width)
    )
    column = f"baseline_{name}"
    people = [p for p in library.names("populations") if column in (_yaml("populations", p).get("covariates") or {})]
    yield fields([("baseline in", ", ".join(people))], width)
    named = [(table, [r["id"] for r in library.rows("evidence", table) if _same_scale(r.get("scale", ""), name, known)])
            for table in library.names("evidence")]  # fmt: skip
    yield row_list(named, width)
    pattern = re.compile(rf"^observe:.*(?<![\w-]){re.escape(name)}(?![\w-])", re.MULTILINE)
    yield study_list((s for s in library.names("studies") if pattern.search(library.text("studies", s))), width)
    yield f"written in library/scales/{name}.yaml"


def _same_scale(written: str, name: str, known: Mapping[str, Any]) -> bool:
    return written.strip().lower() in {name.lower(), *(str(alias).lower() for alias in known.get("aliases", ()))}


def _value_cells(key: str, value: Any) -> list[str]:
    if not isinstance(value, Mapping):
        return [key, str(value), "", "", "", ""]
    low, high = value.get("low"), value.get("high")
    belief = "" if low is None or high is None else f"{low} to {high}"
    about = "; ".join(str(part) for part in (value.get("source"), value.get("note")) if part)
    return [key, str(value.get("value", "")), str(value.get("unit", "")), belief, str(value.get("status", "")), about]


def _population(name: str, width: int) -> Iterator[str]:
    known = _yaml("populations", name)
    yield fields([("model", str(known.get("model", ""))), ("note", str(known.get("note", "")).strip())], width)
    rows = []
    for covariate, how in (known.get("covariates") or {}).items():
        groups = how.get("groups") if how.get("distribution") == "by" else {"": how}
        for group, values in (groups or {}).items():
            given = f", {how['by']} {group}" if group else ""
            about = "; ".join(str(values[k]) for k in ("source", "note") if values.get(k))
            rows.append([f"{covariate}{given}", _distribution(values), str(values.get("unit", "")), about])
    yield "covariates\n" + indented(wrapped_table(rows, ("", "distribution", "unit", "source, note"), width))
    history = known.get("history")
    if history:
        yield "before the study\n" + fields([(str(k), str(v)) for k, v in history.items()], width)
    others = {k: v for k, v in known.items()
              if k not in ("schema", "name", "title", "model", "note", "covariates", "history")}  # fmt: skip
    yield fields([(str(k), str(v)) for k, v in others.items()], width)
    yield studies_with("population", [name], width)
    yield f"written in library/populations/{name}.yaml"


def _distribution(values: Mapping[str, Any]) -> str:
    texts = {
        k: v for k, v in values.items() if k not in ("distribution", "unit", "status", "source", "note", "low", "high")
    }
    parts = [str(values.get("distribution", ""))]
    for key, value in texts.items():
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, Mapping) else str(value)
        parts.append(f"{key.replace('_', ' ')} {shown}")
    if "low" in values or "high" in values:
        parts.append(f"within {values.get('low', '')} to {values.get('high', '')}")
    return ", ".join(parts)


def _study(name: str, width: int) -> Iterator[str]:
    from respine import study as studies
    from respine.report.summary import treatments_text

    known = studies.load(name)
    yield fields([
        ("doi", known.doi), ("population", f"{known.population} ({_yaml('populations', str(known.population))['model']} model)"),
        ("size", f"{known.subjects} virtual subjects an arm, seed {known.seed}"),
        ("visits", ", ".join(hours(t) or "0 h" for t in known.visits)), ("observes", ", ".join(known.observe)),
        ("records", ", ".join(known.record)), ("note", known.note),
    ], width)  # fmt: skip
    yield "arms\n" + fields([(arm, treatments_text(known.arms[arm])) for arm in known.arms], width)
    rows = [[e.name, e.kind, e.of, hours(e.time)] for e in known.endpoints]
    yield "endpoints\n" + indented(columns(rows, ("", "kind", "of", "at"))) if rows else ""
    compared = dict.fromkeys(f"{part.study} ({part.table}.csv)" for part in known.compare)
    yield fields([("compared with", ", ".join(compared)), ("rules", ", ".join(r.name for r in known.rules))], width)
    yield f"run it with: respine run {name}\nwritten in library/studies/{name}.yaml"


_CARDS: dict[str, Callable[[str, int], Iterator[str]]] = {
    "drugs": _drug, "exposures": _exposure, "scales": _scale, "populations": _population, "studies": _study,
}  # fmt: skip
KINDS = tuple(_CARDS)


def _yaml(kind: str, name: str) -> dict[str, Any]:
    from ruamel.yaml import YAML

    return dict(YAML(typ="safe").load(library.text(kind, name)))
