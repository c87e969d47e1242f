"""Lock in, record out: runs a lock's steps on worker processes of this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mlops_compile.execute.interrupts import Interrupts
from mlops_compile.execute.observer import Observer
from mlops_compile.execute.pool import Workers
from mlops_compile.execute.resources import Resources
from mlops_compile.execute.run import Run
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.problem import StoreError, problem
from mlops_compile.ir.record import SUMMARY, RunRecord
from mlops_compile.ir.value import Map, Value, parse
from mlops_compile.steps.kinds import needs_of
from mlops_compile.store.blobs import MissingBlob
from mlops_compile.store.store import Store


def execute(
    lock: Lock,
    store: Store,
    project: Path,
    observer: Observer,
    workers: Workers,
    resources: Resources,
    logs: Path,
    clock: Callable[[], float],
    roots: tuple[Path, ...] = (),
    *,
    fail_fast: bool = False,
) -> RunRecord:
    """Run what is not in the store yet; the record says what each step made.

    Sources are found from `project`; `logs` is where the logs of steps are kept, one a step
    that printed something or failed; `clock` is the time of day that records name. Steps behind a
    failed one are skipped; with `fail_fast` so are all others that have not begun. Raises
    CompileError before anything runs where a source is neither as locked nor in the store. On an
    interrupt the workers at work are killed, and what is made stays.
    """
    needs = needs_of(lock)
    record = None
    with Interrupts() as interrupts:
        for _ in range(2):
            run = Run(
                *(lock, needs, store, project, observer, workers),
                *(interrupts, resources, logs, clock),
                fail_fast=fail_fast,
            )
            record = _also(record, run.record())
            # What is damaged is set aside by reading, so that a second round makes it anew.
            if (whole := with_metrics(record, store)) is not None:
                return whole
    raise StoreError([problem("blob", "the metrics are damaged as soon as they are written")])


def with_metrics(record: RunRecord, store: Store) -> RunRecord | None:
    """The record with the metrics that its steps made; None where they are damaged."""
    metrics, evaluation = (_made(record, store, port) for port in ("metrics", "evaluation"))
    if metrics is None or evaluation is None:
        return None
    kept = {name: evaluation[name] for name in SUMMARY if name in evaluation}
    return replace(record, metrics=metrics, evaluation=Map(kept))


def _also(first: RunRecord | None, record: RunRecord) -> RunRecord:
    """A record of a second round: what ran in the first one is no hit."""
    if first is None:
        return record
    results = tuple(
        before if before.status == "ran" and now.status == "hit" else now
        for before, now in zip(first.results, record.results, strict=True)
    )
    return replace(record, results=results)


def _made(record: RunRecord, store: Store, port: str) -> Map | None:
    """An output of the evaluate step, if it has one; with the metrics, those of the folds. None
    where one is damaged. Steps of a fold, `fold/1/evaluate`, are beside the plan's own."""
    found: dict[str, Value] = {}
    is_whole = True
    for result in record.results:
        if "/" in result.step or port not in dict(result.outputs):
            continue
        if result.kind in ("evaluate", "summarise"):
            try:
                value = parse(store.blobs.read(result.output(port)).read_bytes())
            except MissingBlob:
                is_whole = False
                continue
            assert isinstance(value, Map)
            found |= value if result.kind == "evaluate" else {"folds": value}
    return Map(found) if is_whole else None
