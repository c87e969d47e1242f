"""Proves a bundle: on the held-out rows it answers as the evaluated model did, bit for bit."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.serving import ServingSpec
from mlops_compile.steps.functions import imported
from mlops_compile.steps.tables import read_table

_MOST_ROWS = 20_000


def prove(spec: ServingSpec, bundle: Path, table: Path, predictions: Path) -> float:
    """Replay held-out rows as requests; the median seconds that a row alone takes from its JSON to
    the answer. StepError at the first difference.

    All rows are replayed up to 20,000, beyond that so many, evenly spaced: each in a request of its
    own, and the first of them once more in one request. The user's functions are imported from the
    bundle, whatever else here has their names.
    """
    path = [*sys.path]
    try:
        with imported(dict(spec.carried.files)):
            return _replay(spec, bundle, table, predictions)
    finally:
        sys.path[:] = path  # to which the scorer adds its directory of functions


def _replay(spec: ServingSpec, bundle: Path, table: Path, predictions: Path) -> float:
    expected = read_table(predictions)
    places = np.unique(np.linspace(0, expected.num_rows - 1, _MOST_ROWS).astype("int64"))
    expected = expected.take(places)
    numbers = expected.column("row").to_pylist()
    outputs = [name for name in expected.column_names if name not in ("row", "truth", "decision")]
    wanted = np.column_stack([expected.column(name) for name in outputs]).tolist()
    labels = _labels(spec, expected, wanted)
    names = [column.name for column in spec.columns]
    validated = read_table(table)
    hidden = any(b"sensitive" in field.metadata for field in validated.schema)
    rows = validated.select(names).take(expected.column("row")).to_pylist()
    decoder, scorer, answer_of = _load(spec, bundle)
    records, seconds = [], []
    for number, row, truth, label in zip(numbers, rows, wanted, labels, strict=True):
        try:
            sent = msgspec.json.encode(_request(row))
            start = time.perf_counter()
            records.append(decoder.decode(sent))
            answer = scorer.scores(records[-1:])[0]
            said = answer_of(answer)["prediction"]
            seconds.append(time.perf_counter() - start)
        except Exception as error:
            message = f"the generated service fails at {_row(number)}"
            if hidden:  # the error may quote the row
                raise _refusal(f"{message}: {type(error).__name__}") from None
            raise _refusal(message, error) from error
        _compare(answer, truth, number)
        if label is not None and said != label:
            raise _refusal(
                f"the generated service answers {said!r} for {_row(number)}, and {label!r} is right"
            )
    together = records[: spec.max_records]
    for number, truth, answer in zip(numbers, wanted, scorer.scores(together), strict=False):
        _compare(answer, truth, number)
    return median(seconds)


def _labels(spec: ServingSpec, expected: pa.Table, wanted: list[list[float]]) -> list[str | None]:
    """The class to answer for each row: what was decided, else the most probable one."""
    classes = spec.contract.classes
    if not classes:
        return [None] * len(wanted)
    if "decision" in expected.column_names:
        return [classes[code] for code in expected.column("decision").to_pylist()]
    return [classes[max(range(len(row)), key=row.__getitem__)] for row in wanted]


def _compare(answer: list[float], truth: list[float], number: int) -> None:
    """StepError unless all numbers are the same; a NaN is the same as a NaN."""
    if len(answer) != len(truth):
        raise _refusal(f"the generated service gives {len(answer)} numbers, not {len(truth)}")
    for found, right in zip(answer, truth, strict=True):
        if found != right and (found == found or right == right):
            raise _refusal(
                f"the generated service answers {found!r} for {_row(number)}, "
                f"and the evaluated model {right!r}"
            )


def _request(row: dict[str, Any]) -> dict[str, Any]:
    """A row as a client would send it: missing values left out, times as ISO 8601."""
    sent = {name: value for name, value in row.items() if value is not None}
    for name, value in sent.items():
        if hasattr(value, "isoformat"):
            sent[name] = value.isoformat()
    return {n: v for n, v in sent.items() if not (isinstance(v, float) and math.isnan(v))}


def _load(spec: ServingSpec, bundle: Path) -> tuple[msgspec.json.Decoder[Any], Any, Any]:
    """The bundle's own reader of a record, its scorer, and what makes an answer of scores."""
    try:
        record = _module(spec, bundle, "schema").Record
        module = _module(spec, bundle, "scorer")
        scorer = module.Scorer(bundle)
    except Exception as error:
        raise _refusal("the generated service cannot be loaded", error) from error
    return msgspec.json.Decoder(record), scorer, module.answer


def _module(spec: ServingSpec, bundle: Path, name: str) -> ModuleType:
    """A module of the bundle under a name of its own; nothing is left in sys.modules or on disk."""
    path = bundle / f"{name}.py"
    module = ModuleType(f"_bundle_{spec.model[:12]}_{name}")
    module.__file__ = str(path)
    exec(compile(path.read_text("utf-8"), str(path), "exec"), module.__dict__)
    return module


def _row(number: int) -> str:
    return f"row {number + 1} of the validated table"


def _refusal(message: str, error: Exception | None = None) -> StepError:
    cause = f": {type(error).__name__}: {error}" if error is not None else ""
    text = f"{message}{cause}; the bundle is refused"
    return StepError([problem("bundle", text, hint="this is a bug of mlops_compile")])
