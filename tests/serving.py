"""A small service without a pipeline behind it: its bundle, and the process that runs it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import msgspec

from mlops_compile.emit.bins import bins
from mlops_compile.emit.carried_proof import FILE as PROOF
from mlops_compile.emit.carried_proof import proof_text
from mlops_compile.emit.hostile_records import hostile_records
from mlops_compile.emit.modules import module_of
from mlops_compile.emit.render import MANIFEST, render, sealed
from mlops_compile.ir.contract import Contract, RequestField
from mlops_compile.ir.reference import SCORE, ColumnReference
from mlops_compile.ir.schema import to_value
from mlops_compile.ir.serving import LevelTable, Range, Served, ServedColumn, ServingSpec
from mlops_compile.ir.trees import Tree, Trees
from mlops_compile.ir.value import Map, freeze
from mlops_compile.steps.deploy import Deploy
from mlops_compile.steps.monitoring import Monitor

STUMP = Tree(
    feature=(0, 2), threshold=(0.5, 0.0), flags=(1, 2), left=(1, ~0), right=(~2, ~1),
    values=(0.25, -1.5, 3.0),
)  # fmt: skip
TREES = Trees(
    features=4, classes=2, base=(0.0,), width=1, trees=(STUMP,), link="logistic", sets=((1,),),
    cut=True,
)  # fmt: skip
EXAMPLE = {"age": 38.0, "from": "2024-01-31T12:00:00+00:00", "job": "cook", "paid": True}
_FIELDS = (
    ("age", "numeric", False, ("c0_0 = (c0 - 40.5) / 12.0",)),
    ("from", "datetime", True, ("c1_0 = NAN if c1 is None else float(c1.hour)",)),
    ("job", "categorical", True, ("c2_0 = LEVELS_C2_0.get(c2, NAN)",)),
    ("paid", "boolean", False, ()),
)

REFERENCE = (
    ColumnReference(
        name="age", kind="numeric", rows=400, missing=0, edges=(30.0, 45.5), counts=(100, 200, 100)
    ),
    ColumnReference(
        name="from",
        kind="datetime_utc",
        rows=400,
        missing=40,
        edges=(1577836800.0,),
        counts=(180, 180),
    ),
    ColumnReference(
        name="job",
        kind="categorical",
        rows=400,
        missing=100,
        levels=(("cook", 200), ("smith", 100)),
    ),
    ColumnReference(
        name="paid", kind="boolean", rows=400, missing=0, levels=(("true", 300), ("false", 100))
    ),
    ColumnReference(
        name=SCORE, kind="numeric", rows=100, missing=0, edges=(0.25, 0.5), counts=(50, 25, 25)
    ),
)
BINS = tuple(
    bins(column, f"c{n}" if column.name != SCORE else "") for n, column in enumerate(REFERENCE)
)


def people(model: str = "ab" * 32, **deploy: Any) -> ServingSpec:
    """A service of trees, with the config that is given of `deploy`."""
    fields = tuple(
        RequestField(name=name, type=kind, nullable=nullable) for name, kind, nullable, _ in _FIELDS
    )
    levels = LevelTable(name="LEVELS_C2_0", codes=(("cook", 0.0), ("smith", 1.0)))
    columns = tuple(
        ServedColumn(
            name=name,
            attribute=f"c{n}",
            kind="datetime_utc" if kind == "datetime" else kind,
            nullable=nullable,
            lines=lines,
            tables=(levels,) if name == "job" else (),
        )
        for n, (name, kind, nullable, lines) in enumerate(_FIELDS)
    )
    stated = to_value(Deploy())
    service = {k: v for k, v in stated.items() if k not in ("name", "target")} | deploy
    ranges = (
        Range(name="age", attribute="c0", kind="numeric", low=18.0, high=90.0),
        Range(
            name="from",
            attribute="c1",
            kind="datetime_utc",
            low="2010-01-01T00:00:00",
            high="2024-12-31T23:00:00",
        ),
        Range(name="job", attribute="c2", kind="categorical", levels=("cook", "smith")),
        Range(name="paid", attribute="c3", kind="boolean"),
    )
    return ServingSpec(
        name="people",
        model=model,
        family="lightgbm",
        scorer="scorers/trees.py.jinja",
        contract=Contract(request=fields, target="y", task="binary", classes=("no", "yes")),
        columns=columns,
        features=("c0_0", "c1_0", "c2_0", "c3"),
        origins=("age", "from", "job", "paid"),
        made=(("age", "numeric"), ("from:hour", "numeric"), ("job", "code"), ("paid", "boolean")),
        example=Map(EXAMPLE),
        requirements=(("msgspec", "0.22.0"), ("uvicorn", "0.54.0")),
        max_records=1000,
        max_body_bytes=10_485_760,
        trees=TREES,
        served=Served(
            service=freeze(service),
            plan="cd" * 32,
            ranges=ranges,
            levels=freeze({"job": ["cook", "smith"]}),
            edges=tuple(n / 10 for n in range(1, 11)),
            bins=BINS,
            monitor=to_value(Monitor()),
        ),
    )


def hiding(spec: ServingSpec, *columns: str) -> ServingSpec:
    """The same service with sensitive columns."""
    return replace(spec, served=replace(spec.served, sensitive=columns))


def write(spec: ServingSpec, directory: Path, **changed: str) -> Path:
    """The bundle of a service; `changed` are texts that stand in place of those of its files."""
    rendered = render(spec)
    files = {**rendered, PROOF: _proof(spec, rendered), **changed}
    files[MANIFEST] = sealed({name: text.encode() for name, text in files.items()})
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return directory


def _proof(spec: ServingSpec, files: dict[str, str]) -> str:
    """The proof of a service without a pipeline: what its scorer in Python answers."""
    with tempfile.TemporaryDirectory() as scratch:
        for name, text in files.items():
            path = Path(scratch) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        decode = msgspec.json.Decoder(module_of(Path(scratch), "schema").Record).decode
        scorer = module_of(Path(scratch), "scorer").Scorer(Path(scratch), False)
    records = hostile_records(spec, Map(), 8)
    return proof_text(records, scorer.scores([decode(msgspec.json.encode(r)) for r in records]))


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Running:
    """A service as a process, which is ready; `flags` and `variables` are given to it."""

    def __init__(
        self, bundle: Path, *flags: str, program: tuple[str, ...] = ("app.py",), **variables: str
    ) -> None:
        self.bundle, self.port = bundle, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, *program, "--port", str(self.port), *flags]
        environment = {"XDG_CACHE_HOME": str(bundle.parent / "cache"), **os.environ, **variables}
        self.process = subprocess.Popen(
            command, cwd=bundle, stderr=subprocess.PIPE, env=environment, text=True
        )
        self.client = httpx.Client(base_url=self.url, trust_env=False, timeout=60)
        try:
            self.wait_until_ready()
        except BaseException:
            self.process.kill()
            raise

    def wait_until_ready(self) -> None:
        for _ in range(2400):  # two minutes: a machine may be busy
            try:
                if self.client.get("/health/ready").status_code == 200:
                    return
            except httpx.TransportError:
                assert self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.05)
        raise AssertionError("the service does not start")

    def predict(self, value: object = None, **headers: str) -> httpx.Response:
        return self.client.post(
            "/predict", json=EXAMPLE if value is None else value, headers=headers
        )

    def metrics(self) -> dict[str, float]:
        """The samples that there are, by name and labels as they are written."""
        lines = self.client.get("/metrics").text.rstrip("\n").split("\n")
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {sample: float(value) for sample, _, value in pairs}

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, code: int = 0) -> str:
        """What it said, once SIGTERM has ended it."""
        self.client.close()
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            said = self.process.communicate(timeout=60)[1]
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        assert self.process.returncode == code, said
        assert "Traceback" not in said, said
        return said

    def __enter__(self) -> Running:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.process.kill()
        self.end(-9 if kind is not None else 0)


def lines_of(directory: Path, name: str) -> list[dict[str, Any]]:
    """The lines of the files of a name in a log."""
    files = sorted(directory.glob(f"{name}-*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]
