"""Folds: the rows that each fold of a cross-validation trains, stops and tests on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, assert_never

import numpy as np
import pyarrow as pa

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.value import Map, pick
from mlops_compile.steps.divide import (
    Divider,
    Given,
    Grouped,
    Hashed,
    Rows,
    Shuffled,
    Timed,
)
from mlops_compile.steps.foldings import (
    FOLDS,
    ColumnFolds,
    Folding,
    GroupFolds,
    HashFolds,
    RandomFolds,
    StratifiedFolds,
    TimeFolds,
)
from mlops_compile.steps.moments import distance
from mlops_compile.steps.row_keys import (
    groups_of,
    is_sensitive,
    keys_of,
    shown,
    times_of,
    values_of,
)
from mlops_compile.steps.split import strata, write_rows
from mlops_compile.steps.tables import read_table

if TYPE_CHECKING:
    from mlops_compile.steps.kind import Work

_WHERE = ("evaluate", "cross_validation")


def run(work: Work) -> None:
    """Writes `train_N`, `validation_N` and `test_N` for each fold: sorted int64 row numbers of the
    whole table. Folds are over the rows of the train and validation parts; of what a fold trains
    on, its validation rows are the share that the validation part is of both."""
    params = pick(work.params, _WHERE)
    assert isinstance(params, Map)
    spec: Folding = from_value(FOLDS[str(params["kind"])].spec, params)
    table = read_table(work.inputs["table"])
    target = read_table(work.inputs["target"]).column("target").combine_chunks()
    parts = [np.load(work.inputs[name], allow_pickle=False) for name in ("train", "validation")]
    rows = np.sort(np.concatenate(parts))
    share = len(parts[1]) / len(rows)

    def seed(*roles: str) -> int:
        return work.seed_for("folds", *roles) if work.seed is not None else 0

    divider = _divider(spec, table, target, rows)
    folded = divider.folds(rows, spec.folds, seed)
    for number, (rest, test) in enumerate(folded, start=1):
        role = partial(seed, "validation", str(number))
        inner = divider.parts(rest, (("validation", share),), role)
        found = {"train": inner["train"], "validation": inner["validation"], "test": test}
        _check(number, found, target, share)
        for name, held in found.items():
            write_rows(work.outputs[f"{name}_{number}"], held)


def _divider(spec: Folding, table: pa.Table, target: pa.Array, rows: Rows) -> Divider:
    match spec:
        case RandomFolds():
            return Shuffled()
        case StratifiedFolds():
            return strata(table, target, spec.group, spec.bins, _WHERE)
        case GroupFolds():
            return Grouped(groups=groups_of(table, spec.column, (*_WHERE, "column")))
        case HashFolds():
            return Hashed(keys=keys_of(table, spec.columns, (*_WHERE, "columns")))
        case TimeFolds():
            times = times_of(table, spec.column, (*_WHERE, "column"))
            return Timed(times=times, gap=distance(spec.gap), window=spec.window)
        case ColumnFolds():
            return _given(table, spec, rows)
        case _:
            assert_never(spec)


def _given(table: pa.Table, spec: ColumnFolds, rows: Rows) -> Given:
    """Folds by a column's values, numbered in the order of those that there are in these rows."""
    codes, values = values_of(table, spec.column, (*_WHERE, "column"))
    used = np.unique(codes[rows])
    if len(used) != spec.folds:
        names = [values[code] for code in used]
        listed = "" if is_sensitive(table, spec.column) else f" ({shown(names)})"
        message = f"{spec.column!r} holds {len(used)} values{listed}, not {spec.folds}"
        hint = f"set evaluate.cross_validation.folds={len(used)}"
        if not 2 <= len(used) <= 20:
            hint = "take a column with a value for each fold, or another kind of folds"
        raise StepError([problem("split", message, (*_WHERE, "folds"), hint)])
    return Given(numbers=np.searchsorted(used, codes))


def _check(number: int, fold: dict[str, Rows], target: pa.Array, share: float) -> None:
    """A fold has rows to train and to test on, of every class that it must know."""
    hint = "give more rows, or set fewer folds (evaluate.cross_validation.folds)"
    for name, rows in fold.items():
        if not len(rows) and (name != "validation" or share):
            message = f"fold {number} has no rows in its {name} part"
            raise StepError([problem("split", message, _WHERE, hint)])
    if not pa.types.is_dictionary(target.type):
        return
    names, codes = target.dictionary.to_pylist(), target.indices.to_numpy()
    known = set(np.unique(codes[fold["train"]]).tolist())
    if absent := [name for code, name in enumerate(names) if code not in known]:
        message = f"fold {number} trains on no row of {shown(absent)}"
        hint = "take kind: stratified, fewer folds, or more rows of it"
        raise StepError([problem("classes", message, _WHERE, hint)])
    tested = np.unique(codes[fold["test"]])
    if len(tested) < 2:
        message = f"fold {number} tests on rows of one class only, {names[tested[0]]!r}"
        hint = "take kind: stratified, fewer folds, or more rows of the others"
        raise StepError([problem("classes", message, _WHERE, hint)])
