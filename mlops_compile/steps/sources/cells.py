"""Cells of text and the types that they can be: stated rules, the same for guessing and reading."""

# pyarrow is imported inside the functions: a warm compile imports this module. No function here
# makes an Arrow scalar or array from Python values, because pyarrow imports pandas for that, which
# a first look at a source must not wait for.

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from mlops_compile.steps.sources.kind import MOST_LEVELS

if TYPE_CHECKING:
    import pyarrow as pa

# Any number of these may fit a column; the first that fits all of its cells is its type.
ORDER = ("bool", "int64", "float64", "timestamp", "timestamp_utc", "string")
_FEW = 16
_SOME = 1000


def arrow_type(type_name: str) -> pa.DataType:
    """The Arrow type of a storage type."""
    import pyarrow as pa

    return {
        "bool": pa.bool_(),
        "int64": pa.int64(),
        "float64": pa.float64(),
        "timestamp": pa.timestamp("us"),
        "timestamp_utc": pa.timestamp("us", tz="UTC"),
        "string": pa.string(),
    }[type_name]


def clean(column: pa.Array, missing: tuple[str, ...]) -> pa.Array:
    """A column's texts in NFC without white space around them, missing marks as nulls."""
    if _repeats(column):  # each text once
        coded = column.dictionary_encode()
        return _cleaned(coded.dictionary, missing).take(coded.indices)
    return _cleaned(column, missing)


def _cleaned(column: pa.Array, missing: tuple[str, ...]) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_normalize(pc.utf8_trim_whitespace(column), form="NFC")
    marked = pc.match_substring_regex(trimmed, _pattern(missing))
    return pc.if_else(marked, pa.nulls(len(trimmed), pa.string()), trimmed)


def _repeats(column: pa.Array) -> bool:
    """Whether it seems to pay to look at each text of a column once."""
    some = column.slice(0, _SOME)
    return len(some) == _SOME and 2 * len(some.unique()) < _SOME


@cache
def _pattern(texts: tuple[str, ...]) -> str:
    """A regular expression (RE2) that matches exactly these texts, and the empty one."""

    def literal(char: str) -> str:
        return char if char.isascii() and char.isalnum() else f"\\x{{{ord(char):x}}}"

    return rf"\A(?:{'|'.join(''.join(map(literal, text)) for text in texts)}|)\z"


def cast(column: pa.Array, type_name: str) -> pa.Array | None:
    """The texts as values of a storage type, or None if one of them does not fit.

    A NaN among floats is missing.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if type_name == "string":
        return column
    if type_name == "bool":
        fit = pc.match_substring_regex(column, r"\A(?i:true|false)\z")
        if not pc.all(fit, min_count=0).as_py():
            return None
        return pc.match_substring_regex(column, r"\A(?i:true)\z")
    try:
        done = pc.cast(column, arrow_type(type_name))
    except pa.ArrowInvalid:
        return None
    if type_name == "int64" and pc.any(pc.match_substring(column, "x", ignore_case=True)).as_py():
        return None  # Arrow reads 0x10 as 16, and as no float
    if type_name == "float64":
        return pc.if_else(pc.is_nan(done), pa.nulls(len(done), pa.float64()), done)
    return done


class Guess:
    """The types that a column's texts can all be, batch by batch."""

    def __init__(self, wanted: str | None) -> None:
        self._wanted = wanted
        self._feasible = list(ORDER)
        self._missing = False
        self._missing_as_float = False
        self._seen = False

    def see(self, column: pa.Array) -> None:
        """Take a batch of cleaned texts into account."""
        self._missing = self._missing or column.null_count > 0
        known = (column.unique() if _repeats(column) else column).drop_null()
        if not len(known):
            return
        self._seen = True
        # Arrow takes long to refuse a whole column, so that a few of its texts are asked first.
        few = known.slice(0, _FEW)
        feasible = [name for name in self._feasible if cast(few, name) is not None]
        self._feasible = [name for name in feasible if self._fits(known, name)]

    def _fits(self, known: pa.Array, type_name: str) -> bool:
        done = cast(known, type_name)
        if done is not None and type_name == "float64":
            self._missing_as_float = self._missing_as_float or done.null_count > 0
        return done is not None

    @property
    def type(self) -> str:
        """The storage type: the wanted one, or else the first that fits every cell; float64 if all
        is missing."""
        if self._wanted in self._feasible:
            return self._wanted
        return self._feasible[0] if self._seen else "float64"

    @property
    def missing(self) -> bool:
        """Whether a value of that type is missing somewhere."""
        return self._missing or (self.type == "float64" and self._missing_as_float)


class Levels:
    """The distinct texts of a column, up to `MOST_LEVELS`."""

    def __init__(self) -> None:
        self._texts: pa.Array | None = None

    def see(self, column: pa.Array) -> None:
        """Take a batch of cleaned texts into account."""
        import pyarrow as pa

        if self._texts is None:
            self._texts = column.drop_null().unique()
        elif len(self._texts) <= MOST_LEVELS:
            self._texts = pa.concat_arrays([self._texts, column.drop_null().unique()]).unique()

    def names(self, type_name: str) -> tuple[str, ...]:
        """The values as texts once converted (`01` is `1` among integers); none if too many."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self._texts is None or len(self._texts) > MOST_LEVELS:
            return ()
        values = cast(self._texts, type_name)
        texts = self._texts if values is None else pc.cast(values.drop_null(), pa.string())
        return tuple(sorted(set(texts.to_pylist())))
