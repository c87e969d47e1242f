"""Cells of text and the types that they can be: stated rules, the same for guessing and reading."""

# pyarrow is imported inside the functions: a warm compile imports this module. No function here
# makes an Arrow scalar or array from Python values, because pyarrow imports pandas for that, which
# a first look at a source must not wait for.

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from mlops_compile.ir.problem import Problem, problem

if TYPE_CHECKING:
    import pyarrow as pa

# Any number of these may fit a column; the first that fits all of its cells is its type.
ORDER = ("bool", "int64", "float64", "timestamp", "timestamp_utc", "string")
# Whole numbers beyond 64 bits: no storage type has them, so that a column of them is refused
# rather than rounded in silence.
WHOLE = "whole"
_SOME = 1000
# The storage types of which each cell of a stated type has to fit one.
STORED_AS = {
    "numeric": ("float64",),
    "datetime": ("timestamp", "timestamp_utc"),
    "boolean": ("bool",),
}
IN_WORDS = {
    "bool": "true or false",
    "int64": "a whole number",
    "float64": "a number",
    "timestamp": "a date or time (ISO 8601, as 2024-01-31 or 2024-01-31 12:30:00)",
    "timestamp_utc": "a time with its zone (ISO 8601, as 2024-01-31 12:30:00+01:00)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """How numbers are written: the mark before the fraction, that between groups of three digits
    (empty: none)."""

    decimal: str = "."
    thousands: str = ""

    @property
    def is_plain(self) -> bool:
        return self.decimal == "." and not self.thousands

    @property
    def pattern(self) -> str:
        """A regular expression (RE2) for them, and for what is no number to calculate with."""
        digits = r"\d+"
        if self.thousands:
            digits = rf"(?:\d{{1,3}}(?:{literal(self.thousands)}\d{{3}})+|\d+)"
        mark = literal(self.decimal)
        number = rf"(?:{digits}(?:{mark}\d*)?|{mark}\d+)(?:[eE][+-]?\d+)?"
        return rf"\A[+-]?(?:{number}|(?i:inf|infinity|nan))\z"

    def plain(self, column: pa.Array) -> pa.Array | None:
        """Texts with these marks as they are written without; None if one of them is no number."""
        import pyarrow.compute as pc

        if self.is_plain:
            return column
        if not pc.all(pc.match_substring_regex(column, self.pattern), min_count=0).as_py():
            return None
        if self.thousands:
            column = pc.replace_substring(column, self.thousands, "")
        return pc.replace_substring(column, self.decimal, ".")


PLAIN = Numbers()


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """A column's cells as texts; where they repeat much, each text once, and where it stands.

    `values` may hold a text twice. It holds none that is in no cell.
    """

    values: pa.Array
    indices: pa.Array | None = None

    def __len__(self) -> int:
        return len(self.values if self.indices is None else self.indices)

    def spread(self, values: pa.Array) -> pa.Array:
        """What was made of `values`, one for each, in each of the cells."""
        return values if self.indices is None else values.take(self.indices)

    @property
    def cells(self) -> pa.Array:
        """The text of each cell."""
        return self.spread(self.values)

    @property
    def known(self) -> int:
        """How many cells are not missing."""
        import pyarrow.compute as pc

        if self.indices is None:
            return len(self.values) - int(self.values.null_count)
        return int(pc.sum(self.spread(self.values.is_valid())).as_py() or 0)

    def cast(self, type_name: str, numbers: Numbers) -> pa.Array | None:
        """The cells as values of a storage type, or None if one of them does not fit."""
        done = cast(self.values, type_name, numbers)
        return None if done is None else self.spread(done)


def clean(
    column: pa.Array, missing: tuple[str, ...], replace: Mapping[str, str] | None = None
) -> Texts:
    """A column's texts in NFC without white space around them: those to `replace` by what they
    stand for (once: what comes of it is not looked up again), missing marks then as nulls."""
    if _repeats(column):
        coded = column.dictionary_encode()
        return Texts(
            values=_cleaned(coded.dictionary, missing, replace or {}), indices=coded.indices
        )
    return Texts(values=_cleaned(column, missing, replace or {}))


def _cleaned(column: pa.Array, missing: tuple[str, ...], replace: Mapping[str, str]) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_normalize(pc.utf8_trim_whitespace(column), form="NFC")
    if replace:
        trimmed = replaced(trimmed, replace)
    marked = pc.match_substring_regex(trimmed, _pattern(missing))
    return pc.if_else(marked, pa.nulls(len(trimmed), pa.string()), trimmed)


def replaced(column: pa.Array, texts: Mapping[str, str]) -> pa.Array:
    """Texts with those that are keys of `texts` as what they stand for."""
    import pyarrow.compute as pc

    done = column
    for text, other in texts.items():
        pattern = rf"\A{''.join(map(literal, text))}\z"
        told = pc.replace_substring_regex(column, pattern, other.replace("\\", r"\\"))
        done = pc.if_else(pc.match_substring_regex(column, pattern), told, done)
    return done


def _repeats(column: pa.Array) -> bool:
    """Whether it seems to pay to look at each text of a column once."""
    some = column.slice(0, _SOME)
    return len(some) == _SOME and 2 * len(some.unique()) < _SOME


def literal(char: str) -> str:
    """A character in a regular expression (RE2)."""
    return char if char.isascii() and char.isalnum() else f"\\x{{{ord(char):x}}}"


@cache
def _pattern(texts: tuple[str, ...]) -> str:
    """A regular expression (RE2) that matches exactly these texts, and the empty one."""

    return rf"\A(?:{'|'.join(''.join(map(literal, text)) for text in texts)}|)\z"


def cast(column: pa.Array, type_name: str, numbers: Numbers = PLAIN) -> pa.Array | None:
    """The texts as values of a storage type, or None if one of them does not fit.

    A NaN among floats is missing. WHOLE gives the texts of whole numbers, without marks.
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
    if type_name in ("int64", "float64", WHOLE):
        column = numbers.plain(column)
        if column is None:
            return None
    if type_name == WHOLE:
        fit = pc.match_substring_regex(column, r"\A[+-]?\d+\z")
        return column if pc.all(fit, min_count=0).as_py() else None
    try:
        done = pc.cast(column, arrow_type(type_name))
    except pa.ArrowInvalid:
        return None
    if type_name == "int64" and any(
        pc.any(pc.match_substring(column, mark)).as_py() for mark in "xX"
    ):
        return None  # Arrow reads 0x10 as 16, and as no float
    if type_name == "float64":
        return pc.if_else(pc.is_nan(done), pa.nulls(len(done), pa.float64()), done)
    return done


def first_misfit(column: pa.Array, type_name: str, numbers: Numbers = PLAIN) -> int | None:
    """The position of the first text that is no value of a storage type; None if all are."""
    if cast(column, type_name, numbers) is not None:
        return None
    low, high = 0, len(column)  # the first `low` fit, the first `high` do not
    while high - low > 1:
        half = (low + high) // 2
        if cast(column.slice(low, half - low), type_name, numbers) is None:
            high = half
        else:
            low = half
    return low


def first_of_all(
    batches: Iterable[pa.Array], types: Sequence[str], numbers: Numbers = PLAIN
) -> tuple[int, str, str] | None:
    """The row and text of the first cell because of which a column is of none of these types, and
    the type that it would be but for this one; None if it is of one of them."""
    found: dict[str, tuple[int, str]] = {}
    start = 0
    for texts in batches:
        for type_name in types:
            wrong = None if type_name in found else first_misfit(texts, type_name, numbers)
            if wrong is not None:
                found[type_name] = (start + wrong, texts[wrong].as_py())
        if len(found) == len(types):
            last = max(types, key=lambda type_name: found[type_name][0])
            return (*found[last], last)
        start += len(texts)
    return None


def too_long(name: str, place: str, text: str) -> Problem:
    """The sentence for a whole number that 64 bits do not hold, in a column of whole numbers."""
    shown = text if len(text) <= 40 else f"{text[:37]}..."
    message = f"{place}: {shown} is beyond 64 bits, and all others are whole numbers"
    hint = f"data.columns.{_key(name)}.type=categorical keeps its digits as a text"
    return problem("too-long", message, ("data", "columns", name), hint, quotes=(shown,))


def _key(name: str) -> str:
    return name if name.replace("_", "a").isalnum() else f"{name!r}"
