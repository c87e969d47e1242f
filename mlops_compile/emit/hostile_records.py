"""Records on which generated services go wrong, if they do: what a contract allows at its worst."""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast
from unicodedata import normalize

from mlops_compile.emit.hostile import around
from mlops_compile.ir.serving import ServedColumn, ServingSpec
from mlops_compile.ir.trees import CATEGORY
from mlops_compile.ir.value import Map, Value

_GREATEST = 1.7976931348623157e308
_SIZES = (0.0, 5e-324, 2.225e-308, 1e-300, 1e-35, 0.1, 0.5, 1.0, 1e7, 3.4028235677973366e38)
_HUGE = (9007199254740992.0, 9007199254740994.0, 1e16, 1e150, 1e308, _GREATEST)
_NUMBERS = tuple(sign * size for size in (*_SIZES, *_HUGE) for sign in (1.0, -1.0))
_TEXTS = (
    "", " ", "'", '"', "'''", "\\", "\n", "\t", "\0", "*/", "//", "#", "{{ 7*7 }}", "{% if %}",
    "$(x)", "`x`", "%s", "é", "e\u0301", "\u2028", "\u202e", "\ufeff", "😀", "nan", "None", "null",
    "NaN", "0", "1.0", "-0.0", "true", "x" * 300,
)  # fmt: skip
_TIMES = (
    datetime(1, 1, 1),
    datetime(1582, 10, 15),
    datetime(1900, 2, 28, 23, 59, 59, 999999),
    datetime(1969, 12, 31, 23, 59, 59, 999999),
    datetime(1970, 1, 1),
    datetime(2000, 2, 29, 12),
    datetime(2019, 12, 30),
    datetime(2038, 1, 19, 3, 14, 8),
    datetime(9999, 12, 31, 23, 59, 59, 999999),
)
_STEPS = (timedelta(0), timedelta(microseconds=1), timedelta(seconds=1), timedelta(days=1))
_ZONES = (UTC, UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-11)))
_MOST = 200  # values of a column to be near to


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pool:
    """Values of a field, plain: those near to what it is compared with, and odd ones."""

    column: ServedColumn
    near: Sequence[Any]
    odd: Sequence[Any]


def hostile_records(
    spec: ServingSpec,
    preparation: Map,
    count: int,
    *,
    seed: int = 0,
    untold: frozenset[str] = frozenset(),
) -> list[dict[str, Any]]:
    """So many records as clients would send them: what the fitted preparation and the model compare
    with and the neighbours of that, the ends of what was seen, levels that nobody has seen, times
    of all ages, gaps where they may be. Of `untold` columns nothing is taken from the data. The
    same arguments give the same records."""
    draw = random.Random(seed)
    known = _known(spec, preparation, untold)
    pools = [_pool(column, known[column.name], draw) for column in spec.columns]
    return [_record(pools, draw) for _ in range(count)]


def _record(pools: Sequence[_Pool], draw: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pool in pools:
        gap = draw.random() if pool.column.nullable else 1.0
        if gap < 0.05:
            found[pool.column.name] = None
        elif gap > 0.1:
            found[pool.column.name] = _value(pool, draw)
    return found


def _value(pool: _Pool, draw: random.Random) -> Any:
    choice = draw.random()
    if not pool.near or choice < 0.2:
        value = draw.choice(pool.odd)
    elif choice < 0.3 and pool.column.kind == "numeric":
        value = draw.uniform(draw.choice(pool.near), draw.choice(pool.near))
        value = value if math.isfinite(value) else 0.0
    else:
        value = draw.choice(pool.near)
    if pool.column.kind == "datetime_utc":
        moment = value.replace(tzinfo=UTC)
        with contextlib.suppress(OverflowError):  # the year 0 or 10000 there
            moment = moment.astimezone(draw.choice(_ZONES))
        return moment.isoformat()
    return value.isoformat() if isinstance(value, datetime) else value


def _pool(column: ServedColumn, known: set[Any], draw: random.Random) -> _Pool:
    match column.kind:
        case "numeric":
            kept = _some((x for x in known if isinstance(x, float)), draw)
            near = [x for value in kept for x in around(value)]
            return _Pool(column=column, near=near, odd=_NUMBERS)
        case "boolean":
            return _Pool(column=column, near=(), odd=(True, False))
        case "categorical":
            kept = _some((x for x in known if isinstance(x, str)), draw)
            odd = (*_TEXTS, *(x for value in kept[:20] for x in _retold(value)))
            return _Pool(column=column, near=kept, odd=odd)
    kept = _some(_moments(known), draw)
    return _Pool(column=column, near=[x for value in kept for x in _beside(value)], odd=_TIMES)


def _some(values: Any, draw: random.Random) -> list[Any]:
    kept = sorted(values)
    return sorted(draw.sample(kept, min(len(kept), _MOST)))


def _retold(level: str) -> tuple[str, ...]:
    return level + " ", level.upper(), level[:-1], normalize("NFD", level), f"{level}{level}"


def _moments(known: set[Any]) -> Iterator[datetime]:
    for value in known:
        if isinstance(value, str):
            with contextlib.suppress(ValueError, OverflowError):
                moment = datetime.fromisoformat(value)
                yield (
                    moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
                )


def _beside(value: datetime) -> Iterator[datetime]:
    for step in _STEPS:
        for sign in (1, -1):
            with contextlib.suppress(OverflowError):
                yield value + sign * step


def _known(spec: ServingSpec, preparation: Map, untold: frozenset[str]) -> dict[str, set[Any]]:
    """Of each field, the numbers and texts that its values are compared with, and the ends of what
    the data had; of what is derived from it as well. Of an `untold` field, and of what is derived
    from one, nothing."""
    found: dict[str, set[Any]] = {column.name: set() for column in spec.columns}
    inputs = _inputs(preparation)

    def add(name: str, values: set[Any]) -> None:
        taken = {*inputs.get(name, (name,))}
        for field in taken & {*found} if not taken & untold else ():
            found[field] |= values

    for entry in cast(tuple[Map, ...], preparation.get("columns", ())):
        add(str(entry["name"]), {*_plain(entry["stages"])})
    for name, numbers in _thresholds(spec).items():
        add(name, {*numbers})
    for item in spec.ranges:
        ends = {*item.levels, *((item.low, item.high) if item.bounded else ())}
        add(item.name, {float(x) if isinstance(x, int) else x for x in ends})
    return found


def _inputs(preparation: Map) -> dict[str, tuple[str, ...]]:
    """The fields that each derived column comes from, over others or not."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in cast(tuple[Map, ...], preparation.get("derived", ())):
        taken = cast(tuple[str, ...], entry["inputs"])
        found[str(entry["name"])] = tuple(f for name in taken for f in found.get(name, (name,)))
    return found


def _thresholds(spec: ServingSpec) -> Mapping[str, set[float]]:
    """What trees compare the features of each column with."""
    found: dict[str, set[float]] = {name: set() for name in spec.origins}
    for tree in spec.trees.trees if spec.trees is not None else ():
        for feature, threshold, flags in zip(tree.feature, tree.threshold, tree.flags, strict=True):
            if not flags & CATEGORY and math.isfinite(threshold):
                found[spec.origins[feature]].add(float(threshold))
    return found


def _plain(value: Value) -> Iterator[float | str]:
    """The numbers and texts anywhere in a value, the names of tables too."""
    if isinstance(value, Map):
        for name, item in value.items():
            yield name
            yield from _plain(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from _plain(item)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)
