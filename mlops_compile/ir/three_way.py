"""Three-way: what two changes of one value come to, and where they do not go together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from mlops_compile.ir.value import KeyPath, Map, Value, same

K = TypeVar("K")
# A value that may be missing: in a tuple of its own.
Held = tuple[Value, ...]


def merge_maps(base: Map, ours: Map, theirs: Map) -> tuple[Map, tuple[KeyPath, ...]]:
    """What both changes of a map come to, value by value; and the paths of values that the two
    change in different ways. A list is a value."""
    found: dict[str, Value] = {}
    clashes: list[KeyPath] = []
    for name in sorted({*base, *ours, *theirs}):
        old, one, two = (held(side, name) for side in (base, ours, theirs))
        if same(one, two) or same(old, two):
            taken = one
        elif same(old, one):
            taken = two
        elif one and two and isinstance(one[0], Map) and isinstance(two[0], Map):
            start = old[0] if old and isinstance(old[0], Map) else Map()
            inner, below = merge_maps(start, one[0], two[0])
            taken = (inner,)
            clashes += [(name, *path) for path in below]
        else:
            taken = one
            clashes.append((name,))
        found |= dict(zip((name,), taken, strict=False))
    return Map(found), tuple(clashes)


def merge_known(base: Held, ours: Held, theirs: Held) -> Held | None:
    """What both changes of a value come to, where a side that holds none does not know it. None
    where they do not go together."""
    if not ours or not theirs:
        return ours or theirs or base
    if same(ours, theirs) or same(base, theirs):
        return ours
    return theirs if same(base, ours) else None


def held(table: Mapping[K, Value], key: K) -> Held:
    """What a table holds there."""
    return (table[key],) if key in table else ()
