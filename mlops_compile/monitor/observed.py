"""Observed: what was asked and answered in a window of time, column by column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column:
    """What a column held in so many `rows` of a window: of these, `missing` were without a value
    and `wrong` had one that is not of its type. The rest are `numbers` (float64, in the order of
    the rows, none of them NaN; times are seconds since 1970), or `levels` with their rows."""

    name: str
    rows: int
    missing: int
    wrong: int = 0
    numbers: Array = field(default_factory=lambda: np.empty(0))
    levels: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """The `rows` of one model that were answered from `start` (inclusive) to `end` (exclusive).

    `columns` are those of the reference, in its order. `score` is a column as the reference's, of
    all rows with an answer; `predicted` are the probabilities of all classes (rows x classes,
    float64), or the numbers, of the same rows. `truth` are, for those rows, what turned out to be
    true: places of the classes (int64, -1 where it is not known) or numbers (float64, NaN where it
    is not known). `segments` are, for each column with segments in the reference, the level of each
    of those rows. `seconds` are how long answers took, where the log tells it.
    """

    start: datetime
    end: datetime
    rows: int
    columns: tuple[Column, ...]
    score: Column
    predicted: Array
    truth: Array
    segments: Mapping[str, Array] = field(default_factory=dict)
    seconds: Array = field(default_factory=lambda: np.empty(0))

    @property
    def labelled(self) -> Array:
        """The places of the rows with an answer whose truth is known."""
        known = self.truth >= 0 if self.truth.dtype.kind == "i" else ~np.isnan(self.truth)
        return np.flatnonzero(known)

    @property
    def days(self) -> float:
        return (self.end - self.start).total_seconds() / 86_400
