"""Rows of the data: validating and preparing a large table, beside the same checks in pandas."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.pairs import Row, environment

_ROWS, _BATCH = 5_000_000, 1 << 16
_TABLE = """
import sys
import numpy as np
import pyarrow as pa
rows, batch, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
draw = np.random.RandomState(1)
names = [pa.array([f"level {n:05}" for n in range(size)]) for size in (3, 20, 300, 5000, 50000)]
fields = [(f"n{n}", pa.float64()) for n in range(12)] + [(f"c{n}", pa.string()) for n in range(5)]
fields += [(f"t{n}", pa.timestamp("us")) for n in range(2)] + [("y", pa.string())]
schema = pa.schema(fields)
with pa.ipc.new_file(path, schema) as writer:
    for start in range(0, rows, batch):
        count = min(batch, rows - start)
        gap = draw.random_sample(count) < 0.05
        made = [pa.array(draw.normal(50, 10, count), mask=gap if n % 3 == 0 else None)
                for n in range(12)]
        made += [levels.take(pa.array(draw.randint(0, len(levels), count))) for levels in names]
        made += [pa.array(draw.randint(0, 2**50, count), pa.timestamp("us")) for _ in range(2)]
        made.append(pa.array(["no", "yes"]).take(pa.array((draw.random_sample(count) < 0.3) * 1)))
        writer.write_batch(pa.RecordBatch.from_arrays(made, schema=schema))
"""
# Ranges and missing values of the numbers, choices, a pattern, equal rows.
_CONTRACT = {
    "n0": {"low": 0.0, "high": 100.0, "violation": "missing"},
    "n1": {"low": 0.0, "high": 100.0, "violation": "drop"},
    "n2": {"nullable": False},
    "c0": {"choices": [f"level {n:05}" for n in range(3)]},
    "c1": {"pattern": "level [0-9]{5}"},
}
_OURS = """
import json, sys, time
from pathlib import Path
import numpy as np
import pandas, pyarrow.compute
from mlops_compile.ir.value import freeze
from mlops_compile.steps.kind import Work
from mlops_compile.steps import prepare, validate
from mlops_compile.steps.tables import read_table
place, which, contract = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
def work(params, inputs, outputs):
    return Work(step=which, params=freeze(params), digests={}, threads=1,
                inputs={port: place / name for port, name in inputs.items()},
                outputs={name: place / name for name in outputs})
start = time.perf_counter()
if which == "validate":
    data = {"target": "y", "task": "binary", "columns": contract, "rows": {"duplicates": "fail"}}
    outputs = ("table", "target", "profile", "report")
    validate.run(work({"data": data}, {"table": "source"}, outputs))
else:
    rows = read_table(place / "target").num_rows
    np.save(place / "train.npy", np.arange(rows * 4 // 5))
    chains = {"numeric": [{"impute": {}}, {"scale": {}}], "boolean": [],
              "categorical": [{"ordinal": {}}], "datetime": [{"date_parts": {"parts": ["hour"]}}]}
    inputs = {"table": "table", "train": "train.npy"}
    prepare.run(work({"prepare": chains}, inputs, ("features", "preparation")))
"""
_PANDAS = """
import json, sys, time
from pathlib import Path
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
place, which, contract = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
start = time.perf_counter()
with pa.memory_map(str(place / "source")) as file:
    frame = pa.ipc.open_file(file).read_all().to_pandas()
numbers = [f"n{n}" for n in range(12)]
if which == "validate":
    out = (frame["n0"] < 0) | (frame["n0"] > 100)
    frame.loc[out, "n0"] = np.nan
    frame = frame[~((frame["n1"] < 0) | (frame["n1"] > 100))]
    assert frame["n2"].notna().all() and not np.isinf(frame[numbers].to_numpy()).any()
    assert frame["c0"].isin(contract["c0"]["choices"]).all()
    assert frame["c1"].str.fullmatch(contract["c1"]["pattern"]).all()
    assert not frame.duplicated().any()
    profile = [frame[numbers].describe(), frame[numbers].nunique(), frame.isna().sum()]
    profile += [frame[f"c{n}"].value_counts().head(20) for n in range(5)]
    for n in range(5):
        frame[f"c{n}"] = frame[f"c{n}"].astype("category")
    frame.to_feather(place / "peer", compression="uncompressed")
else:
    train = frame.iloc[: len(frame) * 4 // 5]
    made = pd.DataFrame(index=frame.index)
    for name in numbers:
        filled = frame[name].fillna(train[name].median())
        part = filled.iloc[: len(train)]
        made[name] = (filled - part.mean()) / part.std(ddof=0)
    for n in range(5):
        levels = np.sort(train[f"c{n}"].unique())
        made[f"c{n}"] = pd.Categorical(frame[f"c{n}"], categories=levels).codes
    for n in range(2):
        made[f"t{n}"] = frame[f"t{n}"].dt.hour
    made.astype("float64").to_feather(place / "peer", compression="uncompressed")
"""
# Seconds and the peak of resident memory after the imports; pages of mapped files count.
_TOLD = """
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:")).split()[1]
print(time.perf_counter() - start, int(peak) / 1024)
"""


def write_table(directory: Path, rows: int) -> Path:
    """An Arrow file of so many rows x 20 columns: numbers, texts of few to many levels, times."""
    file = directory / "source"
    words = [sys.executable, "-c", _TABLE, str(rows), str(_BATCH), str(file)]
    subprocess.run(words, env=dict(environment()), check=True)
    return file


def measured(script: str, place: Path, which: str, more: object) -> tuple[float, float]:
    """Seconds since its `start`, and MiB, of a script in a process of its own; `more` is JSON."""
    words = [sys.executable, "-c", script + _TOLD, str(place), which, json.dumps(more)]
    done = subprocess.run(words, env=dict(environment()), capture_output=True, text=True)
    if done.returncode:
        print(done.stderr)
        done.check_returncode()
    seconds, memory = done.stdout.split()
    return float(seconds), float(memory)


def large(directory: Path, runs: int, *, rows: int = _ROWS) -> str:
    """Validate and prepare: seconds and peak memory, and those of the peer."""
    source = write_table(directory, rows)
    found = []
    for which in ("validate", "prepare"):
        ours, peer = (measured(script, directory, which, _CONTRACT) for script in (_OURS, _PANDAS))
        told = [f"{seconds:.1f} s, {memory:,.0f} MiB" for seconds, memory in (ours, peer)]
        found.append(f"{which}: {told[0]}; pandas: {told[1]}")
    size = source.stat().st_size / 2**20
    return "<br>".join([f"table of {size:,.0f} MiB", *found])


_WORK = f"validate and prepare, {_ROWS:,} rows x 20 columns"
ROWS = (Row("validate-5M", _WORK, "the same checks in pandas", "bounded", large),)
