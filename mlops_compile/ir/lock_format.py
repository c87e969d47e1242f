"""Formats of locks: which there are, and how one of an older format is read as one of today's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from mlops_compile.ir.places import at, put, without
from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.value import KeyPath, Map, Value

Rewriting: TypeAlias = Callable[[Map], Map]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """What changed from one format of locks to the next: keys that moved (old path, new path; a `*`
    in both is any one key), and then what else is to be done with a whole lock."""

    moved: tuple[tuple[KeyPath, KeyPath], ...] = ()
    rewritten: Rewriting = lambda value: value


# From format 1 to 2, from 2 to 3, and so on: nothing has changed yet.
UPGRADES: tuple[Upgrade, ...] = ()
FORMAT = 1 + len(UPGRADES)


def check_format(value: Map, name: str) -> None:
    """Refuse a document of a format that this version does not know."""
    found = value.get("format")
    if isinstance(found, int) and not isinstance(found, bool) and found > FORMAT:
        message = f"{name} has format {found}; this version reads up to format {FORMAT}"
        hint = "install the newer mlops_compile that wrote it"
        raise CompileError([problem("newer-format", message, ("format",), hint)])
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        message = f"{name} has no known format: {found!r}"
        hint = 'it must hold `"format": 1`; write it again with `mlops-compile compile`'
        raise CompileError([problem("format", message, ("format",), hint)])


def upgraded(value: Map, upgrades: tuple[Upgrade, ...] = UPGRADES) -> Map:
    """A lock's value in the newest format: the same object, if that is its own, or none."""
    stated = value.get("format")
    if type(stated) is not int or stated < 1:
        return value  # what reads it says what is wrong with it
    for number, change in enumerate(upgrades[stated - 1 :], stated + 1):
        for old, new in change.moved:
            value = _moved(value, old, new)
        value = put(change.rewritten(value), ("format",), number)
    return value


def _moved(value: Map, old: KeyPath, new: KeyPath) -> Map:
    """A value with what stands at one path at another; below each key where both have `*`."""
    if len(old) > 1 and len(new) > 1 and old[0] == new[0]:
        inner: dict[str, Value] = {
            name: _moved(item, old[1:], new[1:])
            for name, item in value.items()
            if old[0] in (name, "*") and isinstance(item, Map)
        }
        return Map({**value, **inner})
    found = at(value, old)
    return value if found is None else put(without(value, old), new, found[0])
