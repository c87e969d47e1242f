"""The generated service as a process: its answers, its refusals, and how it ends."""

from __future__ import annotations

import json
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

import mlops_compile as mc
from mlops_compile.api.models import checkout_bundle
from mlops_compile.api.state import State
from mlops_compile.steps.tables import read_table
from mlops_compile.store.store import Store

# Refuses the two libraries that a LightGBM service must not need, then runs the app as a main.
WITHOUT = """
import runpy, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pandas", "sklearn"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
sys.path.insert(0, ".")
sys.argv = ["app.py", *sys.argv[1:]]
runpy.run_path("app.py", run_name="__main__")
"""
CONFIG = """
defaults: [{{data: people}}, {{prepare: auto}}, {{model: {model}}}, {{evaluate: default}},
  {{deploy: http}}, {{store: local}}, {{execution: local}}, _self_]
deploy: {{max_records: 5, max_body_bytes: 4096}}
"""
DATA = """
name: people
target: "pays"
task: binary
positive: "yes"
source: {kind: csv, path: people.csv}
split: {kind: stratified, test_size: 0.3}
"""


def _people() -> str:
    draw = random.Random(7)
    rows = ["age,first.name,job title,since,member,pays"]
    for number in range(300):
        age = "" if number % 17 == 0 else f"{draw.uniform(18, 90):.2f}"
        name, job = draw.choice("abc"), draw.choice(["", "cook", "smith", "o'clock"])
        day = f"20{draw.randint(10, 23)}-0{draw.randint(1, 9)}-1{draw.randint(0, 9)}"
        since = f"{day} 0{draw.randint(0, 9)}:15:00"
        member = draw.choice(["true", "false"])
        pays = "yes" if (age and float(age) > 50) or (job == "smith") else "no"
        rows.append(f"{age},{name},{job},{since},{member},{pays}")
    return "\n".join(rows) + "\n"


class Service:
    """A running service and the bundle it runs."""

    def __init__(self, bundle: Path, record: mc.RunRecord, store: Store) -> None:
        self.bundle, self.record, self.store = bundle, record, store
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-c", WITHOUT, "--port", str(port)]
        self.process = subprocess.Popen(command, cwd=bundle, stderr=subprocess.PIPE)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
        for _ in range(200):
            try:
                self.client.get("/health/ready")
                return
            except httpx.TransportError:
                assert self.process.poll() is None, self.process.stderr.read().decode()
                time.sleep(0.05)
        raise AssertionError("the service does not start")

    def predict(self, value: object) -> httpx.Response:
        return self.client.post("/predict", json=value)


@pytest.fixture(scope="module", params=["lightgbm", "logistic_regression"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    project = tmp_path_factory.mktemp("people")
    (project / "conf" / "data").mkdir(parents=True)
    (project / "people.csv").write_text(_people(), "utf-8")
    (project / "conf" / "config.yaml").write_text(CONFIG.format(model=request.param), "utf-8")
    (project / "conf" / "data" / "people.yaml").write_text(DATA, "utf-8")
    record = mc.run([], project=project)
    state = State(root=project / ".mlops")
    checkout_bundle(record.bundle, state, project / "bundle")
    running = Service(project / "bundle", record, state.store)
    yield running
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(timeout=10) == 0
    assert b"Traceback" not in running.process.stderr.read()


def test_answers_are_the_models_own_bits(service: Service) -> None:
    """Every held-out row, over HTTP: the number that the evaluate step recorded."""
    blobs = service.store.blobs
    predictions = read_table(blobs.read(service.record["evaluate"].output("predictions")))
    table = read_table(blobs.read(service.record["validate"].output("table")))
    rows = table.take(predictions.column("row")).to_pylist()
    for row, expected in zip(rows, predictions.column("p1").to_pylist(), strict=True):
        sent = {name: value for name, value in row.items() if value is not None}
        sent = {name: getattr(v, "isoformat", lambda v=v: v)() for name, v in sent.items()}
        answer = service.predict(sent).json()
        assert answer["probability"] == expected == answer["probabilities"]["yes"]
        assert answer["prediction"] == ("yes" if expected > 1.0 - expected else "no")
        assert answer["model"] == service.record.model


def test_one_record_is_a_batch_of_one(service: Service) -> None:
    example = json.loads((service.bundle / "example.json").read_text())
    one = service.predict(example).json()
    many = service.predict([example] * 3).json()
    assert many["model"] == one.pop("model")
    assert many["predictions"] == [one] * 3
    assert service.predict([]).json()["predictions"] == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"age": "old"}, "$.age"),
        ({"age": True}, "$.age"),
        ({"member": 1}, "$.member"),
        ({"first.name": None}, "$.first.name"),
        ({"first.name": 3}, "$.first.name"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2024-01-01T00:00:00Z"}, "since"),
        ({"since": 3}, "$.since"),
        ({"unknown": 1}, "unknown"),
        ({"member": ...}, "member"),
    ],
)
def test_a_wrong_field_is_named(service: Service, change: dict, says: str) -> None:
    example = json.loads((service.bundle / "example.json").read_text())
    body = {k: v for k, v in {**example, **change}.items() if v is not ...}
    answer = service.predict(body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]
    assert answer.json()["status"] == 422
    assert service.predict([example, body]).status_code == 422


def test_missing_and_unseen_values_are_answered(service: Service) -> None:
    example = json.loads((service.bundle / "example.json").read_text())
    for change in ({"age": None}, {"job title": None}, {"job title": "never seen"}, {"age": 1e300}):
        answer = service.predict({**example, **change})
        assert answer.status_code == 200, answer.text
        assert np.isfinite(answer.json()["probability"])
    without = {name: value for name, value in example.items() if name not in ("age", "job title")}
    assert service.predict(without).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "status"),
    [
        ("POST", "/predict", b'[{"age": 1', "application/json", 400),
        ("POST", "/predict", b"", "application/json", 400),
        ("POST", "/predict", b"\xff\xfe", "application/json", 400),
        ("POST", "/predict", b"3", "application/json", 422),
        ("POST", "/predict", b"{}", "text/csv", 415),
        ("POST", "/predict", b" " * 5000, "application/json", 413),
        ("GET", "/predict", b"", "application/json", 405),
        ("POST", "/model", b"", "application/json", 405),
        ("GET", "/../etc/passwd", b"", "application/json", 404),
    ],
)
def test_what_cannot_be_answered_is_refused(
    service: Service, method: str, path: str, body: bytes, kind: str, status: int
) -> None:
    answer = service.client.request(method, path, content=body, headers={"content-type": kind})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert (status == 405) == ("allow" in answer.headers)


def test_too_many_records_are_refused(service: Service) -> None:
    example = json.loads((service.bundle / "example.json").read_text())
    assert service.predict([example] * 5).status_code == 200
    assert service.predict([example] * 6).status_code == 413


def test_it_tells_about_itself(service: Service) -> None:
    about = service.client.get("/model").json()
    assert about["model"] == service.record.model
    assert about["contract"]["request"]["age"] == "numeric?"
    assert service.client.get("/health/live").json() == {"status": "live"}
    described = service.client.get("/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    example = described["components"]["schemas"]["Record"]["example"]
    assert service.predict(example).status_code == 200
    head = service.client.head("/model")
    assert head.status_code == 200 and head.content == b""
