"""How problems look: on a terminal with the marked line, and as a JSON document."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TextIO

from mlops_compile.cli.show import visible
from mlops_compile.ir.origin import Origin
from mlops_compile.ir.problem import Problem
from mlops_compile.ir.value import Map, Value, dotted, pretty

_WIDEST = 160


@dataclass(frozen=True, slots=True)
class _Paint:
    """Terminal colours, or none."""

    on: bool

    def red(self, text: str) -> str:
        return f"\x1b[1;31m{text}\x1b[0m" if self.on else text

    def blue(self, text: str) -> str:
        return f"\x1b[1;34m{text}\x1b[0m" if self.on else text

    def bold(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self.on else text


def say_problems(problems: Iterable[Problem], err: TextIO, sort: str = "error") -> None:
    """Every problem (or `sort` of note): what is wrong, the place with its line marked, and what
    to do."""
    paint = _Paint(err.isatty() and not os.environ.get("NO_COLOR"))
    for number, found in enumerate(problems):
        space = "\n" if number else ""
        print(space + "\n".join(_lines(found, sort, paint)), file=err)


def problems_document(problems: Iterable[Problem]) -> str:
    """The JSON document of problems."""
    return pretty(Map({"format": 1, "problems": tuple(map(_value, problems))}))


def _lines(found: Problem, sort: str, paint: _Paint) -> list[str]:
    key = f"{dotted(found.where)}: " if found.where else ""
    first, *more = f"{key}{visible(found.message)}".split("\n")
    lines = [f"{paint.red(f'{sort}[{found.of}]')}{paint.bold(f': {first}')}", *more]
    gutter = ""
    if found.origin is not None:
        gutter = " " * len(str(found.origin.line or " "))
        lines += _marked(found.origin, gutter, paint)
    if found.note:
        lines.append(f"{gutter} {paint.blue('=')} {paint.bold('note')}: {visible(found.note)}")
    if found.hint:
        first, *more = visible(found.hint).split("\n")
        lines.append(f"{gutter} {paint.blue('=')} {paint.bold('help')}: {first}")
        lines += [f"{gutter}   {line}" for line in more]
    return lines


def _marked(origin: Origin, gutter: str, paint: _Paint) -> list[str]:
    """The place, and its line with the part that is meant marked below."""
    place = (
        visible(str(origin)).replace("\n", " ") if origin.line or not origin.text else "override"
    )
    lines = [f"{gutter}{paint.blue('-->')} {place}"]
    if not origin.text or not origin.column:
        return lines
    text, column = _window(origin)
    bar = paint.blue("|")
    number = f"{origin.line or ' '} "
    before, marked = text[: column - 1], text[column - 1 : column - 1 + origin.width]
    return [
        *lines,
        f"{gutter} {bar}",
        f"{paint.blue(number)}{bar} {visible(text)}",
        f"{gutter} {bar} {' ' * _cells(before)}{paint.red('^' * max(_cells(marked), 1))}",
    ]


def _window(origin: Origin) -> tuple[str, int]:
    """The part of a long line around the mark, and the mark's column in it."""
    text, column = origin.text.rstrip("\r\n").replace("\n", " "), origin.column
    if len(text) <= _WIDEST:
        return text, column
    start = max(0, column - 1 - _WIDEST // 3)
    before = "..." if start else ""
    after = "..." if start + _WIDEST < len(text) else ""
    return f"{before}{text[start : start + _WIDEST]}{after}", column - start + len(before)


def _cells(text: str) -> int:
    """How many cells of a terminal a text takes."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(bool(unicodedata.combining(char)) for char in text)


def _value(found: Problem) -> Map:
    origin = found.origin
    place: Value = None
    if origin is not None:
        place = Map(
            {
                "source": origin.source,
                "line": origin.line,
                "column": origin.column,
                "width": origin.width,
            }
        )
    return Map(
        {
            "code": str(found.of),
            "name": found.code,
            "key": dotted(found.where),
            "message": found.message,
            "help": found.hint,
            "note": found.note,
            "origin": place,
        }
    )
