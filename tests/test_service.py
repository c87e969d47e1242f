"""The generated service as a process: its answers, its refusals, and how it ends."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import numpy as np
import pytest

import mlops_compile as mc
from mlops_compile.api.models import checkout_bundle
from mlops_compile.api.registering import place_with
from mlops_compile.api.state import State
from mlops_compile.emit import package
from mlops_compile.emit.modules import module_of
from mlops_compile.emit.render import render
from mlops_compile.ir.problem import GateError, StepError
from mlops_compile.ir.value import freeze
from mlops_compile.steps.kind import Work
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
deploy: {{max_records: {records}, max_body_bytes: {size}}}
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


def _bytes(bundle: Path) -> dict[str, bytes]:
    files = (file for file in bundle.rglob("*") if file.is_file())
    return {file.relative_to(bundle).as_posix(): file.read_bytes() for file in files}


class Service:
    """A running service and the bundle it runs."""

    def __init__(self, bundle: Path, record: mc.RunRecord, store: Store) -> None:
        self.bundle, self.record, self.store = bundle, record, store
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.port = port
        self.files = sorted(_bytes(bundle))
        command = [sys.executable, "-c", WITHOUT, "--port", str(port)]
        writes = {n: v for n, v in os.environ.items() if n != "PYTHONDONTWRITEBYTECODE"}
        writes["XDG_CACHE_HOME"] = str(bundle.parent / "cache")  # for what it compiles
        self.process = subprocess.Popen(command, cwd=bundle, stderr=subprocess.PIPE, env=writes)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
        for _ in range(2400):  # two minutes: a machine may be busy
            try:
                if self.client.get("/health/ready").status_code == 200:
                    return
            except httpx.TransportError:
                assert self.process.poll() is None, self.process.stderr.read().decode()
            time.sleep(0.05)
        raise AssertionError("the service does not start")

    def predict(self, value: object) -> httpx.Response:
        return self.client.post("/predict", json=value)

    def example(self) -> dict:
        return json.loads((self.bundle / "example.json").read_text("utf-8"))

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=10) == 0
        assert b"Traceback" not in self.process.stderr.read()
        assert sorted(_bytes(self.bundle)) == self.files  # named by digest: nothing is added


def _serve(
    project: Path, table: str, data: str, words: tuple[str, ...] = (), **config: object
) -> Service:
    """Compile, run and start the service of a table."""
    (project / "conf" / "data").mkdir(parents=True)
    (project / "people.csv").write_text(table, "utf-8")
    (project / "conf" / "config.yaml").write_text(CONFIG.format(**config), "utf-8")
    (project / "conf" / "data" / "people.yaml").write_text(data, "utf-8")
    record = mc.run(words, project=project)
    state = State(root=project / ".mlops")
    checkout_bundle(record.bundle, place_with((), project), project / "bundle")
    return Service(project / "bundle", record, state.store)


@pytest.fixture(scope="module", params=["lightgbm", "logistic_regression"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    project = tmp_path_factory.mktemp("people")
    running = _serve(project, _people(), DATA, model=request.param, records=5, size=4096)
    yield running
    running.end()


def _sent(service: Service) -> tuple[list[dict], dict[str, list]]:
    """The held-out rows as a client sends them, and the predictions that evaluate recorded."""
    blobs = service.store.blobs
    predictions = read_table(blobs.read(service.record["evaluate"].output("predictions")))
    table = read_table(blobs.read(service.record["validate"].output("table")))
    rows = table.take(predictions.column("row")).to_pylist()
    sent = [{name: value for name, value in row.items() if value is not None} for row in rows]
    plain = [{n: getattr(v, "isoformat", lambda v=v: v)() for n, v in r.items()} for r in sent]
    return plain, predictions.to_pydict()


def test_answers_are_the_models_own_bits(service: Service) -> None:
    """Every held-out row, over HTTP: the number that the evaluate step recorded."""
    rows, predictions = _sent(service)
    for row, expected in zip(rows, predictions["p1"], strict=True):
        answer = service.predict(row).json()
        assert answer["probability"] == expected == answer["probabilities"]["yes"]
        assert answer["prediction"] == ("yes" if expected > 1.0 - expected else "no")
        assert answer["model"] == service.record.model


def test_one_record_is_a_batch_of_one(service: Service) -> None:
    example = service.example()
    one = service.predict(example).json()
    many = service.predict([example] * 3).json()
    assert many.pop("model") == one.pop("model")
    assert many.pop("plan") == one.pop("plan")
    del one["id"]
    ids = [answer.pop("id") for answer in many["predictions"]]
    assert many == {"predictions": [one] * 3} and len({*ids}) == 3
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
    example = service.example()
    body = {k: v for k, v in {**example, **change}.items() if v is not ...}
    answer = service.predict(body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]
    assert answer.json()["status"] == 422
    assert service.predict([example, body]).status_code == 422


def test_missing_and_unseen_values_are_answered(service: Service) -> None:
    example = service.example()
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


def test_a_stated_size_is_refused_before_it_is_sent(service: Service) -> None:
    lines = ("POST /predict HTTP/1.1", "host: x", "expect: 100-continue", "content-length: 9999999")
    head = "\r\n".join((*lines, "", ""))
    with socket.create_connection(("127.0.0.1", service.port), timeout=5) as connection:
        connection.sendall(head.encode("ascii"))
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_what_was_sent_is_repeated_in_part(service: Service) -> None:
    answer = service.predict({**service.example(), "k" * 3000: 1})
    assert answer.status_code == 422 and len(answer.content) < 1000


def test_too_many_records_are_refused(service: Service) -> None:
    example = service.example()
    assert service.predict([example] * 5).status_code == 200
    assert service.predict([example] * 6).status_code == 413


def test_it_tells_about_itself(service: Service) -> None:
    about = service.client.get("/model").json()
    assert about["model"] == service.record.model
    assert about["plan"] == service.record["package"].action
    assert about["bundle"] == service.record["package"].output("bundle").sha256
    assert about["contract"]["request"]["age"] == "numeric?"
    assert service.client.get("/health/live").json() == {"status": "live"}
    described = service.client.get("/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    example = described["components"]["schemas"]["Record"]["example"]
    assert service.predict(example).status_code == 200
    head = service.client.head("/model")
    assert head.status_code == 200 and head.content == b""


def _params(record: mc.RunRecord) -> dict[str, object]:
    return dict(record.lock.plan["package"].params)


def _work(service: Service, directory: Path, **params: object) -> Work:
    """The package step's work, as an executor would give it."""
    blobs, record = service.store.blobs, service.record
    made = {
        "evaluation": record["evaluate"].output("evaluation"),
        "predictions": record["evaluate"].output("predictions"),
        "table": record["validate"].output("table"),
        "profile": record["validate"].output("profile"),
        "report": record["validate"].output("report"),
        "facts": record["split"].output("facts"),
        "train": record["split"].output("train"),
    }
    model = record["train"].output("model")
    blobs.checkout(model, directory / "model")
    (directory / "bundle").mkdir()
    return Work(
        step="package",
        params=freeze({**_params(record), **params}),
        inputs={name: blobs.read(digest) for name, digest in made.items()}
        | {"model": directory / "model"},
        digests={**made, "model": model},
        outputs={"bundle": directory / "bundle"},
        threads=1,
        key=record["package"].action,
        contract=record.lock.contract,
    )


def test_the_example_has_no_value_that_the_data_had_not(service: Service) -> None:
    observed = module_of(service.bundle, "observed")
    record = msgspec.convert(service.example(), module_of(service.bundle, "schema").Record)
    counts = [[0] * len(names) for names in (observed.MISSING, observed.UNSEEN, observed.BEYOND)]
    observed.observe(record, *counts)
    assert not any(map(any, counts)) and observed.UNSEEN and "since" in observed.BEYOND


def test_the_same_inputs_give_the_same_bundle(service: Service, tmp_path: Path) -> None:
    limits = {"name": "people", "max_records": 5, "max_body_bytes": 4096}
    package.run(_work(service, tmp_path, deploy=limits))
    assert _bytes(tmp_path / "bundle") == _bytes(service.bundle)


def test_every_gate_that_is_not_met_is_told_first(service: Service, tmp_path: Path) -> None:
    gates = {"roc_auc": ">= 2", "accuracy": "> 1", "log_loss": "< 100"}
    with pytest.raises(GateError) as caught:
        package.run(_work(service, tmp_path, evaluate={"primary": "roc_auc", "gates": gates}))
    where = [problem.where for problem in caught.value.problems]
    assert where == [("evaluate", "gates", "accuracy"), ("evaluate", "gates", "roc_auc")]
    assert not list((tmp_path / "bundle").iterdir())


# One record is answered well; in a list, every record is answered as the first.
FIRST_FOR_ALL = """_well = Scorer.scores
Scorer.scores = lambda self, records: _well(self, records[:1]) * len(records)


"""


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("MODEL", "1.0 - ", "1.0000000000000002 - ", "answers"),
        ("scorer.py", "def features(", "def features((", "cannot be loaded: SyntaxError"),
        ("scorer.py", ".hour)", ".our)", "fails at row"),
        ("scorer.py", "def answer(", f"{FIRST_FOR_ALL}def answer(", "answers"),
        ("schema.py", "job title", "job", "fails at row"),
    ],
)
def test_a_service_that_differs_is_refused(
    service: Service,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    old: str,
    new: str,
    says: str,
) -> None:
    named = file if file != "MODEL" else ""

    def broken(spec: object) -> dict[str, str]:
        files = render(spec)
        file = named or ("trees.py" if "trees.py" in files else "scorer.py")
        assert old in files[file]
        return {**files, file: files[file].replace(old, new)}

    monkeypatch.setattr(package, "render", broken)
    with pytest.raises(StepError) as caught:
        package.run(_work(service, tmp_path))
    (problem,) = caught.value.problems
    assert says in problem.message and problem.message.endswith("the bundle is refused")


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("scorer.c", "exp(-s[i])", "exp(s[i])", r"scorer in C answers .* for hostile row 1 alone"),
        ("scorer.c", "row < rows; row++", "row < 1; row++", r"in C answers .* hostile row 2 among"),
        ("scorer.c", "#include <math.h>", "#include <maths.h>", r"cannot be loaded: .* fails: "),
        ("trees.py", "exponential(-score)", "exponential(score)", r"scorer in Python answers "),
        ("trees.py", "return [1.0 - ", "return [0.0, 1.0 - ", r"in Python gives 3 numbers, not 2"),
        ("trees.py", "x0, ", "", r"scorer in Python fails at hostile rows alone: ValueError"),
    ],
)
def test_a_scorer_that_differs_is_refused(
    service: Service,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    old: str,
    new: str,
    says: str,
) -> None:
    """Of trees there are two, and each is proved on rows that the data has not."""
    if "scorer.c" not in service.files:
        pytest.skip("a model without trees")

    def broken(spec: object) -> dict[str, str]:
        files = render(spec)
        assert old in files[file]
        return {**files, file: files[file].replace(old, new)}

    monkeypatch.setattr(package, "render", broken)
    with pytest.raises(StepError, match=says):
        package.run(_work(service, tmp_path))


@pytest.mark.parametrize("where", ["no compiler", "a compiler that does not work"])
def test_without_a_compiler_python_is_proved_alone(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    if "scorer.c" not in service.files:
        pytest.skip("a model without trees")
    (tmp_path / "bin").mkdir()
    if where != "no compiler":
        (tmp_path / "bin" / "cc").write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "bin" / "cc").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    package.run(_work(service, tmp_path))
    assert _bytes(tmp_path / "bundle") == _bytes(service.bundle)


def test_pandas_can_still_be_imported_beside_the_app(service: Service) -> None:
    code = "import app, sys; assert not {'pandas', 'sklearn'} & set(sys.modules); import pandas"
    # Without -B, Python itself adds what it compiles of the file that it is told to import.
    subprocess.run([sys.executable, "-B", "-c", code], cwd=service.bundle, check=True)


OTHER = """
name: people
target: "`t`\\n# <b>"
task: {task}
source: {{kind: csv, path: people.csv}}
split: {{kind: random, test_size: 0.3}}
"""


def _others(task: str) -> str:
    draw = random.Random(11)
    rows = ["tiny,seen,'''; import os,\"`t`\n# <b>\""]
    for number in range(800):
        tiny = draw.gauss(0, 1e-4)
        seen = (
            f"20{draw.randint(10, 23)}-03-1{draw.randint(0, 9)}T0{draw.randint(0, 9)}:00:00+05:30"
        )
        level = draw.choice(["{{ 7*7 }}", "a'b", "\\", ""])
        truth = f"class {1 + (tiny > 0) + (number % 3 == 0)}" if task == "multiclass" else tiny * 9
        rows.append(f"{tiny},{seen},{level},{truth}")
    return "\n".join(rows) + "\n"


@pytest.fixture(
    scope="module",
    params=[
        ("multiclass", "lightgbm"),
        ("multiclass", "logistic_regression"),
        ("regression", "lightgbm"),
        ("regression", "ridge"),
    ],
    ids="-".join,
)
def other(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    task, model = request.param
    project = tmp_path_factory.mktemp("others")
    data = OTHER.format(task=task)
    running = _serve(project, _others(task), data, model=model, records=1000, size=1_000_000)
    yield running
    running.end()


def test_a_list_is_answered_in_the_models_bits(other: Service) -> None:
    """All held-out rows at once: enough of them to be scored in a thread."""
    rows, predictions = _sent(other)
    assert len(rows) > 200
    answers = other.predict(rows).json()["predictions"]
    outputs = [predictions[name] for name in predictions if name not in ("row", "truth")]
    classes = other.record.lock.contract.classes
    for answer, expected in zip(answers, zip(*outputs, strict=True), strict=True):
        if classes:
            assert answer["probabilities"] == dict(zip(classes, expected, strict=True))
            assert answer["prediction"] == classes[int(np.argmax(expected))]
            assert "probability" not in answer
        else:
            assert answer == {"prediction": expected[0], "id": answer["id"]}
    alone = other.predict(rows[0]).json()
    about = {"id": alone["id"], "model": other.record.model, "plan": alone["plan"]}
    assert alone == {**answers[0], **about}


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        ("2024-01-31T12:00:00+05:30", 200),
        ("2024-01-31T06:30:00Z", 200),
        ("2024-01-31T12:00:00", 422),
        ("0001-01-01T00:00:00+14:00", 422),
        ("9999-12-31T23:59:59-14:00", 422),
    ],
)
def test_a_time_with_a_zone_is_taken_in_utc(other: Service, seen: str, status: int) -> None:
    answer = other.predict({**other.example(), "seen": seen})
    assert answer.status_code == status, answer.text
    assert status == 200 or "`seen`" in answer.json()["detail"]
    if status == 200:
        same = other.predict({**other.example(), "seen": "2024-01-31T06:30:00+00:00"})
        assert answer.json()["prediction"] == same.json()["prediction"]


def test_an_answer_is_a_number_or_a_refusal(other: Service) -> None:
    """Values that overflow on their way through a linear model have no answer."""
    family = other.client.get("/model").json()["family"]
    answer = other.predict([other.example(), {**other.example(), "tiny": 1.7e308}])
    if family == "lightgbm":
        assert answer.status_code == 200
    else:
        assert answer.status_code == 422
        assert answer.json()["detail"].endswith("its answer is no number - at `$[1]`")


OWN = """
def aged(age):
    if age is not None and age > 200:
        raise ValueError(f"nobody is {age:g}")
    return age


def initial(name):
    return name[:1] if name != "Zed" else 26
"""


def test_a_record_that_a_function_of_ones_own_cannot_take(tmp_path: Path) -> None:
    """The client learns the function and the record, the log why; of sensitive columns no value."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "own.py").write_text(OWN, "utf-8")
    data = DATA + "columns: {first.name: {sensitive: true}}\n"
    derive = (
        "{years: {function: own.aged, inputs: [age], type: numeric},"
        " letter: {function: own.initial, inputs: [first.name], type: categorical}}"
    )
    words = ("code.roots=[src]", f"prepare.derive={derive}", "model.params.num_iterations=5")
    running = _serve(tmp_path, _people(), data, words, model="lightgbm", records=900, size=10**6)
    fine = running.example()
    old, odd = {**fine, "age": 321.5}, {**fine, "first.name": "Zed"}
    assert running.predict(fine).status_code == 200
    for sent, function, where in (
        (old, "own.aged", ""),
        ([fine, old, fine], "own.aged", " - at `$[1]`"),
        ([*[fine] * 400, odd], "own.initial", " - at `$[400]`"),
    ):
        answer = running.predict(sent)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        detail = f"{function} cannot take the values of this record{where}"
        assert answer.json()["detail"] == detail
    assert running.predict(fine).status_code == 200
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(timeout=10) == 0
    log = running.process.stderr.read().decode()
    assert log.count("error: own.aged failed: ValueError: nobody is 321.5") == 2
    assert log.count("error: own.initial failed: TypeError\n") == 1
    assert "in aged" in log and "Zed" not in log and "26" not in log.partition("own.initial")[2]
