"""Errors of form: what pydantic says of a file, in the words of its author, every mistake at once."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from respine.errors import InputError
from respine.files import yaml_file
from respine.files.suggest import OTHER_WORDS, meant, nearest
from respine.files.yaml_file import Document, Place

EXAMPLES = {
    "name": "my-study", "title": "one line that says what is compared",
    "population": "mdd-treatment-resistant", "subjects": "500", "seed": "1", "visits": "[0 h, 24 h, 7 d]",
    "at": "0 h", "route": "iv", "drug": "ketamine", "of": "MADRS", "kind": "change", "distribution": "normal",
    "control.kind": "inactive-placebo", "endpoints.name": "change-24h", "rules.name": "as-needed",
}  # fmt: skip


def model_problems(doc: Document, error: ValidationError, model: type[BaseModel], place: Place = ()) -> None:
    """Note every error pydantic found, in the words of the file's author."""
    faults = error.errors(include_url=False)
    if not place and (kind := _other_kind(doc, model)):
        form = model.__name__.lower()
        doc.problem(("schema",), f"This is a {kind} file, where a {form} file is meant.", f"Name a {form} file.")
        return
    misspelt = {  # a wrong field name explains the missing one beside it: one mistake, one error
        (fault["loc"][:-1], hit)
        for fault in faults
        if fault["type"] == "extra_forbidden"
        for hit in meant(str(fault["loc"][-1]), _fields(model, tuple(fault["loc"])))
    }
    broken = {fault["loc"][:-1] for fault in faults if fault["loc"] and isinstance(fault["loc"][-1], int)}
    noted = {(problem.where, problem.field) for problem in doc.problems}
    for fault in faults:
        if fault["type"] == "too_short" and fault["loc"] in broken:
            continue  # entries that cannot be read are no empty list
        if fault["type"] == "missing" and (fault["loc"][:-1], fault["loc"][-1]) in misspelt:
            continue
        at = place + tuple(part for part in fault["loc"])
        if fault["type"] in ("union_tag_invalid", "union_tag_not_found"):
            at = (*at, fault["ctx"]["discriminator"].strip("'"))
        why, cure = _explained(doc, fault, model, at, place)
        seen = str(at[-1]) if fault["type"] == "extra_forbidden" else None
        where = _file_place(doc, at, fault["type"] in ("missing", "union_tag_not_found"))
        if (doc.where(where), yaml_file.dotted(where)) not in noted:  # a fault of form explains it
            doc.problem(where, why, cure, seen=seen)


def _other_kind(doc: Document, model: type[BaseModel]) -> str:
    """The kind of respine file this says it is, if that is not the kind asked for."""
    field, said = model.model_fields.get("schema_"), doc.data.get("schema") if isinstance(doc.data, dict) else None
    if field is None or not isinstance(said, str) or not said.startswith("respine/"):
        return ""
    kind = said.split("/")[1]
    return "" if kind == get_args(field.annotation)[0].split("/")[1] else kind


def _file_place(doc: Document, at: Place, missing: bool) -> Place:
    """The place as the file has it, without what pydantic adds: tags of unions, index 0 of a list of one."""
    value: Any = doc.data
    result: list[str | int] = []
    for i, part in enumerate(at):
        last = i == len(at) - 1
        is_tag = isinstance(value, dict) and not last and part == value.get("distribution")
        if isinstance(value, dict) and isinstance(part, str) and not is_tag and (part in value or (last and missing)):
            result.append(part)
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            result.append(part)
            value = value[part]
    return tuple(result)


def _around(model: type[BaseModel], at: Place) -> tuple[type[BaseModel] | None, list[type[BaseModel]]]:
    """The model that holds the last part of a place, and the models it was chosen from by a tag."""
    current: list[type[BaseModel]] = [model]
    choice: list[type[BaseModel]] = []
    keyed = False  # the next part is a key of a mapping, not a field
    for part in at[:-1]:
        if keyed or isinstance(part, int):
            keyed = False
            continue
        tagged = [model for model in current if part in _tags(model)]
        if tagged:
            choice, current = current, tagged
            continue
        hits = [f for model in current for name, f in model.model_fields.items() if part in (name, f.alias)]
        current, choice = _models(hits[0].annotation) if hits else [], []
        keyed = bool(hits) and get_origin(hits[0].annotation) is dict
    return (current[0] if current else None), choice


def _fields(model: type[BaseModel], at: Place) -> list[str]:
    """Field names allowed beside the last part of a place."""
    holder, _ = _around(model, at)
    return [] if holder is None else _names(holder)


def _names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _tags(model: type[BaseModel]) -> tuple[Any, ...]:
    """The words that choose this model in a union."""
    return tuple(
        tag for name in ("distribution", "kind") if (field := model.model_fields.get(name)) is not None
        for tag in get_args(field.annotation)
    )  # fmt: skip


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models inside ``tuple[Model, ...]``, ``dict[str, Model]``, ``Model | None`` or a union of models."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for arg in get_args(annotation) for model in _models(arg)]


_OF_MAPPINGS = ("doses", "co_medication", "exposures", "endpoints", "rules", "correlations")
_NUMBER = ("float_type", "float_parsing", "int_type", "int_parsing", "int_from_float", "finite_number")


def _explained(doc: Document, fault: Any, model: type[BaseModel], at: Place, place: Place) -> tuple[str, str]:
    kind, context, name = fault["type"], fault.get("ctx", {}), str(at[-1]) if at else ""
    if kind == "respine":
        return context["why"], context["cure"]
    if kind == "extra_forbidden":
        holder, choice = _around(model, at[len(place) :])
        others = [tag for model in choice if name in _names(model) for tag in _tags(model)]
        if others:  # a field of another kind of the same part
            why = f'"{name}" has no meaning for "{at[-2]}".'
            return why, f"Remove it, or choose another kind: {', '.join(others)}."
        known = [] if holder is None else _names(holder)
        meant = OTHER_WORDS.get(name.lower())
        return f'There is no field "{name}" here.', f'Did you mean "{meant}"?' if meant in known else nearest(
            name, known
        )
    if kind == "missing":
        around = next((str(part) for part in reversed(at[:-1]) if isinstance(part, str)), "")
        shown = _example(model, at[len(place) :]) or EXAMPLES.get(f"{around}.{name}", EXAMPLES.get(name, "..."))
        if name == "schema" and "schema_" in model.model_fields:
            shown = get_args(model.model_fields["schema_"].annotation)[0]
        return (
            f'The field "{name}" is missing.',
            f'Add "{name}: {shown}"; respine new FILE writes a commented example.',
        )
    if kind == "union_tag_not_found":
        return f'The field "{name}" is missing.', f'Add "{name}: {EXAMPLES.get(name, "...")}" or another.'
    if kind == "union_tag_invalid":
        known = [word.strip(" '") for word in context["expected_tags"].split(",")]
        return f'There is no {name} "{context["tag"]}" here.', nearest(str(context["tag"]), known)
    if kind == "literal_error":
        expected = [word.strip(" '") for word in context["expected"].replace(" or ", ", ").split(",")]
        if name == "schema":
            what = expected[0].split("/")[1]
            why = f"This version of respine reads {what} files of the form {expected[0]}."
            return why, f'Write "schema: {expected[0]}" if the file is a {what}.'
        return "This word is not known here.", nearest(str(fault["input"]), expected)
    if kind in ("string_type", "string_sub_type"):
        if fault["input"] is None or isinstance(fault["input"], (list, dict)):
            return f"A text is expected, not {_shown_type(fault['input'])}.", f'Write "{name}: some text".'
        return (
            f"A text is expected, not {_shown_type(fault['input'])}.",
            f'Put it in quotes if it is meant as text: "{_show(fault)}".',
        )
    if kind == "string_pattern_mismatch":
        return "A short name is lower-case letters, digits and hyphens.", 'Write it like "murrough-2013".'
    if kind == "string_too_long":
        most = context["max_length"]
        return f"This is longer than {most} characters.", f"Write a shorter text, {most} characters at most."
    if kind in ("string_too_short", "too_short"):
        return "There is nothing here.", "Give at least one entry, or leave the field out if it is optional."
    if kind in _NUMBER:
        wanted = "A whole number" if kind.startswith("int") else "A number"
        value = fault["input"]
        if kind == "int_type" and isinstance(value, float) and value.is_integer() and abs(value) <= 1e7:
            return f"A whole number is expected, written without point or exponent, not {_shown_type(value)}.", (
                f'Write "{name}: {int(value)}".'
            )
        return f"{wanted} is expected, not {_shown_type(value)}.", f"Write {wanted.lower()} without quotes or unit."
    if kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        return _bounds(name, context)
    if kind in ("tuple_type", "list_type", "model_type", "dict_type", "model_attributes_type"):
        wanted = "A list" if kind in ("tuple_type", "list_type") else "A mapping of fields"
        value = fault["input"]
        if name in _OF_MAPPINGS and wanted == "A list":
            form = f'"{name}:" and below it one "- {{field: value, ...}}" for each entry'
        elif wanted == "A list" and isinstance(value, str):
            form = f'"{name}: [{value}]"'
        elif wanted == "A list":
            form = f'"{name}: [..., ...]"'
        elif name == "control":
            form = '"control: {kind: inactive-placebo, unblinding: low}"'
        elif "compare" in at[-2:]:
            form = '"compare: {study: Murrough, year: 2013}", with the names of the evidence table'
        elif at and isinstance(at[-1], int):
            form = 'the fields of this entry, "- {field: value, ...}", or remove it'
        else:
            form = f'"{name}:" and its fields below, or {{field: value}}'
        return f"{wanted} is expected, not {_shown_type(value)}.", f"Write {form}."
    return str(fault["msg"]).rstrip(".") + ".", "Correct the value; respine new FILE writes a commented example."


def _example(model: type[BaseModel], at: Place) -> str:
    """What the model itself gives as an example of the field at a place; empty where it gives none."""
    holder, _ = _around(model, at)
    fields = {} if holder is None else {field.alias or name: field for name, field in holder.model_fields.items()}
    examples = fields[str(at[-1])].examples if str(at[-1]) in fields else None
    return str(examples[0]) if examples else ""


def _bounds(name: str, context: dict[str, Any]) -> tuple[str, str]:
    if "le" in context or "lt" in context:
        if "lt" in context:
            return f'"{name}" must be less than {context["lt"]:g}.', f"Write a number below {context['lt']:g}."
        most = context["le"]
        top = f"{most:,}".replace(",", " ") if isinstance(most, int) else f"{most:g}"
        return f'"{name}" can be {top} at most.', f"Write a number up to {top}."
    if "gt" in context:
        return f'"{name}" must be more than {context["gt"]:g}.', f"Write a number above {context['gt']:g}."
    least = context["ge"]
    return f'"{name}" must be at least {least:g}.', f"Write a number of {least:g} or more."


def _shown_type(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f'the truth value "{str(value).lower()}"'
    if isinstance(value, (int, float)):
        return f"the number {value:g}" if abs(value) < 1e15 else "a number beyond all use"
    if isinstance(value, str):
        return f'the text "{value[:40]}"'
    if isinstance(value, (list, tuple)):
        return "a list"
    return "a mapping" if isinstance(value, dict) else f"a {type(value).__name__}"  # a value made in Python


def _show(fault: Any) -> str:
    value = fault["input"]
    return str(value).lower() if isinstance(value, bool) else str(value)[:40]


def require_schema(doc: Document, model: type[BaseModel]) -> None:
    """Note that a file does not say of which form it is; a value made in Python need not."""
    if isinstance(doc.data, dict) and "schema" not in doc.data and not doc.made:
        wanted = get_args(model.model_fields["schema_"].annotation)[0]
        why = 'The field "schema" is missing.'
        doc.problem(("schema",), why, f'Add "schema: {wanted}"; respine new FILE writes a commented example.')


def python_problems(model: type[BaseModel], data: dict[str, Any], error: ValidationError) -> InputError:
    """What pydantic found in a part made in Python, as problems that name the field and the line of the caller."""
    doc = Document(Path(caller()), data, made=True)
    model_problems(doc, error, model)
    return InputError(*doc.problems)


def caller() -> str:
    """``script.py:12``: the innermost line outside respine and pydantic, where there is one."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        package = str(frame.f_globals.get("__package__") or frame.f_globals.get("__name__", "")).partition(".")[0]
        if package == "respine" and frame.f_globals.get("__name__") == "__main__":  # python -m respine.cli
            return "command line"
        if package not in ("respine", "pydantic", "pydantic_core", "typer", "click"):
            if Path(frame.f_code.co_filename).stem == "respine":  # the console script
                return "command line"
            return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        frame = frame.f_back
    return "Python"
