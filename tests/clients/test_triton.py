"""A service is asked by a client of the Open Inference Protocol that others wrote; run by
`nox -s clients`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("tritonclient.http", reason="for `nox -s clients`")

import tritonclient.http as triton

from tests.adults import adult_bundle, held_out
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


@pytest.fixture(scope="module")
def adult(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, list, list]]:
    """A service of adult (of the real rows with MLOPS_DATA), with held-out rows and their
    evaluated probabilities."""
    place = tmp_path_factory.mktemp("adult")
    record = adult_bundle(place / "project", place / "bundle", "deploy.name=adult")
    with Running(place / "bundle") as found:
        yield found, *held_out(place / "project", record, 500)


def test_held_out_rows_of_adult_are_answered_in_the_evaluated_bits(
    adult: tuple[Running, list, list],
) -> None:
    running, rows, wanted = adult
    with triton.InferenceServerClient(f"127.0.0.1:{running.port}") as client:
        inputs = client.get_model_metadata("adult")["inputs"]
        whole = [
            (row, right)
            for row, right in zip(rows, wanted, strict=True)
            if all(tensor["name"] in row for tensor in inputs)  # a tensor has no gaps
        ]
        assert len(whole) > len(rows) / 4
        tensors = []
        for about in inputs:
            type_ = {"FP64": float, "BYTES": object, "BOOL": bool}[about["datatype"]]
            values = np.array([row[about["name"]] for row, _ in whole], dtype=type_)
            tensor = triton.InferInput(about["name"], [len(whole)], about["datatype"])
            tensor.set_data_from_numpy(values, binary_data=False)
            tensors.append(tensor)
        found = client.infer("adult", tensors).as_numpy("probability")
    assert found.tolist() == [right for _, right in whole]
