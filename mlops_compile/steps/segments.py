"""Segments: the rows of a part by the levels of a column, each with a name for people.

Texts and truth values are their own levels; numbers and times are cut at the quartiles of the
training part. Missing values are a level of their own. The levels of a sensitive column are
numbered, most frequent in the training part first: their values are told nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.evaluation import MetricOptions
from mlops_compile.steps.measure import Answers, measure, summary

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

MISSING = "(missing)"
_QUARTILES = (0.25, 0.5, 0.75)
_MOST_LEVELS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A level of a column, and its rows as positions in a part."""

    level: str
    rows: Array


def measure_segments(
    table: pa.Table,
    stated: tuple[str, ...],
    sensitive: frozenset[str],
    train: Array,
    part: Array,
    answers: Answers,
    baseline: Answers,
    metrics: tuple[str, ...],
    options: MetricOptions,
    least: int,
) -> Map:
    """Column -> its levels with rows, metrics and what was not computed, by the baseline's answers
    too (`baseline`); and how many levels and rows were too few, or too many, to be measured."""
    roles = [field.name for field in table.schema if field.metadata[b"role"] == b"segment"]
    found: dict[str, Value] = {}
    for name in dict.fromkeys((*stated, *roles)):
        if name not in table.column_names:
            message = f"the validated table has no column {name!r}"
            raise StepError([problem("no-column", message, ("evaluate", "segments"))])
        segments = list(segments_of(table, name, name in sensitive, train, part))
        enough = [segment for segment in segments if len(segment.rows) >= least]
        enough.sort(key=lambda segment: -len(segment.rows))  # stable: equal counts by level
        kept, beyond = enough[:_MOST_LEVELS], enough[_MOST_LEVELS:]
        few = [segment for segment in segments if len(segment.rows) < least]
        levels: dict[str, Value] = {}
        for segment in kept:
            own = answers.take(segment.rows)
            facts = summary(own.truth, own.classes, own.weight, own.secret)
            facts |= _measured(own, metrics, options)
            facts["baseline"] = Map(_measured(baseline.take(segment.rows), metrics, options))
            levels[segment.level] = Map(facts)
        column: dict[str, Value] = {"levels": Map(levels), "least_rows": least}
        column["too_few"] = _counts(few)
        if beyond:
            column["beyond"] = _counts(beyond)
        found[name] = Map(column)
    return Map(found)


def _measured(
    answers: Answers, metrics: tuple[str, ...], options: MetricOptions
) -> dict[str, Value]:
    values, missing = measure(metrics, answers, options)
    return {"metrics": Map(values), "not_computed": Map(missing)}


def _counts(segments: list[Segment]) -> Map:
    rows: dict[str, Value] = {segment.level: len(segment.rows) for segment in segments}
    shown = dict(list(rows.items())[:_MOST_LEVELS])
    total = sum(len(segment.rows) for segment in segments)
    return Map({"levels": len(segments), "rows": total, "named": Map(shown)})


def segments_of(
    table: pa.Table, name: str, sensitive: bool, train: Array, part: Array
) -> Iterator[Segment]:
    """The levels of a column that the part has, in order."""
    values = table.column(name).combine_chunks()
    if pa.types.is_dictionary(values.type):
        codes = pc.fill_null(values.indices, -1).to_numpy(zero_copy_only=False)
        names = values.dictionary.to_pylist()
    elif pa.types.is_boolean(values.type):
        codes = pc.fill_null(pc.cast(values, pa.int8()), -1).to_numpy(zero_copy_only=False)
        names = ["false", "true"]
    else:
        numbers, edges, names = cuts(values, train)
        codes = np.where(np.isnan(numbers), -1, np.searchsorted(edges, numbers, side="right"))
    if sensitive:
        codes, names = _numbered(codes, train, len(names))
    own = codes[part]
    for code in np.unique(own).tolist():
        level = MISSING if code < 0 else names[code]
        yield Segment(level=level, rows=np.flatnonzero(own == code))


def _numbered(codes: Array, train: Array, count: int) -> tuple[Array, list[str]]:
    """The same levels, by how frequent they are in the training part."""
    known = codes[train][codes[train] >= 0]
    order = np.argsort(-np.bincount(known, minlength=count), kind="stable")
    places = np.empty(count + 1, dtype="int64")
    places[order], places[-1] = np.arange(count), -1
    return places[codes], [f"level {number + 1} of {count}" for number in range(count)]


def cuts(values: pa.Array, train: Array) -> tuple[Array, Array, list[str]]:
    """A column's numbers (times are microseconds since 1970; NaN where missing), the edges at which
    they are cut, and the names of the levels below, between and from them on."""
    times = pa.types.is_timestamp(values.type)
    if times:
        zone = values.type.tz is not None
        values = pc.cast(pc.cast(values, pa.timestamp("us", values.type.tz)), pa.int64())
    numbers = values.to_numpy(zero_copy_only=False).astype("float64")
    known = numbers[train][~np.isnan(numbers[train])]
    edges = np.unique(np.quantile(known, _QUARTILES)) if len(known) else np.empty(0)
    shown = [_time(edge, zone) if times else f"{edge:.6g}" for edge in edges.tolist()]
    names = ["all"]
    if shown:
        between = [f"{low} to below {high}" for low, high in pairwise(shown)]
        names = [f"below {shown[0]}", *between, f"{shown[-1]} and above"]
    if len(set(names)) < len(names):  # two edges look the same in six digits
        names = [f"{name} (bin {place + 1})" for place, name in enumerate(names)]
    return numbers, edges, names


def _time(edge: float, zone: bool) -> str:
    moment = np.datetime64(int(edge), "us").astype("datetime64[s]")
    return str(moment) + ("Z" if zone else "")
