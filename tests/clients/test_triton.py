"""A service is asked by a client of the Open Inference Protocol that others wrote; run by
`nox -s clients`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("tritonclient.http", reason="for `nox -s clients`")

import tritonclient.http as triton

from tests.serving import EXAMPLE, Running, people, write


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(write(people(), tmp_path_factory.mktemp("triton") / "bundle")) as found:
        yield found


@pytest.fixture
def client(running: Running) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(f"127.0.0.1:{running.port}") as found:
        yield found


def _inputs(records: list[dict]) -> list[triton.InferInput]:
    kinds = {"age": ("FP64", float), "from": ("BYTES", object), "job": ("BYTES", object)}
    found = []
    for name, (datatype, type_) in {**kinds, "paid": ("BOOL", bool)}.items():
        values = np.array([record[name] for record in records], dtype=type_)
        tensor = triton.InferInput(name, [len(records)], datatype)
        tensor.set_data_from_numpy(values, binary_data=False)
        found.append(tensor)
    return found


def test_health_and_metadata(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("people") and client.is_model_ready("people", "ab" * 6)
    assert not client.is_model_ready("other")
    assert client.get_server_metadata()["version"] == "2"
    about = client.get_model_metadata("people")
    assert [tensor["name"] for tensor in about["inputs"]] == ["age", "from", "job", "paid"]


def test_its_answers_are_those_of_predict(
    running: Running, client: triton.InferenceServerClient
) -> None:
    records = [{**EXAMPLE, "age": float(age), "paid": age % 2 == 0} for age in range(20, 90, 7)]
    expected = running.predict(records).json()["predictions"]
    for outputs in (
        None,
        [
            triton.InferRequestedOutput(name, binary_data=False)
            for name in ("prediction", "probability", "probabilities")
        ],
    ):
        answer = client.infer("people", _inputs(records), outputs=outputs, request_id="r-1")
        assert answer.get_response()["id"] == "r-1"
        assert [*answer.as_numpy("prediction")] == [one["prediction"] for one in expected]
        assert [*answer.as_numpy("probability")] == [one["probability"] for one in expected]
        assert answer.as_numpy("probabilities").shape == (len(records), 2)


def test_what_is_wrong_is_told(client: triton.InferenceServerClient) -> None:
    with pytest.raises(triton.InferenceServerException, match="missing required field `paid`"):
        client.infer("people", _inputs([EXAMPLE])[:1])


def test_binary_tensors_are_refused(client: triton.InferenceServerClient) -> None:
    """The extension is not offered; who sends them all the same is told."""
    tensor = triton.InferInput("age", [1], "FP64")
    tensor.set_data_from_numpy(np.array([1.0]), binary_data=True)
    with pytest.raises(triton.InferenceServerException):
        client.infer("people", [tensor])
