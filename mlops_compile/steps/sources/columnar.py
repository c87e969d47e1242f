"""Values that have types of their own (Parquet's) as the storage types of a table: stated rules."""

# pyarrow is imported inside the functions: a warm compile imports this module.

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlops_compile.steps.sources.cells import arrow_type, replaced

if TYPE_CHECKING:
    import pyarrow as pa

NOTHING = "null"  # of a column without any value: it fits every storage type
_EXACT = 18  # digits of a decimal that surely is a whole number of 64 bits
_SECONDS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}


def storage_of(found: pa.DataType) -> str | None:
    """The storage type of an Arrow type, or NOTHING; None for nested and binary ones."""
    import pyarrow as pa

    kinds = pa.types
    if kinds.is_dictionary(found) or kinds.is_run_end_encoded(found):
        return storage_of(found.value_type)
    if kinds.is_decimal(found):
        return "int64" if found.scale == 0 and found.precision <= _EXACT else "float64"
    if kinds.is_timestamp(found):
        return "timestamp" if found.tz is None else "timestamp_utc"
    rules = (
        (kinds.is_null, NOTHING),
        (kinds.is_boolean, "bool"),
        (kinds.is_integer, "int64"),
        (kinds.is_floating, "float64"),
        (kinds.is_date, "timestamp"),
        (kinds.is_time, "float64"),
        (kinds.is_duration, "float64"),
        (kinds.is_string, "string"),
        (kinds.is_large_string, "string"),
        (kinds.is_string_view, "string"),
    )
    return next((storage for fits, storage in rules if fits(found)), None)


def stored(
    column: pa.Array,
    storage: str,
    missing: tuple[str, ...] = (),
    replace: Mapping[str, str] | None = None,
) -> pa.Array:
    """Values as a storage type. Of texts, those to `replace` are what they stand for, and `missing`
    ones stand for none. ArrowInvalid where a value has no place in it.

    Texts are in NFC; a NaN is missing; times of day and durations are seconds; what is finer than a
    microsecond is cut off; decimals beyond 18 digits are the nearest floating-point number.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    found = column.type
    if pa.types.is_dictionary(found):
        return stored(column.dictionary_decode(), storage, missing, replace)
    if pa.types.is_run_end_encoded(found):
        return stored(pc.run_end_decode(column), storage, missing, replace)
    if storage == "string":
        return _texts(column, missing, replace or {})
    return _zeroed(_values(column, storage))


def _values(column: pa.Array, storage: str) -> pa.Array:
    """Plain values as a storage type that is no text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = column.type
    wanted = arrow_type(storage)
    if pa.types.is_time(found) or pa.types.is_duration(found):
        bits = pa.int32() if found.bit_width == 32 else pa.int64()
        ticks = pc.cast(pc.cast(column, bits), pa.float64())
        return pc.divide(ticks, _SECONDS[found.unit])
    if pa.types.is_temporal(found):
        if pa.types.is_timestamp(found) and found.unit == "ns":
            column = pc.floor_temporal(column, unit="microsecond")
        return pc.cast(column, wanted)
    done = pc.cast(column, wanted, safe=storage != "float64")
    if storage == "float64":
        return pc.if_else(pc.is_nan(done), pa.nulls(len(done), pa.float64()), done)
    return done


def _zeroed(column: pa.Array) -> pa.Array:
    """The same with zeros behind nulls, where a reader leaves what it has: equal values are equal
    bytes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not column.null_count:
        return column
    zero = pa.scalar(False) if pa.types.is_boolean(column.type) else pa.scalar(0, pa.int64())
    filled = pc.fill_null(column, zero.cast(column.type))
    return pc.if_else(pc.is_valid(column), filled, pa.scalar(None, column.type))


def _texts(column: pa.Array, missing: tuple[str, ...], replace: Mapping[str, str]) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.utf8_normalize(pc.cast(column, pa.string()), form="NFC")
    if replace:
        texts = replaced(texts, replace)
    if missing:
        marked = pc.is_in(texts, value_set=pa.array(missing, pa.string()))
        return pc.if_else(marked, pa.nulls(len(texts), pa.string()), texts)
    return texts


class Seen:
    """What a column's values show, batch by batch: whether one is missing, and its levels."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: pa.Array | None = None
        self.missing = False

    def see(self, column: pa.Array, levels: bool) -> None:
        """Take a batch of stored values into account."""
        import pyarrow as pa

        self.missing = self.missing or column.null_count > 0
        if not levels or (self._values is not None and len(self._values) > self._most):
            return
        known = column.drop_null().unique()
        self._values = (
            known if self._values is None else pa.concat_arrays([self._values, known]).unique()
        )

    @property
    def levels(self) -> tuple[str, ...]:
        """The distinct values as texts, in order; none if there are too many."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self._values is None or len(self._values) > self._most:
            return ()
        return tuple(sorted(set(pc.cast(self._values, pa.string()).to_pylist())))
