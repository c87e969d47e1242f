"""Places in values: what stands at a path, taken away or put there."""

from __future__ import annotations

from mlops_compile.ir.value import KeyPath, Map, Value


def at(value: Value, path: KeyPath) -> tuple[Value] | None:
    """The value at a path, in a tuple of its own; None if there is none."""
    for name in path:
        if not isinstance(value, Map) or name not in value:
            return None
        value = value[name]
    return (value,)


def without(value: Map, path: KeyPath) -> Map:
    """A map without what stands at a path of it."""
    rest = {name: item for name, item in value.items() if name != path[0]}
    inner = value[path[0]]
    if len(path) > 1 and isinstance(inner, Map):
        rest[path[0]] = without(inner, path[1:])
    return Map(rest)


def put(value: Map, path: KeyPath, held: Value) -> Map:
    """A map with a value at a path; maps on the way are made."""
    inner = value.get(path[0])
    below = inner if isinstance(inner, Map) else Map()
    item = held if len(path) == 1 else put(below, path[1:], held)
    return Map({**value, path[0]: item})
