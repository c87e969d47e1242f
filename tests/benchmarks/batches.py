"""A row of batches: a bundle's command on a csv file of 100,000 rows of adult, beside LightGBM's
library on the same rows in memory, on one thread."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.engine import ADULT, adult
from tests.benchmarks.pairs import Row
from tests.benchmarks.serving import made

_ROWS, _TREES = 100_000, 500
# In a process of its own, in the bundle's directory: seconds of the processor for each part.
_PARTS = """
import json, sys, time
from pathlib import Path
sys.dont_write_bytecode = True
sys.path.insert(0, "")
import numpy, lightgbm
import batch, columns, from_csv, writing
scorer, rows = batch.Scorer(Path(".")), []
seconds = dict.fromkeys(["read", "prepare", "score", "write"], 0.0)
class Nowhere:
    def write(self, data): pass
out, answers = writing.Csv(Nowhere()), []
def timed(name, work, *words):
    start = time.process_time()
    found = work(*words)
    seconds[name] += time.process_time() - start
    return found
file = open(sys.argv[1], "rb", buffering=0)
pieces = from_csv.delimited(file, 1, ",", []).pieces
while piece := timed("read", next, pieces, None):
    values = timed("read", piece.columns)
    features = timed("prepare", columns.features, piece.count, values)
    scores = timed("score", scorer.flat, features, piece.count)
    timed("write", out.write, list(range(piece.count)), scores)
    answers += scores[1::2]
    rows.append(numpy.frombuffer(features).reshape(piece.count, -1))
model, table = lightgbm.Booster(model_file=sys.argv[2]), numpy.concatenate(rows)
start = time.process_time()
theirs = model.predict(table, num_threads=1)
peer = time.process_time() - start
assert theirs.tolist() == answers, "the command is not exact"
print(json.dumps({"seconds": seconds, "peer": peer, "rows": len(table)}))
"""


def measure(directory: Path, runs: int) -> str:
    """Seconds of the parts of the command and of LightGBM, best of some runs."""
    bundle = made(directory, _TREES, "deploy=batch")
    file = adult(1)
    rows = [[cell.strip() for cell in row] for row in csv.reader(file.open()) if row]
    rows = [["" if cell == "?" else cell for cell in row] for row in rows]
    with (directory / "rows.csv").open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(ADULT.split(","))
        writer.writerows((rows * (_ROWS // len(rows) + 1))[:_ROWS])
    best: dict[str, float] = {}
    for _ in range(max(runs, 2)):
        answer = subprocess.run(
            [sys.executable, "-c", _PARTS, "../rows.csv", "../peers/model.txt"],
            cwd=bundle.bundle,
            env={**os.environ, "XDG_CACHE_HOME": str(directory)},
            check=True,
            capture_output=True,
        )
        found = json.loads(answer.stdout)
        parts = {**found["seconds"], "peer": found["peer"]}
        best = {name: min(best.get(name, value), value) for name, value in parts.items()}
    peer = best.pop("peer")
    shares = ", ".join(f"{name} {value:.2f} s" for name, value in best.items())
    whole = sum(best.values())
    return (
        f"{shares}; Booster.predict {peer:.2f} s: scoring is {best['score'] / peer:.2f} of it,"
        f" file to file {whole / peer:.2f}"
    )


ROWS = (
    Row(
        name="batch-100000",
        work=f"score a csv file of {_ROWS:,} rows with {_TREES} trees",
        peer="Booster.predict on rows in memory",
        target="scoring <= 0.12",
        measure=measure,
    ),
)
