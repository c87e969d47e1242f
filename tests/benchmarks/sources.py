"""Rows of the sources: the memory of looking at a large table, copying and reading it, by kind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.benchmarks.data import measured, write_table
from tests.benchmarks.pairs import Row, environment

_ROWS = 1_000_000
_FORMS = """
import json, sqlite3, sys
from pathlib import Path
import pyarrow as pa
import pyarrow.csv, pyarrow.parquet
place = Path(sys.argv[1])
with pa.memory_map(str(place / "source")) as file:
    table = pa.ipc.open_file(file).read_all()
    pa.csv.write_csv(table, place / "rows.csv")
    pa.parquet.write_table(table, place / "rows.parquet")
    database = sqlite3.connect(place / "rows.db")
    database.execute(f"CREATE TABLE shop ({', '.join(table.column_names)})")
    marks = ", ".join("?" * table.num_columns)
    with (place / "rows.jsonl").open("w") as lines:
        for batch in table.to_batches():
            columns = [column.to_pylist() for column in batch.columns]
            for n, column in enumerate(columns):
                if pa.types.is_timestamp(batch.schema.field(n).type):
                    columns[n] = [str(value) for value in column]
            rows = list(zip(*columns))
            database.executemany(f"INSERT INTO shop VALUES ({marks})", rows)
            for row in rows:
                lines.write(json.dumps(dict(zip(table.column_names, row))) + "\\n")
    database.commit()
"""
_KEYS = {
    "csv": {"path": "rows.csv"},
    "jsonl": {"path": "rows.jsonl"},
    "parquet": {"path": "rows.parquet"},
    "sql": {"uri": "sqlite:///rows.db", "query": "SELECT * FROM shop ORDER BY rowid"},
}
_PROCESSES = ("look", "copy", "read")
# What compiling does (digest, rows, types, levels), what `run` does before (the copy in the store),
# and the step itself.
_OURS = """
import json, pickle, sys, time
from pathlib import Path
import pyarrow.compute
from mlops_compile.compiler.look import Look
from mlops_compile.execute.sources import snapshot
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.source import Source
from mlops_compile.ir.value import freeze
from mlops_compile.steps import acquire
from mlops_compile.steps.kind import Work
from mlops_compile.steps.sources import SOURCES
from mlops_compile.store.store import Store
place, which, keys = Path(sys.argv[1]), sys.argv[2], freeze(json.loads(sys.argv[3]))
kind = SOURCES[keys["kind"]]
spec = from_value(kind.spec, keys)
pinned, room = place / f"{kind.name}.pin", place / f"{kind.name}.room"
class Nothing:
    def get(self, key): return None
    def put(self, key, value): pass
start = time.perf_counter()
if which == "look":
    with Look(kind.files(spec, place), Nothing(), False) as look:
        facts = kind.scan(look.paths(), spec, {}, "y")
        source = Source(kind=kind.name, location=kind.location(spec), digest=look.digest,
                        rows=facts.rows, columns=facts.columns)
    pinned.write_bytes(pickle.dumps(source))
else:
    source, params = pickle.loads(pinned.read_bytes()), freeze({"data": {"source": keys}})
    room.mkdir(exist_ok=True)
    copy = snapshot(params, source, Store(place / "store").blobs, place, room)
    if which == "read":
        acquire.run(Work(step="acquire", params=params, inputs={}, digests={}, threads=1,
                         outputs={"table": room / "table"}, source=source, snapshot=copy))
"""
_PANDAS = """
import json, sqlite3, sys, time
from pathlib import Path
import pandas as pd
import pyarrow.feather
place, keys = Path(sys.argv[1]), json.loads(sys.argv[3])
times = ["t0", "t1"]
start = time.perf_counter()
match keys["kind"]:
    case "csv":
        frame = pd.read_csv(place / keys["path"], parse_dates=times)
    case "jsonl":
        frame = pd.read_json(place / keys["path"], lines=True, convert_dates=times)
    case "parquet":
        frame = pd.read_parquet(place / keys["path"])
    case "sql":
        database = sqlite3.connect(place / "rows.db")
        frame = pd.read_sql_query(keys["query"], database, parse_dates=times)
frame.to_feather(place / "peer", compression="uncompressed")
"""


def large(directory: Path, runs: int, *, rows: int = _ROWS) -> str:
    """For each kind: seconds and peak memory of each process, and the peak as a share of the
    table."""
    write_table(directory, rows)
    subprocess.run(
        [sys.executable, "-c", _FORMS, str(directory)], env=dict(environment()), check=True
    )
    found = []
    for kind in _KEYS:
        keys = {"kind": kind, **_KEYS[kind]}
        costs = {which: measured(_OURS, directory, which, keys) for which in _PROCESSES}
        costs["pandas"] = measured(_PANDAS, directory, "read", keys)
        size = (directory / f"{kind}.room" / "table").stat().st_size / 2**20
        told = [
            f"{which} {seconds:.1f} s, {memory:,.0f} MiB ({memory / size:.2f} of it)"
            for which, (seconds, memory) in costs.items()
        ]
        found.append(f"{kind}, table of {size:,.0f} MiB: {'; '.join(told)}")
    return "<br>".join(found)


_WORK = f"look at, copy and read a source, {_ROWS:,} rows x 20 columns"
ROWS = (Row("sources-1M", _WORK, "pandas' readers", "bounded", large),)
