"""Delimited text files: csv, tsv and their kin, plain or packed.

Every cell is read as text first and converted by rules that are stated in `cells`, so that a cell
which does not fit is named with its line, and the same bytes always give the same types.
"""

# pyarrow is imported inside the functions that need it, to keep a warm compile free of it.

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.source import ColumnFact, Misfit, Source
from mlops_compile.steps.sources.cells import (
    IN_WORDS,
    STORED_AS,
    arrow_type,
    first_misfit,
    first_of_all,
    too_long,
)
from mlops_compile.steps.sources.delimited.faults import line_of_row
from mlops_compile.steps.sources.delimited.options import CsvSource, fault, option_problems
from mlops_compile.steps.sources.delimited.rows import open_rows
from mlops_compile.steps.sources.guesses import Guess, Levels, nearly
from mlops_compile.steps.sources.kind import Facts, SourceKind
from mlops_compile.steps.sources.places import one_file, path_problems
from mlops_compile.steps.tables import regular, write_batches

if TYPE_CHECKING:
    import pyarrow as pa


def scan(paths: tuple[Path, ...], spec: CsvSource, types: Mapping[str, str], target: str) -> Facts:
    """Rows, column types and missing values of a file, in one pass of bounded memory."""
    options = spec.options
    names, batches = open_rows(paths[0], spec)
    marks = options.marks(names)
    guesses = {name: Guess(types.get(name), options.numbers) for name in names}
    levels = Levels(options.numbers)
    rows = 0
    for batch in batches:
        rows += batch.num_rows
        for name, column in zip(names, batch.columns, strict=True):
            texts = marks.clean(name, column)
            guesses[name].see(texts)
            if name == target:
                levels.see(texts)
    if not rows:
        has = "has a header and no rows" if options.header else "is empty"
        raise fault("empty", f"{spec.path} {has}")
    if long := [name for name in names if guesses[name].too_long]:
        raise CompileError([_too_long(paths[0], spec, name) for name in long])
    return Facts(
        rows=rows,
        columns=tuple(
            ColumnFact(name=name, type=guesses[name].type, missing=guesses[name].missing)
            for name in sorted(names)
        ),
        levels=levels.names(guesses[target].type) if target in guesses else (),
        nearly=nearly(guesses),
    )


def _too_long(path: Path, spec: CsvSource, name: str) -> Problem:
    """The sentence for the first whole number of a column that 64 bits do not hold."""
    names, batches = open_rows(path, spec)
    marks = spec.options.marks(names)
    row = 0
    for batch in batches:
        texts = marks.clean(name, batch.column(names.index(name))).cells
        if (wrong := first_misfit(texts, "int64", spec.options.numbers)) is not None:
            line = _place(path, spec, row + wrong)
            return too_long(name, f"{spec.path}, {line}", texts[wrong].as_py())
        row += batch.num_rows
    raise AssertionError("a column beyond 64 bits has a number beyond 64 bits")


def misfit(paths: tuple[Path, ...], spec: CsvSource, name: str, sort: str) -> Misfit | None:
    """The first cell that keeps a column from being numeric, datetime or boolean."""
    names, batches = open_rows(paths[0], spec)
    marks, place = spec.options.marks(names), names.index(name)
    texts = (marks.clean(name, batch.column(place)).cells for batch in batches)
    if (found := first_of_all(texts, STORED_AS[sort], spec.options.numbers)) is None:
        return None
    row, text, type_name = found
    where = f"{spec.path}, {_place(paths[0], spec, row)}"
    return Misfit(place=where, text=text, wanted=IN_WORDS[type_name], sort=sort)


def read(paths: tuple[Path, ...], spec: CsvSource, source: Source, out: Path) -> None:
    """Write the file's rows as an Arrow table of the source's types."""
    import pyarrow as pa

    numbers = spec.options.numbers
    names, batches = open_rows(paths[0], spec)
    marks = spec.options.marks(names)
    types = {column.name: column.type for column in source.columns}
    if set(types) != set(names):
        raise fault("columns-changed", f"{spec.path} has other columns than the lock says")
    schema = pa.schema([(name, arrow_type(types[name])) for name in names])

    def converted() -> Iterator[pa.RecordBatch]:
        row = 0
        for batch in batches:
            columns = []
            for name, column in zip(names, batch.columns, strict=True):
                texts = marks.clean(name, column)
                done = texts.cast(types[name], numbers)
                if done is None:
                    wrong = first_misfit(texts.cells, types[name], numbers) or 0
                    line = _place(paths[0], spec, row + wrong)
                    text = texts.cells[wrong].as_py()
                    raise CompileError([_misfit(f"{spec.path}, {line}", text, name, types[name])])
                columns.append(done)
            row += batch.num_rows
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    write_batches(out, schema, regular(converted(), schema))


def _place(path: Path, spec: CsvSource, row: int) -> str:
    line = line_of_row(path, spec, row)
    return f"row {row + 1}" if line is None else f"line {line}"


def _misfit(place: str, text: str, name: str, type_name: str) -> Problem:
    message = f"{place}: {text[:40]!r} is not {IN_WORDS[type_name]}"
    hint = f"add it to data.source.options.missing, or set data.columns.{name}.type"
    where = ("data", "columns", name)
    return problem("cell", message, where, hint, quotes=(repr(text[:40]),))


KIND = SourceKind(
    name="csv",
    spec=CsvSource,
    distributions=("pyarrow",),
    snapshot=True,
    files=lambda spec, project: one_file(spec.path, project),
    location=lambda spec: str(spec.path),
    complaints=lambda spec: (*path_problems(spec.path), *option_problems(spec)),
    scan=scan,
    read=read,
    misfit=misfit,
)
