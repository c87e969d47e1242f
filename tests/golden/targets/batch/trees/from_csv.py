"""Reads csv: UTF-8, a first line that names the columns, quotes as RFC 4180 has them."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator
from io import RawIOBase
from itertools import repeat
from unicodedata import normalize

from columns import FIELDS, NAN, READ, read
from reading import LONGEST, Odd, Piece, Row, Source, Unfit, blocks, checked, is_text
from schema import moment

# The texts of a csv file that stand for true and false.
TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
# What a number in text consists of, between commas and perhaps spaces.
DIGITS = b"0123456789.eE+-, "


def delimited(
    stream: RawIOBase, size: int, delimiter: str, missing: list[str], keep: list[str]
) -> Source:
    """A csv file in UTF-8 whose first line names its columns; cells of those to `keep` stay texts."""
    csv.field_size_limit(LONGEST)
    parts = blocks(stream, b'"')
    first = next(parts, b"").removeprefix(b"\xef\xbb\xbf")
    lines = io.StringIO(decoded(first), newline="")
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        names = next(reader, [])
    except csv.Error as error:
        raise Unfit(f"line 1: {error}") from None
    if not names:
        raise Unfit("it is empty; its first line has to name the columns")
    names = [normalize("NFC", name.strip()) for name in names]
    for name in names:
        if names.count(name) > 1:
            raise Unfit(f"two columns are called {name!r}")
    absent = [name for name in (*(name for name, *_ in FIELDS), *keep) if name not in names]
    if absent:
        said = ", ".join(map(repr, absent))
        hint = f"; is the delimiter {delimiter!r}?" if len(names) == 1 else ""
        raise Unfit(f"there is no column {said}{hint}")
    table = Table(names, delimiter, frozenset(missing), keep)
    known = {*(name for name, *_ in FIELDS), *keep}

    def pieces() -> Iterator[Piece]:
        row, line, done = 1, 1 + reader.line_num, len(first)
        data = lines.read().encode("utf-8", "surrogateescape")
        while True:
            text = decoded(data)
            if text:
                yield table.piece(text, row, line, done)
                row += table.count
                line += data.count(b"\n")
            data = next(parts, None)
            if data is None:
                return
            done += len(data)

    left = [name for name in names if name not in known]
    return Source(pieces(), size, left, dict.fromkeys(keep))


def decoded(data: bytes) -> str:
    """Text; bytes that are no UTF-8 stand in it as what no text can hold."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape")


class Table:
    """A csv file's columns, and how its texts become values."""

    def __init__(
        self, names: list[str], delimiter: str, missing: frozenset[str], keep: list[str]
    ) -> None:
        self.keep = keep
        self.names, self.delimiter, self.missing = names, delimiter, missing | {""}
        self.fields = [(names.index(name), *rest) for name, *rest in FIELDS]
        self.count = 0  # the rows of the piece that was made last

    def piece(self, text: str, row: int, line: int, done: int) -> Piece:
        """The rows of a text of whole lines."""
        try:
            found = self.cut(text) or self.parsed(text)
        except (csv.Error, ValueError):  # some row is not as the others are
            found = None
        if not is_text(text):
            found = None
        self.count = len(found[0]) if found else sum(1 for _ in self.each(text, line))

        def columns() -> dict[str, list]:
            if found is None:
                raise Odd
            return self.columns(found)

        def kept() -> list[list]:
            if found is not None:
                return [list(found[self.names.index(name)]) for name in self.keep]
            held = [row.holds for row in self.each(text, line)]
            return [[h.get(name) if isinstance(h, dict) else None for h in held] for name in self.keep]

        return Piece(row, self.count, columns, lambda: self.each(text, line), done, kept)

    def cut(self, text: str) -> list[list[str]]:
        """The columns of lines without quotes, all of as many cells; none for other lines."""
        lines = text.replace("\r\n", "\n").removesuffix("\n")
        if '"' in lines or "\r" in lines or not text:
            return []
        width = len(self.names)
        if {*map(str.count, lines.split("\n"), repeat(self.delimiter))} != {width - 1}:
            return []
        cells = lines.replace("\n", self.delimiter).split(self.delimiter)
        return [cells[place::width] for place in range(width)]

    def parsed(self, text: str) -> list[tuple[str, ...]]:
        """The columns of rows that all have as many cells; csv.Error or ValueError for others."""
        lines = io.StringIO(text, newline="")
        rows = csv.reader(lines, delimiter=self.delimiter, strict=True)
        columns = list(zip(*rows, strict=True))
        if len(columns) != len(self.names):
            raise ValueError(f"{len(columns)} columns")
        return columns

    def columns(self, texts: list) -> dict[str, list]:
        """The values of columns of texts; Odd where one is not as it should be."""
        try:
            return {
                attribute: self.values(texts[place], attribute, sort, nullable)
                for place, attribute, sort, nullable in self.fields
            }
        except (KeyError, ValueError):
            raise Odd from None

    def values(self, texts: list, attribute: str, sort: str, nullable: bool) -> list:
        """The values of a column; KeyError, ValueError or Odd where a text is none."""
        gaps = self.missing if nullable else ()
        if sort == "numeric":
            given = [text for text in texts if text not in gaps] if gaps else texts
            if ",".join(given).encode().translate(None, DIGITS):
                raise Odd
            values = list(map(float, given))
            if not math.isfinite(sum(values)):
                raise Odd
            if len(values) == len(texts):
                return values
            return [NAN if text in gaps else float(text) for text in texts]
        if sort == "boolean":
            return [NAN if text in gaps else float(TRUTHS[text]) for text in texts]
        if sort == "categorical":
            texts = read(attribute, list(texts))
            return [None if text in gaps else text for text in texts] if gaps else texts
        zoned = sort == "datetime_utc"
        return [None if text in gaps else moment(text, "", zoned) for text in texts]

    def each(self, text: str, line: int) -> Iterator[Row]:
        """The rows of a text one by one; what is wrong with one is told with it."""
        lines = io.StringIO(text, newline="")
        reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
        before = 0
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row(line + before, None, f"it is not csv: {error}")
                before = reader.line_num
                continue
            if cells or len(self.names) == 1:
                yield self.row(cells or [""], line + before)
            before = reader.line_num

    def row(self, cells: list[str], line: int) -> Row:
        holds = dict(zip(self.names, cells))
        if len(cells) != len(self.names):
            problem = f"it has {len(cells)} fields, and the first line {len(self.names)}"
            return Row(line, None, problem, cells)
        if not is_text("".join(cells)):
            return Row(line, None, "it is not UTF-8", [ascii(cell) for cell in cells])
        found = {}
        for (name, attribute, sort, nullable), (place, *_) in zip(FIELDS, self.fields):
            text = cells[place]
            text = READ[attribute](text) if sort == "categorical" else text.strip()
            if nullable and text in self.missing:
                continue
            if sort == "numeric":
                if not NUMBER.fullmatch(text) or not math.isfinite(float(text)):
                    return Row(line, None, f"`{name}` must be a number", holds)
                found[name] = float(text)
            elif sort == "boolean":
                if text not in TRUTHS:
                    return Row(line, None, f"`{name}` must be true or false", holds)
                found[name] = TRUTHS[text]
            else:
                found[name] = text
        return checked(found, line, holds)
