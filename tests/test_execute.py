"""Executing: what is made is not made again, what is damaged is, and what fails leaves nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mlops_compile as mc
from mlops_compile.api.compiling import effects_of
from mlops_compile.api.running import execute_lock
from mlops_compile.api.state import State
from mlops_compile.execute.observer import Silent
from mlops_compile.execute.pool import Workers
from mlops_compile.execute.resources import Resources
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Plan, Step
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.record import RunRecord, StepResult
from mlops_compile.store.store import Store

QUICK = (
    "data=iris",
    "model=lightgbm",
    "model.params.num_iterations=2",
    "model.params.num_leaves=4",
)
ORDER = ["acquire", "validate", "split", "inspect", "prepare", "train", "evaluate"]
ROWS = [(f"{'abcd'[n % 4]}", n % 7, n / 3, "yes" if n % 3 else "no") for n in range(60)]


def without_package(lock: Lock) -> Lock:
    """The lock up to the metrics: packaging has tests of its own."""
    return replace(lock, plan=Plan(steps=tuple(s for s in lock.plan.steps if s.kind != "package")))


class Heard(Silent):
    """Remembers what a run tells."""

    def __init__(self) -> None:
        self.started_steps: list[str] = []
        self.notes: list[str] = []

    def started(self, step: Step, seconds: float | None) -> None:
        self.started_steps.append(step.name)

    def noted(self, step: Step, message: str) -> None:
        self.notes.append(f"{step.name}: {message}")


class Project:
    """A project directory with a file to learn from, and what its runs did."""

    def __init__(self, root: Path, workers: Workers) -> None:
        self.root = root
        self.workers = workers
        self.state = State(root=root / ".mlops")
        self.heard = Heard()
        self.file = root / "rows.csv"
        self.file.write_text(
            "color,size,cost,answer\n" + "".join(f"{a},{b},{c},{d}\n" for a, b, c, d in ROWS)
        )

    def lock(self, *overrides: str) -> Lock:
        return without_package(mc.compile([*QUICK, *overrides], project=self.root))

    def csv(self, *overrides: str) -> Lock:
        data = [
            *("data=csv", "data.name=rows", "data.source.path=rows.csv", "data.target=answer"),
            *("data.task=binary", "data.split.kind=stratified"),
        ]
        return self.lock(*data, *overrides)

    def run(self, lock: Lock, threads: int = 1) -> RunRecord:
        """Execute, and hold the run to what was said of it before."""
        said = {effect.step.name: effect.effect for effect in effects_of(lock, self.state)}
        self.heard = Heard()
        record = self.execute(lock, threads)
        for result in record.results:
            assert not (said[result.step] == "hit" and result.status != "hit")
            assert not (said[result.step] == "run" and result.status == "hit")
        ran = [r.step for r in record.results if r.status in ("ran", "failed")]
        assert sorted(self.heard.started_steps) == sorted(ran)
        assert not list((self.root / ".mlops" / "store" / "scratch").glob("*"))
        return record

    def execute(self, lock: Lock, threads: int = 1) -> RunRecord:
        limits = Resources(cores=2, workers=2, threads=threads)
        logs, workers = self.root / "logs", self.workers
        return execute_lock(
            lock, self.state, self.root, self.heard, limits, logs=logs, workers=workers
        )

    def ran(self, lock: Lock) -> list[str]:
        record = self.run(lock)
        assert record.ok
        return [result.step for result in record.results if result.status == "ran"]


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(2) as found:
        yield found


@pytest.fixture
def project(tmp_path: Path, workers: Workers) -> Project:
    return Project(tmp_path, workers)


def blob(project: Project, result: StepResult, port: str) -> Path:
    return project.state.store.blobs.place(result.output(port).sha256)


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.unlink()
    path.write_bytes(data)


def test_what_is_made_is_not_made_again(project: Project) -> None:
    lock = project.lock()
    first = project.run(lock)
    assert [result.status for result in first.results] == ["ran"] * len(ORDER)
    second = project.run(lock)
    assert [result.status for result in second.results] == ["hit"] * len(ORDER)
    assert second == first
    assert second.metrics["test"]["accuracy"] > 0.5  # type: ignore[index]
    assert [e.effect for e in effects_of(lock, project.state)] == ["hit"] * len(ORDER)


def test_two_stores_are_given_the_same_bytes(tmp_path: Path, workers: Workers) -> None:
    records = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        project = Project(tmp_path / name, workers)
        records.append(project.run(project.csv(), threads=1 if name == "one" else 3))
    assert records[0] == records[1]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("model.params.num_leaves=3", ["train", "evaluate"]),
        ("evaluate.metrics=[accuracy]", ["evaluate"]),
        ("data.split.test_size=0.3", ORDER[2:]),
        ("deploy.max_records=5", []),
        ("store.uri=.mlops/../.mlops", []),
        ("execution.threads=1", []),
        ("seed=0", []),
        ("model.params.max_depth=-1", ["train"]),  # its default, stated: another cause, equal model
    ],
)
def test_a_change_runs_what_depends_on_it(
    project: Project, change: str, expected: list[str]
) -> None:
    project.run(project.lock())
    ran = project.ran(project.lock(change))
    if change == "data.split.test_size=0.3":
        ran = sorted({*ran, "prepare"}, key=ORDER.index)  # may learn the same from other rows
    if change == "model.params.max_depth=-1":
        ran = [step for step in ran if step != "evaluate"]  # the text of a model names its params
    assert ran == expected
    assert project.ran(project.lock()) == []  # going back is all hits


def test_an_equal_output_stops_a_change(project: Project) -> None:
    """All colors stand in more than two training rows, so that the levels are the same."""
    category = "prepare.categorical=[{category: {min_count: %d}}]"
    project.run(project.csv(category % 1))
    assert project.ran(project.csv(category % 2)) == ["prepare"]
    assert project.ran(project.csv("prepare.categorical=[category]")) == []
    assert "evaluate" in project.ran(project.csv(category % 14))


def test_a_touched_or_reformatted_file_stops_early(project: Project) -> None:
    project.run(project.csv())
    project.file.touch()
    assert project.ran(project.csv()) == []
    project.file.write_bytes(project.file.read_bytes().replace(b"\n", b"\r\n"))
    assert project.ran(project.csv()) == ["acquire"]


@pytest.mark.parametrize(
    ("step", "port"),
    [
        *(("acquire", "table"), ("validate", "target"), ("split", "train")),
        *(("prepare", "features"), ("train", "model"), ("evaluate", "metrics")),
    ],
)
def test_a_damaged_blob_is_made_again(project: Project, step: str, port: str) -> None:
    lock = project.lock()
    first = project.run(lock)
    spoil(blob(project, first[step], port))
    behind = project.lock("evaluate.metrics=[accuracy]")
    assert project.execute(behind).ok
    # whatever a run does with it, wrong bytes are never an input
    shutil.rmtree(project.state.root / "store" / "actions")
    again = project.execute(lock)
    assert again == first
    assert project.state.store.blobs.read(first[step].output(port))


def test_a_lost_blob_is_made_again(project: Project) -> None:
    lock = project.lock()
    first = project.run(lock)
    blob(project, first["prepare"], "features").unlink()
    assert project.ran(lock) == ["prepare"]
    assert project.run(lock) == first


def test_a_blob_found_damaged_while_running_is_made_again_from_its_causes(project: Project) -> None:
    first = project.run(project.lock())
    spoil(blob(project, first["prepare"], "features"))
    project.heard = Heard()
    lock = project.lock("model.params.num_leaves=3")
    record = project.execute(lock)
    ran = {result.step for result in record.results if result.status == "ran"}
    assert ran == {"prepare", "train", "evaluate"}  # corruption came between: what was a hit ran
    assert any("damaged" in note for note in project.heard.notes)
    assert Store(project.state.root / "store").blobs.read(first["prepare"].output("features"))


@pytest.mark.parametrize("step", ORDER)
def test_a_lost_record_runs_that_step_alone(project: Project, step: str) -> None:
    lock = project.lock()
    first = project.run(lock)
    key = first[step].action
    (project.state.root / "store" / "actions" / key[:2] / f"{key}.json").unlink()
    assert project.ran(lock) == [step]
    assert project.run(lock) == first


def test_a_changed_source_is_refused_before_anything_runs(project: Project) -> None:
    lock = project.csv()
    project.file.write_text(project.file.read_text().replace("a,0", "b,0"))
    with pytest.raises(CompileError) as caught:
        project.run(lock)
    assert [found.code for found in caught.value.problems] == ["source-changed"]
    assert project.heard.started_steps == []
    project.file.unlink()
    with pytest.raises(CompileError) as caught:
        project.run(lock)
    assert [found.code for found in caught.value.problems] == ["no-file"]
    assert not list((project.state.root / "store").glob("actions/*/*"))


def test_a_lock_runs_from_its_snapshot_once_its_source_is_gone(project: Project) -> None:
    lock = project.csv()
    first = project.run(lock)
    project.file.unlink()
    shutil.rmtree(project.state.root / "store" / "actions")
    assert project.run(lock) == first


def test_an_edit_in_place_does_not_reach_the_store(project: Project) -> None:
    lock = project.csv()
    project.run(lock)
    with project.file.open("r+b") as file:
        file.write(b"COLOR")
    digest = lock.source("data").digest
    assert Store(project.state.root / "store").blobs.read(digest).read_bytes()[:5] == b"color"


def test_behind_a_failed_step_nothing_runs_and_nothing_is_recorded(project: Project) -> None:
    text = project.file.read_text().splitlines()
    project.file.write_text("\n".join([*text, "a,1,2.0,maybe"]) + "\n")
    lock = project.csv("data.task=multiclass")
    for _ in range(2):
        record = project.run(lock)
        statuses = {result.step: result.status for result in record.results}
        assert statuses["validate"] == "failed"
        assert [statuses[name] for name in ORDER[2:]] == ["skipped"] * len(ORDER[2:])
        assert not record.ok
        failed = record["validate"]
        assert "maybe" in failed.error and failed.exit_code == 5 and not failed.outputs
        assert project.state.store.find(failed.action) is None
    with pytest.raises(mc.RunFailed, match="maybe") as caught:
        mc.run(lock, project=project.root)
    assert caught.value.record["acquire"].status == "hit"


def test_what_does_not_depend_on_a_failed_step_is_kept(project: Project) -> None:
    alone = "data.columns={size: {role: ignore}, cost: {role: ignore}}"
    lock = project.csv(alone, "prepare.categorical=[{one_hot: {min_count: 1000}}]")
    record = project.run(lock)
    assert record["prepare"].status == "failed"
    assert [record[name].status for name in ("acquire", "validate", "split")] == ["ran"] * 3
    assert project.ran(project.csv(alone)) == ["prepare", "train", "evaluate"]


def test_another_installation_than_locked_is_refused(project: Project) -> None:
    lock = project.lock()
    other = replace(lock, environment=tuple((name, "0.0.1") for name, _ in lock.environment))
    with pytest.raises(CompileError) as caught:
        project.run(other)
    assert {found.where for found in caught.value.problems} == {
        ("environment", name) for name, _ in lock.environment
    }


def test_a_store_may_be_moved(project: Project, tmp_path: Path) -> None:
    lock = project.lock()
    first = project.run(lock)
    moved = tmp_path / "elsewhere"
    shutil.move(project.state.root, moved)
    project.state = State(root=moved)
    record = project.execute(lock)
    assert record == first and {result.status for result in record.results} == {"hit"}


def test_the_model_predicts_from_the_stored_parts(project: Project) -> None:
    """The recorded metric is that of the recorded predictions."""
    from mlops_compile.steps.tables import read_table

    record = project.run(project.csv())
    table = read_table(blob(project, record["evaluate"], "predictions"))
    test = np.load(blob(project, record["split"], "test"))
    assert table.column("row").to_pylist() == test.tolist()
    scores = np.column_stack([table.column("p0"), table.column("p1")])
    accuracy = float(np.mean(scores.argmax(axis=1) == table.column("truth").to_numpy()))
    assert record.metrics["test"]["accuracy"] == accuracy  # type: ignore[index]
    truth = ["yes" if ROWS[row][3] == "yes" else "no" for row in test]
    assert [("no", "yes")[code] for code in table.column("truth").to_pylist()] == truth


def test_notes_and_times_are_told_and_not_compared(project: Project) -> None:
    lock = project.lock()
    first = project.run(lock)
    assert all(result.seconds > 0 for result in first.results)
    slow: Any = [replace(result, seconds=99.0) for result in first.results]
    assert replace(first, results=tuple(slow)) == first
