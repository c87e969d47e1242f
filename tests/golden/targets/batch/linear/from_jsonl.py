"""Reads JSON lines: a record a line, as a request of the service holds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import RawIOBase

import msgspec

from columns import of_records
from reading import Odd, Piece, Row, Source, blocks
from schema import Record

_one = msgspec.json.Decoder(Record)


def json_lines(stream: RawIOBase, size: int) -> Source:
    """The records of a stream of so many bytes (0: not known)."""
    return Source(pieces(stream), size)


def pieces(stream: RawIOBase) -> Iterator[Piece]:
    row, line, done = 1, 1, 0
    for data in blocks(stream, b""):
        done += len(data)
        count = sum(1 for text in data.split(b"\n") if text.strip())
        yield Piece(row, count, records_of(data, count), rows_of(data, line), done)
        row += count
        line += data.count(b"\n")


def records_of(data: bytes, count: int) -> Callable[[], dict[str, list]]:
    def columns() -> dict[str, list]:
        try:
            records = _one.decode_lines(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Odd from None
        if len(records) != count:
            raise Odd
        return of_records(records)

    return columns


def rows_of(data: bytes, line: int) -> Callable[[], Iterator[Row]]:
    def rows() -> Iterator[Row]:
        for number, text in enumerate(data.split(b"\n")):
            if not text.strip():
                continue
            holds = text.decode("utf-8", "backslashreplace")
            try:
                yield Row(line + number, _one.decode(text), "", holds)
            except msgspec.ValidationError as error:
                yield Row(line + number, None, str(error), holds)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                yield Row(line + number, None, f"it is not JSON: {error}", holds)

    return rows
