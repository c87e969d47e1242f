"""Split: which rows train, which choose and which test; index vectors, not copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

import numpy as np
import pyarrow as pa

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.value import Map, pick
from mlops_compile.steps.splits import (
    SPLITS,
    RandomSplit,
    StratifiedSplit,
    TimeSplit,
    part_sizes,
    shares,
)
from mlops_compile.steps.tables import read_table

if TYPE_CHECKING:
    from mlops_compile.steps.kind import Work

    Rows = np.ndarray[Any, np.dtype[np.int64]]

_WHERE = ("data", "split")


def run(work: Work) -> None:
    """Writes `train`, `validation` and `test`: sorted int64 row numbers from 0, as .npy."""
    params = pick(work.params, _WHERE)
    assert isinstance(params, Map)
    spec = from_value(SPLITS[str(params["kind"])].spec, params)
    target = read_table(work.inputs["target"]).column("target").combine_chunks()
    rows = len(target)
    match spec:
        case RandomSplit():
            order = _shuffled(np.arange(rows), work.seed_for("split"))
            parts = _cut([order], spec.test_size, spec.validation_size)
        case StratifiedSplit():
            parts = _stratified(target, spec, work)
        case TimeSplit():
            parts = _by_time(read_table(work.inputs["table"]), spec)
        case _:
            assert_never(spec)
    for name, part in parts.items():
        if not len(part) and not (name == "validation" and spec.validation_size == 0):
            message = f"{rows} rows leave none for the {name} part"
            hint = "give more rows, or other shares in data.split"
            raise StepError([problem("split", message, _WHERE, hint)])
    for name, part in parts.items():
        with work.outputs[name].open("wb") as file:
            np.save(file, np.sort(part), allow_pickle=False)


def _shuffled(rows: Rows, seed: int) -> Rows:
    """A permutation; RandomState's stream is frozen, unlike that of numpy's Generator."""
    return np.random.RandomState(seed).permutation(rows)


def _cut(groups: list[Rows], test_size: float, validation_size: float) -> dict[str, Rows]:
    """Each group's first share to test, the next to validation, the rest to train.

    Shares are rounded over all groups together (largest remainders), so that the parts have the
    sizes that the shares of all rows have.
    """
    test = shares([len(group) for group in groups], test_size)
    rest = [len(group) - taken for group, taken in zip(groups, test, strict=True)]
    total = sum(len(group) for group in groups)
    left = sum(rest)
    validation = shares(rest, min(1.0, validation_size * total / left) if left else 0.0)
    ends = [first + second for first, second in zip(test, validation, strict=True)]
    return {
        "train": np.concatenate([g[end:] for g, end in zip(groups, ends, strict=True)]),
        "validation": np.concatenate(
            [g[start:end] for g, start, end in zip(groups, test, ends, strict=True)]
        ),
        "test": np.concatenate([g[:start] for g, start in zip(groups, test, strict=True)]),
    }


def _stratified(target: pa.Array, spec: StratifiedSplit, work: Work) -> dict[str, Rows]:
    codes = target.indices.to_numpy()
    groups = []
    for code, name in enumerate(target.dictionary.to_pylist()):
        rows = np.flatnonzero(codes == code)
        if len(rows) < 2:
            message = f"the class {name!r} has {len(rows)} row, too few to stand in two parts"
            hint = "leave it out of the file, or set data.split.kind=random"
            raise StepError([problem("split", message, _WHERE, hint)])
        groups.append(_shuffled(rows, work.seed_for("split", name)))
    return _cut(groups, spec.test_size, spec.validation_size)


def _by_time(table: pa.Table, spec: TimeSplit) -> dict[str, Rows]:
    where = (*_WHERE, "column")
    if spec.column not in table.column_names:
        message = f"the data has no column {spec.column!r} to sort by"
        raise StepError([problem("split", message, where)])
    column = table.column(spec.column).combine_chunks()
    if not (pa.types.is_timestamp(column.type) or pa.types.is_floating(column.type)):
        message = f"{spec.column!r} is no datetime and no number"
        hint = "set its type to datetime, or sort by another column"
        raise StepError([problem("split", message, where, hint)])
    times = column.to_numpy(zero_copy_only=False)
    if missing := int(np.isnan(times).sum()):
        message = f"{spec.column!r} is missing in {missing} rows, which have no place in time"
        raise StepError([problem("split", message, where)])
    order = np.argsort(times, kind="stable")
    total = len(order)
    wanted = part_sizes(spec, total)
    start = _boundary(times[order], total - wanted["test"])
    middle = _boundary(times[order], max(0, start - wanted["validation"]))
    return {"train": order[:middle], "validation": order[middle:start], "test": order[start:]}


def _boundary(times: np.ndarray[Any, Any], position: int) -> int:
    """The first position at or before this one at which the time changes."""
    while 0 < position < len(times) and times[position] == times[position - 1]:
        position -= 1
    return position
