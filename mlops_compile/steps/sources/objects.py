"""Lines of JSON as rows of cells: one object a line, each value with its sort."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, NamedTuple

from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.value import KeyPath
from mlops_compile.steps.sources.marks import Marks

_PATH: KeyPath = ("data", "source", "path")
_OBJECT = "each line holds one whole object: {...}"


class Cell(NamedTuple):
    """A value as a text, and its sort in words; no sort where another text stands for it."""

    sort: str
    text: str


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


class _Pairs(list[tuple[str, Any]]):
    """An object, with all of its keys."""


class Reader:
    """Reads the lines of the file that sentences call `shown`. `left_out` are the keys of `exclude`
    that were found."""

    def __init__(self, shown: str, exclude: Collection[str], marks: Marks) -> None:
        self._shown = shown
        self._exclude = exclude
        self._missing = cache(lambda name: {"", *marks.missing(name)})
        self._replaced = cache(marks.replaced)
        self.left_out: set[str] = set()

    def row(self, line: bytes, number: int) -> Mapping[str, Cell | None]:
        """The cells of a line, by key; None where nothing is. CompileError where it holds none."""
        place = f"{self._shown}, line {number}"
        try:
            found = _DECODER.decode(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            message = f"{place}: byte {error.start + 1} is not utf-8"
            raise _fault("encoding", message, "JSON is written in UTF-8") from None
        except json.JSONDecodeError as error:
            hint = _OBJECT
            if number == 1 and line.lstrip()[:1] == b"[":
                hint = "the file seems to be one JSON list; write each of its objects on a line"
            message = f"{place}: is no JSON: {error.msg} (column {error.colno})"
            raise _fault("jsonl", message, hint) from None
        except RecursionError:
            raise _fault("nested", f"{place}: is nested too deeply") from None
        if not isinstance(found, _Pairs):
            raise _fault("jsonl", f"{place}: is {_sort(found)}, not an object", _OBJECT)
        return self._cells(found, place)

    def _cells(self, pairs: _Pairs, place: str) -> dict[str, Cell | None]:
        row: dict[str, Cell | None] = {}
        for given, value in pairs:
            name = given if given.isascii() else unicodedata.normalize("NFC", given)
            name = name.strip()
            if name in self._exclude:
                self.left_out.add(name)
                continue
            if not name:
                raise _fault("columns", f"{place}: a key is empty", "give it a name")
            if name in row:
                hint = "each key stands once in an object"
                raise _fault("columns", f"{place}: the key {name!r} stands twice", hint)
            if isinstance(value, _Pairs | list):
                message = f"{place}: {name!r} holds {_sort(value)}, which is no cell of a table"
                hint = f"leave it out: data.source.options.exclude=[{name}]"
                raise _fault("nested", message, hint)
            row[name] = self._cell(name, value, place)
        return row

    def _cell(self, name: str, value: Any, place: str) -> Cell | None:
        if value is None:
            return None
        if isinstance(value, bool):
            return self._standing_for(name, Cell("a boolean", str(value).lower()))
        if isinstance(value, _Number):
            return self._standing_for(name, Cell("a number", str(value)))
        if not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                message = (
                    f"{place}: the text of {name!r} holds half of a character (\\ud800 to \\udfff)"
                )
                raise _fault("encoding", message) from None
            value = unicodedata.normalize("NFC", value)
        cell = self._standing_for(name, Cell("a text", value.strip()))
        return None if cell.sort and cell.text in self._missing(name) else cell

    def _standing_for(self, name: str, cell: Cell) -> Cell:
        """The cell, without a sort where its text is replaced, which is done for whole columns."""
        return Cell("", cell.text) if cell.text in self._replaced(name) else cell


def _sort(value: Any) -> str:
    if isinstance(value, _Pairs):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, _Number | bool):
        return "a number" if isinstance(value, _Number) else "a boolean"
    return "null" if value is None else "a text"


def _constant(text: str) -> _Number | None:
    """NaN, which Python writes, is missing; an infinite number is what it is."""
    return None if text == "NaN" else _Number(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_Pairs, parse_int=_Number, parse_float=_Number, parse_constant=_constant
)


def _fault(code: str, message: str, hint: str = "") -> CompileError:
    return CompileError([problem(code, message, _PATH, hint)])
