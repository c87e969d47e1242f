"""The lines of a text file as its options say: skipped and commented ones are left out, and every
other keeps its number."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from mlops_compile.steps.sources.delimited.options import CsvOptions
from mlops_compile.steps.sources.unpacking import open_unpacked


def dialect(options: CsvOptions) -> dict[str, Any]:
    """The options as Python's csv module takes them."""
    import csv

    return {
        "delimiter": options.separator,
        "quotechar": options.quote,
        "quoting": csv.QUOTE_NONE if options.quote is None else csv.QUOTE_MINIMAL,
        "doublequote": options.double_quote,
        "escapechar": options.escape,
    }


class Lines:
    """Lines that count, with their ends; `number` is that of the last one in the whole file."""

    def __init__(self, text: Iterable[str], options: CsvOptions) -> None:
        self._text = text
        self._options = options
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        comment, skip = self._options.comment, self._options.skip
        inside = Inside(self._options) if comment is not None else None
        for line in self._text:
            self.number += 1
            if self.number == 1:
                line = line.removeprefix("\ufeff")
            if self.number <= skip:
                continue
            if comment is None or inside is None:
                yield line
            elif inside.cell or not line.startswith(comment):
                inside.see(line)
                yield line


def text_of(file: IO[bytes], options: CsvOptions) -> io.TextIOWrapper:
    """A file's text with its line ends, for saying where something is."""
    return io.TextIOWrapper(file, encoding=options.encoding, errors="replace", newline="")


class Inside:
    """Follows whether a line ends within a quoted cell, where no line is a comment; `openings` are
    the quotes so far that opened one."""

    def __init__(self, options: CsvOptions) -> None:
        self._separator = options.separator
        self._quote = options.quote
        self._escape = options.escape
        self._double = options.double_quote
        self.cell = False
        self.openings = 0

    def see(self, line: str) -> None:
        """Take a line into account."""
        if self._quote is None or (self._quote not in line and not self._escape):
            return
        begins, place = not self.cell, 0
        while place < len(line):
            char = line[place]
            if char == self._escape:
                place += 1
                begins = False
            elif self.cell:
                if char == self._quote:
                    if self._double and line[place + 1 : place + 2] == self._quote:
                        place += 1
                    else:
                        self.cell = False
            elif char == self._quote and begins:
                self.cell, begins = True, False
                self.openings += 1
            else:
                begins = char == self._separator
            place += 1


def rows(path: Path, options: CsvOptions) -> Iterator[tuple[int, list[str]]]:
    """Every row with the number of the line on which it begins, read by Python's csv module: slow,
    for saying where something is. csv.Error as that module has it."""
    import csv

    with open_unpacked(path) as file:
        lines = Lines(text_of(file, options), options)
        begins = _Beginnings(lines)
        for row in csv.reader(begins, **dialect(options)):
            yield begins.first, row
            begins.first = 0


class _Beginnings:
    """Passes lines on and keeps the number of the first since it was last set to 0."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._each = iter(lines)
        self.first = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._each)
        self.first = self.first or self._lines.number
        return line


class Rest(io.RawIOBase):
    """The lines that count behind a first number of them, as a file of UTF-8 bytes."""

    def __init__(self, file: IO[bytes], options: CsvOptions, behind: int) -> None:
        self._file = file
        text = io.TextIOWrapper(file, encoding=options.encoding, newline="")
        self._lines = Lines(text, options)
        self._each = iter(self._lines)
        self._behind = behind
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fills a buffer as far as there are bytes. UnicodeDecodeError for others than text."""
        parts, size = [self._left], len(self._left)
        while size < len(buffer):
            line = next(self._each, None)
            if line is None:
                break
            if self._lines.number > self._behind:
                parts.append(line.encode("utf-8"))
                size += len(parts[-1])
        data = b"".join(parts)
        taken = min(len(data), len(buffer))
        buffer[:taken] = data[:taken]
        self._left = data[taken:]
        return taken

    def close(self) -> None:
        self._file.close()
        super().close()


def head_lines(head: bytes, options: CsvOptions) -> Lines:
    """The lines of a file's first bytes; UnicodeError where these are no text."""
    text = codecs.getincrementaldecoder(options.encoding)("strict").decode(head)
    return Lines(io.StringIO(text, newline=""), options)
