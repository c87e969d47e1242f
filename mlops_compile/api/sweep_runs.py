"""Runs of a sweep: one execution for all points, and a directory with its documents for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mlops_compile.api.running import LOGS, execute_lock, write_run
from mlops_compile.api.state import State
from mlops_compile.api.sweeping import Swept
from mlops_compile.execute.local import with_metrics
from mlops_compile.execute.observer import Observer
from mlops_compile.execute.pool import Workers
from mlops_compile.execute.resources import Resources
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.merging import Merged
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
    """Execute the points that compile, as one plan but for those with a search, which go one after
    the other; write the run directory of each (`directories`, by number). The logs of steps are
    kept in `directory`. A damaged result is made anew once."""
    state = swept.state
    if state is None:
        return ()

    def run(lock: Lock, logs: Path, workers: Workers) -> RunRecord:
        return execute_lock(
            *(lock, state, project, observer, resources),
            logs=logs,
            workers=workers,
            fail_fast=fail_fast,
        )

    def once() -> tuple[PointRun, ...]:
        found: list[PointRun] = []
        with Workers(resources.workers) as workers:
            if swept.together is not None:
                record = run(swept.together.lock, directory / LOGS, workers)
                found += _written(swept, swept.together, record, state, directories)
            for number in sorted(swept.alone):
                if fail_fast and not all(point.record.ok for point in found):
                    break
                lock = swept.points[number].lock
                assert lock is not None
                record = run(lock, directories[number] / LOGS, workers)
                bundle = write_run(record, state, directories[number])
                found.append(PointRun(number=number, record=record, bundle=bundle))
        return tuple(found)

    try:
        return once()
    except MissingBlob:
        return once()


def _written(
    swept: Swept,
    together: Merged,
    record: RunRecord,
    state: State,
    directories: Mapping[int, Path],
) -> Sequence[PointRun]:
    results = {result.step: result for result in record.results}
    points = ((n, point.lock) for n, point in enumerate(swept.points) if n not in swept.alone)
    locks = [(number, lock) for number, lock in points if lock is not None]
    store, found = state.store, []
    try:
        for (number, lock), names in zip(locks, together.names, strict=True):
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
