"""What is wrong with a delimited file, said by the line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlops_compile.ir.problem import CompileError
from mlops_compile.steps.sources.delimited.lines import Inside, Lines, rows, text_of
from mlops_compile.steps.sources.delimited.options import OPTIONS, PATH, CsvSource, fault
from mlops_compile.steps.sources.encodings import first_fault
from mlops_compile.steps.sources.kind import where_is
from mlops_compile.steps.sources.unpacking import Packed, open_unpacked


def reason(error: Exception) -> str:
    """What one of UNREADABLE says, without the system's number for it."""
    return str(getattr(error, "strerror", None) or error)


def unreadable(error: Exception, path: Path, name: str) -> CompileError:
    """The sentence for a file that cannot be opened or unpacked: one of UNREADABLE, or Packed."""
    if isinstance(error, FileNotFoundError):
        return fault("no-file", f"there is no file {name}", PATH, where_is(path))
    if isinstance(error, Packed):
        return fault("packed", f"{name} {error.message}", PATH, error.hint)
    return fault("source", f"{name} cannot be read: {reason(error)}")


def not_text(path: Path, spec: CsvSource, error: Exception) -> CompileError:
    """The sentence for text that is not in the stated encoding, or that does not parse."""
    with open_unpacked(path) as file:
        if found := first_fault(file, spec.options.encoding):
            hint = "set data.source.options.encoding to the file's, for example to latin-1"
            return fault("encoding", f"{spec.path}{found}", (*OPTIONS, "encoding"), hint)
    check_quotes(path, spec)
    reason = str(error).splitlines()[0]
    message = f"{spec.path} cannot be read as delimited text: {reason}"
    return fault("csv", message, quotes=(reason,))


def check_quotes(path: Path, spec: CsvSource) -> None:
    """Refuse a file whose last row holds a quote that is never closed."""
    if spec.options.quote is None:
        return
    inside, opened, count = Inside(spec.options), 0, 0
    with open_unpacked(path) as file:
        lines = Lines(text_of(file, spec.options), spec.options)
        for line in lines:
            inside.see(line)
            if inside.openings > count:
                opened, count = lines.number, inside.openings
    if inside.cell:
        message = f"{spec.path}, line {opened}: a quote opens here and is never closed"
        hint = "close it, or name another character in data.source.options.quote"
        raise fault("csv", message, PATH, hint)


def ragged(row: Any, path: Path, spec: CsvSource) -> CompileError:
    """The sentence for a row (as Arrow gives it) with another number of cells."""
    number = _line_with_others(path, spec, row.expected_columns)
    line = f", line {number}" if number else ""
    cells = "1 cell" if row.actual_columns == 1 else f"{row.actual_columns} cells"
    message = f"{spec.path}{line}: {cells}, expected {row.expected_columns}"
    if "\n" in row.text:  # it runs on to the end of the file, or of a cell with line breaks
        check_quotes(path, spec)
    hint = f"the row reads {row.text[:80]!r}; mend it, or set data.source.options.separator"
    return fault("ragged-row", message, PATH, hint, (repr(row.text[:80]),))


def _line_with_others(path: Path, spec: CsvSource, cells: int) -> int | None:
    """The line on which the first row with another number of cells begins."""
    import csv

    try:
        for number, row in rows(path, spec.options):
            if row and len(row) != cells:
                return number
    except csv.Error:  # a cell beyond its limit
        return None
    return None


def line_of_row(path: Path, spec: CsvSource, row: int) -> int | None:
    """The line on which a row begins, counted from 0 behind the header."""
    import csv

    left = row + (1 if spec.options.header else 0)
    try:
        for number, cells in rows(path, spec.options):
            # Arrow leaves empty lines out, and the header is the first row that is not blank.
            if not cells or (left == row + 1 and spec.options.header and not _is_header(cells)):
                continue
            if left == 0:
                return number
            left -= 1
    except csv.Error:
        return None
    return None


def _is_header(cells: list[str]) -> bool:
    return len(cells) > 1 or bool(cells[0].strip())
