"""JSON lines: one object a line, plain or packed.

Texts become what cells of a csv file would; numbers, booleans and null are what they are.
"""

# pyarrow is imported inside the functions that need it, to keep a warm compile free of it.

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.schema import group, key
from mlops_compile.ir.source import ColumnFact, Source
from mlops_compile.ir.value import KeyPath, Map
from mlops_compile.steps.sources.cells import (
    Guess,
    Levels,
    arrow_type,
    cast,
    clean,
    first_misfit,
    too_long,
)
from mlops_compile.steps.sources.delimited.faults import unreadable
from mlops_compile.steps.sources.kind import Facts, SourceKind
from mlops_compile.steps.sources.marks import MISSING, Marks, marks_problems
from mlops_compile.steps.sources.places import one_file, path_problems
from mlops_compile.steps.sources.unpacking import UNPACKING, open_unpacked
from mlops_compile.steps.tables import regular, write_batches

if TYPE_CHECKING:
    import pyarrow as pa

_PATH: KeyPath = ("data", "source", "path")
_ROWS = 1 << 14


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonlOptions:
    """How JSON lines are to be read."""

    exclude: tuple[str, ...] = key("keys that are left out", default=())
    missing: tuple[str, ...] = key("texts that stand for a missing value", default=MISSING)
    missing_in: Map = key("more such texts for single columns: {age: ['-1', '999']}", default=Map())


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonlSource:
    """`data.source` of JSON lines."""

    kind: str = key("jsonl", choices=("jsonl",))
    path: str = key(
        "the file, relative to the project, or a URI; gz, zst, bz2, xz and zip are unpacked",
        filled=True,
        place=True,
    )
    options: JsonlOptions = group("how to read it", JsonlOptions)


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


@dataclass(slots=True)
class _Column:
    """A column's cells of one batch as texts, and the first line of each sort of value."""

    cells: list[str | None]
    sorts: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Batch:
    """Rows: the number of the line of each, and their columns by name."""

    lines: list[int] = field(default_factory=list)
    columns: dict[str, _Column] = field(default_factory=dict)

    def add(self, line: int, row: Mapping[str, tuple[str, str] | None]) -> None:
        """Add a row of pairs of a sort and a text."""
        for name, cell in row.items():
            column = self.columns.get(name)
            if column is None:
                column = self.columns[name] = _Column([None] * len(self.lines))
            column.cells.append(None if cell is None else cell[1])
            if cell is not None:
                column.sorts.setdefault(cell[0], line)
        self.lines.append(line)
        for column in self.columns.values():
            if len(column.cells) < len(self.lines):
                column.cells.append(None)

    def texts(self, name: str) -> pa.Array:
        """A column's cells; nothing where the batch has none."""
        import pyarrow as pa

        column = self.columns.get(name)
        cells = column.cells if column is not None else [None] * len(self.lines)
        return pa.array(cells, pa.string())


def scan(
    paths: tuple[Path, ...], spec: JsonlSource, types: Mapping[str, str], target: str
) -> Facts:
    """Rows, column types and missing values of a file, in one pass of bounded memory."""
    guesses: dict[str, Guess] = {}
    levels, rows, sorts = Levels(), 0, dict[str, dict[str, int]]()
    seen = dict[str, int]()
    for batch in _batches(paths[0], spec):
        for name, column in batch.columns.items():
            guess = guesses.setdefault(name, Guess(types.get(name)))
            texts = clean(batch.texts(name), _marks(spec, name))
            guess.see(texts)
            seen[name] = seen.get(name, 0) + len(texts)
            if name == target:
                levels.see(texts)
            for sort, line in column.sorts.items():
                sorts.setdefault(name, {}).setdefault(sort, line)
        rows += len(batch.lines)
    if not rows:
        raise _fault("empty", f"{spec.path} has no line that holds an object")
    if not guesses:
        raise _fault("empty", f"{spec.path}: no object has a key")
    Marks((), spec.options.missing_in, list(guesses))
    wrong = [*_mixed(spec, sorts, types)]
    wrong += [_too_long(paths[0], spec, name) for name in guesses if guesses[name].too_long]
    if wrong:
        raise CompileError(wrong)
    return Facts(
        rows=rows,
        columns=tuple(
            ColumnFact(name=name, type=guess.type, missing=guess.missing or seen[name] < rows)
            for name, guess in sorted(guesses.items())
        ),
        levels=levels.names(guesses[target].type) if target in guesses else (),
    )


def read(paths: tuple[Path, ...], spec: JsonlSource, source: Source, out: Path) -> None:
    """Write the file's rows as an Arrow table of the source's types, columns by name."""
    import pyarrow as pa

    types = {column.name: column.type for column in source.columns}
    schema = pa.schema([(name, arrow_type(types[name])) for name in sorted(types)])

    def converted() -> Iterator[pa.RecordBatch]:
        for batch in _batches(paths[0], spec):
            if not {*batch.columns} <= {*types}:
                raise _fault("columns-changed", f"{spec.path} has other columns than the lock says")
            columns = []
            for name in schema.names:
                texts = clean(batch.texts(name), _marks(spec, name))
                done = cast(texts, types[name])
                if done is None:
                    wrong = first_misfit(texts, types[name]) or 0
                    place = f"{spec.path}, line {batch.lines[wrong]}"
                    text = repr(texts[wrong].as_py()[:40])
                    message = f"{place}: {text} is not {types[name]}"
                    where = ("data", "columns", name)
                    raise CompileError([problem("cell", message, where, quotes=(text,))])
                columns.append(done)
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    write_batches(out, schema, regular(converted(), schema))


def _marks(spec: JsonlSource, name: str) -> tuple[str, ...]:
    own = spec.options.missing_in.get(name, ())
    assert isinstance(own, tuple)
    return (*spec.options.missing, *map(str, own))


def _mixed(
    spec: JsonlSource, sorts: Mapping[str, Mapping[str, int]], types: Mapping[str, str]
) -> Iterator[Problem]:
    """Columns with values of several sorts, unless they are wanted as texts."""
    for name, lines in sorts.items():
        if len(lines) > 1 and types.get(name) != "string":
            (first, one), (second, other) = sorted(lines.items(), key=lambda item: item[1])[:2]
            message = (
                f"{spec.path}: {name!r} holds {first} on line {one} and {second} on line {other}"
            )
            hint = "state data.columns.NAME.type=categorical to read all of them as texts"
            hint += ", or list the texts that stand for nothing in data.source.options.missing"
            yield problem("mixed-types", message, ("data", "columns", name), hint)


def _too_long(path: Path, spec: JsonlSource, name: str) -> Problem:
    for batch in _batches(path, spec):
        texts = clean(batch.texts(name), _marks(spec, name))
        if (wrong := first_misfit(texts, "int64")) is not None:
            place = f"{spec.path}, line {batch.lines[wrong]}"
            return too_long(name, place, texts[wrong].as_py())
    raise AssertionError("a column beyond 64 bits has a number beyond 64 bits")


def _batches(path: Path, spec: JsonlSource) -> Iterator[_Batch]:
    """The rows, some at a time."""
    batch = _Batch()
    try:
        with open_unpacked(path) as file:
            for number, line in enumerate(file, 1):
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if line.strip():
                    batch.add(number, _row(line, number, spec))
                if len(batch.lines) == _ROWS:
                    yield batch
                    batch = _Batch()
    except UNPACKING as error:
        raise unreadable(error, path, spec.path) from None
    if batch.lines:
        yield batch


def _row(line: bytes, number: int, spec: JsonlSource) -> dict[str, tuple[str, str] | None]:
    """A line's cells: pairs of a sort and a text, None where nothing is."""
    place = f"{spec.path}, line {number}"
    try:
        found = _DECODER.decode(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        hint = "JSON is written in UTF-8"
        raise _fault(
            "encoding", f"{place}: byte {error.start + 1} is not utf-8", _PATH, hint
        ) from None
    except json.JSONDecodeError as error:
        hint = "each line holds one whole object: {...}"
        if number == 1 and line.lstrip()[:1] == b"[":
            hint = "the file seems to be one JSON list; write each of its objects on a line"
        message = f"{place}: is no JSON: {error.msg} (column {error.colno})"
        raise _fault("jsonl", message, _PATH, hint) from None
    except RecursionError:
        raise _fault("nested", f"{place}: is nested too deeply") from None
    if not isinstance(found, _Pairs):
        hint = "each line holds one whole object: {...}"
        raise _fault("jsonl", f"{place}: is {_sort(found)}, not an object", _PATH, hint)
    return _cells(found, place, spec)


def _cells(pairs: _Pairs, place: str, spec: JsonlSource) -> dict[str, tuple[str, str] | None]:
    row: dict[str, tuple[str, str] | None] = {}
    for given, value in pairs:
        name = given if given.isascii() else unicodedata.normalize("NFC", given)
        name = name.strip()
        if name in spec.options.exclude:
            continue
        if not name:
            raise _fault("columns", f"{place}: a key is empty", _PATH, "give it a name")
        if name in row:
            hint = "each key stands once in an object"
            raise _fault("columns", f"{place}: the key {name!r} stands twice", _PATH, hint)
        if isinstance(value, _Pairs | list):
            message = f"{place}: {name!r} holds {_sort(value)}, which is no cell of a table"
            hint = f"leave it out: data.source.options.exclude=[{name}]"
            raise _fault("nested", message, _PATH, hint)
        row[name] = _cell(name, value, place, spec)
    return row


def _cell(name: str, value: Any, place: str, spec: JsonlSource) -> tuple[str, str] | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "a boolean", str(value).lower()
    if isinstance(value, _Number):
        return "a number", str(value)
    if value.strip() in ("", *_marks(spec, name)):
        return None
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            message = (
                f"{place}: the text of {name!r} holds half of a character (\\ud800 to \\udfff)"
            )
            raise _fault("encoding", message) from None
    return "a text", value


class _Pairs(list[tuple[str, Any]]):
    """An object, with all of its keys."""


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


def _fault(code: str, message: str, where: KeyPath = _PATH, hint: str = "") -> CompileError:
    return CompileError([problem(code, message, where, hint)])


KIND = SourceKind(
    name="jsonl",
    spec=JsonlSource,
    distributions=("pyarrow",),
    snapshot=True,
    files=lambda spec, project: one_file(spec.path, project),
    location=lambda spec: str(spec.path),
    complaints=lambda spec: (*path_problems(spec.path), *marks_problems(spec.options.missing_in)),
    scan=scan,
    read=read,
)
