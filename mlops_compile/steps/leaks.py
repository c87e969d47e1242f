"""Inspect: leaks that can be seen in a validated table and its parts, and features that tell
nothing, are told as notes.

Nothing waits for this step: a leak is a person's to judge. A first look at some rows spares the
others where they already show that there is none.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlops_compile.ir.value import Map, pick, pretty
from mlops_compile.steps.rules import codes_of
from mlops_compile.steps.tables import read_columns, schema_of
from mlops_compile.steps.twins import mix

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_compile.steps.kind import Work

Array = NDArray[Any]
_SOME = 10_000  # rows of the first look
_FEWEST = 50  # rows below which chance looks like a leak
_PER_LEVEL = 5  # rows that a value or a class needs to say something
_DISTINCT = 0.98  # the share of values of the first look above which hardly one repeats
_KNOWN = 0.9  # the share of the rows that must say it
_LINEAR = 1e-4  # the share of the target's variance that a linear function of one column leaves
_SUM = 0.01  # and that a weighted sum of several leaves
_PARTS = ("train", "test")
_LATER = "does it exist when you predict? if not: role ignore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A leak: its sort, the columns it is about, and a sentence of what was seen and what to do."""

    sort: str
    columns: tuple[str, ...]
    message: str

    def to_dict(self) -> Map:
        return Map({"sort": self.sort, "columns": self.columns, "message": self.message})


def run(work: Work) -> None:
    """Writes `findings`: a list of what was seen, which is told as notes too."""
    path = work.inputs["table"]
    target = read_columns(work.inputs["target"], ["target"]).column("target").combine_chunks()
    parts = {name: np.load(work.inputs[name], allow_pickle=False) for name in _PARTS}
    name = str(pick(work.params, ("data", "target")))
    found = [
        *_by_column(path, name, target),
        *_by_sum(path, name, target),
        *_in_both(path, target, parts),
        *_backwards(path, parts),
    ]
    for finding in found:
        warnings.warn(finding.message, stacklevel=1)
    findings = tuple(finding.to_dict() for finding in found)
    work.outputs["findings"].write_text(pretty(Map({"findings": findings})), "utf-8")


def _features(path: Path) -> dict[str, str]:
    """The sort of every feature column, by name."""
    fields = (field for field in schema_of(path) if field.metadata[b"role"] == b"feature")
    return {field.name: field.metadata[b"sort"].decode("ascii") for field in fields}


def _by_column(path: Path, target: str, answers: pa.Array) -> Iterator[Finding]:
    """Features that give the target away by themselves, ids among the features, and those that
    tell nothing."""
    classes = answers.indices.to_numpy() if pa.types.is_dictionary(answers.type) else None
    for name, sort in _features(path).items():
        column = read_columns(path, [name]).column(0)
        if nothing := _teaches_nothing(column, sort):
            message = f"{name!r} {nothing}, so that nothing is learned from it: role ignore"
            yield Finding(sort="nothing", columns=(name,), message=message)
            continue
        if why := _is_id(column, sort):  # told without the column's values
            message = f"{name!r} {why}: as a feature it is learned by heart; role id keeps it out"
            yield Finding(sort="id", columns=(name,), message=message)
        elif len(answers) < _FEWEST:
            continue
        elif classes is not None and (how := _tells_class(column, sort, classes)):
            message = f"{name!r} gives {target!r} away: {how}; {_LATER}"
            yield Finding(sort="determines", columns=(name,), message=message)
        elif classes is None and sort == "numeric":
            if how := _tells_number(_numbers(column), answers.to_numpy()):
                message = f"{name!r} gives {target!r} away: {how}; {_LATER}"
                yield Finding(sort="determines", columns=(name,), message=message)


def _teaches_nothing(column: pa.ChunkedArray, sort: str) -> str:
    """Why a column tells no row from another; empty if it does."""
    known = pc.is_valid(column)
    if sort == "numeric":
        known = pc.and_kleene(known, pc.invert(pc.is_nan(column)))
    if not pc.any(known, min_count=0).as_py():
        return "is missing in every row"
    if not pc.all(known).as_py():
        return ""
    if sort == "categorical":
        return "is the same in every row" if len(column.chunk(0).dictionary) == 1 else ""
    ends = pc.min_max(column)
    return "is the same in every row" if ends["min"] == ends["max"] else ""


def _numbers(column: pa.ChunkedArray) -> Array:
    numbers: Array = column.to_numpy()
    return numbers


def _is_id(column: pa.ChunkedArray, sort: str) -> str:
    """Why a column looks like an id; empty if it does not."""
    rows = len(column)
    if rows < 20:
        return ""
    if sort == "categorical":
        levels = len(column.chunk(0).dictionary)
        return f"has {levels} texts in {rows} rows" if levels > 0.9 * rows else ""
    if sort != "numeric" or column.null_count:
        return ""
    numbers = _numbers(column)
    few = numbers[:_SOME]
    if not np.array_equal(few, np.floor(few)):
        return ""
    low, high = numbers.min(), numbers.max()
    if not rows - 1 <= high - low <= 1.1 * rows or not np.array_equal(numbers, np.floor(numbers)):
        return ""
    counts = np.bincount((numbers - low).astype("int64"))
    return "counts the rows" if counts.max() == 1 else ""


def _tells_class(column: pa.ChunkedArray, sort: str, classes: Array) -> str:
    """How a column tells the class of every row; empty if it does not."""
    step = max(1, len(classes) // _SOME)
    codes, some = codes_of_levels(column, sort), classes[::step]
    few = codes[::step]
    repeats = len(np.unique(few)) < _DISTINCT * len(few)
    if repeats and not _contradicts(few, some) and (share := _told(codes, classes)):
        return f"each of its values has one class only, in {share:.0%} of the rows"
    if sort != "numeric":
        return ""
    numbers = _numbers(column)
    if _parted(numbers[::step], some, 1) and _parted(numbers, classes, _PER_LEVEL):
        return "a threshold parts the classes without an error"
    return ""


def codes_of_levels(column: pa.ChunkedArray, sort: str) -> Array:
    """Numbers that are equal where a validated column's values are; what is missing has its own."""
    if sort != "categorical":
        return codes_of(column)
    codes = [pc.fill_null(chunk.indices, -1).to_numpy() for chunk in column.chunks]
    return np.concatenate(codes).astype("int64")


def _contradicts(codes: Array, classes: Array) -> bool:
    """Whether rows of one value have two classes."""
    order = np.lexsort((classes, codes))
    same = codes[order][1:] == codes[order][:-1]
    return bool(np.any(same & (classes[order][1:] != classes[order][:-1])))


def _told(codes: Array, classes: Array) -> float:
    """The share of the rows whose value stands in some rows, if each such value has one class and
    every class such a value; else 0."""
    levels, inverse, rows = np.unique(codes, return_inverse=True, return_counts=True)
    if not 2 <= len(levels) <= len(codes) / _PER_LEVEL or _contradicts(codes, classes):
        return 0.0
    some = rows[inverse] >= _PER_LEVEL
    every = len(np.unique(classes[some])) == len(np.unique(classes)) > 1
    share = float(np.mean(some))
    return share if every and share > _KNOWN else 0.0


def _parted(numbers: Array, classes: Array, fewest: int) -> bool:
    """Whether each class has a range of its own and so many rows, where the number is known."""
    known = ~np.isnan(numbers)
    if np.mean(known) < _KNOWN:
        return False
    numbers, classes = numbers[known], classes[known]
    order = np.argsort(classes, kind="stable")
    starts = np.flatnonzero(np.diff(classes[order], prepend=-1))
    if len(starts) < 2 or np.diff(starts, append=len(order)).min() < fewest:
        return False
    lows = np.minimum.reduceat(numbers[order], starts)
    highs = np.maximum.reduceat(numbers[order], starts)
    places = np.argsort(lows, kind="stable")
    return bool(np.all(highs[places][:-1] < lows[places][1:]))


def _tells_number(numbers: Array, target: Array) -> str:
    """How a column tells the target's number; empty if it does not."""
    known = ~np.isnan(numbers)
    if known.sum() < max(_FEWEST, _KNOWN * len(known)):
        return ""
    numbers, target = numbers[known], target[known]
    for step in (max(1, len(target) // _SOME), 1):
        x, y = numbers[::step], target[::step]
        if not np.var(x) or not np.var(y) or 1 - np.corrcoef(x, y)[0, 1] ** 2 > _LINEAR:
            return ""
    same = np.array_equal(numbers, target)
    return "it is the same" if same else "the one is a linear function of the other"


def _by_sum(path: Path, target: str, answers: pa.Array) -> Iterator[Finding]:
    """Numeric features whose weighted sum is the target."""
    if pa.types.is_dictionary(answers.type):
        return
    names = [name for name, sort in _features(path).items() if sort == "numeric"]
    step = max(1, len(answers) // _SOME)
    columns = {name: _numbers(read_columns(path, [name]).column(0))[::step] for name in names}
    parts = sum_of(columns, answers.to_numpy()[::step])
    if len(parts) > 1:
        listed = ", ".join(map(repr, parts))
        message = (
            f"{listed} together give {target!r} away (a weighted sum of them is it): ignore those"
            " that do not exist yet when you predict"
        )
        yield Finding(sort="sum", columns=tuple(parts), message=message)


def sum_of(columns: Mapping[str, Array], target: Array) -> list[str]:
    """The columns whose weighted sum is the target almost everywhere, none of them to spare; none
    if there are none. What is missing is NaN."""
    names = list(columns)
    known = ~np.isnan(target)
    for values in columns.values():
        known &= ~np.isnan(values)
    y = target[known]
    if not names or len(y) < _FEWEST + 10 * len(names):
        return []
    x = np.column_stack([*(values[known] for values in columns.values()), np.ones(len(y))])
    if _unexplained(x, y) > _SUM:
        return []
    keep = list(range(len(names)))
    for place in range(len(names)):
        fewer = [other for other in keep if other != place]
        if fewer and _unexplained(x[:, [*fewer, len(names)]], y) <= _SUM:
            keep = fewer
    return [names[place] for place in keep]


def _unexplained(x: Array, y: Array) -> float:
    """The share of the target's variance that a weighted sum leaves."""
    weights = np.linalg.lstsq(x, y, rcond=None)[0]
    return float(np.var(y - x @ weights) / np.var(y)) if np.var(y) else 1.0


def _in_both(path: Path, answers: pa.Array, parts: Mapping[str, Array]) -> Iterator[Finding]:
    """Rows of the test part that stand, feature by feature, in the training part too."""
    hashes = np.zeros(len(answers), np.uint64)
    is_class = pa.types.is_dictionary(answers.type)
    answer = answers.indices if is_class else answers
    mix(hashes, codes_of(pa.chunked_array([answer])))
    for name, sort in _features(path).items():
        column = read_columns(path, [name]).column(0)
        mix(hashes, codes_of_levels(column, sort))
    train, test = (hashes[parts[name]] for name in _PARTS)
    both = int(np.isin(test, train).sum())
    if both:
        rows = "1 row" if both == 1 else f"{both} rows"
        stand = "stands" if both == 1 else "stand"
        message = (
            f"{rows} of the test part ({both / len(test):.1%}) {stand} in the training part too,"
            " where the answer is learned: data.rows.duplicates=drop, or data.split by a group"
        )
        yield Finding(sort="both", columns=(), message=message)


def _backwards(path: Path, parts: Mapping[str, Array]) -> Iterator[Finding]:
    """Test rows that are older than what was learned from, where a column is the time."""
    for field in schema_of(path):
        if field.metadata[b"role"] != b"time" or field.metadata[b"sort"] not in _TIMES:
            continue
        column = read_columns(path, [field.name]).column(0)
        known = pc.is_valid(column).to_numpy()
        times = codes_of(column)
        if field.metadata[b"sort"] == b"numeric":
            times = times.view("float64")
        train, test = (times[parts[name]][known[parts[name]]] for name in _PARTS)
        older = float(np.mean(test < train.max())) if len(test) and len(train) else 0.0
        if older > 0:
            message = (
                f"{older:.0%} of the test rows are older than the latest training row by"
                f" {field.name!r}, so the future is learned from: take data.split.kind=time,"
                f" data.split.column={field.name}"
            )
            yield Finding(sort="time", columns=(field.name,), message=message)


_TIMES = (b"datetime", b"numeric")
