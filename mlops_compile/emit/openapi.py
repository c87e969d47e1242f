"""The OpenAPI description of a service, made from its contract."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from mlops_compile.emit.openapi_schemas import ID, TEXT, schemas
from mlops_compile.ir.serving import ServingSpec
from mlops_compile.ir.value import Map, freeze

_JSON, _PROBLEM = "application/json", "application/problem+json"
_PROBLEMS = {
    "400": "the body is not JSON, or is not whole",
    "401": "the token is missing, or is not this role's",
    "403": "this is for the machine itself, unless there is a token",
    "404": "there is no such bundle",
    "408": "the body did not come in time",
    "409": "the bundle cannot be served, this service swaps none, or it keeps no such feedback",
    "413": "too many records, or too large a body",
    "415": "the content type is not JSON",
    "422": "a field is missing, unknown or of the wrong type, or has a value that has no answer",
    "429": "too many requests at a time",
    "503": "the service is not ready, or the answer was not there in time",
}
_BODY = ("400", "401", "408", "413", "415", "422", "503")
_READY = ("503",)


def openapi(spec: ServingSpec) -> Map:
    """An OpenAPI 3.1 document."""
    name = f"/v2/models/{quote(spec.name, safe='')}"
    places = (("", name), ("Version", f"{name}/versions/{spec.model[:12]}"))
    tensors = {path: value for word, place in places for path, value in _model(place, word).items()}
    value = {
        "openapi": "3.1.0",
        "info": {
            "title": spec.name,
            "version": spec.model[:12],
            "description": "Each answer has the header x-request-id: that of the request, or a new"
            " one. Problems are those of RFC 9457.",
        },
        "security": [{}, {"token": []}],
        "paths": {
            "/predict": {"post": _predict(spec)},
            "/feedback": {"post": _feedback(spec)},
            "/admin/swap": {"post": _swap()},
            "/": {"get": _get("page", "A page to try the model on", kind="text/html")},
            "/health/live": {"get": _get("live", "Whether the process runs", "Live")},
            "/health/ready": {"get": _get("ready", "Whether it answers", "Ready", _READY)},
            "/metrics": {"get": _get("metrics", "What was counted", kind="text/plain")},
            "/model": {"get": _get("model", "What is served: digests and contract", "About")},
            "/openapi.json": {"get": _get("openapi", "This document", "Document")},
            "/v2": {"get": _get("server", "Open Inference Protocol: the server", "Server")},
            "/v2/health/live": {"get": _get("serverLive", "Whether the process runs", "IsLive")},
            "/v2/health/ready": {
                "get": _get("serverReady", "Whether it answers", "IsReady", _READY)
            },
            **tensors,
        },
        "components": {
            "schemas": schemas(spec),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
    frozen = freeze(value)
    assert isinstance(frozen, Map)
    return frozen


def _model(place: str, word: str) -> dict[str, Any]:
    """The paths of a model in the Open Inference Protocol."""
    infer = _post(
        f"infer{word}",
        "Predict for the rows of tensors",
        _ref("InferenceRequest"),
        {"200": _answer("outputs", _ref("InferenceResponse"))},
        (*_BODY, "429"),
    )
    return {
        place: {"get": _get(f"modelMetadata{word}", "The model's tensors", "ModelMetadata")},
        f"{place}/ready": {
            "get": _get(f"modelReady{word}", "Whether the model answers", "IsReady", _READY)
        },
        f"{place}/infer": {"post": infer},
    }


def _predict(spec: ServingSpec) -> dict[str, Any]:
    record = _ref("Record")
    many = {"type": "array", "items": record, "maxItems": spec.max_records}
    done = {"200": _answer("predictions", {"oneOf": [_ref("Prediction"), _ref("Predictions")]})}
    summary = f"Predict {spec.contract.target}"
    made = _post("predict", summary, {"oneOf": [record, many]}, done, (*_BODY, "429"))
    made["parameters"] = [
        {
            "name": "x-request-id",
            "in": "header",
            "description": "an id of one's own for answer and log, of up to 128 letters, digits,"
            " `.`, `_` and `-`; another one is not taken",
            "schema": TEXT,
        }
    ]
    if spec.explains:
        made["parameters"].append(
            {
                "name": "contributions",
                "in": "query",
                "description": "whether to tell what each feature adds to the raw score",
                "schema": {"type": "boolean"},
            }
        )
    return made


def _feedback(spec: ServingSpec) -> dict[str, Any]:
    one = _ref("Feedback")
    many = {"type": "array", "items": one, "maxItems": spec.max_records}
    kept = {"type": "object", "properties": {"kept": {"type": "integer"}}, "required": ["kept"]}
    return _post(
        "feedback",
        "Tell what turned out to be true",
        {"oneOf": [one, many]},
        {"202": _answer("it is kept", kept)},
        (*_BODY, "403"),
    )


def _swap() -> dict[str, Any]:
    wish = {
        "type": "object",
        "properties": {
            "bundle": {**TEXT, "description": "a directory below that of --bundles"},
            "digest": {**TEXT, "description": "what the bundle's digest must be"},
        },
        "required": ["bundle"],
    }
    served = {
        "type": "object",
        "properties": dict.fromkeys(("digest", "model", "plan"), ID),
        "required": ["digest", "model", "plan"],
    }
    answer = {
        "type": "object",
        "properties": {"bundle": served, "before": served},
        "required": ["bundle", "before"],
    }
    done = {"200": _answer("it is served", answer)}
    return _post("swap", "Serve another bundle", wish, done, (*_BODY, "403", "404", "409"))


def _post(
    name: str,
    summary: str,
    body: dict[str, Any],
    done: dict[str, Any],
    problems: tuple[str, ...],
) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "requestBody": {"required": True, "content": {_JSON: {"schema": body}}},
        "responses": {**done, **_problems(problems)},
    }


def _get(
    name: str, summary: str, schema: str = "", problems: tuple[str, ...] = (), kind: str = _JSON
) -> dict[str, Any]:
    found = _ref(schema) if schema else TEXT
    return {
        "operationId": name,
        "summary": summary,
        "responses": {"200": _answer(name, found, kind), **_problems(problems)},
    }


def _answer(description: str, schema: dict[str, Any], kind: str = _JSON) -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": schema}}}


def _problems(codes: tuple[str, ...]) -> dict[str, Any]:
    return {code: _answer(_PROBLEMS[code], _ref("Problem"), _PROBLEM) for code in sorted(codes)}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}
