"""Runs of a project of one data set, read back as the arrays that a plain script has."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import mlops_compile as mc
from mlops_compile.ir.key import derived_seed
from mlops_compile.ir.plan import Plan
from mlops_compile.steps.prepare import read_matrix, read_preparation
from mlops_compile.steps.tables import read_table
from mlops_compile.steps.train import read_target
from mlops_compile.store.store import Store
from tests.libraries.sets import DataSet
from tests.project import CONFIG

Array = np.ndarray[Any, Any]
WEIGHT = "{role: weight, nullable: false, violation: drop}"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run's artifacts; `frame` are the rows of the file that it keeps, as pandas reads them."""

    record: mc.RunRecord
    store: Store
    frame: pd.DataFrame
    target: str
    weight: str | None

    def path(self, step: str, output: str) -> Path:
        return self.store.blobs.read(self.record[step].output(output))

    def rows(self, part: str) -> Array:
        """The rows of a part of the split, of all rows."""
        found: Array = np.load(self.path("split", part))
        return found

    @cached_property
    def features(self) -> Array:
        return read_matrix(self.path("prepare", "features"))

    @cached_property
    def preparation(self) -> Any:
        return read_preparation(self.path("prepare", "preparation"))

    @cached_property
    def codes(self) -> list[int]:
        """The features that are native categories."""
        sorts = [item["sort"] for item in self.preparation["features"]]
        return [place for place, sort in enumerate(sorts) if sort == "code"]

    @cached_property
    def classes(self) -> tuple[str, ...]:
        return read_target(self.path("validate", "target"))[1]

    @cached_property
    def truth(self) -> Array:
        """The target of every row, made of the file: positions of classes, or numbers."""
        values = self.frame[self.target].to_numpy()
        if not self.classes:
            return values.astype("float64")
        return np.array([self.classes.index(value) for value in values], dtype="int64")

    @cached_property
    def weights(self) -> Array | None:
        """What each row weighs."""
        return None if self.weight is None else self.frame[self.weight].to_numpy("float64")

    def weighing(self, rows: Array) -> Array | None:
        return None if self.weights is None else self.weights[rows]

    @cached_property
    def predicted(self) -> Array:
        """What the run answers for the test rows: rows x classes, or numbers."""
        table = read_table(self.path("evaluate", "predictions"))
        assert np.array_equal(table.column("row"), self.rows("test"))
        assert np.array_equal(table.column("truth"), self.truth[self.rows("test")])
        if not self.classes:
            return table.column("p0").to_numpy()
        return np.column_stack([table.column(f"p{n}") for n in range(len(self.classes))])

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics of the test part."""
        return json.loads(self.path("evaluate", "metrics").read_text())["test"]

    @property
    def seed(self) -> int:
        """That of the estimator."""
        return derived_seed(0, "train")


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project of one data set, its rows as pandas reads them, and processes to run it on."""

    folder: Path
    data: DataSet
    frame: pd.DataFrame
    workers: mc.Workers

    def run(self, task: str, *words: str, weighted: bool = False, until: str = "evaluate") -> Run:
        """A run with these overrides, as far as a step."""
        target = self.data.targets[task]
        given = [f"data.target={target}", f"data.task={task}", "evaluate.bootstrap=null"]
        given += ["evaluate.include=[]", *words]
        frame = self.frame[self.frame[target].notna()]
        weight = self.data.weight if weighted else None
        if weight is not None:
            given.append(f"+data.columns.{weight}={WEIGHT}")
            frame = frame[frame[weight].notna()]
        lock = as_far_as(mc.compile(given, project=self.folder), until)
        record = mc.run(lock, project=self.folder, workers=self.workers)
        return Run(
            record=record,
            store=Store(self.folder / ".mlops" / "store"),
            frame=frame.reset_index(drop=True),
            target=target,
            weight=weight,
        )


def as_far_as(lock: mc.Lock, last: str) -> mc.Lock:
    """The lock without the steps that a step does not need."""
    wanted = {last}
    kept = []
    for step in reversed(lock.plan.steps):
        if step.name in wanted:
            wanted |= {ref.step for _, ref in step.inputs}
            kept.append(step)
    return replace(lock, plan=Plan(steps=tuple(reversed(kept))))


def make(folder: Path, data: DataSet, files: Path, workers: mc.Workers) -> Project:
    """A project in a folder, of a set whose file lies in another."""
    (folder / "conf" / "data").mkdir(parents=True)
    (folder / "conf" / "config.yaml").write_text(CONFIG.format(data=data.name, model="lightgbm"))
    (folder / "conf" / "data" / f"{data.name}.yaml").write_text(data.config(files))
    return Project(folder=folder, data=data, frame=data.frame(files), workers=workers)
