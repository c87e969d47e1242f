"""Columns of the input that are kept stand beside the answers, whatever is read and written."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.bundles import LEVEL, NUMBER, TIME, Made, csv_text
from tests.test_batch import NAMES, Command, command, made  # noqa: F401  # fixtures

ID, OTHER = "id, \"of\" 'it'", "k0"
KEEP = ("--keep", ID, "--keep", OTHER)


def _rows(made: Made) -> list[dict[str, Any]]:  # noqa: F811
    """Held-out rows with an id, and with a column that a record has a like attribute of."""
    rows = made.held_out()[0][:40]
    return [{**row, ID: f"a,{n}\n", OTHER: n if n % 3 else None} for n, row in enumerate(rows)]


def _write(command: Command, rows: list[dict[str, Any]]) -> None:  # noqa: F811
    place = command.place
    (place / "in.csv").write_text(csv_text(rows, [ID, *NAMES, OTHER, "left"]), "utf-8")
    (place / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    columns = {name: [row.get(name) for row in rows] for name in (ID, *NAMES, OTHER)}
    times = [None if t is None else datetime.datetime.fromisoformat(t) for t in columns[TIME]]
    pq.write_table(
        pa.table({**columns, TIME: pa.array(times, pa.timestamp("ns"))}), place / "in.parquet"
    )


def _read(command: Command, sort: str) -> list[dict[str, Any]]:  # noqa: F811
    """The answers; None for what a sort of file has no value for."""
    file = command.place / f"out.{sort}"
    if sort == "csv":
        names, *rows = command.answers("out.csv")
        assert names[:4] == ["row", ID, OTHER, "prediction"]
        return [{n: v or None for n, v in zip(names, row, strict=True)} for row in rows]
    if sort == "jsonl":
        return [json.loads(line) for line in file.read_text("utf-8").split("\n") if line]
    return pq.read_table(file).to_pylist()


@pytest.mark.parametrize("written", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("read", ["csv", "jsonl", "parquet"])
def test_they_are_the_rows_own(command: Command, made: Made, read: str, written: str) -> None:  # noqa: F811
    rows = _rows(made)
    _write(command, rows)
    said = command(f"in.{read}", "-o", f"out.{written}", *KEEP)
    assert ("'left'" in said) == (read == "csv") and ID not in said
    found = _read(command, written)
    assert [row[ID] for row in found] == [row[ID] for row in rows]
    kept = [row[OTHER] for row in found]
    if read != "csv" and (written == "jsonl" or (read, written) == ("parquet", "parquet")):
        assert kept == [row[OTHER] for row in rows]  # numbers stay numbers
    else:
        assert [value or None for value in kept] == [
            None if row[OTHER] is None else str(row[OTHER]) for row in rows
        ]
    wanted = made.held_out()[1]["p1"][:40]
    assert [float(row["probability"]) for row in found] == wanted


@pytest.mark.parametrize("read", ["csv", "jsonl"])
def test_rows_that_are_set_aside_take_theirs_with_them(
    command: Command,  # noqa: F811
    made: Made,  # noqa: F811
    read: str,
) -> None:
    rows = _rows(made)
    rows[3][NUMBER], rows[20][NUMBER] = "odd", "odd"
    _write_texts(command, rows)
    command(f"in.{read}", "-o", "out.csv", *KEEP, "--aside", "odd.jsonl", exit_code=4)
    found = _read(command, "csv")
    left = [row for n, row in enumerate(rows) if n not in (3, 20)]
    assert [row[ID] for row in found] == [row[ID] for row in left]


def _write_texts(command: Command, rows: list[dict[str, Any]]) -> None:  # noqa: F811
    (command.place / "in.csv").write_text(csv_text(rows, [ID, *NAMES, OTHER]), "utf-8")
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (command.place / "in.jsonl").write_text(lines, "utf-8")


def test_a_column_of_the_contract_may_be_kept(command: Command, made: Made) -> None:  # noqa: F811
    rows = _rows(made)
    _write(command, [{n: v for n, v in row.items() if n not in (ID, OTHER)} for row in rows])
    command("in.jsonl", "-o", "out.jsonl", "--keep", LEVEL, "--keep", TIME)
    found = _read(command, "jsonl")
    assert [row[LEVEL] for row in found] == [row.get(LEVEL) for row in rows]
    assert [row[TIME] for row in found] == [row[TIME] for row in rows]


def test_what_cannot_be_kept_is_told(command: Command, made: Made) -> None:  # noqa: F811
    rows = _rows(made)
    _write(command, rows)
    said = command("in.csv", "-o", "out.csv", "--keep", "row", exit_code=2)
    assert "--keep row: answers have a column of their own of that name" in said
    for read in ("csv", "parquet"):
        said = command(f"in.{read}", "-o", "out.csv", "--keep", "nothing", exit_code=3)
        assert "there is no column 'nothing'" in said
    said = command("in.jsonl", "-o", "out.csv", "--keep", ID, exit_code=3)
    assert f"unknown field `{OTHER}`" in said
