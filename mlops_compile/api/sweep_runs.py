"""Runs of a sweep: one execution for all points, and a directory with its documents for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mlops_compile.api.running import LOGS, execute_lock, run_and_write, write_run
from mlops_compile.api.searching import search_step
from mlops_compile.api.state import State
from mlops_compile.api.sweeping import Swept
from mlops_compile.execute.local import with_metrics
from mlops_compile.execute.observer import Observer
from mlops_compile.execute.resources import Resources
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.problem import problem
from mlops_compile.ir.record import RunRecord, StepResult
from mlops_compile.store.blobs import MissingBlob


@dataclass(frozen=True, slots=True, kw_only=True)
class PointRun:
    """What running a point gave; its number is its place in the sweep."""

    number: int
    record: RunRecord
    bundle: Path | None


def run_points(
    swept: Swept,
    project: Path,
    directory: Path,
    directories: Mapping[int, Path],
    observer: Observer,
    resources: Resources,
    *,
    fail_fast: bool = False,
) -> tuple[PointRun, ...]:
    """Execute the points that compile as one plan, and write the run directory of each
    (`directories`, by number). The logs of steps are kept in `directory`. A damaged result is made
    anew once."""
    merged, state = swept.merged, swept.state
    if merged is None or state is None:
        return ()

    if any(search_step(point.lock) is not None for point in swept.points if point.lock):
        return _one_by_one(swept, project, directories, observer, resources, fail_fast)

    def once() -> tuple[PointRun, ...]:
        record = execute_lock(
            *(merged.lock, state, project, observer, resources),
            logs=directory / LOGS,
            fail_fast=fail_fast,
        )
        return tuple(_written(swept, record, state, directories))

    try:
        return once()
    except MissingBlob:
        return once()


def _one_by_one(
    swept: Swept,
    project: Path,
    directories: Mapping[int, Path],
    observer: Observer,
    resources: Resources,
    fail_fast: bool,
) -> tuple[PointRun, ...]:
    """The points of a sweep over searches: each has a driver of its own."""
    assert swept.state is not None
    found: list[PointRun] = []
    for number, point in enumerate(swept.points):
        if point.lock is None or (fail_fast and found and not found[-1].record.ok):
            continue
        record, bundle = run_and_write(
            *(point.lock, swept.state, project, directories[number], observer, resources),
            fail_fast=fail_fast,
        )
        found.append(PointRun(number=number, record=record, bundle=bundle))
    return tuple(found)


def _written(
    swept: Swept, record: RunRecord, state: State, directories: Mapping[int, Path]
) -> Sequence[PointRun]:
    assert swept.merged is not None
    results = {result.step: result for result in record.results}
    locks = [(n, point.lock) for n, point in enumerate(swept.points) if point.lock is not None]
    store, found = state.store, []
    try:
        for (number, lock), names in zip(locks, swept.merged.names, strict=True):
            own = with_metrics(_own_record(lock, names, results, record), store)
            if own is None:
                message = f"the metrics of point {number} are damaged as soon as they are written"
                raise MissingBlob([problem("blob", message)])
            bundle = write_run(own, state, directories[number])
            found.append(PointRun(number=number, record=own, bundle=bundle))
    finally:
        store.close()
    return found


def _own_record(
    lock: Lock, names: Mapping[str, str], results: Mapping[str, StepResult], record: RunRecord
) -> RunRecord:
    """The record of one point, as if it had been run alone."""
    return RunRecord(
        lock=lock,
        results=tuple(
            replace(results[names[step.name]], step=step.name) for step in lock.plan.steps
        ),
        platform=record.platform,
    )
