"""Rows of features on which scorers of trees go wrong, if they do."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Sequence

from mlops_compile.ir.trees import CATEGORY, ZERO, Trees

_LEAST, _GREATEST = 5e-324, 1.7976931348623157e308
_ZEROS = (0.0, _LEAST, 1e-310, 1e-36, math.nextafter(ZERO, 0), ZERO, math.nextafter(ZERO, 1), 1e-30)
_ODD = (math.nan, *(sign * x for x in (*_ZEROS, 1.0, _GREATEST, math.inf) for sign in (1.0, -1.0)))
_NO_LEVELS = (-1.0, -0.5, -0.0, -1e-300, 2147483647.0, 2147483648.0, 4294967296.0, 1e300, -1e300)
_MOST = 200  # thresholds of a feature


def hostile_rows(model: Trees, count: int, seed: int = 0) -> list[tuple[float, ...]]:
    """So many rows: thresholds and their neighbours, zeros, infinities, what is missing, and levels
    that are none. The same model, count and seed: the same rows."""
    draw = random.Random(seed)
    pools = _pools(model, draw)
    return [tuple(_value(draw, *pool) for pool in pools) for _ in range(count)]


def _value(draw: random.Random, near: Sequence[float], odd: Sequence[float]) -> float:
    if not near or draw.random() < 0.2:
        return draw.choice(odd)
    if draw.random() < 0.2:
        return draw.uniform(draw.choice(near), draw.choice(near))
    return draw.choice(near)


def _pools(model: Trees, draw: random.Random) -> list[tuple[list[float], list[float]]]:
    """For each feature the values near what it is compared with, and odd ones."""
    found: list[set[float]] = [set() for _ in range(model.features)]
    for tree in model.trees:
        for feature, threshold, flags in zip(tree.feature, tree.threshold, tree.flags, strict=True):
            levels = model.sets[int(threshold)] if flags & CATEGORY else ()
            found[feature] |= {*map(float, levels)} if flags & CATEGORY else {threshold}
    categories = {*model.categories()}
    pools = []
    for feature, values in enumerate(found):
        kept = sorted(value for value in values if math.isfinite(value))
        kept = sorted(draw.sample(kept, min(len(kept), _MOST)))
        if feature in categories:
            near = [x for level in kept for x in (level, level, level + 0.5, level + 1)]
            pools.append((near, [*_ODD, *_NO_LEVELS]))
        else:
            pools.append(([x for value in kept for x in around(value)], [*_ODD]))
    return pools


def around(value: float) -> tuple[float, ...]:
    """A value, its neighbours, and its rounding to 32 bits."""
    below, above = math.nextafter(value, -math.inf), math.nextafter(value, math.inf)
    try:
        (single,) = struct.unpack("f", struct.pack("f", value))
    except OverflowError:
        single = math.copysign(math.inf, value)
    return tuple(x for x in (value, below, above, single) if math.isfinite(x))
