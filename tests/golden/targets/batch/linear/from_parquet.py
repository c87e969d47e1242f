"""Reads Parquet, by pyarrow."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

from columns import FIELDS, NAN, read
from reading import BLOCK, Odd, Piece, Row, Source, Unfit, checked

def parquet(path: Path, keep: list[str]) -> Source:
    """A Parquet file; this needs pyarrow."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        hint = "python -m pip install -r requirements-parquet.txt"
        raise Unfit(f"Parquet needs pyarrow, which is not installed: {hint}") from None
    try:
        file = pq.ParquetFile(path, memory_map=False, buffer_size=BLOCK, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise Unfit(f"it is no Parquet file: {error}") from None
    schema = file.schema_arrow
    absent = [
        name
        for name in (*(name for name, *_ in FIELDS), *keep)
        if schema.names.count(name) != 1
    ]
    if absent:
        raise Unfit(f"there is no column {', '.join(map(repr, absent))}, or more than one")
    for name, _, sort, _ in FIELDS:
        kind = schema.field(name).type
        if not fits(pa, kind, sort):
            raise Unfit(f"the column {name!r} is {kind}, and must be {SORTS[sort]}")
    names = [*dict.fromkeys([*(name for name, *_ in FIELDS), *keep])]

    def pieces() -> Iterator[Piece]:
        row = 1
        size = max(64, min(8192, 500_000 // len(names)))
        batches = file.iter_batches(batch_size=size, columns=names)
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            except (pa.ArrowException, OSError) as error:
                raise Unfit(f"row {row} cannot be read: {error}") from None
            done = row - 1 + batch.num_rows
            each, kept = each_of(pa, batch, row), kept_of(pa, batch, keep)
            yield Piece(row, batch.num_rows, arrays_of(pa, batch), each, done, kept)
            row += batch.num_rows

    known = {*names}
    left = [name for name in schema.names if name not in known]
    types = {name: micros(pa, schema.field(name).type) for name in keep}
    return Source(pieces(), file.metadata.num_rows, left, types)


def micros(pa, kind):
    """A type, or that of times of microseconds in place of one of times."""
    return pa.timestamp("us", kind.tz) if pa.types.is_timestamp(kind) else kind


def kept_of(pa, batch, keep: list[str]) -> Callable[[], list[list]]:
    return lambda: [values(pa, batch.column(batch.schema.names.index(name))) for name in keep]


def values(pa, column) -> list:
    """The values of an array as Python's own, which has no times of nanoseconds."""
    return column.cast(micros(pa, column.type), safe=False).to_pylist()


SORTS = {
    "numeric": "numbers",
    "categorical": "texts",
    "boolean": "true or false",
    "datetime": "times without a zone",
    "datetime_utc": "times with a zone",
}


def fits(pa, kind, sort: str) -> bool:
    """Whether an Arrow type can hold values of this sort."""
    types = pa.types
    inner = kind.value_type if types.is_dictionary(kind) else kind
    if types.is_null(kind):
        return True
    if sort == "categorical":
        return types.is_string(inner) or types.is_large_string(inner)
    if sort == "numeric":
        return types.is_integer(kind) or types.is_floating(kind)
    if sort == "boolean":
        return types.is_boolean(kind)
    if sort == "datetime_utc":
        return types.is_timestamp(kind) and bool(kind.tz)
    return types.is_date(kind) or (types.is_timestamp(kind) and not kind.tz)


def arrays_of(pa, batch) -> Callable[[], dict[str, list]]:
    def columns() -> dict[str, list]:
        found = {}
        for name, attribute, sort, nullable in FIELDS:
            column = batch.column(batch.schema.get_field_index(name))
            if column.null_count and not nullable:
                raise Odd
            found[attribute] = values_of(pa, column, attribute, sort)
            if sort == "numeric" and not are_given(found[attribute], nullable):
                raise Odd
        return found

    return columns


def are_given(values: list, nullable: bool) -> bool:
    """Whether no number is infinite, nor missing where none may be; False where it is not clear."""
    total = sum(values)
    if nullable and total != total:
        total = sum([value for value in values if value == value])
    return math.isfinite(total)


def values_of(pa, column, attribute: str, sort: str) -> list:
    """The values of an Arrow array, as `features` takes them."""
    if sort == "numeric":
        return numbers(pa, column.cast(pa.float64(), safe=False).fill_null(NAN), "d")
    if sort == "boolean":
        truths = numbers(pa, column.cast(pa.int8()).fill_null(-1), "b")
        return [(0.0, 1.0, NAN)[truth] for truth in truths]
    if sort == "categorical":
        if not pa.types.is_dictionary(column.type):
            column = column.cast(pa.string()).dictionary_encode()
        levels = [*read(attribute, column.dictionary.to_pylist()), None]
        return [levels[code] for code in numbers(pa, column.indices.cast("int32").fill_null(-1), "i")]
    return column.cast(pa.timestamp("us"), safe=False).to_pylist()


def numbers(pa, column, code: str) -> list:
    """The numbers of an array without gaps."""
    data = column.buffers()[1]
    if data is None or not len(column):
        return []
    width = column.type.bit_width // 8
    view = memoryview(data)[column.offset * width : (column.offset + len(column)) * width]
    found = array(code)
    found.frombytes(view)
    return found.tolist()


def each_of(pa, batch, row: int) -> Callable[[], Iterator[Row]]:
    def rows() -> Iterator[Row]:
        names = {name for name, *_ in FIELDS}
        given = {n: values(pa, batch.column(p)) for p, n in enumerate(batch.schema.names) if n in names}
        for number in range(batch.num_rows):
            holds = {name: plain(column[number]) for name, column in given.items()}
            found = {name: value for name, value in holds.items() if value is not None}
            odd = next((n for n, v in found.items() if isinstance(v, float) and math.isinf(v)), None)
            if odd is not None:
                yield Row(row + number, None, f"`{odd}` must be a number, and is infinite", holds)
            else:
                yield checked(found, row + number, holds)

    return rows


def plain(value: object) -> object:
    """A value as a record in JSON has it."""
    if isinstance(value, float) and value != value:
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value
