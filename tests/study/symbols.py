"""A library model's symbols without its equations: enough to draw people and write schedules, in milliseconds."""

from respine.library import BUILT_IN
from respine.model.expression import num
from respine.model.system import Quantity, System
from respine.population import model_tables
from respine.protocol import Protocol, resolve
from respine.study import Study, population_of


def number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # blank, or a formula
        return None


def system_of(model: str) -> System:
    known = model_tables.of_model(BUILT_IN, model)
    quantities = {
        id: Quantity(
            id, "parameter", row["unit"], number(row["value"]),
            low=number(row["low"]), high=number(row["high"]),
            distribution=row["distribution"], variability=number(row["variability"]) or 0.0,
            file=row["_file"], line=int(row["_line"]),
        )
        for id, row in known.parameters.items()
    }  # fmt: skip
    quantities |= {
        id: Quantity(id, row["role"], row["unit"], number(row["start"])) for id, row in known.variables.items()
    }
    of = {role: [id for id, row in known.variables.items() if row["role"] == role] for role in ("state", "input")}
    return System(
        name=model,
        time_unit="h",
        parameters={id: float(row["value"]) for id, row in known.parameters.items()},
        inputs={id: number(known.variables[id]["start"]) or 0.0 for id in of["input"]},
        rules={},
        rates={id: num(0) for id in of["state"]},
        initial={id: num(0) for id in of["state"]},
        quantities=quantities,
    )


def protocol_of(study: Study, model: str | None = None) -> Protocol:
    """The protocol of a study in a model of symbols alone."""
    return resolve(study, system=system_of(model or population_of(study).model))
