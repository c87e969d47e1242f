"""JSON lines: one object a line, plain or packed.

Texts become what cells of a csv file would; numbers, booleans and null are what they are.
"""

# pyarrow is imported inside the functions that need it, to keep a warm compile free of it.

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.schema import group, key
from mlops_compile.ir.source import ColumnFact, Misfit, Source
from mlops_compile.ir.value import KeyPath, Map
from mlops_compile.steps.sources.cells import (
    IN_WORDS,
    PLAIN,
    STORED_AS,
    arrow_type,
    first_misfit,
    first_of_all,
    too_long,
)
from mlops_compile.steps.sources.delimited.faults import unreadable
from mlops_compile.steps.sources.guesses import Guess, Levels, nearly
from mlops_compile.steps.sources.kind import Facts, SourceKind
from mlops_compile.steps.sources.marks import (
    MISSING,
    MISSING_IN_DOC,
    REPLACE_DOC,
    Marks,
    marks_problems,
    no_column,
)
from mlops_compile.steps.sources.objects import Cell, Reader
from mlops_compile.steps.sources.places import one_file, path_problems
from mlops_compile.steps.sources.unpacking import UNPACKING, open_unpacked
from mlops_compile.steps.tables import regular, write_batches

if TYPE_CHECKING:
    import pyarrow as pa

_PATH: KeyPath = ("data", "source", "path")
_EXCLUDE: KeyPath = ("data", "source", "options", "exclude")
_ROWS = 1 << 14


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonlOptions:
    """How JSON lines are to be read."""

    exclude: tuple[str, ...] = key("keys that are left out", default=())
    missing: tuple[str, ...] = key("texts that stand for a missing value", default=MISSING)
    missing_in: Map = key(MISSING_IN_DOC, default=Map())
    replace: Map = key(REPLACE_DOC, default=Map())

    def marks(self, names: Sequence[str] | None = None) -> Marks:
        """What texts stand for. CompileError where columns are named that are none of `names`."""
        return Marks(self.missing, self.missing_in, self.replace, names)


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


@dataclass(slots=True)
class _Column:
    """A column's cells of one batch as texts, and the first line of each sort of value."""

    cells: list[str | None]
    sorts: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Batch:
    """Rows: the number of the line of each, and their columns by name. `left_out` are the keys
    that were left out so far."""

    lines: list[int] = field(default_factory=list)
    columns: dict[str, _Column] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)

    def add(self, line: int, row: Mapping[str, Cell | None]) -> None:
        """Add a row."""
        for name, cell in row.items():
            column = self.columns.get(name)
            if column is None:
                column = self.columns[name] = _Column([None] * len(self.lines))
            column.cells.append(None if cell is None else cell.text)
            if cell is not None and cell.sort:
                column.sorts.setdefault(cell.sort, line)
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
    seen, marks = dict[str, int](), spec.options.marks()
    left_out = set[str]()
    for batch in _batches(paths[0], spec):
        left_out |= batch.left_out
        for name, column in batch.columns.items():
            guess = guesses.setdefault(name, Guess(types.get(name)))
            texts = marks.clean(name, batch.texts(name))
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
    spec.options.marks(list(guesses))
    _check_exclude(spec, [*guesses, *left_out])
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
        nearly=nearly(guesses),
    )


def misfit(paths: tuple[Path, ...], spec: JsonlSource, name: str, sort: str) -> Misfit | None:
    """The first cell that keeps a column from being numeric, datetime or boolean."""
    marks, lines = spec.options.marks(), list[int]()

    def texts() -> Iterator[pa.Array]:
        for batch in _batches(paths[0], spec):
            lines.extend(batch.lines)
            yield marks.clean(name, batch.texts(name)).cells

    if (found := first_of_all(texts(), STORED_AS[sort])) is None:
        return None
    row, text, type_name = found
    place = f"{spec.path}, line {lines[row]}"
    return Misfit(place=place, text=text, wanted=IN_WORDS[type_name], sort=sort)


def read(paths: tuple[Path, ...], spec: JsonlSource, source: Source, out: Path) -> None:
    """Write the file's rows as an Arrow table of the source's types, columns by name."""
    import pyarrow as pa

    types = {column.name: column.type for column in source.columns}
    schema = pa.schema([(name, arrow_type(types[name])) for name in sorted(types)])
    marks = spec.options.marks()

    def converted() -> Iterator[pa.RecordBatch]:
        for batch in _batches(paths[0], spec):
            if not {*batch.columns} <= {*types}:
                raise _fault("columns-changed", f"{spec.path} has other columns than the lock says")
            columns = []
            for name in schema.names:
                texts = marks.clean(name, batch.texts(name))
                done = texts.cast(types[name], PLAIN)
                if done is None:
                    wrong = first_misfit(texts.cells, types[name]) or 0
                    place = f"{spec.path}, line {batch.lines[wrong]}"
                    text = repr(texts.cells[wrong].as_py()[:40])
                    message = f"{place}: {text} is not {IN_WORDS[types[name]]}"
                    where = ("data", "columns", name)
                    raise CompileError([problem("cell", message, where, quotes=(text,))])
                columns.append(done)
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    write_batches(out, schema, regular(converted(), schema))


def _check_exclude(spec: JsonlSource, names: Sequence[str]) -> None:
    found = [
        no_column(name, (*_EXCLUDE, str(position)), names)
        for position, name in enumerate(spec.options.exclude)
    ]
    if problems := [item for item in found if item is not None]:
        raise CompileError(problems)


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
    marks = spec.options.marks()
    for batch in _batches(path, spec):
        texts = marks.clean(name, batch.texts(name)).cells
        if (wrong := first_misfit(texts, "int64")) is not None:
            place = f"{spec.path}, line {batch.lines[wrong]}"
            return too_long(name, place, texts[wrong].as_py())
    raise AssertionError("a column beyond 64 bits has a number beyond 64 bits")


def _batches(path: Path, spec: JsonlSource) -> Iterator[_Batch]:
    """The rows, some at a time."""
    batch, options = _Batch(), spec.options
    reader = Reader(spec.path, frozenset(options.exclude), options.marks())
    try:
        with open_unpacked(path) as file:
            for number, line in enumerate(file, 1):
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if line.strip():
                    batch.add(number, reader.row(line, number))
                if len(batch.lines) == _ROWS:
                    batch.left_out |= reader.left_out
                    yield batch
                    batch = _Batch()
    except UNPACKING as error:
        raise unreadable(error, path, spec.path) from None
    if batch.lines:
        batch.left_out |= reader.left_out
        yield batch


def _fault(code: str, message: str, where: KeyPath = _PATH, hint: str = "") -> CompileError:
    return CompileError([problem(code, message, where, hint)])


KIND = SourceKind(
    name="jsonl",
    spec=JsonlSource,
    distributions=("pyarrow",),
    snapshot=True,
    files=lambda spec, project: one_file(spec.path, project),
    location=lambda spec: str(spec.path),
    complaints=lambda spec: (
        *path_problems(spec.path),
        *marks_problems(spec.options.missing_in, spec.options.replace),
    ),
    scan=scan,
    read=read,
    misfit=misfit,
)
