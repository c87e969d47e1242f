"""Rules of a column's values: which rows break them, told without sensitive values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlops_compile.steps.columns import Column, moment, whole

Rows = NDArray[np.int64]
FEW = 5
_LONGEST = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A rule of a column and the rows (from 0, ascending) that break it.

    `said` is what is wrong with them, in words for one value and for several; `shown` are the first
    of their values, empty where these are missing or sensitive.
    """

    column: str
    rule: str
    rows: Rows
    said: tuple[str, str]
    shown: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """A sentence with the count and the first rows, which people count from 1."""
        told = [f"row {row + 1}" for row in self.rows[:FEW].tolist()]
        if self.shown:
            told = [f"{row} ({value})" for row, value in zip(told, self.shown, strict=True)]
        more = ", ..." if len(self.rows) > FEW else ""
        count = len(self.rows)
        said = f"1 value {self.said[0]}" if count == 1 else f"{count} values {self.said[1]}"
        return f"{said}: {', '.join(told)}{more}"


def broken(name: str, column: Column, values: pa.ChunkedArray) -> Iterator[Broken]:
    """Every rule but `unique` that values of a column break; numbers must be finite."""
    for rule, mask, said in _masks(column, values):
        rows = np.flatnonzero(pc.fill_null(mask, False).to_numpy())
        if len(rows):
            yield _of(name, rule, rows, said, values, column.sensitive)


def repeated(name: str, column: Column, values: pa.ChunkedArray, among: Rows) -> Iterator[Broken]:
    """The rule `unique`: rows, of these, whose value stands in an earlier one of them."""
    known = among[pc.is_valid(values).to_numpy()[among]]
    codes = codes_of(values)[known]
    order = np.argsort(codes, kind="stable")
    again = np.flatnonzero(codes[order][1:] == codes[order][:-1]) + 1
    rows = np.sort(known[order[again]])
    if len(rows):
        said = ("stands in an earlier row too", "stand in earlier rows too")
        yield _of(name, "unique", rows, said, values, column.sensitive)


def codes_of(values: pa.ChunkedArray) -> NDArray[np.int64]:
    """Numbers that are equal where values are, with one of its own for what is missing."""
    found: NDArray[Any]
    if pa.types.is_string(values.type):
        codes = pc.dictionary_encode(values).combine_chunks()
        found = pc.fill_null(codes.indices, -1).to_numpy(zero_copy_only=False)
    elif pa.types.is_floating(values.type):
        numbers = values.to_numpy() + 0.0  # -0.0 is 0.0
        numbers[np.isnan(numbers)] = np.nan  # of one form
        found = numbers.view("int64")
    else:
        numbers = values if pa.types.is_int64(values.type) else pc.cast(values, pa.int64())
        found = pc.fill_null(numbers, np.iinfo("int64").min).to_numpy()
    return found.astype("int64", copy=False)


def _masks(
    column: Column, values: pa.ChunkedArray
) -> Iterator[tuple[str, pa.ChunkedArray, tuple[str, str]]]:
    """Each rule with where it is broken; nulls there and elsewhere count as kept."""
    if column.nullable is False:
        mask = pc.is_null(values, nan_is_null=True)
        yield "nullable", mask, ("is missing", "are missing")
    if pa.types.is_floating(values.type):
        yield "finite", pc.is_inf(values), ("is infinite", "are infinite")
    is_number = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
    compared = pc.cast(values, pa.float64(), safe=False) if is_number else values
    for rule, bound, compare, side in (
        ("low", column.low, pc.less, "below"),
        ("high", column.high, pc.greater, "above"),
    ):
        if bound is not None:
            text = _bound_text(bound)
            mask = compare(compared, _scalar(bound, compared.type))
            yield rule, mask, (f"is {side} {text}", f"are {side} {text}")
    if column.choices:
        type_ = pa.float64() if is_number else values.type
        allowed = pc.is_in(compared, value_set=pa.array(list(column.choices), type_))
        mask = pc.and_(pc.is_valid(compared), pc.invert(allowed))
        yield "choices", mask, ("is none of the choices", "are none of the choices")
    if column.pattern:
        mask = pc.invert(pc.match_substring_regex(values, whole(column.pattern)))
        yield "pattern", mask, ("does not match the pattern", "do not match the pattern")


def _scalar(bound: float | str, type_: pa.DataType) -> pa.Scalar:
    if not isinstance(bound, str):
        return pa.scalar(bound, type_)
    time = moment(bound)
    assert time is not None
    return pa.scalar(time, pa.timestamp("us", tz="UTC" if time.tzinfo else None)).cast(type_)


def _bound_text(bound: float | str) -> str:
    return bound if isinstance(bound, str) else f"{bound:g}" if abs(bound) < 1e6 else repr(bound)


def _of(
    name: str,
    rule: str,
    rows: Rows,
    said: tuple[str, str],
    values: pa.ChunkedArray,
    is_sensitive: bool,
) -> Broken:
    shown: tuple[str, ...] = ()
    if not is_sensitive and rule not in ("nullable", "finite"):
        shown = tuple(shown_value(item) for item in values.take(rows[:FEW]).to_pylist())
    return Broken(column=name, rule=rule, rows=rows, said=said, shown=shown)


def shown_value(value: Any) -> str:
    """A value for people, cut where it is long."""
    if hasattr(value, "isoformat"):
        return str(value.isoformat(sep=" "))
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
