"""What one map has otherwise than another, at any depth: to set, and to take away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mlops_compile.ir.value import KeyPath, Map, Value, leaves, same

Sort: TypeAlias = Literal["changed", "added", "removed"]

_ABSENT = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """`set` mirrors the map: a map in it is merged into one that is there, all else replaces.
    `without` are the paths that go."""

    set: Map
    without: tuple[KeyPath, ...]


def difference(old: Map, new: Map) -> Difference:
    """What makes the old map the new one. What is the very same object in both is not looked at."""
    found, gone = _parted(old, new)
    return Difference(set=Map(found), without=tuple(gone))


def _parted(old: Map, new: Map) -> tuple[dict[str, Value], list[KeyPath]]:
    """What to set, and the paths that go."""
    found: dict[str, Value] = {}
    gone: list[KeyPath] = []
    if not old.keys() <= new.keys():
        gone += [(key,) for key in old if key not in new]
    for key, item in new.items():
        was = old.get(key, _ABSENT)
        if was is item:
            continue
        if type(was) is Map and type(item) is Map:
            inner, paths = _parted(was, item)
            if inner:
                found[key] = Map(inner)
            gone += [(key, *path) for path in paths]
        elif was is _ABSENT or not _equal(was, item):
            found[key] = item
    return found, gone


def _equal(left: object, right: Value) -> bool:
    """As `same`, with a short way for scalars."""
    if type(left) is not type(right):
        return False
    if isinstance(right, str | int | None):
        return left == right
    return same(left, right)


def applied(old: Map, change: Difference) -> Map:
    """The old map, changed; what does not change is the same object. ValueError for a path to take
    away that is not there."""
    value = old
    for path in change.without:
        value = _without(value, path)
    return _merged(value, change.set)


def _merged(old: Map, change: Map) -> Map:
    if not len(change):
        return old
    new = dict(old)
    for key, item in change.items():
        was = new.get(key)
        new[key] = _merged(was, item) if isinstance(was, Map) and isinstance(item, Map) else item
    return Map(new)


def _without(value: Map, path: KeyPath) -> Map:
    key, *rest = path
    if key not in value:
        raise ValueError(f"there is no {key!r} to take away")
    if not rest:
        return Map({name: item for name, item in value.items() if name != key})
    inner = value[key]
    if not isinstance(inner, Map):
        raise ValueError(f"{key!r} is no object")
    return Map({**value, key: _without(inner, tuple(rest))})


def changes(old: Map, new: Map, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Value, Value, Sort]]:
    """Every path at which maps differ, in key order, with the old and the new value (None where
    there is none) and which of the two there are. Maps are looked into, all else is compared as a
    whole; a map that stands on one side alone is told by its leaves."""
    for key in old.keys() if old.keys() == new.keys() else sorted({*old, *new}):
        here = (*path, key)
        if key not in old:
            yield from ((end, None, value, "added") for end, value in leaves(new[key], here))
            continue
        if key not in new:
            yield from ((end, value, None, "removed") for end, value in leaves(old[key], here))
            continue
        was, item = old[key], new[key]
        if was is item:
            continue
        if type(was) is Map and type(item) is Map:
            yield from changes(was, item, here)
        elif not _equal(was, item):
            yield here, was, item, "changed"
