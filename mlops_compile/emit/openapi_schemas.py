"""The schemas of a service's OpenAPI description: what a request holds, and an answer."""

from __future__ import annotations

from typing import Any

from mlops_compile.ir.serving import ServedColumn, ServingSpec
from mlops_compile.ir.value import thaw

TEXT = {"type": "string"}
ID = {"type": "string", "description": "a digest"}
_NUMBER = {"type": "number"}
_TYPES: dict[str, dict[str, Any]] = {
    "numeric": {"type": "number"},
    "categorical": {"type": "string"},
    "boolean": {"type": "boolean"},
    "datetime": {"type": "string", "description": "ISO 8601 without a zone"},
    "datetime_utc": {"type": "string", "format": "date-time"},
}
_PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": TEXT,
        "request": {"type": "string", "description": "the id of the request"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "detail": TEXT,
                    "field": TEXT,
                    "record": {"type": "integer", "description": "its place in a list"},
                    "pointer": {"type": "string", "description": "a JSON pointer"},
                },
                "required": ["detail", "pointer"],
            },
        },
    },
    "required": ["type", "title", "status", "detail", "request"],
}
_DIGESTS = {"model": ID, "plan": ID}
_PREDICTION_ID = r"^[A-Za-z0-9._-]{1,128}(:[0-9]{1,9})?$"


def schemas(spec: ServingSpec) -> dict[str, Any]:
    """The components, by name."""
    answer = _answer(spec)
    own = {"$ref": "#/components/schemas/Answer"}
    predictions = {"predictions": {"type": "array", "items": own}, **_DIGESTS}
    return {
        "Record": _record(spec),
        "Answer": answer,
        "Prediction": _object({**answer["properties"], **_DIGESTS}, optional=("contributions",)),
        "Predictions": _object(predictions),
        "Feedback": _feedback(spec),
        "Problem": _PROBLEM,
        "About": _object(
            {
                **dict.fromkeys(("name", "family"), TEXT),
                **dict.fromkeys(("bundle", "model", "plan"), ID),
                "contract": {"type": "object"},
                "explains": {"type": "boolean"},
                "scorer": {"type": ["string", "null"], "description": "C or Python"},
                "proved": {
                    "type": ["boolean", "null"],
                    "description": "whether this host answers as the one that packaged",
                },
                "levels": {"type": "object"},
            }
        ),
        "Document": {"type": "object"},
        "Live": _object({"status": {"const": "live"}}),
        "Ready": _object({"status": {"const": "ready"}}),
        "IsLive": _object({"live": {"const": True}}),
        "IsReady": _object({"ready": {"const": True}}),
        **_inference(),
    }


def _object(properties: dict[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    needed = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": needed}


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


def _answer(spec: ServingSpec) -> dict[str, Any]:
    """The answer for one record."""
    own = {"id": {**TEXT, "pattern": _PREDICTION_ID}}
    classes = list(spec.contract.classes)
    if not classes:
        properties: dict[str, Any] = {"prediction": _NUMBER, **own}
    else:
        properties = {
            "prediction": {"type": "string", "enum": classes},
            "probabilities": _object(dict.fromkeys(classes, _NUMBER)),
            **own,
        }
        if spec.contract.task == "binary":
            properties["probability"] = {**_NUMBER, "description": f"of {classes[-1]}"}
    if spec.explains:
        properties["contributions"] = _contributions(classes)
    return _object(properties, optional=("contributions",))


def _contributions(classes: list[str]) -> dict[str, Any]:
    features = {"type": "object", "additionalProperties": _NUMBER}
    one = _object({"base": _NUMBER, "features": features})
    several = len(classes) > 2
    return _object(dict.fromkeys(classes, one)) if several else one


def _feedback(spec: ServingSpec) -> dict[str, Any]:
    classes = list(spec.contract.classes)
    truth = {"type": "string", "enum": classes} if classes else _NUMBER
    own = _object({"id": {**TEXT, "pattern": _PREDICTION_ID}, "truth": truth})
    return {**own, "additionalProperties": False}


def _inference() -> dict[str, Any]:
    """What the Open Inference Protocol v2 sends over HTTP."""
    shape = {"type": "array", "items": {"type": "integer"}}
    more = {"type": "object"}
    tensor = {"name": TEXT, "shape": shape, "datatype": TEXT}
    described = {"type": "array", "items": _object(tensor)}
    data = {"type": "array", "items": {}}
    inputs = _object({**tensor, "data": data, "parameters": more}, optional=("parameters",))
    outputs = _object({"name": TEXT, "parameters": more}, optional=("parameters",))
    return {
        "Server": _object(
            {"name": TEXT, "version": TEXT, "extensions": {"type": "array", "items": TEXT}}
        ),
        "ModelMetadata": _object(
            {
                "name": TEXT,
                "versions": {"type": "array", "items": TEXT},
                "platform": TEXT,
                "inputs": described,
                "outputs": described,
            }
        ),
        "InferenceRequest": _object(
            {
                "id": {"type": ["string", "null"]},
                "parameters": more,
                "inputs": {"type": "array", "items": inputs},
                "outputs": {"type": ["array", "null"], "items": outputs},
            },
            optional=("id", "parameters", "outputs"),
        ),
        "InferenceResponse": _object(
            {
                "model_name": TEXT,
                "model_version": TEXT,
                "id": TEXT,
                "parameters": more,
                "outputs": {"type": "array", "items": _object({**tensor, "data": data})},
            }
        ),
    }
