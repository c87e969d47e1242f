"""Bundles of small projects, with names and levels that would break templates."""

from __future__ import annotations

import csv
import io
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlops_compile as mc
from mlops_compile.api.models import checkout_bundle
from mlops_compile.api.registering import place_with
from mlops_compile.api.state import State
from mlops_compile.ir.value import freeze, pretty
from mlops_compile.steps.tables import read_table

NUMBER, LEVEL, FLAG, TIME = (
    "'''; import os; os._exit(3) #",
    "{{ 7*7 }} */ $(touch x) `t`, 'b'",
    "yes: &a *b - no {% if %}",
    "naïve\u2028– <b> 😀",
)
LEVELS = ("a'b", 'say "hi", {{ x }}', "*/ //", "$(x) `y`", "# - : &", "naïve 😀", "\\n")
CLASSES = ('no: "0"', "yes */ {{ 1 }}", "$(maybe)\u2028")
NAME = '{{ 6*7 }}: "x" */\n# $(y) é'


def table(task: str, rows: int = 240) -> list[dict[str, Any]]:
    """Rows of a number with gaps, a level with gaps, a boolean and a time, and a target `y`."""
    draw = random.Random(5)
    found = []
    for number in range(rows):
        x, level = draw.gauss(0, 1e3), draw.choice(LEVELS)
        score = x / 1e3 + LEVELS.index(level) % 3 + draw.gauss(0, 0.3)
        count = {"binary": 2, "multiclass": 3}.get(task, 0)
        day, hour = f"20{draw.randint(10, 23)}-03-1{draw.randint(0, 9)}", draw.randint(0, 9)
        at = sum(score > cut for cut in (0.7, 1.6)[: count - 1]) if count else 0
        found.append(
            {
                NUMBER: None if number % 13 == 0 else x,
                LEVEL: None if number % 11 == 0 else level,
                FLAG: draw.random() < 0.5,
                TIME: f"{day}T0{hour}:15:00",
                "y": CLASSES[at] if count else score,
            }
        )
    return found


def cell(value: object) -> str:
    """A value as csv has it."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def csv_text(rows: list[dict[str, Any]], names: list[str]) -> str:
    """Rows as csv with a line of names."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([cell(row.get(name)) for name in names] for row in rows)
    return written.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A bundle with the run that made it."""

    bundle: Path
    project: Path
    record: mc.RunRecord
    state: State

    def held_out(self) -> tuple[list[dict[str, Any]], dict[str, list[Any]]]:
        """The held-out rows as a client sends them, and the predictions that were evaluated."""
        blobs = self.state.store.blobs
        predictions = read_table(blobs.read(self.record["evaluate"].output("predictions")))
        validated = read_table(blobs.read(self.record["validate"].output("table")))
        rows = validated.take(predictions.column("row")).to_pylist()
        sent = [{n: v for n, v in row.items() if v is not None and n != "y"} for row in rows]
        plain = [{n: getattr(v, "isoformat", lambda v=v: v)() for n, v in r.items()} for r in sent]
        return plain, predictions.to_pydict()


def project(
    place: Path, *, family: str, task: str, target: str, config: dict[str, Any] | None = None
) -> None:
    """A project of that table; `config` is added to its own."""
    (place / "conf" / "data").mkdir(parents=True)
    names = [NUMBER, LEVEL, FLAG, TIME, "y"]
    (place / "rows.csv").write_text(csv_text(table(task), names), "utf-8")
    groups = {"data": "rows", "prepare": "auto", "model": family, "evaluate": "default"}
    groups |= {"deploy": target, "store": "local", "execution": "local"}
    stated = {
        "defaults": [*({group: name} for group, name in groups.items()), "_self_"],
        "deploy": {"name": NAME.replace("{", "(").replace("$", "S")},
        **(config or {}),
    }
    data = {
        "name": "rows",
        "target": "y",
        "task": task,
        "source": {"kind": "csv", "path": "rows.csv"},
        "split": {"kind": "random", "test_size": 0.4},
    }
    if task == "binary":
        data["positive"] = CLASSES[1]
    for file, value in (("config.yaml", stated), ("data/rows.yaml", data)):
        (place / "conf" / file).write_text(pretty(freeze(value)), "utf-8")


def make(
    place: Path,
    *words: str,
    family: str = "lightgbm",
    task: str = "binary",
    target: str = "http",
    config: dict[str, Any] | None = None,
) -> Made:
    """Run a project of that table, and write its bundle to `bundle/` in its directory."""
    project(place, family=family, task=task, target=target, config=config)
    record = mc.run(("evaluate.allow_worse_than_baseline=true", *words), project=place)
    state = State(root=place / ".mlops")
    checkout_bundle(record.bundle, place_with((), place), place / "bundle")
    return Made(bundle=place / "bundle", project=place, record=record, state=state)
