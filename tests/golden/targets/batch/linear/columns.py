"""The preparation of many rows, column by column: the lines of scorer.py, in loops over values."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from itertools import repeat

from scorer import (
    FEATURES,
    LEVELS_C3_0,
    NAN,
)
from schema import composed

# The fields of the contract: name, attribute of a record, sort, and whether it may be missing.
FIELDS = [
    ("'''; import os; os._exit(3) #", "c0", "numeric", False),
    ("na\xefve\u2028\u2013 <b> \U0001f600", "c1", "datetime", False),
    ("yes: &a *b - no {% if %}", "c2", "boolean", False),
    ("{{ 7*7 }} */ $(touch x) `t`, 'b'", "c3", "categorical", True),
]
# By attribute, how a column's texts are read.
READ = {
    "c3": composed,
}
# By attribute the name of a column and the levels that the data had; none of sensitive columns.
LEVELS = {
}
CLASSES = ['no: "0"', "yes */ {{ 1 }}"]
OUTPUTS = 2
# So many texts of a column that the data had not are told apart.
KEPT = 1000
# Whether the model takes rows of features; else it takes records.
QUICK = True


def features(count: int, columns: dict[str, list]) -> array:
    """The model's features of so many rows, one row behind the other. `columns` are the values by
    attribute: NaN for a number that is missing, 0.0 and 1.0 for booleans, None for other gaps."""
    packed = array("d", bytes(8 * FEATURES * count))
    # "'''; import os; os._exit(3) #"
    packed[0::FEATURES] = array("d", columns["c0"])
    # "na\xefve\u2028\u2013 <b> \U0001f600"
    c1_0_all = [NAN if c1 is None else float(c1.hour) for c1 in columns["c1"]]
    packed[1::FEATURES] = array("d", c1_0_all)
    # "yes: &a *b - no {% if %}"
    packed[2::FEATURES] = array("d", columns["c2"])
    # "{{ 7*7 }} */ $(touch x) `t`, 'b'"
    c3_0_all = list(map(LEVELS_C3_0.get, columns["c3"], repeat(NAN)))
    packed[3::FEATURES] = array("d", c3_0_all)
    return packed


def read(attribute: str, texts: list) -> list:
    """A column's texts (None: missing) as the data's were read."""
    way = READ[attribute]
    other = {text: new for text in {*texts} if text is not None and (new := way(text)) != text}
    return [other.get(text, text) for text in texts] if other else texts


def of_records(records: list) -> dict[str, list]:
    """The columns of records."""
    return {
        "c0": [record.c0 for record in records],
        "c1": [record.c1 for record in records],
        "c2": [float(record.c2) for record in records],
        "c3": [record.c3 for record in records],
    }


class Unseen:
    """Counts the texts that the data had not, by column: answered all the same, and told, since
    they may be another file's words for what is missing."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}

    def __call__(self, columns: dict[str, list]) -> None:
        """Count those of some rows, which are values by attribute."""
        for attribute, (name, levels) in LEVELS.items():
            new = {*columns[attribute]} - levels - {None}
            if new:
                counts = self.counts.setdefault(name, Counter())
                counts.update(filter(new.__contains__, columns[attribute]))
                if len(counts) > 2 * KEPT:  # whatever the file is, these are few
                    self.counts[name] = Counter(dict(counts.most_common(KEPT)))

    def sentences(self) -> list[str]:
        """What there was, a sentence a column."""
        found = []
        for name, counts in self.counts.items():
            few = ", ".join(f"{text!r} ({count:,})" for text, count in counts.most_common(3))
            more = ", ..." if len(counts) > 3 else ""
            found.append(f"{name!r} has texts that the data had not: {few}{more}")
        return found


def best(scores: list[float]) -> list[int]:
    """The position of the class to answer for each row; `scores` lie one row behind the other."""
    return [int(other > first) for first, other in zip(scores[::2], scores[1::2])]


def are_numbers(scores: list[float]) -> bool:
    """Whether all are finite."""
    return math.isfinite(sum(scores)) or all(map(math.isfinite, scores))
