"""Answers of a bundle to rows of a table, by its own generated code, in this process."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from mlops_compile.emit.held_out import request_of
from mlops_compile.emit.modules import module_of
from mlops_compile.ir.contract import Contract
from mlops_compile.ir.value import Map
from mlops_compile.steps.functions import imported
from mlops_compile.steps.measure import Answers
from mlops_compile.steps.tables import read_table
from mlops_compile.steps.versus import answers_in, rows_in

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

_TOGETHER = 10_000  # rows


def answers_of(bundle: Path, contract: Map, table: Path, rows: Array) -> Array:
    """Probabilities (rows x classes), or numbers, for some rows of a validated table. ValueError
    where a row is no request that the bundle's contract allows."""
    fields = contract["request"]
    assert isinstance(fields, Map)
    held = read_table(table)
    if missing := [name for name in fields if name not in held.column_names]:
        raise ValueError(f"its service needs {', '.join(missing)}, which the rows have not")
    chosen = held.select([*fields]).take(rows)
    functions = {
        str(file.relative_to(bundle / "functions")): file.read_text("utf-8")
        for file in sorted((bundle / "functions").rglob("*.py"))
    }
    path = [*sys.path]
    found: list[list[float]] = []
    try:
        with imported(functions), tempfile.TemporaryDirectory() as scratch:
            decode = msgspec.json.Decoder(module_of(bundle, "schema").Record).decode
            with contextlib.redirect_stderr(io.StringIO()):  # that it runs in Python, or in C
                scorer = _scorer(module_of(bundle, "scorer"), bundle, Path(scratch))
            for first in range(0, chosen.num_rows, _TOGETHER):
                part = chosen.slice(first, _TOGETHER).to_pylist()
                found += scorer.scores(
                    [decode(msgspec.json.encode(request_of(row))) for row in part]
                )
    except msgspec.ValidationError as error:
        raise ValueError(f"its service refuses a row: {str(error).split(' - at')[0]}") from None
    finally:
        sys.path[:] = path
    scores = np.array(found)
    return scores if scores.shape[1] > 1 else scores[:, 0]


def answered_tests(
    bundle: Path, contract: Contract, table: Path, predictions: Path, decision: float | None
) -> Answers:
    """What a bundle answers for the test rows of another model: rows and truths of its evaluated
    predictions, in its validated table."""
    tested = answers_in(predictions, contract.classes, decision)
    predicted = answers_of(bundle, contract.to_dict(), table, rows_in(predictions))
    return replace(tested, predicted=predicted)


def answered_rows(bundle: Path, contract: Contract, table: Path, decision: float | None) -> Answers:
    """What a bundle answers for all rows of a table that has the target, as text for classes."""
    held = read_table(table).column(contract.target).to_pylist()
    places = {name: place for place, name in enumerate(contract.classes)}
    return Answers(
        truth=np.array([places[one] for one in held] if places else held),
        predicted=answers_of(bundle, contract.to_dict(), table, np.arange(len(held))),
        classes=contract.classes,
        decision=decision,
    )


def _scorer(module: ModuleType, bundle: Path, scratch: Path) -> Any:
    """The scorer; what it compiles is kept in `scratch`."""
    is_compiled = (bundle / "scorer.c").is_file()
    return module.Scorer(bundle, True, [scratch]) if is_compiled else module.Scorer(bundle)
