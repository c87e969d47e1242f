"""How a new model compares with an old one: metrics, size and time, and answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlops_compile.api.measured import Measured
from mlops_compile.ir.digest import Digest
from mlops_compile.ir.lock import Lock, to_value
from mlops_compile.ir.problem import StoreError
from mlops_compile.ir.review import FOLDS, Behaviour, Moved
from mlops_compile.ir.value import Map, Value
from mlops_compile.present.secret import Secret
from mlops_compile.steps.metrics import METRICS
from mlops_compile.store.actions import Action
from mlops_compile.store.blobs import MissingBlob
from mlops_compile.store.store import Store

if TYPE_CHECKING:
    from mlops_compile.steps.behaviour import Answered


def metrics_of(old: Measured, new: Measured) -> tuple[Moved, ...]:
    """The metrics of the test part, then their means over folds; none where none was measured."""
    return (
        *_moved(_part(old.metrics.get("test")), _part(new.metrics.get("test")), ""),
        *_moved(_part(_mean(old.metrics)), _part(_mean(new.metrics)), FOLDS),
    )


def _moved(before: dict[str, float], after: dict[str, float], prefix: str) -> Iterator[Moved]:
    for name in dict.fromkeys((*after, *before)):
        yield Moved(
            name=f"{prefix}{name}",
            old=before.get(name),
            new=after.get(name),
            better=_better(name, before, after),
        )


def _mean(metrics: Map) -> Value:
    folds = metrics.get("folds")
    return folds.get("mean") if isinstance(folds, Map) else None


def _part(part: Value) -> dict[str, float]:
    return {
        name: value
        for name, value in (part.items() if isinstance(part, Map) else ())
        if isinstance(value, float)
    }


def _better(name: str, before: dict[str, float], after: dict[str, float]) -> bool | None:
    left, right = before.get(name), after.get(name)
    if left is None or right is None or left == right or name not in METRICS:
        return None
    return (right > left) == METRICS[name].greater_is_better


def costs_of(old: Measured, new: Measured) -> Iterator[Moved]:
    """Bytes of the model and of the bundle, seconds of training, and of one answer."""
    pairs = {
        "model bytes": (old.size("train"), new.size("train")),
        "bundle bytes": (old.size("package"), new.size("package")),
        "training seconds": (old.seconds("train"), new.seconds("train")),
        "answer seconds": (old.told("package", "answer"), new.told("package", "answer")),
    }
    for name, (left, right) in pairs.items():
        if left is not None or right is not None:
            better = None if left is None or right is None or left == right else right < left
            yield Moved(name=name, old=left, new=right, better=better)


def behaviour_of(old: Measured, new: Measured, store: Store | None) -> Behaviour | None:
    """How the answers to test rows differ; None where they are not known of both, or cannot be
    compared: another target, or other classes."""
    left, right = old.lock.contract, new.lock.contract
    if store is None or (left.target, left.task, left.classes) != (
        right.target,
        right.task,
        right.classes,
    ):
        return None
    files = [_answered(one, store) for one in (old, new)]
    if files[0] is None or files[1] is None:
        return None
    from mlops_compile.steps.behaviour import behaviour  # numpy and pyarrow, once there is a need

    return behaviour(
        files[0],
        files[1],
        regression=right.task == "regression",
        segments=_segments(new.evaluation),
        sensitive=frozenset(
            name for one in (old, new) for name in Secret.of(to_value(one.lock)).names
        ),
    )


def _segments(evaluation: Map) -> dict[str, int]:
    """The columns by which a model was measured, each with the fewest rows of a level."""
    found = evaluation.get("segments")
    least = {
        name: column.get("least_rows") if isinstance(column, Map) else None
        for name, column in (found.items() if isinstance(found, Map) else ())
    }
    return {name: count if isinstance(count, int) else 1 for name, count in least.items()}


def _columns(lock: Lock) -> tuple[str, ...]:
    """The columns of a request that the data itself has: what is joined to a row may change, and
    it is the same row."""
    asked = tuple(field.name for field in lock.contract.request)
    main = next((s for s in lock.plan.steps if s.kind == "acquire" and "/" not in s.name), None)
    if main is None or main.source is None:
        return asked
    own = {column.name for column in lock.source(main.source).columns}
    return tuple(name for name in asked if name in own) or asked


def _answered(one: Measured, store: Store) -> Answered | None:
    """The files of a model's answers, where they are in the store."""
    from mlops_compile.steps.behaviour import Answered

    evaluate, validate, split = (one.own(kind) for kind in ("evaluate", "validate", "split"))
    if evaluate is None or validate is None or split is None:
        return None
    predictions, table = _output(evaluate, "predictions"), _output(validate, "table")
    train = _output(split, "train")
    if predictions is None or table is None or train is None:
        return None
    try:
        return Answered(
            predictions=store.blobs.read(predictions),
            table=store.blobs.read(table),
            digest=table.sha256,
            train=store.blobs.read(train),
            columns=_columns(one.lock),
        )
    except (MissingBlob, StoreError, OSError):
        return None


def _output(action: Action, port: str) -> Digest | None:
    return dict(action.outputs).get(port)
