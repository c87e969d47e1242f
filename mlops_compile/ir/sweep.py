"""A sweep: the locks of many points as one document, with its one text form and strict reading.

The document is the first point's lock, and of each point only what differs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property

from mlops_compile.ir.difference import Difference, applied, difference
from mlops_compile.ir.lock import Lock, Reading, lock_value, read_value
from mlops_compile.ir.memo import Memo
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.value import KeyPath, Map, Value, pretty

_KEYS = {"overrides", "like", "set", "without"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPoint:
    """A point: the overrides that ask for it, and its lock, as compiling it alone gives it."""

    overrides: tuple[str, ...]
    lock: Lock


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Distinct points in order; at least one."""

    points: tuple[SweepPoint, ...]

    def __post_init__(self) -> None:
        if not self.points:
            raise ValueError("a sweep has no points")

    @cached_property
    def text(self) -> str:
        """Its one form: that of a lock, with `points`."""
        return pretty(sweep_value(self))

    @cached_property
    def digest(self) -> str:
        """The sweep's digest: the sha256 of its bytes."""
        return hashlib.sha256(self.text.encode("utf-8")).hexdigest()


def sweep_value(sweep: Sweep) -> Map:
    """The first point's lock, and under `points` the overrides of each point with what differs:
    from the first, or from the point that it is `like`, the first of the same steps."""
    memo = Memo()
    alike: dict[Hashable, tuple[int, Map]] = {}
    rows: list[Value] = []
    for number, point in enumerate(sweep.points):
        value = lock_value(point.lock, memo)
        if number == 0:
            first = value
        like, base = alike.setdefault(_shape(point.lock), (number, value))
        if like == number:
            like, base = 0, first
        row: dict[str, Value] = {"overrides": point.overrides}
        change = difference(base, value)
        row |= {"like": like} if like else {}
        row |= {"set": change.set} if len(change.set) else {}
        row |= {"without": change.without} if change.without else {}
        rows.append(Map(row))
    return Map({**first, "points": tuple(rows)})


def _shape(lock: Lock) -> Hashable:
    """What points that differ in values only have in common."""
    steps = tuple((step.name, step.kind, step.outputs) for step in lock.plan.steps)
    return lock.environment, steps


def is_sweep(value: Value) -> bool:
    """Whether a document is a sweep's."""
    return isinstance(value, Map) and "points" in value


def decode_sweep(value: Map, name: str) -> Sweep:
    """The sweep of a document; CompileError with every problem, each with its key path."""
    reading, memo = Reading(name), Memo()
    rows = reading.get(value, "points", tuple, ())
    common = Map({key: item for key, item in value.items() if key != "points"})
    values: list[Map] = []
    points: list[SweepPoint] = []
    for number, row in enumerate(rows):
        where = ("points", str(number))
        if not isinstance(row, Map):
            reading.fault(where, "is not an object")
            continue
        found = _point_value(reading, row, where, values or [common])
        if reading.problems:
            break
        values.append(found)
        overrides = reading.texts(row, "overrides", where)
        points.append(SweepPoint(overrides=overrides, lock=read_value(found, name, memo)))
    if not points and not reading.problems:
        reading.fault(("points",), "holds no point")
    if reading.problems:
        raise CompileError(reading.problems)
    return Sweep(points=tuple(points))


def _point_value(reading: Reading, row: Map, where: KeyPath, earlier: list[Map]) -> Map:
    """The document of a point's own lock."""
    first = where[-1] == "0"
    reading.only(row, {"overrides"} if first else _KEYS, where)
    like = reading.get(row, "like", int, where, default=0) if "like" in row else 0
    change = reading.get(row, "set", Map, where) if "set" in row else Map()
    paths = reading.get(row, "without", tuple, where) if "without" in row else ()
    without = tuple(
        tuple(str(key) for key in path) if isinstance(path, tuple) else () for path in paths
    )
    if not 0 <= like < len(earlier) or not all(without):
        what = "like" if all(without) else "without"
        reading.fault((*where, what), "names no earlier point" if all(without) else "is no path")
        return earlier[0]
    differs = Difference(set=change, without=without)
    made = reading.make(where, lambda: applied(earlier[like], differs))
    return earlier[0] if made is None else made
