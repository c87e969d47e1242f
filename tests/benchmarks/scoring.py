"""Rows of scoring: generated C and Python beside LightGBM's own library, on one thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import lightgbm
import numpy as np

from mlops_compile.emit.scorers.render import C
from mlops_compile.steps.families.lightgbm_text import read_text
from tests.benchmarks.pairs import Row
from tests.scorers import loader, write

_FEATURES = 30
_TRAINED = 20_000  # rows to train on
_BATCH = 100


def booster(trees: int, leaves: int) -> Any:
    """A binary model of so many whole trees; gaps among its numbers."""
    draw = np.random.RandomState(0)
    features = draw.normal(size=(_TRAINED, _FEATURES))
    features[draw.uniform(size=features.shape) < 0.05] = np.nan
    target = (np.nansum(features[:, :9], axis=1) + draw.normal(size=_TRAINED) * 3 > 0).astype(int)
    params = {
        "objective": "binary",
        "num_leaves": leaves,
        "min_data_in_leaf": 5,
        "learning_rate": 0.03,
        "verbosity": -1,
        "num_threads": 1,
    }
    return lightgbm.train(params, lightgbm.Dataset(features, target), trees)


def seconds(work: Callable[[], object], times: int) -> float:
    """The median time of some work: the processor's, since all of it is on one thread."""
    found = []
    for _ in range(times):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return median(found)


def measure(directory: Path, runs: int, *, trees: int, leaves: int, rows: int) -> str:
    """Seconds to compile, and microseconds a row alone, of a hundred and of many."""
    model = booster(trees, leaves)
    write(read_text(model.model_to_string(), 2), directory)
    load = loader(2, _FEATURES)["Scorer"]
    start = time.perf_counter()
    in_c = load(directory, True, [directory / "place"])
    compiled = time.perf_counter() - start
    start = time.perf_counter()
    load(directory, True, [directory / "place"])
    again = time.perf_counter() - start
    in_python = load(directory, False)
    draw = np.random.RandomState(1)
    table = draw.normal(size=(rows, _FEATURES))
    table[draw.uniform(size=table.shape) < 0.05] = np.nan
    listed = [tuple(row) for row in table.tolist()]
    function, flat = in_c._c, np.ascontiguousarray(table)
    out = np.empty((rows, 2))
    taken, given = flat.ctypes.data, out.ctypes.data

    def bare(count: int) -> object:
        """C alone: the rows are an array already, as LightGBM's are."""
        return function(taken, given, count)

    def theirs(count: int) -> object:
        return model.predict(table[:count], num_threads=1)

    bare(rows)
    assert np.array_equal(out[:, 1], theirs(rows)), "the scorer is not exact"
    cells = []
    for count, times in ((1, 300 * runs), (_BATCH, 20 * runs), (rows, 2)):
        ours, peers = (seconds(partial(work, count), times) for work in (bare, theirs))
        cells.append(f"{count:,}: {ours / count * 1e6:.2f} / {peers / count * 1e6:.2f}")
    with_lists = seconds(lambda: in_c.answers(listed[:1]), 300 * runs) * 1e6
    python = seconds(lambda: in_python.answers(listed[:1]), 5 * runs) * 1e6
    size = (directory / C).stat().st_size / 2**20
    return (
        f"{compiled:.2f} s to compile {size:.1f} MiB, then {again * 1e3:.0f} ms to load; "
        f"us a row, C / LightGBM, rows of {'; '.join(cells)}; "
        f"from a tuple to a list {with_lists:.2f}, in Python {python:.1f}"
    )


ROWS = tuple(
    Row(
        name=f"scoring-{trees}x{leaves}",
        work=f"score {trees:,} trees of {leaves} leaves",
        peer="Booster.predict",
        target="compiled within 10 s",
        measure=partial(measure, trees=trees, leaves=leaves, rows=rows),
    )
    for trees, leaves, rows in ((20, 31, 100_000), (500, 31, 100_000), (3_000, 255, 10_000))
)
