"""What a column of texts is: the first storage type that fits all of them, its levels, and what it
would be but for a few cells."""

# pyarrow is imported inside the functions: a warm compile imports this module.

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlops_compile.steps.sources.cells import PLAIN, WHOLE, Numbers, Texts, cast
from mlops_compile.steps.sources.kind import MOST_LEVELS

if TYPE_CHECKING:
    import pyarrow as pa

_GUESSED = ("bool", "int64", WHOLE, "float64", "timestamp", "timestamp_utc", "string")
_FEW = 16
_SOME = 1000
_NEARLY = 0.9  # the share of a column's cells that make others look out of place
# What texts look like, as far as a cell shows that was to be one: dates are not checked for sense.
_LOOKS_LIKE_TIME = (
    r"\A\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?"
    r"(?:Z|[+-]\d{2}:?\d{2})?\z"
)


class Guess:
    """The types that a column's texts can all be, batch by batch."""

    def __init__(self, wanted: str | None, numbers: Numbers = PLAIN) -> None:
        self._wanted = wanted
        self._numbers = numbers
        self._feasible = list(_GUESSED)
        self._missing = False
        self._missing_as_float = False
        self._seen = False
        self._cells = 0
        self._like = {"numeric": 0, "datetime": 0}  # cells that look like it

    def see(self, column: Texts) -> None:
        """Take a batch of cleaned texts into account."""
        self._missing = self._missing or column.known < len(column)
        known = column.values.drop_null()
        if not len(known):
            return
        self._seen = True
        # Arrow takes long to refuse a whole column, so that a few of its texts are asked first.
        few = known.slice(0, _FEW)
        feasible: list[str] = []
        for name in self._feasible:
            if name in (WHOLE, "float64") and "int64" in feasible:
                feasible.append(name)  # as every whole number of 64 bits is one
            elif cast(few, name, self._numbers) is not None and self._fits(known, name):
                feasible.append(name)
        self._feasible = feasible
        self._liken(column)

    def _liken(self, column: Texts) -> None:
        """Count the cells that look like numbers, and like times, as long as nearly all do."""
        before = self._cells
        self._cells += column.known
        if "float64" in self._feasible:  # all of them are numbers, which look like nothing else
            self._like = {"numeric": self._cells}
            return
        patterns = {"numeric": self._numbers.pattern, "datetime": _LOOKS_LIKE_TIME}
        for sort, count in tuple(self._like.items()):
            for most in (_SOME, column.known):
                like, of = _alike(column, patterns[sort], most)
                if count + like < _NEARLY * (before + of):
                    del self._like[sort]
                    break
            else:
                self._like[sort] = count + like

    def _fits(self, known: pa.Array, type_name: str) -> bool:
        done = cast(known, type_name, self._numbers)
        if done is not None and type_name == "float64":
            self._missing_as_float = self._missing_as_float or done.null_count > 0
        return done is not None

    @property
    def too_long(self) -> bool:
        """Whether these are whole numbers, some of them beyond 64 bits, that are not wanted as
        texts."""
        return self._seen and self._feasible[0] == WHOLE and self._wanted != "string"

    @property
    def type(self) -> str:
        """The storage type: the wanted one, or else the first that fits every cell; float64 if all
        is missing."""
        if self._wanted in self._feasible:
            return self._wanted
        first = next(name for name in self._feasible if name != WHOLE)
        return first if self._seen else "float64"

    @property
    def nearly(self) -> str | None:
        """`numeric` or `datetime`, where a column that nobody wants as texts holds them because of
        few cells that are no numbers, or no times."""
        if self._wanted == "string" or not self._seen or self.type != "string":
            return None
        return next(iter(self._like), None)

    @property
    def missing(self) -> bool:
        """Whether a value of that type is missing somewhere."""
        return self._missing or (self.type == "float64" and self._missing_as_float)


def _alike(column: Texts, pattern: str, most: int) -> tuple[int, int]:
    """How many of a column's first cells match a regular expression, and of how many."""
    import pyarrow.compute as pc

    if column.indices is None:
        told = pc.match_substring_regex(column.values.drop_null().slice(0, most), pattern)
    else:
        matched = pc.match_substring_regex(column.values, pattern)
        told = column.spread(matched).drop_null().slice(0, most)
    return pc.sum(told).as_py(), len(told)


def nearly(guesses: Mapping[str, Guess]) -> tuple[tuple[str, str], ...]:
    """The columns that would be numbers or times but for a few cells."""
    found = ((name, guess.nearly) for name, guess in sorted(guesses.items()))
    return tuple((name, sort) for name, sort in found if sort is not None)


class Levels:
    """The distinct texts of a column, up to `MOST_LEVELS`."""

    def __init__(self, numbers: Numbers = PLAIN) -> None:
        self._numbers = numbers
        self._texts: pa.Array | None = None

    def see(self, column: Texts) -> None:
        """Take a batch of cleaned texts into account."""
        import pyarrow as pa

        found = column.values.drop_null().unique()
        if self._texts is None:
            self._texts = found
        elif len(self._texts) <= MOST_LEVELS:
            self._texts = pa.concat_arrays([self._texts, found]).unique()

    def names(self, type_name: str) -> tuple[str, ...]:
        """The values as texts once converted (`01` is `1` among integers); none if too many."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self._texts is None or len(self._texts) > MOST_LEVELS:
            return ()
        values = cast(self._texts, type_name, self._numbers)
        texts = self._texts if values is None else pc.cast(values.drop_null(), pa.string())
        return tuple(sorted(set(texts.to_pylist())))
