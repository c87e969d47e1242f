"""Head: the first rows of a file, read without being told how, and the facts of all its rows."""

from __future__ import annotations

import csv
import io
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mlops_compile.ir.digest import digest_of
from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.source import Source
from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.number_marks import number_marks, without_marks
from mlops_compile.steps.sources import SOURCES
from mlops_compile.steps.sources.csv import scan
from mlops_compile.steps.sources.delimited.faults import reason
from mlops_compile.steps.sources.delimited.lines import Rest
from mlops_compile.steps.sources.delimited.options import CsvOptions, CsvSource
from mlops_compile.steps.sources.encodings import marked
from mlops_compile.steps.sources.kind import Facts, link_tree
from mlops_compile.steps.sources.marks import MISSING
from mlops_compile.steps.sources.unpacking import UNPACKING, UNREADABLE, Packed, open_unpacked
from mlops_compile.steps.tables import read_table

_HEAD_BYTES = 1 << 18
_LOOK_ROWS = 200_000
_SEPARATORS = (",", ";", "\t", "|")
_COMMENT = "#"
_MARKS = ("?", "-", "--", ".", "#N/A", "n/a", "none", "None", "(null)", "NULL", "unknown", "-999")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The first rows of a file as trimmed texts, none where a value is missing; the facts of all
    rows; the kind of source that it is, and the options to read it with that are not the usual."""

    kind: str
    frame: pd.DataFrame
    facts: Facts
    options: tuple[tuple[str, Value], ...]


def read_head(
    file: Path, target: str, columns: Sequence[str] = (), exclude: Sequence[str] = ()
) -> Head:
    """The head of a file that holds a target. CompileError for one that cannot be read, or does
    not hold it."""
    if (kind := _other_kind(file)) is not None:
        return _typed(file, target, columns, exclude, kind)
    if exclude:
        message = f"--exclude is for Parquet and JSON lines, and {file} is neither"
        hint = "of delimited text, a column is left out by its role: ignore, in the new project"
        raise CompileError([problem("columns", message, hint=hint)])
    options = _options(file, columns)
    try:
        frame = _frame(file, options)
    except (ValueError, pd.errors.ParserError) as error:
        scan((file,), _source(file, options), {}, target)  # says it by the line
        last = str(error).strip().splitlines()[-1]
        message = f"{file} cannot be read as delimited text: {last}"
        raise CompileError([problem("csv", message)]) from None
    if frame.empty:
        raise CompileError([problem("empty", f"{file} has a header and no rows")])
    if target not in frame.columns:
        raise CompileError([_no_target(target, list(frame.columns), bool(columns))])
    numbers = number_marks(frame, (*MISSING, *_MARKS), str(options["separator"]))
    frame = without_marks(frame, (*MISSING, *_MARKS), numbers)
    marks = _missing_marks(frame)
    options |= {"missing": (*MISSING, *marks)} if marks else {}
    options |= {"decimal": numbers.decimal, "thousands": numbers.thousands or None}
    facts = scan((file,), _source(file, options), {}, target)
    return _head("csv", frame, facts, options, marks)


def _head(
    kind: str, frame: pd.DataFrame, facts: Facts, options: dict[str, Value], marks: Sequence[str]
) -> Head:
    usual = CsvOptions()
    unusual = {name: value for name, value in options.items() if value != getattr(usual, name, ())}
    known = frame.mask(frame.isin([*MISSING, *marks]))
    return Head(kind=kind, frame=known, facts=facts, options=tuple(unusual.items()))


def _other_kind(file: Path) -> str | None:
    """The kind of source that a folder or a file's beginning tells, where that is not csv."""
    if file.is_dir():
        return "parquet"
    try:
        with open_unpacked(file) as stream:
            head = stream.read(_HEAD_BYTES)
    except UNPACKING:  # is said by what reads it as text
        return None
    if head.startswith(b"PAR1"):
        return "parquet"
    return "jsonl" if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{") else None


def _typed(
    file: Path, target: str, columns: Sequence[str], exclude: Sequence[str], kind: str
) -> Head:
    """The head of a file whose columns have names and types."""
    if columns:
        raise CompileError([problem("columns", f"{file} names its columns itself: no --columns")])
    source = SOURCES[kind]
    options: dict[str, Value] = {"exclude": tuple(exclude)} if exclude else {}
    keys = Map({"kind": kind, "path": str(file), "options": Map(options)})
    spec = from_value(source.spec, keys)
    files = source.files(spec, Path())
    with tempfile.TemporaryDirectory(prefix="mlops-") as made:
        room = Path(made)
        here = {place.name: place.fetch(room) for place in files.places}
        path = link_tree(room / "tree", here) if files.tree else file
        facts = source.scan((path,), spec, {}, target)
        nowhere = Source(
            kind=kind, location="", digest=digest_of(b""), rows=facts.rows, columns=facts.columns
        )
        source.read((path,), spec, nowhere, room / "table")
        frame = _texts(read_table(room / "table").slice(0, _LOOK_ROWS))
    if target not in frame.columns:
        raise CompileError([_no_target(target, list(frame.columns), True)])
    return _head(kind, frame, facts, options, ())


def _texts(table: pa.Table) -> pd.DataFrame:
    """Values as the texts that they would be in a csv file."""
    columns = {name: pc.cast(table[name], pa.string()) for name in table.column_names}
    return pd.DataFrame({name: texts.to_pandas() for name, texts in columns.items()}, dtype="str")


def _options(file: Path, columns: Sequence[str]) -> dict[str, Value]:
    """How to read the file: encoding, separator and header, from its first rows."""
    try:
        with open_unpacked(file) as stream:
            head = stream.read(_HEAD_BYTES)
    except FileNotFoundError:
        raise CompileError([problem("no-file", f"there is no file {file}")]) from None
    except Packed as error:
        raise CompileError([problem("packed", f"{file} {error.message}", (), error.hint)]) from None
    except UNREADABLE as error:
        raise CompileError([problem("source", f"{file} cannot be read: {reason(error)}")]) from None
    if not head.strip():
        raise CompileError([problem("empty", f"{file} is empty")])
    if b"\0" in head and not marked(head):
        raise CompileError([problem("binary", f"{file} is a binary file, not delimited text")])
    encoding = marked(head) or _encoding(head)
    lines = head.decode(encoding, errors="replace").splitlines()
    if len(head) == _HEAD_BYTES:
        lines = lines[:-1]  # it may be cut off
    lines = [line for line in lines if line.strip()][:200]
    if not lines:
        message = f"{file} has no line of text in its first {_HEAD_BYTES} bytes"
        raise CompileError([problem("csv", message)])
    comment = _comment(lines)
    lines = [line for line in lines if comment is None or not line.startswith(comment)]
    separator = _separator(lines)
    first = [cell.strip() for cell in next(csv.reader(lines, delimiter=separator))]
    options: dict[str, Value] = {
        "separator": separator,
        "encoding": encoding,
        "comment": comment,
    }
    if not columns:
        if any(_is_number(cell) for cell in first):
            message = f"the first row of {file} looks like data, not like names"
            hint = "name the columns: --columns a,b,c"
            raise CompileError([problem("header", message, hint=hint)])
        return {**options, "header": True}
    if len(columns) != len(first):
        message = f"--columns names {len(columns)} columns, and {file} has {len(first)}"
        raise CompileError([problem("columns", message)])
    return {**options, "header": first == list(columns), "columns": tuple(columns)}


def _encoding(head: bytes) -> str:
    for encoding in ("utf-8", "cp1252"):
        try:
            # a character may be cut off at the end of the head
            head[: len(head) - 4 if len(head) == _HEAD_BYTES else len(head)].decode(encoding)
            return encoding
        except UnicodeDecodeError:
            continue
    return "latin-1"


def _comment(lines: list[str]) -> str | None:
    """What remarks above the names begin with: these are cut into other cells than the rows are."""
    rest = [line for line in lines if not line.startswith(_COMMENT)]
    if not rest or not lines[0].startswith(_COMMENT):
        return None
    separator = _separator(rest)
    first, names = (next(csv.reader([line], delimiter=separator)) for line in (lines[0], rest[0]))
    return _COMMENT if len(first) != len(names) else None


def _separator(lines: list[str]) -> str:
    """The separator that cuts the most rows into the same number of cells, above one."""

    def score(separator: str) -> tuple[float, int]:
        counts = [len(row) for row in csv.reader(lines, delimiter=separator)]
        usual = max(set(counts), key=counts.count)
        return (counts.count(usual) / len(counts) if usual > 1 else 0.0, usual)

    return max(_SEPARATORS, key=score)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _frame(file: Path, options: dict[str, Value]) -> pd.DataFrame:
    """The file's texts, trimmed; of the first rows only where there are very many."""
    try:
        with open_unpacked(file) as stream, warnings.catch_warnings():
            # Rows that are longer than the header: `scan` refuses them by their line.
            warnings.simplefilter("ignore", pd.errors.ParserWarning)
            rows = stream if options["comment"] is None else _uncommented(stream, options)
            frame = pd.read_csv(
                rows,
                sep=str(options["separator"]),
                encoding="utf-8" if rows is not stream else str(options["encoding"]),
                header=0 if options["header"] else None,
                names=list(options["columns"]) if options.get("columns") else None,  # type: ignore[arg-type]
                dtype="str",
                keep_default_na=False,
                skipinitialspace=True,
                index_col=False,
                nrows=_LOOK_ROWS,
            )
    except UNREADABLE as error:
        raise CompileError([problem("source", f"{file} cannot be read: {reason(error)}")]) from None
    frame.columns = pd.Index(
        [
            f"column_{n}" if str(c).startswith("Unnamed: ") else str(c).strip()
            for n, c in enumerate(frame.columns, 1)
        ]
    )
    for name in frame.columns:
        frame[name] = frame[name].str.strip()
    return frame


def _uncommented(stream: IO[bytes], options: dict[str, Value]) -> IO[bytes]:
    """The lines that are no remarks, in UTF-8."""
    named = CsvOptions(
        separator=str(options["separator"]),
        encoding=str(options["encoding"]),
        comment=str(options["comment"]),
    )
    return io.BufferedReader(Rest(stream, named, 0))


def _source(file: Path, options: dict[str, Value]) -> CsvSource:
    return CsvSource(kind="csv", path=str(file), options=CsvOptions(**options))  # type: ignore[arg-type]


def _no_target(target: str, names: list[str], named: bool) -> Problem:
    hint = f"it has {', '.join(names[:30])}"
    if not named and len(names) > 1:
        hint += "; if its first row is data, name the columns with --columns"
    return problem("no-column", f"the data has no column {target!r}", ("data", "target"), hint)


def _missing_marks(frame: pd.DataFrame) -> tuple[str, ...]:
    """Texts that stand for a missing value: `?` anywhere, others where the rest are numbers."""
    found = set()
    for name in frame.columns:
        column = frame[name][~frame[name].isin(MISSING)]
        present = [mark for mark in _MARKS if (column == mark).any()]
        for mark in present:
            rest = column[column != mark]
            numbers = pd.to_numeric(rest, errors="coerce").notna()
            if mark == "?" or (mark != "-999" and len(rest) and bool(numbers.all())):
                found.add(mark)
    return tuple(sorted(found))
