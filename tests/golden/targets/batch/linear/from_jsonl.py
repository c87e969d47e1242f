"""Reads JSON lines: a record a line, as a request of the service holds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import RawIOBase

import msgspec

from columns import FIELDS, of_records
from reading import Odd, Piece, Row, Source, blocks
from schema import Record

WRONG = (msgspec.DecodeError, UnicodeDecodeError)
_one = msgspec.json.Decoder(Record)


def json_lines(stream: RawIOBase, size: int, keep: list[str]) -> Source:
    """The records of a stream of so many bytes (0: not known). A line may hold what is to `keep`
    beside its record, or not."""
    return Source(pieces(stream, keep), size, kept=dict.fromkeys(keep))


def pieces(stream: RawIOBase, keep: list[str]) -> Iterator[Piece]:
    row, line, done = 1, 1, 0
    more = {*keep} - {name for name, *_ in FIELDS}
    for data in blocks(stream, b""):
        done += len(data)
        count = sum(1 for text in data.split(b"\n") if text.strip())
        kept = kept_of(data, keep) if keep else list
        rows = rows_of(data, line, more)
        yield Piece(row, count, records_of(data, count, more), rows, done, kept)
        row += count
        line += data.count(b"\n")


def record_of(text: bytes, more: set[str]) -> Record:
    """The record of a line, which may hold `more` than that."""
    if not more:
        return _one.decode(text)
    found = msgspec.json.decode(text)
    if isinstance(found, dict):
        found = {name: value for name, value in found.items() if name not in more}
    return msgspec.convert(found, Record)


def records_of(data: bytes, count: int, more: set[str]) -> Callable[[], dict[str, list]]:
    def columns() -> dict[str, list]:
        try:
            if more:
                records = [record_of(text, more) for text in data.split(b"\n") if text.strip()]
            else:
                records = _one.decode_lines(data)
        except WRONG:
            raise Odd from None
        if len(records) != count:
            raise Odd
        return of_records(records)

    return columns


def kept_of(data: bytes, keep: list[str]) -> Callable[[], list[list]]:
    def kept() -> list[list]:
        found = [held(text) for text in data.split(b"\n") if text.strip()]
        return [[line.get(name) for line in found] for name in keep]

    def held(text: bytes) -> dict:
        try:
            return msgspec.json.decode(text, type=dict)
        except WRONG:  # of a row that does not fit
            return {}

    return kept


def rows_of(data: bytes, line: int, more: set[str]) -> Callable[[], Iterator[Row]]:
    def rows() -> Iterator[Row]:
        for number, text in enumerate(data.split(b"\n")):
            if not text.strip():
                continue
            holds = text.decode("utf-8", "backslashreplace")
            try:
                yield Row(line + number, record_of(text, more), "", holds)
            except msgspec.ValidationError as error:
                yield Row(line + number, None, str(error), holds)
            except WRONG as error:
                yield Row(line + number, None, f"it is not JSON: {error}", holds)

    return rows
