"""A small table with columns of every type and role, written as each kind of source."""

from __future__ import annotations

import functools
import json
import random
import sqlite3
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

ROWS = 300
MORE = 80  # rows of the table that is only tested on
COLUMNS: Mapping[str, Mapping[str, str]] = {
    "id": {"role": "id"},
    "who": {"role": "group"},
    "day": {"type": "datetime", "role": "time"},
    "part": {"role": "id"},
    "fold": {"role": "id"},
    "weight": {"role": "ignore"},
    "city": {"type": "categorical"},
    "plan": {"type": "categorical"},
    "member": {"type": "boolean"},
    "since": {"type": "datetime"},
}
JOINED = ("amount", "city")


@functools.cache
def table(task: str, first: int = 0, count: int = ROWS) -> pa.Table:
    """Rows from number `first` on, with missing values in four columns; `target` fits the task."""
    draw = random.Random(f"{task} {first}")
    rows = []
    for number in range(first, first + count):
        age = draw.uniform(18, 90)
        amount = draw.gauss(100, 30) ** 2 / 100
        city = draw.choice(["Oslo", "Rome", "Rome", "Lyon", "Lyon", None])
        score = age / 20 + (city == "Rome") * 2 + amount / 50 + draw.gauss(0, 1)
        start = datetime(2020, 1, 1) + timedelta(days=draw.randrange(700), minutes=number)
        rows.append(
            {
                "id": number,
                "who": f"w{draw.randrange(40)}",
                "day": datetime(2022, 1, 1) + timedelta(hours=number),
                "part": draw.choice(["train"] * 5 + ["validation"] * 2 + ["test"] * 2),
                "fold": "abc"[number % 3],
                "weight": float(draw.randrange(1, 5)),
                "age": None if number % 11 == 0 else round(age, 1),
                "amount": round(amount, 2),
                "city": f"rare {number}" if number % 37 == 0 else city,
                "plan": draw.choice(["basic", "basic", "plus"]),
                "member": None if number % 13 == 0 else draw.random() < 0.4,
                "since": None if number % 17 == 0 else start,
                "target": {
                    "binary": "yes" if score > 6 else "no",
                    "multiclass": "abc"[min(2, max(0, int(score / 2) - 1))],
                    "regression": round(score, 3),
                }[task],
            }
        )
    return pa.Table.from_pylist(rows)


def _csv(rows: pa.Table) -> bytes:
    """The rows as a csv text: missing values are empty cells, booleans true and false."""
    file = pa.BufferOutputStream()
    options = pa.csv.WriteOptions(quoting_style="needed")
    pa.csv.write_csv(rows, file, options)
    return bytes(file.getvalue())


def write_csv(rows: pa.Table, place: Path) -> dict[str, Any]:
    (place / "rows.csv").write_bytes(_csv(rows))
    return {"kind": "csv", "path": str(place / "rows.csv")}


def write_zstd(rows: pa.Table, place: Path) -> dict[str, Any]:
    (place / "rows.zst").write_bytes(pa.compress(_csv(rows), codec="zstd", asbytes=True))
    return {"kind": "csv", "path": f"file://{place / 'rows.zst'}"}


def write_object(rows: pa.Table, place: Path) -> dict[str, Any]:
    """An object behind a URI that fsspec opens, in worker processes as well."""
    return {"kind": "csv", "path": f"local://{write_csv(rows, place)['path']}"}


def write_parquet(rows: pa.Table, place: Path) -> dict[str, Any]:
    pq.write_table(rows, place / "rows.parquet", row_group_size=64)
    return {"kind": "parquet", "path": str(place / "rows.parquet")}


def write_hive(rows: pa.Table, place: Path) -> dict[str, Any]:
    pq.write_to_dataset(
        rows, place / "hive", partition_cols=["plan"], basename_template="rows-{i}.parquet"
    )
    return {"kind": "parquet", "path": str(place / "hive")}


def write_jsonl(rows: pa.Table, place: Path) -> dict[str, Any]:
    with (place / "rows.jsonl").open("w") as file:
        for row in rows.to_pylist():
            held = {k: v.isoformat() if isinstance(v, datetime) else v for k, v in row.items()}
            file.write(json.dumps({k: v for k, v in held.items() if v is not None}) + "\n")
    return {"kind": "jsonl", "path": str(place / "rows.jsonl")}


def write_sqlite(rows: pa.Table, place: Path) -> dict[str, Any]:
    """Times and booleans as texts, since SQLite has no such types."""
    kinds = {"int64": "INTEGER", "double": "REAL"}
    names = ", ".join(f"{field.name} {kinds.get(str(field.type), 'TEXT')}" for field in rows.schema)

    def cell(value: Any) -> Any:
        if isinstance(value, bool):
            return str(value).lower()
        return value.isoformat(" ") if isinstance(value, datetime) else value

    with sqlite3.connect(place / "rows.db") as database:
        database.execute(f"CREATE TABLE rows ({names})")
        marks = ", ".join("?" * rows.num_columns)
        cells = [[cell(value) for value in row.values()] for row in rows.to_pylist()]
        database.executemany(f"INSERT INTO rows VALUES ({marks})", cells)
    database.close()
    uri = f"sqlite:///{place / 'rows.db'}"
    return {"kind": "sql", "uri": uri, "query": "SELECT * FROM rows ORDER BY id"}


def write_without_joined(rows: pa.Table, place: Path) -> dict[str, Any]:
    return write_csv(rows.drop_columns(list(JOINED)), place)


def write_joined(place: Path, task: str) -> dict[str, Any]:
    """The other side of the join, in another order than the rows that it is joined to."""
    both = pa.concat_tables([table(task), table(task, ROWS, MORE)]).select(["id", *JOINED])
    other = write_parquet(both.sort_by([("id", "descending")]), place)
    return {"facts": {"source": other, "left": ["id"]}}


SKLEARN = {"binary": "breast_cancer", "multiclass": "iris", "regression": "diabetes"}
WRITERS: Mapping[str, Callable[[pa.Table, Path], dict[str, Any]]] = {
    "csv": write_csv,
    "zstd": write_zstd,
    "object": write_object,
    "parquet": write_parquet,
    "hive": write_hive,
    "jsonl": write_jsonl,
    "sqlite": write_sqlite,
    "join": write_without_joined,
}
