"""Functions of one value: preparations apply them, and generated serving code carries their source.

Each stands on the standard library and on functions of this module, so that one text is what runs
over a column and over a request.
"""

from __future__ import annotations

import math
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from datetime import datetime
from statistics import NormalDist
from unicodedata import normalize

NAN = float("nan")


def finite(x: float) -> float:
    """A number as it is; NaN in place of an infinity."""
    return x if -1.7976931348623157e308 <= x <= 1.7976931348623157e308 else NAN


def ratio(x: float, y: float) -> float:
    """x / y; NaN where y is 0, or where the ratio is beyond the range of numbers."""
    return finite(x / y) if y else NAN


def log1p_of(x: float) -> float:
    """The logarithm of 1 + x; NaN where there is none."""
    return math.log1p(x) if x > -1.0 else NAN


def log_of(x: float) -> float:
    """The natural logarithm; NaN where there is none."""
    return math.log(x) if x > 0.0 else NAN


def bin_of(x: float, edges: tuple[float, ...]) -> float:
    """How many edges are at most x; NaN for NaN."""
    return float(bisect_right(edges, x)) if x == x else NAN


def bucket_of(x: str, buckets: int) -> str:
    """One of so many buckets, by the CRC-32 of the text's UTF-8 bytes."""
    return str(zlib.crc32(x.encode("utf-8")) % buckets)


def micros(x: datetime) -> float:
    """Microseconds since 1970 of a time without a zone, rounded to a float."""
    days = x.toordinal() - 719163
    seconds = days * 86400 + x.hour * 3600 + x.minute * 60 + x.second
    return float(seconds * 1000000 + x.microsecond)


def below(x: float, xs: tuple[float, ...], ys: tuple[float, ...]) -> float:
    """The y at x on the line through points (xs ascending); of several at x the last."""
    place = bisect_right(xs, x) - 1
    if place < 0:
        return ys[0]
    if place == len(xs) - 1 or xs[place] == x:
        return ys[place]
    slope = (ys[place + 1] - ys[place]) / (xs[place + 1] - xs[place])
    return slope * (x - xs[place]) + ys[place]


def above(x: float, xs: tuple[float, ...], ys: tuple[float, ...]) -> float:
    """The same from the other side: of several points at x the first."""
    place = bisect_left(xs, x)
    if place == len(xs):
        return ys[-1]
    if place == 0 or xs[place] == x:
        return ys[place]
    slope = (ys[place] - ys[place - 1]) / (xs[place] - xs[place - 1])
    return ys[place] - slope * (xs[place] - x)


def share_of(x: float, xs: tuple[float, ...], ys: tuple[float, ...]) -> float:
    """The share of values below x, by the quantiles xs of the shares ys: that of repeated quantiles
    is the middle of theirs, the least is 0 and the greatest 1. NaN for NaN."""
    if x != x:
        return NAN
    if x == xs[0]:
        return 0.0
    if x == xs[-1]:
        return 1.0
    return 0.5 * (below(x, xs, ys) + above(x, xs, ys))


def normal_of(x: float, xs: tuple[float, ...], ys: tuple[float, ...]) -> float:
    """The normal deviate of the share of values below x, within 1e-7 of the ends. NaN for NaN."""
    if x != x:
        return NAN
    share = share_of(x, xs, ys)
    if x + 1e-7 > xs[-1]:
        share = 1.0
    if x - 1e-7 < xs[0]:
        share = 0.0
    least = 1e-7 - 2.220446049250313e-16
    return NormalDist().inv_cdf(min(max(share, least), 1.0 - least))


class FunctionFailed(Exception):
    """A function of the user's raised, or gave what is not of its type; `function` is its name."""

    def __init__(self, function: str) -> None:
        super().__init__(function)
        self.function = function


def called(
    name: str, function: Callable[..., object], result: Callable[..., object], *values: object
) -> object:
    """What a function of the user's gives for a row's values, in the form of a column."""
    try:
        return result(function(*values))
    except Exception as error:
        raise FunctionFailed(name) from error


def number_from(x: object) -> float:
    """The number that a function gives; NaN for None and for what is not finite."""
    if x is None:
        return NAN
    if hasattr(x, "item"):
        x = x.item()
    if isinstance(x, bool) or not isinstance(x, (int, float)):
        raise TypeError(f"gives {type(x).__name__}, not a number or None")
    return finite(float(x))


def flag_from(x: object) -> float:
    """The truth value that a function gives, as 0 or 1; NaN for None."""
    if x is None:
        return NAN
    if hasattr(x, "item"):
        x = x.item()
    if not isinstance(x, bool):
        raise TypeError(f"gives {type(x).__name__}, not True, False or None")
    return float(x)


def text_from(x: object) -> str | None:
    """The text that a function gives, or None."""
    if x is not None and not isinstance(x, str):
        raise TypeError(f"gives {type(x).__name__}, not a text or None")
    return None if x is None else normalize("NFC", x)


def time_from(x: object) -> datetime | None:
    """The time that a function gives, or None."""
    if x is not None and (not isinstance(x, datetime) or x.tzinfo is not None):
        raise TypeError(f"gives {type(x).__name__}, not a datetime without a zone or None")
    return x
