"""How rows are split and folded: what can be checked of it without data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mlops_compile.compiler.read import Reader, known, whole
from mlops_compile.compiler.spec import Data
from mlops_compile.compiler.suggest import suggest
from mlops_compile.ir.value import KeyPath, Value
from mlops_compile.steps.evaluation import Evaluate
from mlops_compile.steps.moments import moment, span
from mlops_compile.steps.splits import (
    NO_PART,
    PARTS,
    ColumnSplit,
    FileSplit,
    Split,
    TimeSplit,
    Use,
    asked_parts,
    columns_of,
    wanted_sizes,
)

SPLIT: KeyPath = ("data", "split")
FOLDS: KeyPath = ("evaluate", "cross_validation")
_TEST_SIZE = 0.2  # the default


def check_splitting(reader: Reader, data: Data, evaluate: Evaluate) -> None:
    """Problems of `data.split` and `evaluate.cross_validation`."""
    if not known(data):
        return
    if known(data.split):
        _check_split(reader, data, data.split)
    folds = evaluate.cross_validation if known(evaluate) else None
    if folds is None or not known(folds):
        return
    check_folds(reader, data, folds, FOLDS)


def check_folds(reader: Reader, data: Data, folds: Any, where: KeyPath) -> None:
    """Problems of folds that stand at a place of the config."""
    _check_ways(reader, data, folds, where)
    if folds.kind == "time" and whole(data.split) and "early_stopping" in asked_parts(data.split):
        message = "folds by time would stop early on rows that may come after those they test on"
        hint = "take data.split.validation_size in place of early_stopping_size"
        reader.complain("impossible", message, (*where, "kind"), hint)


def has_rows_for(data: Data, use: str) -> bool:
    """Whether there are rows for early stopping, calibration or a threshold, as far as the config
    is known: a part of their own, or the validation part."""
    return not whole(data.split) or bool({"validation", use} & {*asked_parts(data.split)})


def used_columns(spec: Any, where: KeyPath) -> Iterator[tuple[KeyPath, str, Use]]:
    """The columns that a split or folds are made by, as far as they are known."""
    if known(getattr(spec, "columns", None)):
        for keys, name, use in columns_of(spec):
            if known(name):
                yield (*where, *keys), name, use


def _check_split(reader: Reader, data: Data, split: Split) -> None:
    _check_ways(reader, data, split, SPLIT)
    _check_sizes(reader, split)
    match split:
        case TimeSplit():
            _check_cuts(reader, split)
        case ColumnSplit():
            _check_parts(reader, split)
            _check_take(reader, data, split)
        case FileSplit():
            _check_take(reader, data, split)
    if not known(data.test):
        return
    if data.test is not None and not isinstance(split, FileSplit) and known(split.kind):
        message = "data.test names a source of test rows, and the split would make others"
        reader.complain("impossible", message, (*SPLIT, "kind"), "set data.split.kind=file")
    if isinstance(split, FileSplit) and data.test is None:
        message = "the test rows are those of data.test, and there is none"
        hint = "name the file in data.test: {kind: csv, path: ...}, or take another kind"
        reader.complain("impossible", message, (*SPLIT, "kind"), hint)


def _check_ways(reader: Reader, data: Data, spec: Any, where: KeyPath) -> None:
    """What splits and folds of one kind have alike."""
    kind = spec.kind
    if kind == "stratified" and known(spec.bins, data.task):
        if data.task == "regression" and spec.bins is None:
            what = "a stratified split needs" if where == SPLIT else "stratified folds need"
            message = f"{what} classes, and the task is regression"
            hint = "give it bins=10 to stratify by the target's quantiles, or take random or time"
            reader.complain("impossible", message, (*where, "kind"), hint)
        elif data.task != "regression" and spec.bins is not None:
            message = f"bins are for a regression's target, and the task is {data.task}"
            reader.complain("impossible", message, (*where, "bins"), "leave it out")
    if kind == "hash" and known(spec.columns):
        if not spec.columns:
            message = "must name a column: the key of a row"
            reader.complain("missing-value", message, (*where, "columns"))
        for position, name in enumerate(spec.columns):
            if name in spec.columns[:position]:
                place = (*where, "columns", str(position))
                reader.complain("impossible", f"{name} is listed twice", place, "leave one out")
    if isinstance(gap := getattr(spec, "gap", None), str):
        hint = "for example 7d, 12h, 30min or 45s"
        _check_text(reader, span, gap, (*where, "gap"), "is no span of time", hint)
    for place, name, _ in used_columns(spec, where):
        if known(data.target) and name == data.target:
            message = f"the column {name!r} is the target, which is not known when one predicts"
            hint = "split by another column, or take kind random or stratified"
            reader.complain("impossible", message, place, hint)


def _check_text(
    reader: Reader,
    parse: Callable[[str], object],
    text: str,
    where: KeyPath,
    message: str,
    hint: str,
) -> bool:
    try:
        parse(text)
    except (ValueError, OverflowError):
        reader.complain("wrong-value", f"{text!r} {message}", where, hint)
        return False
    return True


def _check_sizes(reader: Reader, split: Split) -> None:
    sizes = wanted_sizes(split)
    if not known(*(size for _, size in sizes)):
        return
    sized = [(name, size) for name, size in sizes if size]
    if sum(size for _, size in sized) >= 1:
        names = [f"{name}_size" for name, _ in sized]
        listed = " + ".join(f"{size:g}" for _, size in sized)
        both = f"{', '.join(names[:-1])} and {names[-1]}"
        message = f"{both} leave no rows to train on: {listed}"
        hint = "together they must stay below 1"
        reader.complain("out-of-range", message, (*SPLIT, names[0]), hint)


def _check_cuts(reader: Reader, split: TimeSplit) -> None:
    """A cut stands in place of a size, and the validation part lies before the test part."""
    hint = "for example '2024-01-31' or '2024-01-31 12:00:00' (ISO 8601)"
    sound = True
    for name, size, usual in (
        ("cut", "test_size", _TEST_SIZE),
        ("validation_cut", "validation_size", 0.0),
    ):
        cut, where = getattr(split, name), (*SPLIT, name)
        if cut is None or not known(cut):
            sound = False
            continue
        if isinstance(cut, str):
            sound &= _check_text(reader, moment, cut, where, "is no date", hint)
        if known(held := getattr(split, size)) and held != usual:
            message = f"says where the part begins, and so does {size}"
            reader.complain("given-twice", message, where, f"leave {name} or {size} out")
    cut, earlier = split.cut, split.validation_cut
    where = (*SPLIT, "validation_cut")
    if cut is None and earlier is not None and known(earlier):
        hint = "set data.split.cut too, or take validation_size"
        reader.complain("impossible", "needs a cut of the test part behind it", where, hint)
    if not sound or cut is None or earlier is None:
        return
    if isinstance(cut, str) != isinstance(earlier, str):
        message = "must be of one type with cut: both dates, or both numbers"
        reader.complain("impossible", message, where)
    elif _place(earlier) >= _place(cut):
        reader.complain("impossible", f"must lie before cut, {cut}", where, "choose earlier rows")


def _place(cut: float | str) -> float:
    return moment(cut)[0] if isinstance(cut, str) else cut


def _check_parts(reader: Reader, split: ColumnSplit) -> None:
    if not known(split.parts):
        return
    allowed = (*PARTS, NO_PART)
    for value, part in split.parts.items():
        where = (*SPLIT, "parts", value)
        if part not in allowed:
            hint = suggest(str(part), allowed, "parts")
            reader.complain("unknown-choice", f"there is no part {_shown(part)}", where, hint)
    named = set(split.parts.values())
    for part in ("train", "test"):
        if part not in named and named <= {*allowed}:
            message = f"no value stands for the {part} part"
            hint = f"for example data.split.parts={{{part}: {part}, ...}}"
            reader.complain("missing-value", message, (*SPLIT, "parts"), hint)
    for part, size in wanted_sizes(split):
        if known(size) and size and part in named:
            message = f"the column names the {part} part already (data.split.parts)"
            where = (*SPLIT, f"{part}_size")
            reader.complain("given-twice", message, where, f"leave {part}_size out")


def _shown(value: Value) -> str:
    return repr(value) if isinstance(value, str) else str(value)


def _check_take(reader: Reader, data: Data, split: ColumnSplit | FileSplit) -> None:
    if not known(split.take, split.by):
        return
    if split.take in ("group", "time") and split.by is None:
        message = f"take={split.take} needs a column"
        reader.complain("missing-value", message, (*SPLIT, "by"), "set data.split.by=COLUMN")
    elif split.take not in ("group", "time") and split.by is not None:
        message = f"take={split.take} needs no column"
        reader.complain("impossible", message, (*SPLIT, "by"), "leave it out")
    if split.take == "stratified" and known(data.task) and data.task == "regression":
        message = "stratified parts need classes, and the task is regression"
        reader.complain("impossible", message, (*SPLIT, "take"), "take random, group or time")
