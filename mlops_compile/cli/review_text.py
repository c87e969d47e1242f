"""A review on a terminal: parts one below the other, in columns, coloured where colours show."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from shutil import get_terminal_size
from textwrap import wrap
from typing import TextIO

from mlops_compile.cli.show import styled, visible
from mlops_compile.ir.review import Review
from mlops_compile.present.review_rows import Part
from mlops_compile.present.reviewing import parts, sides, verdict, warnings

_STYLES = {
    "plain": "",
    "add": "green",
    "good": "green",
    "change": "yellow",
    "remove": "red",
    "bad": "bold red",
    "dim": "dim",
}
_GAP = 2
_HARD = "\N{NO-BREAK SPACE}"  # before a number in brackets, which stays with what it counts
_LEAST = 12  # characters of a cell, however narrow the terminal is
_HEADED = ("model", "answers")  # parts whose columns do not speak for themselves


def say_review(review: Review, out: TextIO) -> None:
    """Print a review."""
    styled([*_lines(review)], out)


def _lines(review: Review) -> list[tuple[str, str]]:
    """Every line with its style."""
    width = max(get_terminal_size((110, 24)).columns, 60)
    lines = [(text, "") for row in _columns(sides(review), width, "") for text in row]
    for part in parts(review):
        lines += [("", ""), (part.title, "bold red" if part.tone == "bad" else "bold")]
        lines += [(f"  {line}", "") for line in wrap(part.lead, width - 2)]
        lines += _rows(part, width)
    lines += [("", "")]
    lines += [(f"Warning: {text}", "bold red") for text in warnings(review)]
    text = verdict(review)
    lines.append((f"{text[0].upper()}{text[1:]}.", "bold"))
    return lines


def _rows(part: Part, width: int) -> list[tuple[str, str]]:
    rows = [row.cells for row in part.rows]
    if part.name == "causes":
        return _causes(part, width)
    tones = [row.tone for row in part.rows]
    if part.name in _HEADED and rows:
        rows, tones = [part.head, *rows], ["dim", *tones]
    return [
        (line, _STYLES[tone])
        for tone, lines in zip(tones, _columns(rows, width, "  "), strict=True)
        for line in lines
    ]


def _causes(part: Part, width: int) -> list[tuple[str, str]]:
    """A line a cause, and the place that set it below."""
    place = part.head.index("where") if "where" in part.head else None
    rows = [
        (row.cells[0], row.cells[1], f"{row.cells[2]} → {row.cells[3]}", row.cells[-1])
        for row in part.rows
    ]
    indent = " " * (2 + max(len(row[0]) for row in rows) + _GAP)
    found = []
    for row, lines in zip(part.rows, _columns(rows, width, "  "), strict=True):
        found += [(line, _STYLES[row.tone]) for line in lines]
        if place is not None and row.cells[place]:
            found.append((f"{indent}{visible(row.cells[place])}", "dim"))
    return found


def _columns(rows: Sequence[Sequence[str]], width: int, indent: str) -> list[list[str]]:
    """The lines of each row, in columns: where they are wider than the terminal, cells are wrapped,
    those of the widest columns first."""
    shown = [[visible(cell) for cell in row] for row in rows]
    if not shown:
        return []
    shown = [[cell.replace(" (", f"{_HARD}(") for cell in row] for row in shown]
    columns = [*zip(*shown, strict=True)]
    widths = [max(map(_width, column)) for column in columns]
    _narrow(widths, [_longest_word(column) for column in columns], room=width - len(indent))
    found = []
    for row in shown:
        cells = [
            _wrapped(cell, size) if cell else [""] for cell, size in zip(row, widths, strict=True)
        ]
        lines = (
            (" " * _GAP).join(
                part + " " * (size - _width(part)) for part, size in zip(parts, widths, strict=True)
            )
            for parts in zip_longest(*cells, fillvalue="")
        )
        found.append([f"{indent}{line}".rstrip().replace(_HARD, " ") for line in lines])
    return found


def _width(text: str) -> int:
    """How many columns of a terminal a text takes: some scripts take two a character."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # rarely needed

    return cell_len(text)


def _wrapped(cell: str, size: int) -> list[str]:
    """A cell in lines of so many columns, of as many characters as these take on average."""
    return wrap(cell, max(1, size * len(cell) // _width(cell)), break_on_hyphens=False)


def _narrow(widths: list[int], words: Sequence[int], room: int) -> None:
    """Take from the widest columns until all have room; words are broken at last."""
    room -= _GAP * (len(widths) - 1)
    for least in (words, [_LEAST] * len(widths)):
        while sum(widths) > room:
            spare = [max(size - low, 0) for size, low in zip(widths, least, strict=True)]
            if not any(spare):
                break
            widest = max(range(len(widths)), key=lambda n: (spare[n] > 0, widths[n]))
            widths[widest] -= 1


def _longest_word(cells: Sequence[str]) -> int:
    return max((_width(word) for cell in cells for word in cell.split(" ")), default=0)
