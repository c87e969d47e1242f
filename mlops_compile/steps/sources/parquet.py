"""Parquet: a file, a folder, a pattern, hive partitions; read batch by batch, files in the order of
their names."""

# pyarrow is imported inside the functions that need it, to keep a warm compile free of it.

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.schema import group, key
from mlops_compile.ir.source import ColumnFact, Source
from mlops_compile.ir.value import KeyPath, Map
from mlops_compile.steps.sources.cells import Texts, arrow_type, cast
from mlops_compile.steps.sources.columnar import NOTHING, Seen, storage_of, stored
from mlops_compile.steps.sources.guesses import Guess
from mlops_compile.steps.sources.kind import MOST_LEVELS, Facts, SourceKind
from mlops_compile.steps.sources.marks import REPLACE_DOC, Marks, marks_problems, no_column
from mlops_compile.steps.sources.partitions import other_partitions, partitions_of
from mlops_compile.steps.sources.places import many_files, path_problems
from mlops_compile.steps.tables import BATCH_ROWS, regular, write_batches

if TYPE_CHECKING:
    import pyarrow as pa

_PATH: KeyPath = ("data", "source", "path")
_EXCLUDE: KeyPath = ("data", "source", "options", "exclude")
_REPLACE: KeyPath = ("data", "source", "options", "replace")
ENDINGS = (".parquet", ".parq", ".pq")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetOptions:
    """How Parquet files are to be read."""

    exclude: tuple[str, ...] = key("columns that are left out", default=())
    missing: tuple[str, ...] = key("texts that stand for a missing value", default=())
    replace: Map = key(REPLACE_DOC, default=Map())
    hive: bool = key("whether folders called name=value make columns", default=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetSource:
    """`data.source` of Parquet files."""

    kind: str = key("parquet", choices=("parquet",))
    path: str = key(
        "a file, a folder or a pattern (`*`, `**`), relative to the project, or a URI",
        filled=True,
        place=True,
    )
    options: ParquetOptions = group("how to read them", ParquetOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A file: its name below the folder (empty for the only one), and its opened self."""

    name: str
    file: Any
    partitions: Mapping[str, str | None]


def scan(
    paths: tuple[Path, ...], spec: ParquetSource, types: Mapping[str, str], target: str
) -> Facts:
    """Rows, column types and missing values, in one pass of bounded memory."""
    table = _Table(paths[0], spec, types)
    seen = {name: Seen(MOST_LEVELS) for name in table.types}
    rows = 0
    for batch in table.batches():
        rows += batch.num_rows
        for name, column in zip(table.types, batch.columns, strict=True):
            seen[name].see(column, name == target)
    if not rows:
        raise _fault("empty", f"{spec.path} has no rows")
    return Facts(
        rows=rows,
        columns=tuple(
            ColumnFact(name=name, type=table.types[name], missing=seen[name].missing)
            for name in sorted(table.types)
        ),
        levels=seen[target].levels if target in seen else (),
    )


def read(paths: tuple[Path, ...], spec: ParquetSource, source: Source, out: Path) -> None:
    """Write the rows as an Arrow table of the source's types."""
    types = {column.name: column.type for column in source.columns}
    table = _Table(paths[0], spec, types)
    if table.types != {name: types.get(name) for name in table.types} or len(types) != len(
        table.types
    ):
        raise _fault("columns-changed", f"{spec.path} has other columns than the lock says")
    write_batches(out, table.schema, regular(table.batches(), table.schema))


class _Table:
    """Files of one schema as batches of storage types. `wanted` are types that are asked for: every
    column can be had as texts."""

    def __init__(self, path: Path, spec: ParquetSource, wanted: Mapping[str, str]) -> None:
        import pyarrow as pa

        self._spec = spec
        self._parts = [_open(name, file, spec) for name, file in _files(path)]
        if spec.options.hive and (other := other_partitions([part.name for part in self._parts])):
            message = f"{spec.path}: the folders of {other[0]} and {other[1]} name other columns"
            raise _fault("unlike-files", message, _PATH, "name one of the folders")
        self._fields = [_fields(part, spec) for part in self._parts]
        own = _one_schema(self._parts, self._fields, spec)
        self._folders = _folder_types(self._parts, wanted)
        if twice := sorted({*own} & {*self._folders}):
            message = f"{spec.path}: {twice[0]!r} is a column of the files and of their folders"
            raise _fault("columns", message, _PATH, "set data.source.options.hive=false")
        self.types = {
            name: "string" if wanted.get(name) == "string" else found
            for name, found in {**own, **self._folders}.items()
        }
        _check_exclude(spec, self._parts)
        self._marks = Marks(spec.options.missing, Map(), spec.options.replace, list(self.types))
        _check_replace(spec, self.types)
        self.schema = pa.schema([(name, arrow_type(self.types[name])) for name in self.types])

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, file by file."""
        import pyarrow as pa

        for part, fields in zip(self._parts, self._fields, strict=True):
            row = 0
            positions = {name: position for position, name in enumerate(fields)}
            try:
                for batch in part.file.iter_batches(
                    batch_size=BATCH_ROWS, columns=_chosen(part, self._spec), use_threads=False
                ):
                    columns = [
                        self._column(part, batch, name, positions.get(name), row)
                        for name in self.types
                    ]
                    row += batch.num_rows
                    yield pa.RecordBatch.from_arrays(columns, schema=self.schema)
            except (OSError, pa.ArrowException) as error:
                raise _unreadable(_shown(part.name, self._spec), error) from None

    def _column(
        self, part: _Part, batch: pa.RecordBatch, name: str, position: int | None, row: int
    ) -> pa.Array:
        import pyarrow as pa

        if position is None and name in self._folders:
            return _repeated(part.partitions[name], self.types[name], batch.num_rows)
        column = batch.column(position)
        if pa.types.is_null(column.type):
            return pa.nulls(len(column), arrow_type(self.types[name]))
        try:
            missing, replace = self._spec.options.missing, self._marks.replaced(name)
            return stored(column, self.types[name], missing, replace)
        except pa.ArrowInvalid as error:
            raise CompileError([self._misfit(part, column, name, row, error)]) from None

    def _misfit(
        self, part: _Part, column: pa.Array, name: str, row: int, error: Exception
    ) -> Problem:
        """The sentence for the first value that has no place in the column's type."""
        import pyarrow as pa

        where = ("data", "columns", name)
        for offset in range(len(column)):
            try:
                stored(column.slice(offset, 1), self.types[name])
            except pa.ArrowInvalid:
                place = f"{_shown(part.name, self._spec)}, row {row + offset + 1}"
                try:
                    value = str(column[offset].as_py())[:40]
                except ValueError:
                    return problem("encoding", f"{place}: the text is not utf-8", where)
                if self.types[name] == "int64":
                    hint = "set the column's type to categorical, which keeps its digits"
                    message = f"{place}: {value} is beyond 64 bits"
                    return problem("too-long", message, where, hint, quotes=(value,))
                message = f"{place}: {value} cannot be kept as {self.types[name]}"
                hint = "mend it, or leave the column out"
                return problem("cell", message, where, hint, quotes=(value,))
        text = str(error).splitlines()[0]
        return problem("cell", text, where, quotes=(text,))


def _files(path: Path) -> list[tuple[str, Path]]:
    if not path.is_dir():
        return [("", path)]
    names = {item.relative_to(path).as_posix(): item for item in path.rglob("*") if item.is_file()}
    return [(name, names[name]) for name in sorted(names)]


def _open(name: str, path: Path, spec: ParquetSource) -> _Part:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Without the schema that Arrow's writer leaves beside Parquet's own, dictionaries and the
        # like would be plain; with it they are what was written, and become plain all the same.
        file = pq.ParquetFile(path, pre_buffer=False)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(_shown(name, spec), error) from None
    return _Part(
        name=name, file=file, partitions=dict(partitions_of(name)) if spec.options.hive else {}
    )


def _chosen(part: _Part, spec: ParquetSource) -> list[str] | None:
    if not spec.options.exclude:
        return None
    return [name for name in part.file.schema_arrow.names if name not in spec.options.exclude]


def _fields(part: _Part, spec: ParquetSource) -> dict[str, pa.DataType]:
    """The columns of a file and their types, by their names in NFC."""
    place, found = _shown(part.name, spec), dict[str, Any]()
    kept = [field for field in part.file.schema_arrow if field.name not in spec.options.exclude]
    for number, field in enumerate(kept, 1):
        name = unicodedata.normalize("NFC", field.name.strip()) or f"column_{number}"
        if name in found:
            hint = "leave them out with data.source.options.exclude"
            raise _fault("columns", f"{place} has two columns {name!r}", _PATH, hint)
        found[name] = field.type
    nested = [
        problem(
            "nested",
            f"{place}: {name!r} holds {_plain(kind)}, which is no cell of a table",
            _PATH,
            f"leave it out: data.source.options.exclude=[{name}]",
        )
        for name, kind in found.items()
        if storage_of(kind) is None
    ]
    if nested:
        raise CompileError(nested)
    return found


def _plain(kind: pa.DataType) -> str:
    import pyarrow as pa

    rules = (
        (pa.types.is_struct, "objects"),
        (pa.types.is_map, "maps"),
        (pa.types.is_nested, "lists"),
    )
    told = next((word for fits, word in rules if fits(kind)), "bytes")
    return f"{told} ({str(kind)[:60]})"


def _one_schema(
    parts: list[_Part], fields: list[dict[str, pa.DataType]], spec: ParquetSource
) -> dict[str, str]:
    """The storage types of the columns, which all files must share."""
    types: dict[str, str] = {}
    first: dict[str, str] = {}
    found: list[Problem] = []
    for part, own in zip(parts, fields, strict=True):
        place = _shown(part.name, spec)
        missing = [name for name in fields[0] if name not in own]
        more = [name for name in own if name not in fields[0]]
        for name, (has, lacks) in {
            **dict.fromkeys(missing, (parts[0].name, part.name)),
            **dict.fromkeys(more, (part.name, parts[0].name)),
        }.items():
            message = f"{spec.path}: {has} has a column {name!r}, and {lacks} has not"
            hint = f"leave it out: data.source.options.exclude=[{name}]"
            found.append(problem("unlike-files", message, _PATH, hint))
        for name, kind in own.items():
            storage = storage_of(kind)
            assert storage is not None
            if types.get(name, NOTHING) == NOTHING:
                types[name], first[name] = storage, f"{kind} in {part.name}"
            elif storage not in (types[name], NOTHING):
                message = f"{place}: {name!r} is {kind}, and {first[name]}"
                hint = "write the files with one schema, or leave the column out (options.exclude)"
                found.append(problem("unlike-files", message, _PATH, hint))
    if found:
        raise CompileError(found[:20])
    return {name: "float64" if found == NOTHING else found for name, found in types.items()}


def _folder_types(parts: list[_Part], wanted: Mapping[str, str]) -> dict[str, str]:
    """The types of the columns that folders make, by the rules for cells of text."""
    import pyarrow as pa

    types = {}
    for name in parts[0].partitions:
        guess = Guess(wanted.get(name))
        guess.see(Texts(values=pa.array([part.partitions[name] for part in parts], pa.string())))
        types[name] = "string" if guess.too_long else guess.type
    return types


def _repeated(text: str | None, type_name: str, rows: int) -> pa.Array:
    import pyarrow as pa

    value = cast(pa.array([text], pa.string()), type_name)
    return (
        pa.nulls(rows, arrow_type(type_name))
        if value is None
        else value.take(pa.array([0] * rows, pa.int32()))
    )


def _check_exclude(spec: ParquetSource, parts: list[_Part]) -> None:
    names = list(dict.fromkeys(name for part in parts for name in part.file.schema_arrow.names))
    found = [
        no_column(name, (*_EXCLUDE, str(position)), names)
        for position, name in enumerate(spec.options.exclude)
    ]
    if problems := [item for item in found if item is not None]:
        raise CompileError(problems)


def _check_replace(spec: ParquetSource, types: Mapping[str, str]) -> None:
    found = [
        problem(
            "option",
            f"the column holds {types[name]}, and only texts are replaced",
            (*_REPLACE, name),
            f"data.columns.{name}.type=categorical reads its values as texts",
        )
        for name in spec.options.replace
        if types[name] != "string"
    ]
    if found:
        raise CompileError(found)


def _shown(name: str, spec: ParquetSource) -> str:
    return f"{spec.path}: {name}" if name else spec.path


def _unreadable(place: str, error: Exception) -> CompileError:
    text = str(error).strip().splitlines()[0]
    if "magic bytes" in text or "smaller than the minimum" in text or "size is 0" in text:
        return _fault("source", f"{place} is not a Parquet file, or is cut off")
    return _fault("source", f"{place} cannot be read as Parquet: {text[:200]}")


def _fault(code: str, message: str, where: KeyPath = _PATH, hint: str = "") -> CompileError:
    return CompileError([problem(code, message, where, hint)])


KIND = SourceKind(
    name="parquet",
    spec=ParquetSource,
    distributions=("pyarrow",),
    snapshot=True,
    files=lambda spec, project: many_files(spec.path, project, ENDINGS),
    location=lambda spec: str(spec.path),
    complaints=lambda spec: (
        *path_problems(spec.path),
        *marks_problems(Map(), spec.options.replace),
    ),
    scan=scan,
    read=read,
)
