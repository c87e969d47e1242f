"""What a page is made of: sections of tables and figures, as values that the template lays out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

_NUMBER = re.compile(r"[-−+]?[\d.,]+(e[-+]?\d+)?( ?(%|s|ms|min|h|MiB|GiB|KiB|B))?( ± [\d.e+-]+)?")
MOST_ROWS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A text that leads to a place beside the page."""

    text: str
    href: str


Cell: TypeAlias = "str | Link | tuple[Link, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under a head; `note` says what was left out. A `folded` table opens on demand."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    folded: bool = False

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.head):
                raise ValueError(f"a row of {len(row)} cells under a head of {len(self.head)}")

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Of each column, whether it holds numbers, which stand at the right."""
        columns = zip(*self.rows, strict=True) if self.rows else ([] for _ in self.head)
        return tuple(_is_numeric([cell for cell in column if cell]) for column in columns)


def _is_numeric(cells: list[Cell]) -> bool:
    held = [cell for cell in cells if cell != "-"]
    return bool(held) and all(isinstance(c, str) and _NUMBER.fullmatch(c) for c in held)


def first(rows: list[tuple[Cell, ...]], whole: str, most: int = MOST_ROWS) -> tuple[str, int]:
    """The note of a table that shows the first rows alone, and how many these are."""
    if len(rows) <= most:
        return "", len(rows)
    return f"The first {most} of {len(rows):,}; {whole} has all.", most


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A drawing (svg), what it shows in words, and its numbers as a table."""

    title: str
    about: str
    svg: str
    table: Table
    wide: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A paragraph; `marked` where it tells of something that is wrong."""

    text: str
    marked: bool = False


Block: TypeAlias = "Table | Figure | Text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page under a heading; `name` is its place in the page's address."""

    name: str
    title: str
    blocks: tuple[Block, ...]

    @property
    def groups(self) -> tuple[tuple[str, tuple[Block, ...]], ...]:
        """Its blocks in order, narrow figures that follow each other side by side."""
        found: list[tuple[str, list[Block]]] = []
        for block in self.blocks:
            sort = "grid" if isinstance(block, Figure) and not block.wide else "block"
            if found and found[-1][0] == sort == "grid":
                found[-1][1].append(block)
            else:
                found.append((sort, [block]))
        return tuple((sort, tuple(blocks)) for sort, blocks in found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page: its title, how what it tells of ended (or whether it differs), a few facts, and
    sections. `made_by` is the command that makes it, `made_from` what of."""

    title: str
    status: str
    summary: str
    facts: tuple[tuple[str, Cell], ...]
    sections: tuple[Section, ...]
    made_by: str = "mlops-compile report"
    made_from: str = "what is on record: nothing was measured anew"
