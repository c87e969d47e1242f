"""The OpenAPI description of a service, made from its contract."""

from __future__ import annotations

from typing import Any

from mlops_compile.ir.serving import ServedColumn, ServingSpec
from mlops_compile.ir.value import Map, freeze, thaw

_TYPES: dict[str, dict[str, str]] = {
    "numeric": {"type": "number"},
    "categorical": {"type": "string"},
    "boolean": {"type": "boolean"},
    "datetime": {"type": "string", "description": "ISO 8601 without a zone"},
    "datetime_utc": {"type": "string", "format": "date-time"},
}


def openapi(spec: ServingSpec) -> Map:
    """An OpenAPI 3.1 document."""
    record = {"$ref": "#/components/schemas/Record"}
    answer = {"$ref": "#/components/schemas/Answer"}
    many = {
        "type": "object",
        "properties": {"predictions": {"type": "array", "items": answer}, "model": _TEXT},
    }
    body = {"oneOf": [record, {"type": "array", "items": record, "maxItems": spec.max_records}]}
    predict = {
        "operationId": "predict",
        "summary": f"Predict {spec.contract.target}",
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "200": _answer("predictions", {"oneOf": [answer, many]}),
            **{code: _problem(text) for code, text in _PROBLEMS.items()},
        },
    }
    value = {
        "openapi": "3.1.0",
        "info": {"title": spec.name, "version": spec.model[:12]},
        "paths": {
            "/predict": {"post": predict},
            "/health/live": {"get": _get("live", "Whether the process runs")},
            "/health/ready": {"get": _get("ready", "Whether it can answer")},
            "/model": {"get": _get("model", "The model's digest and contract")},
        },
        "components": {
            "schemas": {
                "Record": _record(spec),
                "Answer": _answer_schema(spec),
                "Problem": _PROBLEM,
            }
        },
    }
    frozen = freeze(value)
    assert isinstance(frozen, Map)
    return frozen


_TEXT = {"type": "string"}
_PROBLEM = {
    "type": "object",
    "properties": {"title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT},
}
_PROBLEMS = {
    "400": "the body is not JSON",
    "413": "too many records, or too large a body",
    "415": "the content type is not JSON",
    "422": "a field is missing, unknown or of the wrong type",
}


def _get(name: str, summary: str) -> dict[str, Any]:
    return {"operationId": name, "summary": summary, "responses": {"200": _answer(name, {})}}


def _answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    content = {"application/problem+json": {"schema": schema}}
    return {"description": description, "content": content}


def _record(spec: ServingSpec) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {column.name: _property(column) for column in spec.columns},
        "required": [column.name for column in spec.columns if not column.nullable],
        "example": thaw(spec.example),
    }


def _property(column: ServedColumn) -> dict[str, Any]:
    schema: dict[str, Any] = dict(_TYPES[column.kind])
    return {**schema, "type": [schema["type"], "null"]} if column.nullable else schema


def _answer_schema(spec: ServingSpec) -> dict[str, Any]:
    number = {"type": "number"}
    classes = list(spec.contract.classes)
    if not classes:
        return {"type": "object", "properties": {"prediction": number, "model": _TEXT}}
    properties: dict[str, Any] = {
        "prediction": {"type": "string", "enum": classes},
        "probabilities": {"type": "object", "properties": dict.fromkeys(classes, number)},
        "model": _TEXT,
    }
    if spec.contract.task == "binary":
        properties["probability"] = {**number, "description": f"of {classes[-1]}"}
    return {"type": "object", "properties": properties}
