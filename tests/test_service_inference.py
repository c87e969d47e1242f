"""The Open Inference Protocol v2: the same answers as of /predict, by tensors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serving import EXAMPLE, Running, people, write

MODEL = "/v2/models/people"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    place = tmp_path_factory.mktemp("tensors")
    with Running(write(people(max_records=4), place / "bundle")) as found:
        yield found


def _tensors(records: list[dict], nested: bool = False) -> list[dict]:
    kinds = {"age": "FP64", "from": "BYTES", "job": "BYTES", "paid": "BOOL"}
    found = []
    for name, datatype in kinds.items():
        data = [record.get(name) for record in records]
        shape = [len(data), 1] if nested else [len(data)]
        data = [[value] for value in data] if nested else data
        found.append({"name": name, "datatype": datatype, "shape": shape, "data": data})
    return found


def test_it_tells_what_it_is_and_takes(running: Running) -> None:
    client = running.client
    assert client.get("/v2").json()["version"] == "2"
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    about = client.get(MODEL).json()
    assert about["name"] == "people" and about["versions"] == ["ab" * 6]
    assert {tensor["name"]: tensor["datatype"] for tensor in about["inputs"]} == {
        "age": "FP64", "from": "BYTES", "job": "BYTES", "paid": "BOOL",
    }  # fmt: skip
    for place in (MODEL, f"{MODEL}/versions/{'ab' * 6}"):
        assert client.get(place).json() == about
        assert client.get(f"{place}/ready").status_code == 200
    for place in ("/v2/models/other", f"{MODEL}/versions/2", "/v2/models/people/unload"):
        assert client.get(place).status_code == 404


@pytest.mark.parametrize("nested", [False, True])
def test_tensors_are_answered_as_records_are(running: Running, nested: bool) -> None:
    records = [EXAMPLE, {"age": 70, "job": "smith", "paid": False}, {**EXAMPLE, "job": "unseen"}]
    expected = running.predict(records).json()["predictions"]
    asked = {"id": "mine", "inputs": _tensors(records, nested)}
    answer = running.client.post(f"{MODEL}/infer", json=asked).json()
    assert (answer["id"], answer["model_name"]) == ("mine", "people")
    about = {"model": "ab" * 32, "plan": "cd" * 32, "records": "mine"}
    assert answer["parameters"] == about
    outputs = {output["name"]: output for output in answer["outputs"]}
    assert outputs["prediction"]["data"] == [one["prediction"] for one in expected]
    assert outputs["probability"]["data"] == [one["probability"] for one in expected]
    assert outputs["probabilities"]["shape"] == [3, 2]
    flat = [value for one in expected for value in one["probabilities"].values()]
    assert outputs["probabilities"]["data"] == flat


def test_outputs_that_are_asked_for_come_alone(running: Running) -> None:
    asked = {"inputs": _tensors([EXAMPLE]), "outputs": [{"name": "probability"}]}
    answer = running.client.post(f"{MODEL}/infer", json=asked).json()
    assert [output["name"] for output in answer["outputs"]] == ["probability"]


def test_no_rows_have_no_answers(running: Running) -> None:
    for inputs in ([], _tensors([])):
        answer = running.client.post(f"{MODEL}/infer", json={"inputs": inputs}).json()
        assert [output["data"] for output in answer["outputs"]] == [[], [], []]


def _changed(place: int, **change: object) -> dict:
    inputs = _tensors([EXAMPLE, EXAMPLE])
    inputs[place] = {**inputs[place], **change}
    return {"inputs": inputs}


@pytest.mark.parametrize(
    ("asked", "status", "says"),
    [
        ({}, 422, "`inputs`"),
        ({"inputs": 3}, 422, "inputs"),
        (_changed(0, name="other"), 422, "unknown field `other`"),
        (_changed(0, datatype="BYTES"), 422, "Expected `FP64`, got `BYTES`"),
        (_changed(0, shape=[3]), 422, "do not fill the shape"),
        (_changed(0, shape=[-2]), 422, "do not fill the shape"),
        (_changed(0, shape=[1, 2]), 422, "Expected the shape"),
        (_changed(0, shape=[]), 422, "Expected the shape"),
        (_changed(0, shape=[1], data=[1.0]), 422, "have 1 and 2 elements"),
        (_changed(0, data=["x", 1]), 422, "Expected `float`, got `str` - at `$[0].age`"),
        (_changed(0, data=[1, None]), 422, "got `null` - at `$[1].age`"),
        (_changed(0, data=[[[[1]]], 2]), 422, "got `array`"),
        (_changed(1, data=["x", "y"]), 422, "`from` must be a time"),
        (_changed(1, name="age", datatype="FP64", data=[1, 2]), 422, "is there twice"),
        ({"inputs": _tensors([EXAMPLE])[:1]}, 422, "missing required field `paid`"),
        ({"inputs": _tensors([EXAMPLE] * 5)}, 413, "at most"),
        ({"inputs": _tensors([EXAMPLE]), "outputs": [{"name": "x"}]}, 422, "no output `x`"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    running: Running, asked: object, status: int, says: str
) -> None:
    answer = running.client.post(f"{MODEL}/infer", json=asked)
    assert answer.status_code == status and says in answer.json()["detail"], answer.text


def test_what_is_wrong_is_pointed_at(running: Running) -> None:
    """An output is asked for once: each costs an answer's size. A shape is no field of a record."""
    tensors = _tensors([EXAMPLE])
    twice = {"inputs": tensors, "outputs": [{"name": "probability"}] * 2}
    short = {"inputs": [{**tensors[0], "shape": [7]}, *tensors[1:]]}
    text = {"inputs": [{**tensors[0], "shape": ["1"]}, *tensors[1:]]}
    for asked, pointer in (
        (twice, "#/outputs/1/name"),
        (short, "#/inputs/0/data"),
        (text, "#/inputs/0/shape/0"),
    ):
        answer = running.client.post(f"{MODEL}/infer", json=asked)
        assert answer.status_code == 422
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_an_id_that_cannot_be_kept_comes_back_beside_the_one_that_is(running: Running) -> None:
    asked = {"id": "my id with space", "inputs": _tensors([EXAMPLE])}
    answer = running.client.post(f"{MODEL}/infer", json=asked).json()
    assert answer["id"] == "my id with space"
    assert answer["parameters"]["records"] not in ("", answer["id"])
