"""What parts of a review are made of: rows of cells, and steps as they are named in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Tone: TypeAlias = Literal["plain", "add", "change", "remove", "dim", "bad", "good"]

_NUMBER = re.compile(r"(?<=[a-z_]/)\d+(?=/|\b)")
MANY = 6  # names that are listed one by one
MOST_SHARED = 20  # the same, of steps that share a row
MARKS: dict[str, tuple[str, Tone]] = {
    "added": ("+ new", "add"),
    "changed": ("~ changed", "change"),
    "removed": ("- removed", "remove"),
    "same": ("= same", "dim"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line: its cells, under the head of its part."""

    cells: tuple[str, ...]
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a review. `lead` is what it says in a sentence; `head` names the columns of its
    rows, those in `quoted` hold values or names of the user's. `folded`: it opens on demand, and
    tells of `count` things."""

    name: str
    title: str
    lead: str = ""
    head: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    quoted: frozenset[str] = frozenset()
    folded: bool = False
    count: int = 0
    tone: Tone = "plain"


def listed(names: Sequence[str]) -> str:
    shown = names if len(names) <= 3 else [*names[:2], f"{len(names) - 2} more"]
    return ", ".join(shown)


def pattern(name: str) -> str:
    return _NUMBER.sub("*", name)


def steps_text(names: Sequence[str], most: int = MANY) -> str:
    """Names of steps; those of one pattern as one."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(pattern(name), []).append(name)
    found = [
        held[0] if len(held) == 1 else f"{pattern} ({len(held):,})"
        for pattern, held in groups.items()
    ]
    if len(found) > most:
        return f"{', '.join(found[: most - 1])}, {len(found) - most + 1} more"
    return ", ".join(found)
