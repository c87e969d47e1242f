"""Writes answers: csv, JSON lines or Parquet, into a file that gets its name when it is whole."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import msgspec

from columns import CLASSES, OUTPUTS, best
from reading import Source, Unfit
from scorer import answer

_encoder = msgspec.json.Encoder()
# The columns of an answer besides the row's number and the prediction.
MORE = ["probability"]
# What columns that are kept cannot be called.
TAKEN = {"row", "prediction", "probability", "probabilities", *MORE}


class Unwritten(Exception):
    """A file that cannot be written, in a sentence."""


class Whole:
    """A file that is written beside its place, and put there when it is whole."""

    def __init__(self, path: Path) -> None:
        """Unwritten where there is no directory to write into."""
        self.path = Path(os.path.realpath(path))
        try:
            handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        except OSError as error:
            raise Unwritten(f"{path} cannot be written: {error.strerror or error}") from None
        self.scratch, self.stream = Path(name), os.fdopen(handle, "wb")

    def write(self, data: bytes) -> None:
        try:
            self.stream.write(data)
        except OSError as error:
            raise Unwritten(f"{self.path} cannot be written: {error.strerror or error}") from None

    def keep(self) -> None:
        """Give it its name: what was there before stands until then."""
        try:
            self.stream.flush()
            os.fsync(self.stream.fileno())
            self.stream.close()
            mask = os.umask(0)
            os.umask(mask)
            self.scratch.chmod(0o666 & ~mask)
            os.replace(self.scratch, self.path)
        except OSError as error:
            raise Unwritten(f"{self.path} cannot be written: {error.strerror or error}") from None

    def drop(self) -> None:
        """Leave nothing; nothing to do where it was kept."""
        try:
            self.stream.close()
        except OSError:
            pass  # what could not be written is not wanted
        self.scratch.unlink(missing_ok=True)


class Csv:
    """A line an answer, below a line of names."""

    def __init__(self, file: Whole, source: Source) -> None:
        self.file = file
        self.classes = [cell(name) for name in CLASSES]
        file.write(b",".join(map(cell, ["row", *source.kept, "prediction", *MORE])) + b"\n")

    def write(self, rows: list[int], scores: list[float], kept: list[list]) -> None:
        """The answers of rows, by their numbers; their scores lie one row behind the other. `kept`
        are the columns that go with them."""
        if not rows:
            return
        head = [texts(rows), *([cell(said(value) or "") for value in column] for column in kept)]
        classes = self.classes
        columns = [*head, [classes[n] for n in best(scores)], texts(scores[1::2])]
        self.file.write(b"\n".join(map(b",".join, zip(*columns))) + b"\n")

    def end(self) -> None:
        """Nothing comes behind the last line."""


class Jsonl:
    """A line an answer, as the service gives it, with the number of its row."""

    def __init__(self, file: Whole, source: Source) -> None:
        self.file, self.kept = file, [*source.kept]

    def write(self, rows: list[int], scores: list[float], kept: list[list]) -> None:
        """The answers of rows, by their numbers; their scores lie one row behind the other. `kept`
        are the columns that go with them."""
        each = zip(*[iter(scores)] * OUTPUTS)
        more = zip(*kept) if kept else ((),) * len(rows)
        found = [
            {"row": row, **dict(zip(self.kept, own)), **answer(list(one))}
            for row, own, one in zip(rows, more, each)
        ]
        self.file.write(_encoder.encode_lines(found))

    def end(self) -> None:
        """Nothing comes behind the last line."""


class Parquet:
    """A column for each part of an answer; this needs pyarrow."""

    def __init__(self, file: Whole, source: Source) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError:
            hint = "python -m pip install -r requirements-parquet.txt"
            raise Unfit(f"Parquet needs pyarrow, which is not installed: {hint}") from None
        self.pa = pa
        self.types = [*source.kept.values()]
        kept = [(name, kind or pa.string()) for name, kind in source.kept.items()]
        label = pa.string() if CLASSES else pa.float64()
        fields = [("row", pa.int64()), *kept, ("prediction", label)]
        fields += [(name, pa.float64()) for name in MORE]
        self.schema = pa.schema(fields)
        self.writer = pq.ParquetWriter(file.stream, self.schema)

    def write(self, rows: list[int], scores: list[float], kept: list[list]) -> None:
        """The answers of rows, by their numbers; their scores lie one row behind the other. `kept`
        are the columns that go with them."""
        own = zip(self.types, kept)
        head = [rows, *(column if kind else [said(v) for v in column] for kind, column in own)]
        columns = [*head, [CLASSES[n] for n in best(scores)], scores[1::2]]
        arrays = [self.pa.array(values, kind) for values, kind in zip(columns, self.schema.types)]
        self.writer.write_batch(self.pa.record_batch(arrays, schema=self.schema))

    def end(self) -> None:
        """What a Parquet file has behind its rows."""
        self.writer.close()


WRITERS: dict[str, Callable[[Whole, Source], Csv | Jsonl | Parquet]] = {
    "csv": Csv,
    "jsonl": Jsonl,
    "parquet": Parquet,
}


def said(value: object) -> str | None:
    """A value that is kept as a text: what is no text in JSON stands as there; None stays None."""
    found = msgspec.to_builtins(value)
    return found if found is None or isinstance(found, str) else _encoder.encode(found).decode()


def texts(numbers: list) -> list[bytes]:
    """Numbers as JSON has them: the shortest texts that give the same bits."""
    return _encoder.encode(numbers)[1:-1].split(b",")


def cell(text: str) -> bytes:
    """A text as a cell of csv."""
    written = io.StringIO()
    csv.writer(written, lineterminator="").writerow([text])
    return written.getvalue().encode("utf-8")
