"""Proves a bundle: on the held-out rows it answers as the evaluated model did, bit for bit."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.serving import ServingSpec
from mlops_compile.steps.tables import read_table

_MOST_ROWS = 20_000


def prove(spec: ServingSpec, bundle: Path, table: Path, predictions: Path) -> int:
    """Replay held-out rows as requests; the number of rows. StepError at the first difference.

    All rows are replayed up to 20,000, beyond that so many, evenly spaced.
    """
    expected = read_table(predictions)
    places = np.unique(np.linspace(0, expected.num_rows - 1, _MOST_ROWS).astype("int64"))
    expected = expected.take(places)
    names = [column.name for column in spec.columns]
    rows = read_table(table).select(names).take(expected.column("row")).to_pylist()
    wanted = np.column_stack([expected.column(n) for n in expected.column_names if n[0] == "p"])
    schema, scorer = _load(bundle, "schema"), _load(bundle, "scorer")
    decoder = msgspec.json.Decoder(schema.Record)
    records = [decoder.decode(msgspec.json.encode(_request(row))) for row in rows]
    try:
        answers = scorer.Scorer(bundle).scores(records)
    except Exception as error:
        message = f"the generated scorer fails: {type(error).__name__}: {error}"
        raise StepError(
            [problem("bundle", message, hint="this is a bug of mlops_compile")]
        ) from error
    for place, answer, truth in zip(places.tolist(), answers, wanted.tolist(), strict=True):
        if not _equal(answer, truth):
            message = (
                f"the generated service answers {answer} for held-out row {place}, "
                f"and the evaluated model {truth}; the bundle is refused"
            )
            raise StepError([problem("bundle", message, hint="this is a bug of mlops_compile")])
    return len(rows)


def _request(row: dict[str, Any]) -> dict[str, Any]:
    """A row as a client would send it: missing values left out, times as ISO 8601."""
    sent = {name: value for name, value in row.items() if value is not None}
    for name, value in sent.items():
        if hasattr(value, "isoformat"):
            sent[name] = value.isoformat()
    return {n: v for n, v in sent.items() if not (isinstance(v, float) and math.isnan(v))}


def _equal(answer: list[float], truth: list[float]) -> bool:
    return len(answer) == len(truth) and all(
        a == b or (a != a and b != b) for a, b in zip(answer, truth, strict=True)
    )


def _load(bundle: Path, name: str) -> ModuleType:
    """A module of the bundle under a name of its own, without leaving bytecode beside it."""
    spec = importlib.util.spec_from_file_location(f"_bundle_{name}", bundle / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module
