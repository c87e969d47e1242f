"""Rows of the life after training: a large registry, and a log of a million rows."""

from __future__ import annotations

import json
import os
import random
import resource
import statistics
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlops_compile.registry.connect import registry_at
from mlops_compile.registry.registry import _row
from mlops_compile.registry.tables import EVENTS, VERSIONS
from tests.benchmarks.composing import bare
from tests.benchmarks.pairs import Command, Missing, Pair, Row, compare, environment
from tests.benchmarks.year import adult_project, adult_rows
from tests.project import good
from tests.test_registry import version

_VERSIONS, _EVENTS, _ROWS = 10_000, 1_000_000, 1_000_000


def registry(directory: Path, runs: int, *words: str) -> Pair:
    """An action of a registry that holds much."""
    file = directory / ".mlops" / "registry" / "registry.sqlite"
    told = {"name": "adult", "what": "promoted", "alias": "champion", "before": 1}
    told |= {"reason": "", "about": "{}", "by": "ann"}
    held = registry_at(f"sqlite:///{file}", "", time.time, "ann")
    with held as opened, opened._engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        for number in range(1, _VERSIONS + 1):
            one = replace(version("adult", number), number=number, made=1.7e9 + number)
            connection.execute(VERSIONS.insert().values(_row(one)))
        for first in range(0, _EVENTS, 100_000):
            numbers = range(first, first + 100_000)
            events = [{**told, "version": 1 + n % _VERSIONS, "made": 1.7e9 + n} for n in numbers]
            connection.execute(EVENTS.insert(), events)
        connection.commit()
    ours = Command(
        words=(sys.executable, "-m", "mlops_compile", "registry", *words),
        directory=directory,
        environment=environment(),
    )
    return compare(ours, bare(directory), runs)


def monitor(directory: Path, runs: int) -> str:
    """A window of a million rows of adult's 14 columns, half of them labelled, by a process of its
    own: seconds, its peak of memory, and the size of the log."""
    if "MLOPS_DATA" not in os.environ:
        raise Missing("MLOPS_DATA is not set")
    data = Path(os.environ["MLOPS_DATA"])
    project = adult_project(directory, data)
    ran = good(project, "run", "--json", "--quiet").document
    _log(project, project / ran["bundle"]["path"], data)
    words = ("monitor", ran["directory"], "--log", "log", "--until", "2026-01-08", "--json")
    ours = Command(
        words=(sys.executable, "-m", "mlops_compile", *words),
        directory=project,
        environment=environment(),
        code=8,  # half of the truths are of other rows
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    seconds = [ours.seconds() for _ in range(min(runs, 3))]
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert memory > before  # else it is that of another child
    size = sum(file.stat().st_size for file in (project / "log").iterdir()) / 2**20
    told = f"{statistics.median(seconds):.1f} s, {memory / 1024:,.0f} MiB"
    return f"{told}; a log of {size:,.0f} MiB"


def _log(project: Path, bundle: Path, data: Path) -> None:
    """A million lines: the rows of adult's test file over and over, with what was answered."""
    facts = json.loads((bundle / "bundle.json").read_text("utf-8"))
    fields = facts["contract"]["request"]
    frame = adult_rows(data / "adult-test.csv")
    records = json.loads(frame[list(fields)].to_json(orient="records"))
    texts = [json.dumps(record, separators=(",", ":")) for record in records]
    truths, draw = frame["income"].tolist(), random.Random(0)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    head = f'"model":"{facts["model"]}","plan":"{facts["plan"]}","record":'
    (project / "log").mkdir()
    with (
        (project / "log" / "predictions-1.jsonl").open("w") as asked,
        (project / "log" / "feedback-1.jsonl").open("w") as told,
    ):
        for number in range(_ROWS):
            place = number % len(texts)
            share = draw.random() ** 2
            time = f"{start + timedelta(seconds=number / 2):%Y-%m-%dT%H:%M:%S.%fZ}"
            shares = {"<=50K": 1 - share, ">50K": share}
            answer = json.dumps({"prediction": "<=50K", "probabilities": shares})
            line = f'{{"v":1,"id":"r{number}","time":"{time}",{head}{texts[place]},"answer":'
            asked.write(f'{line}{answer},"seconds":0.0002}}\n')
            if number % 2:
                truth = truths[place]
                told.write(f'{{"v":1,"id":"r{number}","time":"{time}","truth":"{truth}"}}\n')


_BARE = "bare `@hydra.main` app, same conf"
_HELD = f"of {_VERSIONS:,} versions and {_EVENTS:,} events"
_LIST, _SHOW = ("list", "--most", "20"), ("show", "adult:5000")
ROWS = (
    Row("registry-list", f"registry list, {_HELD}", _BARE, "<= 0.5 s",
        lambda directory, runs: registry(directory, runs, *_LIST)),
    Row("registry-show", f"registry show, {_HELD}", _BARE, "<= 0.5 s",
        lambda directory, runs: registry(directory, runs, *_SHOW)),
    Row("monitor", f"monitor {_ROWS:,} rows x 14 columns", "-", "< 10 s, < 1 GiB", monitor),
)  # fmt: skip
