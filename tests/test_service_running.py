"""The running service: ids, limits, health, counts, who may ask, and a bundle that is not whole."""

from __future__ import annotations

import math
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from mlops_compile.emit.package import _check_modules
from mlops_compile.emit.render import render
from mlops_compile.ir.problem import StepError
from mlops_compile.ir.serving import Carried
from tests.serving import EXAMPLE, Running, people, write

KINDS = "urn:mlops-compile:problem:"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    place = tmp_path_factory.mktemp("people")
    with Running(write(people(max_body_bytes=4096, max_records=3), place / "bundle")) as found:
        yield found


def test_an_id_that_is_sent_comes_back(running: Running) -> None:
    answer = running.predict(**{"x-request-id": "a-1.B_2"})
    assert answer.headers["x-request-id"] == answer.json()["id"] == "a-1.B_2"
    many = running.predict([EXAMPLE, EXAMPLE], **{"x-request-id": "list"})
    assert [one["id"] for one in many.json()["predictions"]] == ["list:0", "list:1"]
    refused = running.predict({}, **{"x-request-id": "r"})
    assert refused.headers["x-request-id"] == refused.json()["request"] == "r"


@pytest.mark.parametrize("sent", ["", "a b", "x" * 129, "a\tb", "é", "a:1"])
def test_an_id_that_cannot_be_kept_is_replaced(running: Running, sent: str) -> None:
    answers = [running.predict(**{"x-request-id": sent.encode("latin-1")}) for _ in range(2)]
    ids = {answer.json()["id"] for answer in answers}
    assert len(ids) == 2 and sent not in ids
    assert all(re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]+", name) for name in ids)


def test_every_answer_names_model_and_plan(running: Running) -> None:
    for answer in (running.predict(), running.predict([]), running.client.get("/model")):
        assert answer.json()["model"] == "ab" * 32 and answer.json()["plan"] == "cd" * 32


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ({**EXAMPLE, "age": "x"}, {"field": "age", "pointer": "#/age"}),
        ([EXAMPLE, {**EXAMPLE, "age": None}], {"field": "age", "record": 1, "pointer": "#/1/age"}),
        ({**EXAMPLE, "a/b~": 1}, {"field": "a/b~", "pointer": "#/a~1b~0"}),
        ({"age": 1}, {"field": "paid", "pointer": "#/paid"}),
        ({**EXAMPLE, "from": "x"}, {"field": "from", "pointer": "#/from"}),
        ([{**EXAMPLE, "from": "x"}], {"field": "from", "record": 0, "pointer": "#/0/from"}),
        (3, {"pointer": "#"}),
        ([3], {"record": 0, "pointer": "#/0"}),
    ],
)
def test_a_problem_says_which_field_of_which_record(
    running: Running, sent: object, error: dict[str, object]
) -> None:
    answer = running.predict(sent)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["type"]) == (422, f"{KINDS}wrong-record")
    (found,) = problem["errors"]
    assert {name: found[name] for name in found if name != "detail"} == error
    assert found["detail"] and problem["title"] and problem["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"age": 1e400, "paid": true}', {400, 422}),
        (b'{"age": ' + b"9" * 3000 + b', "paid": true}', {400, 422}),
        (b'{"age": NaN, "paid": true}', {400}),
        (b'{"age": 1, "paid": true, "job": "\\ud800"}', {400, 422}),
        (b'{"age": 1, "paid": true, "job": "\xff"}', {400, 422}),
        (b"[" * 4000, {400, 422}),
        (b'{"x":' * 600 + b"1" + b"}" * 600, {400, 422}),
        (b"[" + b"{}," * 1000 + b"{}]", {422}),
        (b"\x00", {400}),
        (b'{"age": 1, "paid": true} x', {400}),
    ],
)
def test_odd_bodies_are_refused_by_a_problem(
    running: Running, body: bytes, status: set[int]
) -> None:
    headers = {"content-type": "application/json"}
    answer = running.client.post("/predict", content=body, headers=headers)
    assert answer.status_code in status, answer.text
    assert len(answer.content) < 1500


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({"content-type": "text/plain"}, "wrong-media-type"),
        ({"content-type": "application/json", "content-encoding": "gzip"}, "wrong-media-type"),
    ],
)
def test_what_is_not_json_is_not_looked_at(
    running: Running, headers: dict[str, str], kind: str
) -> None:
    answer = running.client.post("/predict", content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (415, KINDS + kind)


def test_limits_of_size(running: Running) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(50):
            yield b" " * 100

    headers = {"content-type": "application/json"}
    for content in (b" " * 4097, chunks()):
        answer = running.client.post("/predict", content=content, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (413, f"{KINDS}too-large")
    many = running.predict([EXAMPLE] * 4)
    assert (many.status_code, many.json()["type"]) == (413, f"{KINDS}too-many-records")


def test_what_the_data_had_not_is_answered_and_counted(running: Running) -> None:
    before = running.metrics()
    odd = {"age": 91.0, "from": "2030-01-01T00:00:00Z", "job": "pilot", "paid": False}
    assert running.predict([odd, {"age": -1e300, "paid": True}]).status_code == 200
    after = running.metrics()
    found = {
        (family, column): after[key] - before[key]
        for key in after
        if (match := re.fullmatch(r'mlops_values_(.*)_total\{column="(.*)"\}', key))
        for family, column in [match.groups()]
    }
    assert {key: value for key, value in found.items() if value} == {
        ("out_of_range", "age"): 2.0,
        ("out_of_range", "from"): 1.0,
        ("unseen", "job"): 1.0,
        ("missing", "from"): 1.0,
        ("missing", "job"): 1.0,
    }
    assert {column for family, column in found if family == "missing"} == {*EXAMPLE}


def test_answers_are_counted_by_class_and_score(running: Running) -> None:
    before = running.metrics()
    answers = running.predict([EXAMPLE, {"age": 60, "job": "smith", "paid": True}]).json()
    after = running.metrics()
    for label in ("no", "yes"):
        expected = sum(one["prediction"] == label for one in answers["predictions"])
        sample = f'mlops_predictions_total{{class="{label}"}}'
        assert after[sample] - before[sample] == expected
    for edge in ("0.1", "0.5", "0.9", "1", "+Inf"):
        sample = f'mlops_prediction_score_bucket{{le="{edge}"}}'
        expected = sum(one["probability"] <= float(edge) for one in answers["predictions"])
        assert after[sample] - before[sample] == expected
    assert after["mlops_prediction_score_count"] - before["mlops_prediction_score_count"] == 2
    answered = 'mlops_http_requests_total{path="/predict",status="200"}'
    assert after[answered] - before[answered] == 1
    seconds = 'mlops_http_request_duration_seconds_count{path="/predict"}'
    assert after[seconds] - before[seconds] == 1
    assert after["mlops_workers"] == after["mlops_http_requests_in_progress"] == 1


def test_what_drove_an_answer_is_told_when_it_is_asked(running: Running) -> None:
    """What features add, and the base, come to the raw score; the record of typical values itself
    differs in nothing from what it is compared with."""
    url = "/predict?contributions=true"
    other = {"age": 60.0, "job": "smith", "paid": True}
    answers = running.client.post(url, json=[EXAMPLE, other]).json()["predictions"]
    for answer in answers:
        told = answer["contributions"]
        assert [*told["features"]] == ["age", "from:hour", "job", "paid"]
        score = told["base"] + sum(told["features"].values())
        odds = answer["probability"] / (1 - answer["probability"])
        assert math.isclose(score, math.log(odds), abs_tol=1e-9)
    assert not any(answers[0]["contributions"]["features"].values())
    assert any(answers[1]["contributions"]["features"].values())
    assert "contributions" not in running.predict().json()
    assert running.client.get("/model").json()["explains"] is True


@pytest.mark.parametrize(
    "query", ["contributions=", "contributions=1", "contributions=true&contributions=true"]
)
def test_a_parameter_that_is_not_understood_is_refused(running: Running, query: str) -> None:
    answer = running.client.post(f"/predict?{query}", json=EXAMPLE)
    assert (answer.status_code, answer.json()["type"]) == (400, f"{KINDS}wrong-parameter")


def test_paths_that_there_are_not_are_counted_as_one(running: Running) -> None:
    before = running.metrics().get('mlops_http_requests_total{path="other",status="404"}', 0)
    for number in range(3):
        assert running.client.get(f"/nothing/{number}").status_code == 404
    assert running.metrics()['mlops_http_requests_total{path="other",status="404"}'] - before == 3


def test_too_slow_and_too_many_at_once(tmp_path: Path) -> None:
    bundle = write(people(max_seconds=1.0, max_concurrent=2), tmp_path / "bundle")
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    with Running(bundle) as running:
        slow = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(2)]
        for connection in slow:
            connection.sendall(head + b"content-length: 100\r\n\r\n{")
        refused = running.predict()
        for _ in range(100):  # until the service has read what was sent
            if refused.status_code != 200:
                break
            refused = running.predict()
        assert (refused.status_code, refused.json()["type"]) == (429, f"{KINDS}busy")
        assert refused.headers["retry-after"] == "1"
        for connection in slow:
            with connection:
                connection.settimeout(30)
                assert connection.recv(100).startswith(b"HTTP/1.1 408")
        assert running.predict().status_code == 200


SLOW = """
import time
_quick = Scorer.scores
def _slow(self, records):
    if len(records) > 200:
        time.sleep(3)
    return _quick(self, records)
Scorer.scores = _slow
"""


def test_an_answer_that_takes_too_long_holds_its_place(tmp_path: Path) -> None:
    """Whoever gave up waiting does not let others in while the work goes on."""
    spec = people(max_seconds=0.5, max_concurrent=1)
    bundle = write(spec, tmp_path / "bundle", **{"scorer.py": render(spec)["scorer.py"] + SLOW})
    with Running(bundle) as running:
        answer = running.predict([EXAMPLE] * 201)
        assert (answer.status_code, answer.json()["type"]) == (503, f"{KINDS}too-long")
        assert running.predict().status_code == 429
        assert running.client.get("/health/live").status_code == 200
        for _ in range(100):
            if (again := running.predict()).status_code == 200:
                break
            time.sleep(0.1)
        assert again.status_code == 200


LATE = "import time, os\nwhile not os.path.exists({!r}): time.sleep(0.02)\n"


def test_it_lives_before_it_is_ready(tmp_path: Path) -> None:
    spec = people()
    sign = tmp_path / "go"
    scorer = render(spec)["scorer.py"].replace(
        "import ctypes", LATE.format(str(sign)) + "import ctypes", 1
    )
    bundle = write(spec, tmp_path / "bundle", **{"scorer.py": scorer})
    port = None

    class Late(Running):
        def wait_until_ready(self) -> None:
            nonlocal port
            port = self.port
            for _ in range(2400):
                try:
                    assert self.client.get("/health/live").status_code == 200
                    break
                except httpx.TransportError:
                    time.sleep(0.05)
            for path in ("/health/ready", "/v2/health/ready", "/v2/models/people/ready"):
                answer = self.client.get(path)
                assert answer.status_code == 503 and answer.headers["retry-after"]
            assert self.predict().json()["type"] == f"{KINDS}not-ready"
            sign.touch()
            super().wait_until_ready()

    with Late(bundle) as running:
        assert running.predict().status_code == 200


def test_a_model_that_cannot_be_loaded_ends_it(tmp_path: Path) -> None:
    bundle = write(people(), tmp_path / "bundle", **{"trees.py": "1 / 0", "scorer.py": "1 / 0"})
    for flags in ((), ("--workers", "1")):
        command = [sys.executable, "app.py", "--port", "0", *flags]
        done = subprocess.run(command, cwd=bundle, capture_output=True, text=True, timeout=120)
        assert done.returncode == 1
        assert "error: the model cannot be loaded: ZeroDivisionError" in done.stderr


@pytest.mark.parametrize("name", ["trees.py", "scorer.c", "page.html", "service.py"])
@pytest.mark.parametrize("how", ["changed", "missing"])
def test_a_bundle_that_is_not_whole_is_refused_by_name(tmp_path: Path, name: str, how: str) -> None:
    bundle = write(people(), tmp_path / "bundle")
    if how == "missing":
        (bundle / name).unlink()
    else:
        (bundle / name).write_text((bundle / name).read_text("utf-8") + " ", "utf-8")
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=bundle, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1 and f"error: {bundle / name} " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"files": 3}'])
def test_a_description_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    bundle = write(people(), tmp_path / "bundle")
    (bundle / "bundle.json").write_text(text, "utf-8")
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=bundle, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1 and "bundle.json is no description" in done.stderr


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"MLOPS_PORT": "x"}, "MLOPS_PORT must be a number"),
        ({"MLOPS_WORKERS": "-1"}, "workers must lie from 0"),
        ({"MLOPS_TOKEN_ADMIN": "a", "MLOPS_TOKEN_ADMIN_FILE": "b"}, "are both given"),
        ({"MLOPS_TOKEN_PREDICT_FILE": "/nowhere"}, "/nowhere cannot be read"),
        ({"MLOPS_LOG": "/proc/nothing"}, "the log cannot lie in /proc/nothing"),
    ],
)
def test_settings_that_are_wrong_are_told(
    tmp_path: Path, variables: dict[str, str], says: str
) -> None:
    bundle = write(people(), tmp_path / "bundle")
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=bundle,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **variables},
    )
    assert done.returncode == 2 and says in done.stderr and "Traceback" not in done.stderr


def test_a_stop_under_load_loses_no_request(tmp_path: Path) -> None:
    """Every request that a connection took is answered; then nothing listens any more."""
    bundle = write(people(), tmp_path / "bundle")
    for flags in ((), ("--workers", "2")):
        running = Running(bundle, *flags)

        def ask(url: str) -> tuple[int, list[Exception]]:
            answered, failed = 0, []
            with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
                while True:
                    try:
                        assert client.post("/predict", json=EXAMPLE).status_code == 200
                        answered += 1
                    except httpx.ConnectError:  # the end
                        return answered, failed
                    except httpx.TransportError as error:
                        failed.append(error)

        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(ask, running.url) for _ in range(8)]
            while running.metrics().get("mlops_prediction_score_count", 0) < 200:
                time.sleep(0.01)
            running.signal(signal.SIGTERM)
            found = [one.result(timeout=60) for one in asked]
        assert [failed for _, failed in found if failed] == []
        assert sum(answered for answered, _ in found) >= 200
        running.end()


def test_answers_are_sent_at_once(tmp_path: Path) -> None:
    """They wait for no acknowledgement of their heads: asyncio sets TCP_NODELAY where a socket says
    that it is of TCP, in a worker too, which is given the number of the parent's."""
    bundle = write(people(), tmp_path / "bundle")
    code = (
        "import worker\n"
        "own = worker.listen('127.0.0.1', 0)\n"
        "print(own.proto, worker.Listening(fileno=own.detach()).proto)"
    )
    words = [sys.executable, "-B", "-c", code]
    told = subprocess.run(words, cwd=bundle, capture_output=True, text=True, check=True)
    assert told.stdout.split() == [str(int(socket.IPPROTO_TCP))] * 2


def test_contributions_are_told_of_few_records(tmp_path: Path) -> None:
    with Running(write(people(max_records=1000), tmp_path / "bundle")) as running:
        for count, status in ((100, 200), (101, 413)):
            records = [EXAMPLE] * count
            answer = running.client.post("/predict?contributions=true", json=records)
            assert answer.status_code == status
        assert running.client.get("/model").json()["scorer"] in ("C", "Python")


def test_a_module_with_the_name_of_one_of_the_services_is_refused() -> None:
    spec = replace(people(), carried=Carried(files=(("metrics.py", ""),)))
    with pytest.raises(StepError, match="the bundle has a module 'metrics' of its own"):
        _check_modules(spec, render(spec))
    spec = replace(people(), carried=Carried(files=(("own/metrics.py", ""),)))
    _check_modules(spec, render(spec))
