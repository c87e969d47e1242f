"""Whatever is sent to a service is answered as its document says; `nox -s fuzz` does more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serving import EXAMPLE, Running, people, write

NAMES = st.sampled_from([*EXAMPLE, "id", "truth", "inputs", "name", "shape", "data", "bundle", "x"])
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
        st.sampled_from(["yes", "cook", "2024-01-31T12:00:00Z", "FP64", 1e300, -0.0, 10**400]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=12,
)  # fmt: skip
BODIES = st.one_of(st.binary(max_size=60), VALUES.map(lambda value: json.dumps(value).encode()))
PATHS = ("/predict", "/feedback", "/admin/swap", "/v2/models/people/infer")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    place = tmp_path_factory.mktemp("fuzzed")
    with Running(write(people(), place / "bundle"), "--log", str(place / "log")) as found:
        yield found


@pytest.fixture(scope="module")
def document(running: Running) -> dict[str, Any]:
    return running.client.get("/openapi.json").json()


def _check(answer: Any, operation: dict[str, Any], document: dict[str, Any]) -> None:
    """An answer has a status and a body that the document has."""
    assert str(answer.status_code) in operation["responses"], answer.text
    ((kind, content),) = operation["responses"][str(answer.status_code)]["content"].items()
    assert answer.headers["content-type"].startswith(kind)
    if "json" in kind:
        schema = {**content["schema"], "components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(answer.json())


@settings(max_examples=40)
@given(body=BODIES)
@pytest.mark.parametrize("path", PATHS)
def test_any_body_is_answered_as_the_document_says(
    running: Running, document: dict[str, Any], path: str, body: bytes
) -> None:
    headers = {"content-type": "application/json"}
    answer = running.client.post(path, content=body, headers=headers)
    assert answer.status_code < 500
    _check(answer, document["paths"][path]["post"], document)


def test_every_path_that_is_described_is_there(running: Running, document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            answer = running.client.request(method, path)
            _check(answer, operation, document)


def test_examples_are_what_the_document_allows(running: Running, document: dict[str, Any]) -> None:
    record = document["components"]["schemas"]["Record"]
    jsonschema.Draft202012Validator(record).validate(record["example"])
    answer = running.predict(record["example"])
    _check(answer, document["paths"]["/predict"]["post"], document)
    _check(
        running.predict([record["example"]] * 2), document["paths"]["/predict"]["post"], document
    )
