"""Outcomes: feedback from a file becomes lines of a service's log, whole or not at all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from mlops_compile.ir.digest import digest_of
from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.reference import Reference
from mlops_compile.ir.value import Map, canonical
from mlops_compile.monitor.log import TIME

_VERSION = 1
_MOST = 10  # rows that are named
_LONGEST = 140  # letters of an id: 128, and the number of a record


def outcomes(
    file: Path, names: tuple[str, str, str | None], reference: Reference, now: datetime
) -> tuple[str, bytes, int]:
    """The name of a file of feedback, its lines, and how many they are; `names` are the columns of
    ids, truths and, where there is one, times (else `now`). The same file has the same name.
    CompileError with every row that is wrong."""
    table = _read(file, names)
    of_id, of_truth, of_time = names
    ids = [None if one is None else str(one) for one in table[of_id].to_pylist()]
    truths = _truths(table[of_truth], reference)
    times: list[str | None] = [_written(now)] * len(ids)
    if of_time:
        times = _times(table[of_time])
    if found := [*_wrong(file, ids, truths, times, reference)]:
        raise CompileError(found)
    lines = [
        canonical(Map({"v": _VERSION, "id": one, "time": time, "truth": truth}))
        for one, time, truth in zip(ids, times, truths, strict=True)
    ]
    own = digest_of(file.read_bytes() + repr(names).encode()).sha256[:16]
    return f"feedback-import-{own}.jsonl", b"".join(line + b"\n" for line in lines), len(lines)


def _texts(names: tuple[str, str, str | None], file: Path) -> pa.Table:
    """A csv file, its ids and truths as they are written."""
    texts = dict.fromkeys((name for name in names[:2] if name), pa.string())
    options = pyarrow.csv.ConvertOptions(column_types=texts, strings_can_be_null=True)
    return pyarrow.csv.read_csv(file, convert_options=options)


def _read(file: Path, names: tuple[str, str, str | None]) -> pa.Table:
    readers = {
        ".csv": partial(_texts, names),
        ".jsonl": pyarrow.json.read_json,
        ".ndjson": pyarrow.json.read_json,
        ".parquet": pyarrow.parquet.read_table,
    }
    if file.suffix not in readers:
        hint = f"a file of feedback ends in {', '.join(readers)}"
        raise CompileError([problem("unreadable", f"{file} is of no known format", hint=hint)])
    if not file.is_file():
        raise CompileError([problem("unreadable", f"{file} is not there, or is no file")])
    try:
        table = readers[file.suffix](file)
    except (OSError, pa.ArrowInvalid) as error:
        message = f"{file} cannot be read: {str(error).splitlines()[0]}"
        raise CompileError([problem("unreadable", message)]) from None
    if not table.num_rows:
        raise CompileError([problem("empty", f"{file} holds no rows")])
    if twice := [name for name in names if table.column_names.count(str(name)) > 1]:
        message = f"{file} has the column {twice[0]!r} twice"
        raise CompileError([problem("columns", message, hint="leave one of them out")])
    if missing := [name for name in names if name and name not in table.column_names]:
        held = ", ".join(map(repr, table.column_names))
        hint = "name them with --id, --truth and --time"
        message = f"{file} has no column {' and '.join(map(repr, missing))}; it has {held}"
        raise CompileError([problem("no-column", message, hint=hint)])
    return table


def _truths(values: pa.ChunkedArray, reference: Reference) -> list[str | float | None]:
    """Classes as the model has them, or finite numbers, else the text that stands there; None where
    there is none."""
    if reference.classes:
        classes = {name.lower(): name for name in reference.classes}
        is_logical = {*classes} == {"true", "false"}
        return [_class(value, classes if is_logical else {}) for value in values.to_pylist()]
    return [_number(value) for value in values.to_pylist()]


def _number(value: object) -> float | str | None:
    if value is None:
        return None
    try:
        number = float(str(value))
    except ValueError:
        return str(value)
    return number if math.isfinite(number) else str(value)


def _class(value: object, logical: Mapping[str, str]) -> str | None:
    """A whole number is the text of one, a truth value that of the class."""
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return logical.get(str(value).lower(), str(value))


def _times(values: pa.ChunkedArray) -> list[str | None]:
    """Times and dates, and texts that are such (ISO 8601, UTC unless they have a zone); None for
    what is none, numbers among it."""
    if pa.types.is_temporal(values.type):
        moments = pc.cast(values, TIME).to_pylist()
        return [None if moment is None else _written(moment) for moment in moments]
    return [_time(value) for value in values.to_pylist()]


def _time(value: object) -> str | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if found is None:
        return None
    return _written((found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC))


def _written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"


def _wrong(
    file: Path,
    ids: list[str | None],
    truths: list[str | float | None],
    times: list[str | None],
    reference: Reference,
) -> Iterator[Problem]:
    """The rows that are none, the first of them by number."""
    classes = {*reference.classes}
    known = f"is one of {', '.join(reference.classes[:10])}" if classes else "is a finite number"
    count = 0
    for number, (one, truth, time) in enumerate(zip(ids, truths, times, strict=True), 1):
        why = hint = ""
        if not one or len(one) > _LONGEST:
            why = "has no id of a prediction"
            hint = "the service's answer has it, as `id`"
        elif truth is None or (isinstance(truth, str) and truth not in classes):
            why = f"has the truth {truth!r}" if truth is not None else "has no truth"
            hint = f"a truth {known}"
        elif time is None:
            why = "has no time that can be read"
            hint = "write it as 2026-11-26T12:00:00Z"
        count += bool(why)
        if why and count <= _MOST:
            yield problem("wrong-value", f"{file}: row {number} {why}", hint=hint)
    if count > _MOST:
        yield problem("wrong-value", f"{file}: {count - _MOST} more rows are wrong")
