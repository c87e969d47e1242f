"""Delimited text files: csv, tsv and their kin, plain or gzipped.

Every cell is read as text first and converted by rules that are stated here, so that a cell which
does not fit is named with its line, and the same bytes always give the same types.
"""

# pyarrow is imported inside the functions that need it, to keep a warm compile free of it.

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.schema import group, key
from mlops_compile.ir.source import ColumnFact, Source
from mlops_compile.steps.sources.cells import Guess, Levels, arrow_type, cast, clean
from mlops_compile.steps.sources.encodings import encoding_of, first_fault, is_wide, marked
from mlops_compile.steps.sources.kind import Facts, SourceKind, where_is
from mlops_compile.steps.tables import regular, write_batches

if TYPE_CHECKING:
    import pyarrow as pa

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL")
# What opening and unpacking a file raise; a gzip that is cut off or damaged is no OSError.
UNREADABLE = (OSError, EOFError, zlib.error)
_TAB = """$'data.source.options.separator="\\t"'"""
_BLOCK = 1 << 22
_PATH = ("data", "source", "path")
_OPTIONS = ("data", "source", "options")


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvOptions:
    """How a file is to be read."""

    separator: str = key("one character between the cells of a row", default=",")
    header: bool = key("whether the first row holds the names of the columns", default=True)
    columns: tuple[str, ...] = key("names of the columns, in order; replaces a header", default=())
    encoding: str = key("name of the text's encoding", default="utf-8")
    missing: tuple[str, ...] = key("texts that stand for a missing value", default=MISSING)
    quote: str = key("the character around a cell that holds a separator", default='"')


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvSource:
    """`data.source` of a delimited text file."""

    kind: str = key("csv", choices=("csv",))
    path: str = key("the file, relative to the project; `.gz` is unpacked", filled=True, place=True)
    options: CsvOptions = group("how to read it", CsvOptions)


def files(spec: CsvSource) -> tuple[Path, ...]:
    """The one file."""
    return (Path(spec.path),)


def scan(paths: tuple[Path, ...], spec: CsvSource, types: Mapping[str, str], target: str) -> Facts:
    """Rows, column types and missing values of a file, in one pass of bounded memory."""
    names, batches = _open(paths[0], spec)
    guesses = {name: Guess(types.get(name)) for name in names}
    levels = Levels()
    rows = 0
    for batch in batches:
        rows += batch.num_rows
        for name, column in zip(names, batch.columns, strict=True):
            texts = clean(column, spec.options.missing)
            guesses[name].see(texts)
            if name == target:
                levels.see(texts)
    if not rows:
        raise _fault(
            "empty",
            f"{spec.path} has a header and no rows"
            if spec.options.header
            else f"{spec.path} is empty",
        )
    return Facts(
        rows=rows,
        columns=tuple(
            ColumnFact(name=name, type=guesses[name].type, missing=guesses[name].missing)
            for name in sorted(names)
        ),
        levels=levels.names(guesses[target].type) if target in guesses else (),
    )


def read(paths: tuple[Path, ...], spec: CsvSource, source: Source, out: Path) -> None:
    """Write the file's rows as an Arrow table of the source's types."""
    import pyarrow as pa

    names, batches = _open(paths[0], spec)
    types = {column.name: column.type for column in source.columns}
    if set(types) != set(names):
        raise _fault("columns-changed", f"{spec.path} has other columns than the lock says")
    schema = pa.schema([(name, arrow_type(types[name])) for name in names])

    def converted() -> Iterator[pa.RecordBatch]:
        line = 2 if spec.options.header else 1
        for batch in batches:
            columns = [
                _convert(clean(column, spec.options.missing), name, types[name], spec.path, line)
                for name, column in zip(names, batch.columns, strict=True)
            ]
            line += batch.num_rows
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    write_batches(out, schema, regular(converted(), schema))


def _convert(column: pa.Array, name: str, type_name: str, path: str, line: int) -> pa.Array:
    done = cast(column, type_name)
    if done is not None:
        return done
    for offset in range(len(column)):
        if cast(column.slice(offset, 1), type_name) is None:
            text = column[offset].as_py()
            message = f"{path}, about line {line + offset}: {text[:40]!r} is not {_A[type_name]}"
            hint = f"add it to data.source.options.missing, or set data.columns.{name}.type"
            where = ("data", "columns", name)
            raise CompileError([problem("cell", message, where, hint, quotes=(repr(text[:40]),))])
    raise AssertionError("a column that does not convert has a cell that does not")


_A = {
    "bool": "true or false",
    "int64": "a whole number",
    "float64": "a number",
    "timestamp": "a date or time (ISO 8601)",
    "timestamp_utc": "a time with its zone (ISO 8601)",
}


def _open(path: Path, spec: CsvSource) -> tuple[list[str], Iterator[pa.RecordBatch]]:
    """The names of the columns, and the rows in batches of text."""
    options = spec.options
    for name, value in (("separator", options.separator), ("quote", options.quote)):
        if len(value) != 1 or ord(value) > 127 or value in "\r\n":
            message = f"must be one ASCII character, not {value!r}"
            hint = ""
            if name == "separator" and value.lower() in ("tab", "t", "\\t", "tsv"):
                hint = 'a tab is "\\t" in a YAML file; in a shell: ' + _TAB
            raise _fault("option", message, (*_OPTIONS, name), hint)
    if options.separator == options.quote:
        message = f"is the same as options.quote: {options.quote!r}"
        raise _fault("option", message, (*_OPTIONS, "separator"))
    first, lines = _first_row(path, spec)
    names = list(options.columns) or first
    if not options.header and not options.columns:
        names = [f"column_{number}" for number in range(1, len(first) + 1)]
    names = [_normal(name) or f"column_{number}" for number, name in enumerate(names, 1)]
    if len(names) != len(first):
        cells = ", ".join(first)[:120]
        hint = f"the first row has {len(first)} cells: {cells}"
        message = f"names {len(names)} columns, and {spec.path} has {len(first)}"
        raise _fault("columns", message, (*_OPTIONS, "columns"), hint, (cells,))
    if twice := sorted({name for name in names if names.count(name) > 1}):
        if options.columns:
            message = f"names two columns {twice[0]!r}"
            hint = "give each a name of its own"
            raise _fault("columns", message, (*_OPTIONS, "columns"), hint)
        hint = "name them with data.source.options.columns"
        raise _fault("columns", f"{spec.path} has two columns {twice[0]!r}", _PATH, hint)
    return names, _batches(path, spec, names, lines if options.header else 0)


def _normal(name: str) -> str:
    import unicodedata

    return unicodedata.normalize("NFC", name.strip())


def _batches(path: Path, spec: CsvSource, names: list[str], skip: int) -> Iterator[pa.RecordBatch]:
    """The rows behind the first `skip` lines, as texts."""
    import pyarrow as pa
    import pyarrow.csv

    options = spec.options
    ragged: list[Any] = []

    def refuse(row: Any) -> str:
        ragged.append(row)
        return "error"

    reader_options: dict[str, Any] = {
        "read_options": pa.csv.ReadOptions(
            use_threads=False,
            block_size=_BLOCK,
            column_names=names,
            skip_rows=skip,
            encoding=options.encoding,
        ),
        "parse_options": pa.csv.ParseOptions(
            delimiter=options.separator,
            quote_char=options.quote,
            newlines_in_values=True,
            ignore_empty_lines=True,
            invalid_row_handler=refuse,
        ),
        "convert_options": pa.csv.ConvertOptions(
            column_types={name: pa.string() for name in names}, strings_can_be_null=False
        ),
    }
    try:
        with open_text(path) as file, pa.csv.open_csv(file, **reader_options) as reader:
            last = None
            for last in reader:
                yield last
        if last is not None and any("\n" in column[-1].as_py() for column in last.columns):
            _check_quotes(path, spec)
    except (pa.ArrowInvalid, UnicodeError) as error:
        if ragged:
            raise _ragged(ragged[0], path, spec) from None
        if str(error).startswith(("Empty CSV", "Could not skip initial")):  # nothing but a header
            return
        raise _unreadable(path, spec, error) from None
    except UNREADABLE as error:
        raise _fault("source", f"{spec.path} cannot be read: {reason(error)}") from None


def _check_quotes(path: Path, spec: CsvSource) -> None:
    """Refuse a file whose last row holds a quote that is never closed."""
    import csv

    options, before = spec.options, 0
    with open_text(path) as file:
        text = io.TextIOWrapper(file, encoding=options.encoding, errors="replace", newline="")
        reader = csv.reader(text, delimiter=options.separator, quotechar=options.quote, strict=True)
        try:
            for _ in reader:
                before = reader.line_num
        except csv.Error as error:
            if str(error) != "unexpected end of data":
                return
            message = f"{spec.path}, line {before + 1}: a quote opens here and is never closed"
            hint = "close it, or name another character in data.source.options.quote"
            raise _fault("csv", message, _PATH, hint) from None


def _ragged(row: Any, path: Path, spec: CsvSource) -> CompileError:
    number = _line_of(path, spec, row.expected_columns)
    line = f", line {number}" if number else ""
    cells = "1 cell" if row.actual_columns == 1 else f"{row.actual_columns} cells"
    message = f"{spec.path}{line}: {cells}, expected {row.expected_columns}"
    if "\n" in row.text:  # it runs on to the end of the file, or of a cell with line breaks
        _check_quotes(path, spec)
    hint = f"the row reads {row.text[:80]!r}; mend it, or set data.source.options.separator"
    return _fault("ragged-row", message, _PATH, hint, (repr(row.text[:80]),))


def _line_of(path: Path, spec: CsvSource, cells: int) -> int | None:
    """The line on which the first row with another number of cells begins."""
    import csv

    options, before = spec.options, 0
    with open_text(path) as file:
        text = io.TextIOWrapper(file, encoding=options.encoding, errors="replace", newline="")
        reader = csv.reader(text, delimiter=options.separator, quotechar=options.quote)
        try:
            for row in reader:
                if row and len(row) != cells:
                    return before + 1
                before = reader.line_num
        except csv.Error:  # a cell beyond its limit
            return None
    return None


def _first_row(path: Path, spec: CsvSource) -> tuple[list[str], int]:
    """The cells of the first row that is not blank, and the number of lines up to its end; every
    reason why there may be none."""
    import csv

    if encoding_of(spec.options.encoding) is None:
        message = f"there is no encoding {spec.options.encoding!r} of text files"
        raise _fault("encoding", message, (*_OPTIONS, "encoding"), "for example utf-8, latin-1")
    try:
        with open_text(path) as file:
            head = file.read(1 << 20)
    except FileNotFoundError:
        hint = where_is(path)
        raise _fault("no-file", f"there is no file {spec.path}", _PATH, hint) from None
    except UNREADABLE as error:
        raise _fault("source", f"{spec.path} cannot be read: {reason(error)}") from None
    if not head.strip():
        raise _fault("empty", f"{spec.path} is empty")
    if b"\0" in head[:65536] and not is_wide(spec.options.encoding):
        if wide := marked(head):
            hint = f"set data.source.options.encoding={wide}"
            raise _fault("encoding", f"{spec.path} is {wide}", (*_OPTIONS, "encoding"), hint)
        message = f"{spec.path} is a binary file, not delimited text"
        raise _fault("binary", message, _PATH, "of a spreadsheet, export the rows as csv")
    decoder = codecs.getincrementaldecoder(spec.options.encoding)("strict")
    try:
        text = decoder.decode(head).removeprefix("\ufeff")
    except UnicodeError as error:
        raise _unreadable(path, spec, error) from None
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=spec.options.separator, quotechar=spec.options.quote)
    try:
        for row in reader:
            if any(cell.strip() for cell in row) or len(row) > 1:
                return [cell.strip() for cell in row], reader.line_num
    except csv.Error as error:
        message = f"{spec.path} cannot be read as delimited text: {error}"
        hint = "is a quote left open, or another character the quote (data.source.options.quote)?"
        raise _fault("csv", message, _PATH, hint) from None
    raise _fault("empty", f"{spec.path} is empty")


def reason(error: Exception) -> str:
    """What one of UNREADABLE says, without the system's number for it."""
    return str(getattr(error, "strerror", None) or error)


def open_text(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked if they begin as gzip does: the name says nothing, since a
    snapshot in the store is named by its digest."""
    file = path.open("rb")
    if file.peek(2)[:2] != b"\x1f\x8b":
        return file
    file.close()
    return gzip.open(path, "rb")  # type: ignore[return-value]


def _unreadable(path: Path, spec: CsvSource, error: Exception) -> CompileError:
    """The sentence for text that is not in the stated encoding, or that does not parse."""
    with open_text(path) as file:
        if fault := first_fault(file, spec.options.encoding):
            hint = "set data.source.options.encoding to the file's, for example to latin-1"
            return _fault("encoding", f"{spec.path}{fault}", (*_OPTIONS, "encoding"), hint)
    _check_quotes(path, spec)
    reason = str(error).splitlines()[0]
    message = f"{spec.path} cannot be read as delimited text: {reason}"
    return _fault("csv", message, quotes=(reason,))


def _fault(
    code: str,
    message: str,
    where: tuple[str, ...] = _PATH,
    hint: str = "",
    quotes: tuple[str, ...] = (),
) -> CompileError:
    return CompileError([problem(code, message, where, hint, quotes=quotes)])


KIND = SourceKind(
    name="csv",
    spec=CsvSource,
    distributions=("pyarrow",),
    snapshot=True,
    files=files,
    location=lambda spec: str(spec.path),
    scan=scan,
    read=read,
)
