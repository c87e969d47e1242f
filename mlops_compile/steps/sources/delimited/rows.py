"""The rows of a delimited file as batches of texts, in bounded memory; Arrow reads them."""

# pyarrow is imported inside the functions that need it, to keep a warm compile free of it.

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_compile.ir.problem import CompileError
from mlops_compile.steps.sources.delimited.faults import check_quotes, not_text, ragged, unreadable
from mlops_compile.steps.sources.delimited.lines import Rest, dialect, head_lines
from mlops_compile.steps.sources.delimited.options import (
    OPTIONS,
    PATH,
    CsvSource,
    fault,
    option_problems,
)
from mlops_compile.steps.sources.encodings import is_wide, marked
from mlops_compile.steps.sources.unpacking import UNPACKING, UNREADABLE, open_unpacked

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 1 << 22
_HEAD = 1 << 20


def open_rows(path: Path, spec: CsvSource) -> tuple[list[str], Iterator[pa.RecordBatch]]:
    """The names of the columns, and the rows in batches of text. CompileError for each reason why
    there may be none."""
    options = spec.options
    if found := [*option_problems(spec)]:
        raise CompileError(found)
    first, lines = _first_row(path, spec)
    names = list(options.columns) or first
    if not options.header and not options.columns:
        names = [f"column_{number}" for number in range(1, len(first) + 1)]
    names = [_normal(name) or f"column_{number}" for number, name in enumerate(names, 1)]
    if len(names) != len(first):
        cells = ", ".join(first)[:120]
        hint = f"the first row has {len(first)} cells: {cells}"
        message = f"names {len(names)} columns, and {spec.path} has {len(first)}"
        raise fault("columns", message, (*OPTIONS, "columns"), hint, (cells,))
    if twice := sorted({name for name in names if names.count(name) > 1}):
        if options.columns:
            message = f"names two columns {twice[0]!r}"
            hint = "give each a name of its own"
            raise fault("columns", message, (*OPTIONS, "columns"), hint)
        hint = "name them with data.source.options.columns"
        raise fault("columns", f"{spec.path} has two columns {twice[0]!r}", PATH, hint)
    return names, _batches(path, spec, names, lines if options.header else options.skip)


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip())


def _batches(
    path: Path, spec: CsvSource, names: list[str], skip: int, is_threaded: bool = True
) -> Iterator[pa.RecordBatch]:
    """The rows behind the first `skip` lines, as texts, in their order."""
    import pyarrow as pa
    import pyarrow.csv

    options = spec.options
    wrong: list[Any] = []

    def refuse(row: Any) -> str:
        wrong.append(row)
        return "error"

    is_filtered = options.comment is not None
    reader_options: dict[str, Any] = {
        "read_options": pa.csv.ReadOptions(
            use_threads=is_threaded,
            block_size=_BLOCK,
            column_names=names,
            skip_rows=0 if is_filtered else skip,
            encoding="utf-8" if is_filtered else options.encoding,
        ),
        "parse_options": pa.csv.ParseOptions(
            delimiter=options.separator,
            quote_char=options.quote or False,
            double_quote=options.double_quote,
            escape_char=options.escape or False,
            newlines_in_values=True,
            ignore_empty_lines=True,
            invalid_row_handler=refuse,
        ),
        "convert_options": pa.csv.ConvertOptions(
            column_types={name: pa.string() for name in names}, strings_can_be_null=False
        ),
    }
    try:
        with ExitStack() as opened:
            file: Any = opened.enter_context(open_unpacked(path))
            if is_filtered:
                file = opened.enter_context(Rest(file, options, skip))
            last = None
            with pa.csv.open_csv(file, **reader_options) as reader:
                for last in reader:
                    yield last
        if last is not None and any("\n" in column[-1].as_py() for column in last.columns):
            check_quotes(path, spec)
    except (pa.ArrowInvalid, UnicodeError) as error:
        if wrong and is_threaded:  # which was the first, threads do not tell
            deque(_batches(path, spec, names, skip, is_threaded=False), maxlen=0)
        if wrong:
            raise ragged(wrong[0], path, spec) from None
        if str(error).startswith(("Empty CSV", "Could not skip initial")):  # nothing but a header
            return
        raise not_text(path, spec, error) from None
    except UNREADABLE as error:
        raise unreadable(error, path, spec.path) from None


def _first_row(path: Path, spec: CsvSource) -> tuple[list[str], int]:
    """The cells of the first row that is not blank, and the number of the line on which it ends;
    every reason why there may be none."""
    import csv

    options = spec.options
    head = _head(path, spec)
    try:
        lines = head_lines(head, options)
    except UnicodeError as error:
        raise not_text(path, spec, error) from None
    try:
        for row in csv.reader(iter(lines), **dialect(options)):
            if any(cell.strip() for cell in row) or len(row) > 1:
                return [cell.strip() for cell in row], lines.number
    except csv.Error as error:
        message = f"{spec.path} cannot be read as delimited text: {error}"
        hint = "is a quote left open, or another character the quote (data.source.options.quote)?"
        raise fault("csv", message, PATH, hint) from None
    if options.skip or options.comment:
        message = f"{spec.path} has no row behind what options.skip and options.comment leave out"
        raise fault("empty", message)
    raise fault("empty", f"{spec.path} is empty")


def _head(path: Path, spec: CsvSource) -> bytes:
    """The first bytes of a text; an error where they are none of one."""
    try:
        with open_unpacked(path) as file:
            head = file.read(_HEAD)
    except UNPACKING as error:
        raise unreadable(error, path, spec.path) from None
    if not head.strip():
        raise fault("empty", f"{spec.path} is empty")
    if b"\0" in head[:65536] and not is_wide(spec.options.encoding):
        if wide := marked(head):
            hint = f"set data.source.options.encoding={wide}"
            raise fault("encoding", f"{spec.path} is {wide}", (*OPTIONS, "encoding"), hint)
        hint = "of a spreadsheet, export the rows as csv"
        if head.startswith(b"PAR1"):
            hint = "it is a Parquet file: data.source.kind=parquet"
        raise fault("binary", f"{spec.path} is a binary file, not delimited text", PATH, hint)
    return head
