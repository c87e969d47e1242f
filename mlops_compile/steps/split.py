"""Split: which rows train, which choose and which test; index vectors, not copies."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np
import pyarrow as pa

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.value import KeyPath, Map, pick, pretty
from mlops_compile.steps.divide import (
    Divider,
    Grouped,
    Hashed,
    Rows,
    Seed,
    Shuffled,
    Stratified,
    StratifiedGroups,
    Timed,
)
from mlops_compile.steps.moments import distance, position
from mlops_compile.steps.row_keys import (
    groups_of,
    is_sensitive,
    keys_of,
    shown,
    times_of,
    values_of,
)
from mlops_compile.steps.splits import (
    PARTS,
    SPLITS,
    TEST_ROWS,
    ColumnSplit,
    FileSplit,
    GroupSplit,
    HashSplit,
    RandomSplit,
    Split,
    StratifiedSplit,
    TimeSplit,
    asked_parts,
    choice_sizes,
    effective,
    wanted_sizes,
)
from mlops_compile.steps.tables import read_table

if TYPE_CHECKING:
    from mlops_compile.steps.kind import Work

_WHERE = ("data", "split")


def run(work: Work) -> None:
    """Writes `train`, `validation` and `test`, and the parts of their own that are asked for:
    sorted int64 row numbers from 0, as .npy. No row is in two parts. `facts` says how they were
    made, defaults too, and their sizes."""
    params = pick(work.params, _WHERE)
    assert isinstance(params, Map)
    spec: Split = from_value(SPLITS[str(params["kind"])].spec, params)
    table = read_table(work.inputs["table"])
    target = read_table(work.inputs["target"]).column("target").combine_chunks()
    seed = _no_seed if work.seed is None else partial(work.seed_for, "split")
    parts = _parts(spec, table, target, seed)
    _check(spec, parts, target)
    for name, path in work.outputs.items():
        if name == "facts":
            sizes = Map({part: len(own) for part, own in parts.items()})
            path.write_text(pretty(Map({"split": effective(spec), "rows": sizes})), "utf-8")
        else:
            write_rows(path, parts.get(name, np.empty(0, np.int64)))


def _no_seed(*roles: str) -> int:
    """By time nothing is drawn."""
    return 0


def _parts(spec: Split, table: pa.Table, target: pa.Array, seed: Seed) -> dict[str, Rows]:
    rows = np.arange(len(target))
    wanted = wanted_sizes(spec)
    match spec:
        case RandomSplit():
            divider: Divider = Shuffled()
        case StratifiedSplit():
            divider = strata(table, target, spec.group, spec.bins, _WHERE)
            if isinstance(divider, Stratified):
                _check_strata(divider)
        case GroupSplit():
            divider = Grouped(groups=groups_of(table, spec.column, (*_WHERE, "column")))
        case HashSplit():
            divider = Hashed(keys=keys_of(table, spec.columns, (*_WHERE, "columns")))
        case TimeSplit():
            divider = _timed(table, spec)
        case ColumnSplit():
            given = _by_column(table, spec)
            return _taken(spec, given, table, target, seed)
        case FileSplit():
            return _taken(spec, _by_file(table, rows), table, target, seed)
        case _:
            assert_never(spec)
    return divider.parts(rows, wanted, seed)


def strata(
    table: pa.Table, target: pa.Array, group: str | None, bins: int | None, where: KeyPath
) -> Stratified | StratifiedGroups:
    """By the target's classes, or by quantile bins of its numbers; in whole groups if asked."""
    if pa.types.is_dictionary(target.type):
        codes = target.indices.to_numpy().astype(np.int64)
        names = target.dictionary.to_pylist()
    else:
        numbers = target.to_numpy()
        # Edges are values of the target, so that equal numbers are in one bin.
        inner = np.linspace(0, 1, (bins or 2) + 1)[1:-1]
        edges = np.unique(np.quantile(numbers, inner, method="higher"))
        codes = np.searchsorted(edges, numbers, side="right").astype(np.int64)
        names = [f"bin {number}" for number in range(len(edges) + 1)]
    if group is None:
        return Stratified(codes=codes, names=names)
    groups = groups_of(table, group, (*where, "group"))
    return StratifiedGroups(codes=codes, groups=groups, classes=len(names))


def _check_strata(divider: Stratified) -> None:
    counts = np.bincount(divider.codes, minlength=len(divider.names))
    for name, count in zip(divider.names, counts, strict=True):
        if count == 1:
            message = f"the class {name!r} has {count} row, too few to stand in two parts"
            hint = "leave it out of the file, or set data.split.kind=random"
            raise StepError([problem("split", message, _WHERE, hint)])


def _timed(table: pa.Table, spec: TimeSplit) -> Timed:
    cuts = {"test": spec.cut, "validation": spec.validation_cut}
    return Timed(
        times=times_of(table, spec.column, (*_WHERE, "column")),
        gap=distance(spec.gap),
        starts={name: position(cut) for name, cut in cuts.items() if cut is not None},
    )


def _by_column(table: pa.Table, spec: ColumnSplit) -> dict[str, Rows]:
    """The rows of each part that a column names."""
    numbers, values = values_of(table, spec.column, (*_WHERE, "column"))
    if strange := [value for value in values if value not in spec.parts]:
        told, one = shown(strange), strange[0]
        if is_sensitive(table, spec.column):
            told, one = "other values" if len(strange) > 1 else "another value", "VALUE"
        message = f"{spec.column!r} holds {told}, which data.split.parts does not name"
        hint = f"add it: data.split.parts={{..., {one}: train}}; none leaves its rows out"
        raise StepError([problem("split", message, (*_WHERE, "parts"), hint)])
    names = np.array([str(spec.parts[value]) for value in values])[numbers]
    return {name: np.flatnonzero(names == name) for name in PARTS}


def _by_file(table: pa.Table, rows: Rows) -> dict[str, Rows]:
    """The rows that came from `data.test` are the test part."""
    if TEST_ROWS not in table.column_names:
        message = "the table does not say which rows are those of data.test"
        hint = "name the file of the test rows in data.test"
        raise StepError([problem("split", message, (*_WHERE, "kind"), hint)])
    marked = table.column(TEST_ROWS).combine_chunks().to_numpy(zero_copy_only=False).astype(bool)
    return {"train": rows[~marked], "test": rows[marked]}


def _taken(
    spec: ColumnSplit | FileSplit,
    given: dict[str, Rows],
    table: pa.Table,
    target: pa.Array,
    seed: Seed,
) -> dict[str, Rows]:
    """The parts that are given, and those that are taken from the rows that are to train."""
    sized = [(name, size) for name, size in choice_sizes(spec) if size]
    if not sized:
        return given
    where = (*_WHERE, "by")
    match spec.take:
        case "stratified":
            divider: Divider = strata(table, target, None, None, _WHERE)
        case "group":
            divider = Grouped(groups=groups_of(table, str(spec.by), where))
        case "time":
            divider = Timed(times=times_of(table, str(spec.by), where))
        case _:
            divider = Shuffled()
    return {**given, **divider.parts(given["train"], sized, seed)}


def _check(spec: Split, parts: dict[str, Rows], target: pa.Array) -> None:
    """Every part that is asked for has rows, and those that train and test all classes."""
    total = len(target)
    found = []
    for name in (name for name in asked_parts(spec) if not len(parts[name])):
        message = f"{total} rows leave none for the {name} part"
        hint = "give more rows, or other shares in data.split"
        if isinstance(spec, ColumnSplit) and f"{name}_size" not in _sized(spec):
            message = f"no row is of the {name} part by {spec.column!r}"
            hint = "look at data.split.parts: it says which values stand for which part"
        elif isinstance(spec, TimeSplit) and spec.cut is not None:
            hint = "look at data.split.cut and data.split.gap"
        elif isinstance(spec, GroupSplit):
            groups = f"the groups of {spec.column!r} are too few or too large"
            hint = f"{groups}; give more of them, or other shares in data.split"
        found.append(problem("split", message, _WHERE, hint))
    if found:
        raise StepError(found)
    if pa.types.is_dictionary(target.type):
        _check_classes(spec, parts, target)
    held = sum(len(part) for part in parts.values())
    if held < total:
        message = f"{total - held} of {total} rows belong to no part"
        if isinstance(spec, TimeSplit):
            message += f": they lie less than {_bare(spec.gap)} before a later part"
        warnings.warn(message, stacklevel=1)


def _sized(spec: Split) -> set[str]:
    return {f"{name}_size" for name, size in choice_sizes(spec) if size}


def _bare(gap: float | str | None) -> str:
    return gap if isinstance(gap, str) else f"{gap:g}"


def _check_classes(spec: Split, parts: dict[str, Rows], target: pa.Array) -> None:
    names = target.dictionary.to_pylist()
    codes = target.indices.to_numpy()
    for part in ("train", "test"):
        present = set(np.unique(codes[parts[part]]).tolist())
        absent = [name for code, name in enumerate(names) if code not in present]
        if absent:
            one = "class" if len(absent) == 1 else "classes"
            message = f"no row of the {part} part has the {one} {shown(absent)}"
            hint = "give more rows of it, or leave it out of the data"
            if isinstance(spec, RandomSplit):
                hint = "set data.split.kind=stratified, or give more rows of it"
            elif not isinstance(spec, ColumnSplit | FileSplit):
                hint = f"{hint}; a larger test part holds more rows of it"
            raise StepError([problem("classes", message, _WHERE, hint)])


def write_rows(path: Any, rows: Rows) -> None:
    """Row numbers in order, as .npy."""
    with path.open("wb") as file:
        np.save(file, np.sort(rows).astype(np.int64, copy=False), allow_pickle=False)
