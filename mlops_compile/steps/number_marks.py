"""Number marks: the marks for fractions and groups by which a file's texts seem to be numbers."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mlops_compile.steps.sources.cells import PLAIN, Numbers

_FRACTION, _GROUPS = Numbers(decimal=","), Numbers(decimal=".", thousands=",")
_BOTH = Numbers(decimal=",", thousands=".")
_FEW = 1000


def number_marks(frame: pd.DataFrame, missing: Sequence[str], separator: str) -> Numbers:
    """The marks by which columns of a table of texts are numbers that are none without, and none
    ceases to be; the usual ones where there are no such columns, or where others speak against it.

    `1,234` may be either: it is a fraction where the file's separator is another one than a comma.
    """
    columns = [pa.array(frame[name][~frame[name].isin(missing)], pa.string()) for name in frame]
    others = [texts for texts in columns if not _are(texts, PLAIN)]
    plain = [texts for texts in columns if _are(texts, PLAIN)]
    first = (_GROUPS, _FRACTION) if separator == "," else (_FRACTION, _GROUPS)
    gains = {
        numbers: sum(_are(texts, numbers) for texts in others)
        for numbers in (PLAIN, *first, _BOTH)
        if all(_are(texts, numbers) for texts in plain)
    }
    return max(gains, key=lambda numbers: gains[numbers])


def _are(texts: pa.Array, numbers: Numbers) -> bool:
    """Whether all of a column's texts are numbers with these marks."""
    return all(_match(part, numbers) for part in (texts.slice(0, _FEW), texts))


def _match(texts: pa.Array, numbers: Numbers) -> bool:
    return bool(pc.all(pc.match_substring_regex(texts, numbers.pattern), min_count=0).as_py())


def without_marks(frame: pd.DataFrame, missing: Sequence[str], numbers: Numbers) -> pd.DataFrame:
    """The table with its columns of numbers as they are written without marks."""
    if numbers.is_plain:
        return frame
    done: dict[str, pd.Series[str]] = {}
    for name in map(str, frame.columns):
        known = ~frame[name].isin(missing)
        plain = numbers.plain(pa.array(frame[name][known], pa.string()))
        if plain is not None:
            done[name] = frame[name].mask(known, pd.Series(plain.to_pylist(), frame.index[known]))
    return frame.assign(**done)
