"""Rows of services: the bundle of adult beside MLflow, BentoML and FastAPI by hand, of one model
and each in an environment of its own; a row and a batch beside LightGBM's library."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import Request, urlopen

import lightgbm
import numpy as np

from mlops_compile.ir.digest import Digest, digest_of
from mlops_compile.store.store import Store
from tests.benchmarks.engine import ADULT, adult
from tests.benchmarks.pairs import Missing, Row, environment
from tests.benchmarks.scoring import seconds

_SECONDS = 4  # of load
_CONNECTIONS = (1, 8, 64)
_START = 90  # seconds a server may take to answer
_BATCH = 100
_SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local file = io.open("{body}", "rb")
wrk.body = file:read("*all")
file:close()
"""
_CODES = """
LEVELS = json.loads(pathlib.Path("levels.json").read_text())
COLUMNS = json.loads(pathlib.Path("columns.json").read_text())


def row(record):
    found = []
    for name in COLUMNS:
        value = record.get(name)
        if name in LEVELS:
            value = LEVELS[name].get(value)
        found.append(math.nan if value is None else float(value))
    return found
"""
_FASTAPI = (
    """
import json, math, pathlib
import lightgbm, numpy as np
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, create_model
"""
    + _CODES
    + """
fields = {name: ((str if name in LEVELS else float) | None, None) for name in COLUMNS}
Record = create_model("Record", __config__=ConfigDict(extra="forbid"), **fields)
booster = lightgbm.Booster(model_file="model.txt")
app = FastAPI()


def answers(records):
    rows = np.array([row(record.__dict__) for record in records])
    return [
        {"prediction": ">50K" if p > 0.5 else "<=50K", "probability": p}
        for p in booster.predict(rows, num_threads=1).tolist()
    ]


@app.get("/health")
async def health() -> dict:
    return {}


@app.post("/predict")
async def predict(record: Record) -> dict:
    return answers([record])[0]


@app.post("/batch")
async def batch(records: list[Record]) -> dict:
    return {"predictions": answers(records)}
"""
)
_BENTOML = (
    """
import json, math, pathlib
import bentoml, lightgbm, numpy as np
"""
    + _CODES
    + """

@bentoml.service(workers=1)
class Adult:
    def __init__(self) -> None:
        self.booster = lightgbm.Booster(model_file="model.txt")

    @bentoml.api
    def predict(self, records: list[dict]) -> list[float]:
        rows = np.array([row(record) for record in records])
        return self.booster.predict(rows, num_threads=1).tolist()
"""
)
_MLFLOW = (
    """
import json, math, os, pathlib, sys
import lightgbm, mlflow, numpy as np
"""
    + _CODES
    + """

class Adult(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.booster = lightgbm.Booster(model_file=context.artifacts["model"])

    def predict(self, context, model_input, params=None):
        frame = model_input[COLUMNS].copy()
        for name, levels in LEVELS.items():
            frame[name] = frame[name].map(levels)
        return self.booster.predict(frame.to_numpy("float64"), num_threads=1)


mlflow.pyfunc.save_model("served", python_model=Adult(), artifacts={"model": "model.txt"})
"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """How a server is started on a port, asked for one row and for many, and known to be there.
    `python` is that of its environment."""

    python: Path
    words: Callable[[int], Sequence[str]]
    directory: Path
    ready: str
    one: str
    many: str
    body: Callable[[list[dict[str, Any]]], object]
    alone: Callable[[dict[str, Any]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one start of a server showed: seconds to its first answer, MiB, packages; by number of
    connections the median milliseconds and the requests a second; the same of a batch."""

    cold: float
    memory: float
    packages: int
    load: Mapping[int, tuple[float, float]]
    batch: tuple[float, float]


def _home(name: str, *packages: str) -> Path:
    """The interpreter of an environment of its own, kept for later runs."""
    home = Path(os.environ.get("MLOPS_PEERS", Path(tempfile.gettempdir()) / "mlops-peers")) / name
    python = home / "bin" / "python"
    if not (home / "whole").exists():
        install = [str(python), "-m", "pip", "install", "--quiet", *packages]
        for words in ([sys.executable, "-m", "venv", "--clear", str(home)], install):
            if subprocess.run(words, capture_output=True).returncode:
                raise Missing(f"{name} cannot be installed here")
        (home / "whole").touch()
    return python


def _mlops(directory: Path, *words: str) -> str:
    command = [sys.executable, "-m", "mlops_compile", *words]
    done = subprocess.run(command, cwd=directory, env=dict(environment()), capture_output=True)
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    return done.stdout.decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A bundle of adult, the same model as a text of LightGBM beside the codes of its levels, and
    records to ask with."""

    bundle: Path
    peers: Path
    records: list[dict[str, Any]]


def made(directory: Path, trees: int, *words: str) -> Made:
    """Run adult with so many trees of 31 leaves, and these overrides; and pack it."""
    file = adult(1)
    try:
        _mlops(directory, "init", "adult", "--data", str(file), "--target", "income",
               "--columns", ADULT)  # fmt: skip
        project = directory / "adult"
        size = f"model.params.num_iterations={trees}"
        told = json.loads(_mlops(project, "run", "--json", size, *words))
        _mlops(project, "bundle", told["directory"], "-o", str(directory / "bundle"))
    finally:
        shutil.rmtree(file.parent)
    peers = directory / "peers"
    peers.mkdir()
    (outputs,) = (step["outputs"] for step in told["steps"] if step["kind"] == "train")
    store = Store(project / ".mlops" / "store")
    digest = Digest(sha256=outputs["model"]["digest"], size=outputs["model"]["size"])
    files = {str(path): blob for path, blob in store.blobs.tree(digest)}
    (peers / "model.txt").write_bytes(store.blobs.read(files["lightgbm.txt"]).read_bytes())
    example = json.loads((directory / "bundle" / "example.json").read_text("utf-8"))
    columns = [*example]
    space: dict[str, Any] = {"__name__": "scorer", "__file__": str(directory / "bundle/scorer.py")}
    exec((directory / "bundle" / "scorer.py").read_text("utf-8"), space)
    tables = {name: value for name, value in space.items() if name.startswith("LEVELS_C")}
    levels = {columns[int(name[8:].partition("_")[0])]: codes for name, codes in tables.items()}
    (peers / "levels.json").write_text(json.dumps(levels))
    (peers / "columns.json").write_text(json.dumps(columns))
    draw = np.random.RandomState(0)
    records = [
        {
            **example,
            **{name: draw.choice([*codes]) for name, codes in levels.items()},
            "age": float(draw.randint(17, 90)),
            "hours-per-week" if "hours-per-week" in example else "hours_per_week": 40.0,
        }
        for _ in range(_BATCH)
    ]
    return Made(bundle=directory / "bundle", peers=peers, records=records)


def _ours(found: Made) -> Server:
    required = found.bundle / "requirements.txt"
    name = f"service-{digest_of(required.read_bytes()).sha256[:12]}"
    python = _home(name, "-r", str(required))
    return Server(
        python=python,
        words=lambda port: (str(python), "app.py", "--port", str(port)),
        directory=found.bundle,
        ready="/health/ready",
        one="/predict",
        many="/predict",
        body=lambda records: records,
        alone=lambda record: record,
    )


def _fastapi(found: Made) -> Server:
    python = _home("fastapi-httptools", "fastapi", "uvicorn", "httptools", "lightgbm", "numpy")
    (found.peers / "byhand.py").write_text(_FASTAPI)
    own = ("-m", "uvicorn", "byhand:app", "--log-level", "warning", "--no-access-log", "--port")
    return Server(
        python=python,
        words=lambda port: (str(python), *own, str(port)),
        directory=found.peers,
        ready="/health",
        one="/predict",
        many="/batch",
        body=lambda records: records,
        alone=lambda record: record,
    )


def _bentoml(found: Made) -> Server:
    python = _home("bentoml", "bentoml", "lightgbm", "numpy", "pandas")
    (found.peers / "bento.py").write_text(_BENTOML)
    own = (str(python.parent / "bentoml"), "serve", "bento:Adult", "-p")
    return Server(
        python=python,
        words=lambda port: (*own, str(port)),
        directory=found.peers,
        ready="/readyz",
        one="/predict",
        many="/predict",
        body=lambda records: {"records": records},
        alone=lambda record: {"records": [record]},
    )


def _mlflow(found: Made) -> Server:
    python = _home("mlflow", "mlflow", "lightgbm", "pandas", "numpy")
    (found.peers / "save.py").write_text(_MLFLOW)
    subprocess.run([str(python), "save.py"], cwd=found.peers, check=True, capture_output=True)
    own = ("models", "serve", "-m", "served", "--env-manager", "local", "--workers", "1", "-p")
    return Server(
        python=python,
        words=lambda port: (str(python.parent / "mlflow"), *own, str(port)),
        directory=found.peers,
        ready="/ping",
        one="/invocations",
        many="/invocations",
        body=lambda records: {"dataframe_records": records},
        alone=lambda record: {"dataframe_records": [record]},
    )


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _asked(url: str, body: object = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data=data, headers={"Content-Type": "application/json"})
    with urlopen(request, timeout=30) as answer:
        found: bytes = answer.read()
        return found


@contextmanager
def _running(server: Server, record: dict[str, Any]) -> Iterator[tuple[str, int, float]]:
    """Its address, its process, and the seconds until it has answered."""
    port = _free()
    url = f"http://127.0.0.1:{port}"
    path = os.pathsep.join([str(server.python.parent), os.environ["PATH"]])
    own = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    own |= {"PATH": path, "BENTOML_DO_NOT_TRACK": "True", "MLFLOW_DISABLE_TELEMETRY": "true"}
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            server.words(port), cwd=server.directory, env=own, stdout=said, stderr=said,
            start_new_session=True,
        )  # fmt: skip
        try:
            while True:
                try:
                    _asked(f"{url}{server.one}", server.alone(record))
                    break
                except OSError:
                    if process.poll() is not None or time.perf_counter() - start > _START:
                        said.seek(0)
                        text = said.read().decode(errors="replace")[-2000:]
                        raise RuntimeError(f"the server does not answer: {text}") from None
                    time.sleep(0.02)
            yield url, process.pid, time.perf_counter() - start
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _memory(group: int) -> float:
    """MiB that the processes of a group hold; what they share counts once."""
    total = 0
    for place in Path("/proc").iterdir():
        try:
            if place.name.isdigit() and os.getpgid(int(place.name)) == group:
                text = (place / "smaps_rollup").read_text()
                total += int(re.findall(r"Pss:\s+(\d+)", text)[0])
        except (OSError, IndexError):
            continue
    return total / 1024


def _wrk(url: str, body: object, connections: int) -> tuple[float, float]:
    """The median milliseconds of a request, and requests a second; RuntimeError for any error."""
    with tempfile.TemporaryDirectory() as place:
        file, script = Path(place) / "body", Path(place) / "post.lua"
        file.write_text(json.dumps(body))
        script.write_text(_SCRIPT.format(body=file))
        words = ["wrk", "-t1", f"-c{connections}", f"-d{_SECONDS}s", "--latency", "-s", str(script)]
        told = subprocess.run([*words, url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(told)
    amount, unit = re.findall(r"50%\s+([\d.]+)(us|ms|s)", told)[0]
    scale = {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit]
    return float(amount) * scale, float(re.findall(r"Requests/sec:\s+([\d.]+)", told)[0])


def _packages(python: Path) -> int:
    words = [str(python), "-m", "pip", "list", "--format=json"]
    listed = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
    return len({one["name"].lower() for one in listed} - {"pip", "setuptools", "wheel"})


def _figures(server: Server, records: list[dict[str, Any]]) -> Figures:
    with _running(server, records[0]) as (url, process, cold):
        one = server.alone(records[0])
        load = {n: _wrk(f"{url}{server.one}", one, n) for n in _CONNECTIONS}
        batch = _wrk(f"{url}{server.many}", server.body(records), 1)
        return Figures(
            cold=cold,
            memory=_memory(process),
            packages=_packages(server.python),
            load=load,
            batch=batch,
        )


def beside(directory: Path, runs: int, *, peer: Callable[[Made], Server]) -> str:
    """Both servers in turn: what each takes, and the ratio of ours to the peer's."""
    if shutil.which("wrk") is None:
        raise Missing("wrk is not here")
    found = made(directory, 100)
    servers = _ours(found), peer(found)
    for server in servers:  # what is compiled at the first start is kept
        with _running(server, found.records[0]):
            pass
    rounds = [[_figures(server, found.records) for server in servers] for _ in range(min(runs, 3))]
    cells = []
    for name, of in (
        ("cold start s", lambda one: one.cold),
        ("memory MiB", lambda one: one.memory),
        ("packages", lambda one: one.packages),
        ("one request ms", lambda one: one.load[1][0]),
        *((f"requests/s, {n} connections", partial(_rate, n)) for n in _CONNECTIONS),
        (f"{_BATCH} rows ms", lambda one: one.batch[0]),
    ):
        ours, theirs = (median(of(pair[side]) for pair in rounds) for side in (0, 1))
        cells.append(f"{name} {ours:.4g} / {theirs:.4g} = {ours / theirs:.3g}")
    return "; ".join(cells)


def _rate(connections: int, one: Figures) -> float:
    return one.load[connections][1]


def row(directory: Path, runs: int) -> str:
    """Microseconds of a raw record through preparation and scorer, of 500 trees, beside
    Booster.predict on its row of features; and of 100,000 rows in an array, both on one thread."""
    found = made(directory, 500)
    sys.path.insert(0, str(found.bundle))
    try:
        space: dict[str, Any] = {"__name__": "scorer", "__file__": str(found.bundle / "scorer.py")}
        exec((found.bundle / "scorer.py").read_text("utf-8"), space)
        from schema import Record  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(found.bundle))
    import msgspec

    scorer = space["Scorer"](found.bundle)
    model = lightgbm.Booster(model_file=found.peers / "model.txt")
    decode = msgspec.json.Decoder(Record).decode
    records = [decode(json.dumps(record)) for record in found.records]
    rows = [space["features"](record) for record in records]
    arrays = [np.array([one]) for one in rows]
    ours = seconds(lambda: [scorer.scores([record]) for record in records], 10 * runs)
    peer = seconds(lambda: [model.predict(one, num_threads=1) for one in arrays], 3 * runs)
    table = np.array(rows)[np.random.RandomState(0).randint(0, len(rows), 100_000)]
    table[:, 0] += np.arange(len(table)) % 40
    flat, out = np.ascontiguousarray(table), np.empty((len(table), 2))
    taken, given = flat.ctypes.data, out.ctypes.data
    many = seconds(lambda: scorer._c(taken, given, len(flat)), 3)
    theirs = seconds(lambda: model.predict(flat, num_threads=1), 2)
    assert np.array_equal(out[:, 1], model.predict(flat, num_threads=1)), "not exact"
    return (
        f"a record {ours / _BATCH * 1e6:.1f} / {peer / _BATCH * 1e6:.1f} us = {ours / peer:.2f}; "
        f"100,000 rows {many:.2f} s / {theirs:.2f} s = {many / theirs:.2f}"
    )


ROWS = (
    *(
        Row(
            name=f"serve-{name}",
            work="the service of adult, 100 trees",
            peer=said,
            target=target,
            measure=partial(beside, peer=peer),
        )
        for name, said, target, peer in (
            ("fastapi", "FastAPI written by hand", "request <= 1, requests/s >= 1.2", _fastapi),
            ("mlflow", "mlflow models serve", "request <= 1/40, requests/s >= 60", _mlflow),
            ("bentoml", "bentoml serve", "request <= 1/40, requests/s >= 60", _bentoml),
        )
    ),
    Row(
        name="row-500",
        work="a record, and 100,000 rows, through 500 trees",
        peer="Booster.predict",
        target="<= 0.25 a row (<= 10 us), <= 0.12 of many",
        measure=row,
    ),
)
