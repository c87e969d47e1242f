"""The log of a service as tables: files of JSON lines in a directory, or wherever fsspec reads.

Lines that are none are counted and passed over; a line that is still being written is left alone;
values of another type than their column's are counted, and are null.
"""

from __future__ import annotations

import contextlib
import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeVar

import fsspec
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.reference import ColumnReference, Reference

_BLOCK = 8 << 20  # bytes that are read together
_PARSED = 2 << 20  # bytes that one thread parses; a line that is longer is read by itself
_FILE = re.compile(r"-(\d{8}T\d{6})-[^/]*\.jsonl$")
TIME = pa.timestamp("us", "UTC")
_TYPES = {"numeric": pa.float64(), "boolean": pa.bool_()}  # times are texts
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of a log: its path in its file system, when it was begun, where its name says so, and
    when it was last written, where its file system does."""

    path: str
    start: datetime | None
    written: datetime | None


@dataclass(slots=True, kw_only=True)
class Counts:
    """What was met on the way: lines that are none."""

    broken: int = 0


class Log:
    """A directory with a service's files. CompileError where it cannot be read."""

    def __init__(self, place: str) -> None:
        self.place = place
        try:
            self._files, self._root = fsspec.core.url_to_fs(place)
            self._names = sorted(map(str, self._files.ls(self._root, detail=False)))
        except (OSError, ValueError, ImportError) as error:
            raise _unreadable(place, error) from None
        if self._names == [str(self._root)]:  # the listing of a file is the file
            raise _unreadable(place, NotADirectoryError("it is a file, and no directory"))

    def files(self, name: str) -> list[File]:
        """Those of `predictions` or `feedback`, in the order of their names."""
        found = []
        for path in self._names:
            if re.search(rf"(^|/){name}-[^/]*\.jsonl$", path):
                found.append(File(path=path, start=_begun(path), written=self._written(path)))
        return found

    def _written(self, path: str) -> datetime | None:
        try:
            found = self._files.modified(path)
        except (OSError, NotImplementedError):
            return None
        moment: datetime = found
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def tables(self, file: File, schema: pa.Schema, counts: Counts) -> Iterator[pa.Table]:
        """A file's lines, some at a time, with the columns of a schema; null where a line has them
        not. Fields that the schema has not are passed over."""
        return self.each(file, schema, counts, lambda table: table)

    def each(
        self, file: File, schema: pa.Schema, counts: Counts, made: Callable[[pa.Table], Made]
    ) -> Iterator[Made]:
        """What is `made` of each of these tables, in their order; it is made on all cores."""

        def read(lines: bytes) -> tuple[Made, int]:
            table, broken = _table(lines, schema)
            return made(table), broken

        blocks = self._blocks(file)
        with ThreadPoolExecutor(threads := pa.cpu_count()) as pool:
            reading = deque(pool.submit(read, lines) for lines in islice(blocks, threads + 1))
            while reading:
                found, broken = reading.popleft().result()
                reading += [pool.submit(read, lines) for lines in islice(blocks, 1)]
                counts.broken += broken
                yield found

    def _blocks(self, file: File) -> Iterator[bytes]:
        """Whole lines, some at a time."""
        try:
            with self._files.open(file.path, "rb") as stream:
                rest = b""
                while block := stream.read(_BLOCK):
                    end = block.rfind(b"\n") + 1
                    if end:
                        yield b"".join((rest, memoryview(block)[:end]))
                        rest = b""
                    rest += block[end:]
        except FileNotFoundError:
            return  # the oldest are removed while others are written
        except OSError as error:
            raise _unreadable(file.path, error) from None

    def add(self, name: str, lines: bytes) -> bool:
        """Add a file, whole or not at all; False where one of its name is there. CompileError where
        it cannot be written."""
        path = f"{self._root}/{name}"
        if path in self._names:
            return False
        try:
            self._files.pipe_file(f"{path}.part", lines)
            self._files.mv(f"{path}.part", path)
        except OSError as error:
            with contextlib.suppress(OSError):
                self._files.rm(f"{path}.part")
            message = f"{path} cannot be written: {error.strerror or error}"
            raise CompileError([problem("output", message, ("monitor", "log"))]) from None
        self._names.append(path)
        return True


def predictions_schema(reference: Reference) -> pa.Schema:
    """The columns of lines of predictions of a model."""
    record = pa.struct([pa.field(c.name, type_of(c)) for c in reference.columns])
    told: list[pa.Field] = [
        pa.field("prediction", pa.string() if reference.classes else pa.float64())
    ]
    if reference.classes:
        shares = pa.struct([pa.field(name, pa.float64()) for name in reference.classes])
        told.append(pa.field("probabilities", shares))
    return pa.schema(
        [
            ("id", pa.string()),
            ("time", pa.string()),
            ("model", pa.string()),
            ("seconds", pa.float64()),
            ("record", record),
            ("answer", pa.struct(told)),
        ]
    )


def type_of(column: ColumnReference) -> pa.DataType:
    """The type of a column in a log; what stands for sensitive values is text."""
    return pa.string() if column.sensitive else _TYPES.get(column.kind, pa.string())


def feedback_schema(reference: Reference) -> pa.Schema:
    """The columns of lines of feedback on a model."""
    truth = pa.string() if reference.classes else pa.float64()
    return pa.schema([("id", pa.string()), ("time", pa.string()), ("truth", truth)])


IDS = pa.schema([("id", pa.string())])


# Of each line, the columns whose value was of another type than theirs, and is null now.
WRONG = pa.field("wrong", pa.list_(pa.string()))


def _table(lines: bytes, schema: pa.Schema) -> tuple[pa.Table, int]:
    """Read together what can be, else line by line; with the column WRONG, and how many lines are
    none."""
    asked = pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    options = pyarrow.json.ReadOptions(block_size=_PARSED, use_threads=False)
    try:
        found = _timed(pyarrow.json.read_json(pa.BufferReader(lines), options, asked))
        if found["id"].null_count or ("time" in schema.names and found["time"].null_count):
            raise pa.ArrowInvalid("a line that is none")
        return found.append_column(WRONG, pa.nulls(len(found), WRONG.type)), 0
    except pa.ArrowInvalid:
        each = [*_each(lines, schema)]
        rows = [row for row in each if row is not None]
        table = _timed(pa.Table.from_pylist(rows, schema.append(WRONG)))
        return table, len(each) - len(rows)


def _timed(table: pa.Table) -> pa.Table:
    """With times as such. ArrowInvalid where a text is none."""
    place = table.schema.get_field_index("time")
    if place < 0:
        return table
    return table.set_column(place, "time", pc.cast(table.column("time"), TIME))


def _each(lines: bytes, schema: pa.Schema) -> Iterator[dict[str, Any] | None]:
    """Of each line what its columns hold; None where it is none."""
    for line in lines.splitlines():
        if not line.strip():
            continue
        try:
            found = msgspec.json.decode(line)
            if not isinstance(found, dict) or not isinstance(found.get("id"), str):
                raise ValueError("no line of a log")
            if "time" in schema.names:
                pc.cast(pa.scalar(found["time"], pa.string()), TIME)
        except (ValueError, KeyError, pa.ArrowInvalid, pa.ArrowTypeError):
            yield None
            continue
        wrong: list[str] = []
        row = {one.name: _fitting(found.get(one.name), one, wrong) for one in schema}
        yield {**row, WRONG.name: wrong or None}


def _fitting(value: Any, of: pa.Field, wrong: list[str]) -> Any:
    """A value of the field's type, else None; the name of an inner field that it does not fit is
    kept."""
    kind = of.type
    if value is None:
        return None
    if pa.types.is_struct(kind):
        if not isinstance(value, dict):
            return None
        return {inner.name: _fitting(value.get(inner.name), inner, wrong) for inner in kind}
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if pa.types.is_floating(kind) and is_number:
        return float(value)
    if (pa.types.is_boolean(kind) and isinstance(value, bool)) or (
        pa.types.is_string(kind) and isinstance(value, str)
    ):
        return value
    wrong.append(of.name)
    return None


def _begun(path: str) -> datetime | None:
    """When the name of a file says that it was begun; None where it says no time."""
    if (parts := _FILE.search(path)) is None:
        return None
    try:
        return datetime.strptime(parts[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _unreadable(place: str, error: Exception) -> CompileError:
    why = "it is not there" if isinstance(error, FileNotFoundError) else str(error)
    hint = "monitor.log is the directory that the service was started with, --log DIR"
    return CompileError(
        [problem("unreadable", f"the log {place} cannot be read: {why}", ("monitor", "log"), hint)]
    )
