"""Head: the first rows of data, read as far as it is told how, and the facts of all its rows."""

from __future__ import annotations

import contextlib
import csv
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mlops_compile.ir.digest import digest_of
from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.schema import declared
from mlops_compile.ir.source import Source
from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.arrive import Sample
from mlops_compile.steps.number_marks import number_marks, without_marks
from mlops_compile.steps.sources import SOURCES
from mlops_compile.steps.sources.csv import scan
from mlops_compile.steps.sources.delimited.faults import reason
from mlops_compile.steps.sources.delimited.lines import dialect
from mlops_compile.steps.sources.delimited.options import CsvOptions, CsvSource
from mlops_compile.steps.sources.delimited.rows import open_rows
from mlops_compile.steps.sources.encodings import is_wide, marked
from mlops_compile.steps.sources.kind import Facts
from mlops_compile.steps.sources.marks import MISSING, Marks
from mlops_compile.steps.sources.unpacking import UNREADABLE, Packed, open_unpacked
from mlops_compile.steps.tables import read_table

_HEAD_BYTES = 1 << 18
_LOOK_ROWS = 200_000
_SEPARATORS = (",", ";", "\t", "|")
_COMMENT = "#"
_MARKS = ("?", "-", "--", ".", "#N/A", "n/a", "none", "None", "(null)", "NULL", "unknown", "-999")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The first rows of data as trimmed texts, none where a value is missing; the facts of all
    rows; and the options to read it with that are not the usual."""

    frame: pd.DataFrame
    facts: Facts
    options: tuple[tuple[str, Value], ...]


def read_head(sample: Sample, target: str) -> Head:
    """The head of data that holds a target. CompileError for what cannot be read, or does not hold
    it."""
    if sample.spec.kind == "csv":
        return _delimited(sample, target)
    return _typed(sample, target)


def _delimited(sample: Sample, target: str) -> Head:
    """The head of delimited text: how it is written is guessed where it is not stated."""
    spec: CsvSource = sample.spec
    options = _options(sample)
    frame = _frame(sample.path, replace(spec, options=options), target)
    if frame.empty:
        raise CompileError([problem("empty", f"{spec.path} has a header and no rows")])
    known = (*options.missing, *_MARKS)
    numbers = options.numbers
    if not sample.stated & {"decimal", "thousands"}:
        numbers = number_marks(frame, known, options.separator)
        options = replace(options, decimal=numbers.decimal, thousands=numbers.thousands or None)
    frame = without_marks(frame, known, numbers)
    if "missing" not in sample.stated:
        options = replace(options, missing=(*MISSING, *_missing_marks(frame)))
    facts = scan((sample.path,), replace(spec, options=options), {}, target)
    marks = options.marks(list(map(str, frame.columns)))
    for name in map(str, frame.columns):
        frame[name] = frame[name].mask(frame[name].isin(["", *marks.missing(name)]))
    return Head(frame=frame, facts=facts, options=_unusual(options))


def _typed(sample: Sample, target: str) -> Head:
    """The head of data whose columns have names and types."""
    spec, source = sample.spec, SOURCES[sample.spec.kind]
    facts = source.scan((sample.path,), spec, {}, target)
    with tempfile.TemporaryDirectory(prefix="mlops-") as made:
        table = Path(made) / "table"
        nowhere = Source(
            kind=spec.kind,
            location="",
            digest=digest_of(b""),
            rows=facts.rows,
            columns=facts.columns,
        )
        source.read((sample.path,), spec, nowhere, table)
        frame = _texts(read_table(table).slice(0, _LOOK_ROWS))
    if target not in frame.columns:
        raise CompileError([_no_target(target, list(frame.columns), True)])
    return Head(frame=frame, facts=facts, options=_unusual(getattr(spec, "options", None)))


def _unusual(options: Any) -> tuple[tuple[str, Value], ...]:
    """The options that are not their defaults, in the order of their declaration."""
    if options is None:
        return ()
    held = [(item, getattr(options, item.name)) for item in declared(type(options))]
    return tuple((item.name, value) for item, value in held if value != item.default)


def _texts(table: pa.Table) -> pd.DataFrame:
    """Values as the texts that they would be in a csv file."""
    columns = {name: pc.cast(table[name], pa.string()) for name in table.column_names}
    return pd.DataFrame({name: texts.to_pandas() for name, texts in columns.items()}, dtype="str")


def _options(sample: Sample) -> CsvOptions:
    """How to read a file: encoding, remarks, separator and header, from its first rows."""
    given, shown, stated = sample.spec.options, sample.spec.path, sample.stated
    head = _first_bytes(sample.path, shown)
    encoding = given.encoding if "encoding" in stated else marked(head) or _encoding(head)
    if b"\0" in head and not is_wide(encoding):
        raise CompileError([problem("binary", f"{shown} is a binary file, not delimited text")])
    lines = head.decode(encoding, errors="replace").removeprefix("\ufeff").splitlines()
    if len(head) == _HEAD_BYTES:
        lines = lines[:-1]  # it may be cut off
    lines = [line for line in lines[given.skip :] if line.strip()][:200]
    separators = (given.separator,) if "separator" in stated else _SEPARATORS
    comment = given.comment if "comment" in stated else _comment(lines, given, separators)
    lines = [line for line in lines if comment is None or not line.startswith(comment)]
    if not lines:
        message = f"{shown} has no row of text in its first {_HEAD_BYTES} bytes"
        raise CompileError([problem("csv", message)])
    separator = _separator(lines, given, separators)
    options: CsvOptions = replace(given, encoding=encoding, comment=comment, separator=separator)
    first = [cell.strip() for cell in next(iter(_cut(lines, options)), [])]
    return replace(options, header=_has_header(first, options, shown, "header" in stated))


def _first_bytes(path: Path, shown: str) -> bytes:
    try:
        with open_unpacked(path) as stream:
            head = stream.read(_HEAD_BYTES)
    except Packed as error:
        raise CompileError(
            [problem("packed", f"{shown} {error.message}", (), error.hint)]
        ) from None
    except UNREADABLE as error:
        raise CompileError(
            [problem("source", f"{shown} cannot be read: {reason(error)}")]
        ) from None
    if not head.strip():
        raise CompileError([problem("empty", f"{shown} is empty")])
    return head


def _has_header(first: list[str], options: CsvOptions, shown: str, is_stated: bool) -> bool:
    """Whether the first row holds names. CompileError where it does not, and none are given."""
    columns = options.columns
    if columns and len(columns) != len(first):
        message = f"--columns names {len(columns)} columns, and {shown} has {len(first)}"
        raise CompileError([problem("columns", message)])
    if is_stated:
        return options.header
    if columns:
        return first == list(columns)
    if any(_is_number(cell) for cell in first):
        message = f"the first row of {shown} looks like data, not like names"
        raise CompileError([problem("header", message, hint="name the columns: --columns a,b,c")])
    return True


def _encoding(head: bytes) -> str:
    for encoding in ("utf-8", "cp1252"):
        try:
            # a character may be cut off at the end of the head
            head[: len(head) - 4 if len(head) == _HEAD_BYTES else len(head)].decode(encoding)
            return encoding
        except UnicodeDecodeError:
            continue
    return "latin-1"


def _cut(lines: list[str], options: CsvOptions) -> list[list[str]]:
    """The cells of lines, as far as they are rows."""
    found: list[list[str]] = []
    with contextlib.suppress(csv.Error):  # is said by what reads the rows
        found.extend(csv.reader(lines, **dialect(options)))
    return found


def _comment(lines: list[str], options: CsvOptions, separators: tuple[str, ...]) -> str | None:
    """What remarks above the names begin with: these are cut into other cells than the rows are."""
    rest = [line for line in lines if not line.startswith(_COMMENT)]
    if not rest or not lines[0].startswith(_COMMENT):
        return None
    separated = replace(options, separator=_separator(rest, options, separators))
    remark, names = (_cut([line], separated) for line in (lines[0], rest[0]))
    return _COMMENT if list(map(len, remark)) != list(map(len, names)) else None


def _separator(lines: list[str], options: CsvOptions, separators: tuple[str, ...]) -> str:
    """The separator that cuts the most rows into the same number of cells, above one."""

    def score(separator: str) -> tuple[float, int]:
        counts = [len(row) for row in _cut(lines, replace(options, separator=separator))]
        usual = max(set(counts), key=counts.count, default=0)
        return (counts.count(usual) / len(counts) if usual > 1 else 0.0, usual)

    return max(separators, key=score)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _frame(path: Path, spec: CsvSource, target: str) -> pd.DataFrame:
    """The file's texts, trimmed and replaced; of the first rows only where there are very many."""
    names, batches = open_rows(path, spec)
    if target not in names:
        raise CompileError([_no_target(target, names, bool(spec.options.columns))])
    marks = Marks((), Map(), spec.options.replace, names)
    parts: dict[str, list[pa.Array]] = {name: [] for name in names}
    rows = 0
    for batch in batches:
        for name, column in zip(names, batch.columns, strict=True):
            parts[name].append(pc.fill_null(marks.clean(name, column).cells, ""))
        rows += batch.num_rows
        if rows >= _LOOK_ROWS:
            break
    columns = {name: pa.chunked_array(texts, pa.string()) for name, texts in parts.items()}
    return pd.DataFrame({name: texts.to_pandas() for name, texts in columns.items()}, dtype="str")


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
