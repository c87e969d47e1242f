"""One table in every form: csv in any dialect, packed or not, JSON lines and Parquet are read as
the same facts and, with their columns in one order, as the same bytes."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import json
import math
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_compile.ir.digest import digest_of
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.source import Source
from mlops_compile.ir.value import Map, freeze
from mlops_compile.steps.sources import SOURCES
from mlops_compile.steps.sources.cells import arrow_type
from mlops_compile.steps.sources.kind import Facts
from mlops_compile.steps.sources.marks import MISSING

Columns = dict[str, tuple[str, list[Any]]]  # the storage type of each, and its values
_LETTERS = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Zs"))
_INSIDE = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")) | st.sampled_from(
    "\n;,\"'|"
)
_TIMES = st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1))
_VALUES = {
    "bool": st.booleans(),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "float64": st.floats(allow_nan=False, allow_infinity=False),
    "timestamp": _TIMES,
    "timestamp_utc": _TIMES.map(lambda time: time.replace(tzinfo=datetime.UTC)),
    # A letter in front keeps a text from looking like anything else.
    "string": st.builds(
        lambda a, b, c: f"x{a}{b}{c}", _LETTERS, st.text(_INSIDE, max_size=4), _LETTERS
    ),
}


@st.composite
def columns(draw: st.DrawFn) -> Columns:
    """A table of two to four columns, each with a value somewhere."""
    rows, made = draw(st.integers(1, 6)), {}
    for name in "abcd"[: draw(st.integers(2, 4))]:
        sort = draw(st.sampled_from(sorted(_VALUES)))
        values = draw(st.lists(st.none() | _VALUES[sort], min_size=rows, max_size=rows))
        values[draw(st.integers(0, rows - 1))] = draw(_VALUES[sort])
        if sort == "string":
            values = [v if v is None else unicodedata.normalize("NFC", v) for v in values]
        made[name] = (sort, values)
    return made


@st.composite
def dialects(draw: st.DrawFn) -> dict[str, Any]:
    """Options of csv under which every table can be written."""
    separator = draw(st.sampled_from(",;\t|"))
    return {
        "separator": separator,
        "quote": draw(st.sampled_from("\"'")),
        "encoding": draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])),
        "decimal": draw(st.sampled_from([".", ","])),
        "header": draw(st.booleans()),
        "skip": draw(st.integers(0, 2)),
    }


def _text(value: Any, options: dict[str, Any], mark: str) -> str:
    """A cell of a csv file."""
    if value is None:
        return mark
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value).replace(".", options["decimal"])
    return str(value)


def _csv(made: Columns, options: dict[str, Any], mark: str, end: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(
        text,
        delimiter=options["separator"],
        quotechar=options["quote"],
        lineterminator=end,
    )
    text.write(f"made by a test{end}" * options["skip"])
    if options["header"]:
        writer.writerow(made)
    for row in zip(*(values for _, values in made.values()), strict=True):
        writer.writerow([_text(value, options, mark) for value in row])
    return text.getvalue().encode(options["encoding"])


def _jsonl(made: Columns, leave_out: bool) -> bytes:
    lines = []
    for row in zip(*(values for _, values in made.values()), strict=True):
        cells = dict(zip(made, row, strict=True))
        held = {
            name: str(value) if isinstance(value, datetime.datetime) else value
            for name, value in cells.items()
            if value is not None or not leave_out
        }
        lines.append(json.dumps(held, ensure_ascii=leave_out) + "\n")
    return "".join(lines).encode()


def _read(path: Path, kind: str, target: str, **options: Any) -> tuple[Facts, bytes]:
    """The facts of a file, and its table as it is kept."""
    source = SOURCES[kind]
    keys = Map({"kind": kind, "path": path.name, "options": freeze(options)})
    spec, out = from_value(source.spec, keys), path.with_suffix(".table")
    facts = source.scan((path,), spec, {}, target)
    pinned = Source(
        kind=kind, location="", digest=digest_of(b""), rows=facts.rows, columns=facts.columns
    )
    source.read((path,), spec, pinned, out)
    return facts, out.read_bytes()


@settings(max_examples=30)
@given(columns(), dialects(), st.sampled_from(MISSING[1:]), st.sampled_from(["\n", "\r\n"]))
def test_one_table_in_every_form(
    tmp_path_factory: Any, made: Columns, options: dict[str, Any], mark: str, end: str
) -> None:
    folder = tmp_path_factory.mktemp("forms")
    schema = pa.schema([(name, arrow_type(sort)) for name, (sort, _) in made.items()])
    arrays = [
        pa.array(values, field.type)
        for (_, values), field in zip(made.values(), schema, strict=True)
    ]
    pq.write_table(pa.table(arrays, schema=schema), folder / "t.parquet")
    facts, table = _read(folder / "t.parquet", "parquet", "a")
    assert [(fact.name, fact.type) for fact in facts.columns] == [
        (name, sort) for name, (sort, _) in made.items()
    ]
    if not any(isinstance(v, float) and math.isnan(v) for _, vs in made.values() for v in vs):
        assert pa.ipc.open_file(table).read_all().equals(pa.table(arrays, schema=schema))

    told = {**options, **({} if options["header"] else {"columns": list(made)})}
    data = _csv(made, options, mark, end)
    packed = pa.compress(data, codec="zstd", asbytes=True)
    for name, content in (("t.csv", data), ("t.gz", gzip.compress(data)), ("t.zst", packed)):
        (folder / name).write_bytes(content)
        assert _read(folder / name, "csv", "a", **told) == (facts, table), name
    for leave_out in (False, True):
        (folder / "t.jsonl").write_bytes(_jsonl(made, leave_out))
        assert _read(folder / "t.jsonl", "jsonl", "a") == (facts, table)
