"""The server's OpenAPI description."""

from __future__ import annotations

from typing import Any

from respine.study.schema import json_schema
from respine.web import api


def description(token: str) -> dict[str, Any]:
    """OpenAPI 3.1 of everything under ``/TOKEN/api``."""
    study = _flat(json_schema())
    subjects = {"type": "integer", "minimum": 1, "maximum": api.MOST_SUBJECTS}
    reader = {
        "type": "string",
        "maxLength": 64,
        "description": "Who asks: a newer question ends an older one of the same reader.",
    }
    of_study = {"study": {"$ref": "#/components/schemas/Study"}, "reader": reader}
    times = {"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": api.MOST_TIMES}
    outputs = {"type": "array", "items": {"type": "string"}, "maxItems": api.MOST_OUTPUTS}
    people = {"type": "string", "maxLength": 60, "description": "People an arm: 20:200, or 20,40,80."}
    grid = {"times": times, "outputs": outputs}
    return {
        "openapi": "3.1.0",
        "info": {"title": "respine, the server beside the page", "version": "1",
                 "description": "Research software. Not advice for any person."},
        "servers": [{"url": f"/{token}"}],
        "paths": {
            "/api/scenes": {"get": {"operationId": "scenes", "responses": {"200": _answer("The scenes of the library.")}}},
            "/api/check": {"post": _post("check", "Whether a study can be run.", of_study)},
            "/api/typical": {"post": _post("typical", "Curves of the typical subject.", {**of_study, **grid})},
            "/api/trial": {"post": _post("trial", "The study simulated.", {**of_study, "subjects": subjects})},
            "/api/power": {"post": _post("power", "Power and assurance.", {**of_study, "n": people})},
            "/api/page": {"post": _post("page", "The page of a study, as HTML.", of_study, kind="text/html")},
        },
        "components": {"schemas": {"Study": study}},
    }  # fmt: skip


def _post(name: str, summary: str, properties: dict[str, Any], kind: str = "application/json") -> dict[str, Any]:
    body = {"type": "object", "properties": properties, "required": ["study"]}
    words = {"400": "No JSON object.", "409": "Overtaken by a newer question.", "413": "Too large.", "415": "Not JSON.",
             "422": "The study cannot be used; every mistake is named.", "429": "Too many wait."}  # fmt: skip
    return {
        "operationId": name, "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {"200": _answer(summary, kind), **{status: _answer(text) for status, text in words.items()}},
    }  # fmt: skip


def _answer(text: str, kind: str = "application/json") -> dict[str, Any]:
    return {"description": text, "content": {kind: {}}}


def _flat(schema: dict[str, Any]) -> dict[str, Any]:
    """The study schema one level deep; the whole one is served as schema.json."""
    properties = {name: _plain(part) for name, part in schema["properties"].items()}
    properties["arms"] = {"type": "object", "minProperties": 1, "additionalProperties": {"type": "object"}}
    about = "Fields of a study file; /schema.json has them to the last leaf."
    return {"type": "object", "description": about, "properties": properties, "required": schema["required"]}


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in str(schema):
        kinds = {part.get("type") for part in schema.get("anyOf", [schema])}
        return {"type": "array", "items": {"type": "object"}} if "array" in kinds else {"type": "object"}
    return {key: value for key, value in schema.items() if key != "default"}
