"""What is read: files of any size in pieces, each with the places of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import RawIOBase

import msgspec

from schema import Record

# So many bytes are read at once, and a row is at most so long.
BLOCK = 1 << 20
LONGEST = 16 << 20


class Unfit(Exception):
    """A file that cannot be read, in a sentence."""


class Odd(Exception):
    """Some row of a piece does not fit: its rows have to be looked at one by one."""


@dataclass
class Row:
    """A row that was looked at alone: a record, or what is wrong with it and what it holds."""

    line: int
    record: Record | None
    problem: str = ""
    holds: object = None


@dataclass
class Piece:
    """Rows that follow each other. `columns` gives their values by attribute, or raises Odd; then
    `rows` gives them one by one. `first` is the number of the first one, from 1, `done` how much of
    the file is behind them. `kept` gives the values of the columns that go into the answers, for
    every row."""

    first: int
    count: int
    columns: Callable[[], dict[str, list]]
    rows: Callable[[], Iterator[Row]]
    done: int = 0
    kept: Callable[[], list[list]] = list


@dataclass
class Source:
    """A file that is being read: its pieces, how large it is (in what `done` counts; 0: not known),
    columns that are left out, and those that go into the answers, with their types in Parquet (None:
    texts)."""

    pieces: Iterator[Piece]
    size: int = 0
    ignored: list[str] = field(default_factory=list)
    kept: dict[str, object] = field(default_factory=dict)


def blocks(stream: RawIOBase, quote: bytes) -> Iterator[bytes]:
    """Whole rows: a block ends with a line, and where `quote` is given, not within quotes."""
    rest, line = b"", 1
    while True:
        chunk = taken(stream)
        data = rest + chunk
        cut = len(data)
        if chunk:
            cut = data.rfind(b"\n") + 1
            odd = quote and data.count(quote, 0, cut) % 2
            while odd and cut:
                before = data.rfind(b"\n", 0, cut - 1) + 1
                odd = (odd + data.count(quote, before, cut)) % 2
                cut = before
        if cut:
            yield data[:cut]
            line += data.count(b"\n", 0, cut)
        rest = data[cut:]
        if not chunk:
            return
        if len(rest) > LONGEST:
            why = "is longer than" if b"\n" not in rest else "opens a quote that is not closed within"
            raise Unfit(f"line {line} {why} {LONGEST >> 20} MiB")


def taken(stream: RawIOBase) -> bytes:
    """A block, less at the end. Between two reads a signal is heard, however slow a pipe is."""
    chunks, size = [], 0
    try:
        while size < BLOCK and (chunk := stream.read(BLOCK - size)):
            chunks.append(chunk)
            size += len(chunk)
    except OSError as error:
        raise Unfit(f"it cannot be read: {error.strerror or error}") from None
    return b"".join(chunks)


def is_text(text: str) -> bool:
    """Whether all of it can be written as UTF-8."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def checked(found: object, line: int, holds: object) -> Row:
    """A row of values by name."""
    try:
        return Row(line, msgspec.convert(found, Record), "", holds)
    except msgspec.ValidationError as error:
        return Row(line, None, str(error), holds)
