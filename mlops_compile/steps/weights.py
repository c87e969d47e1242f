"""How much each row counts, and the direction that each feature may push in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.families.kind import Part
from mlops_compile.steps.tables import read_table

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_compile.steps.kind import Work

    Array = np.ndarray[Any, Any]

BALANCED = "balanced"


def row_weights(work: Work, name: str, rows: Array) -> Array | None:
    """The weights of the rows of a part, from the column with the role weight of a step's input
    `table`; None where all rows count alike. StepError for a weight that is none, and where all
    rows to learn from weigh nothing."""
    column = _column(work.inputs["table"]) if "table" in work.inputs else None
    return None if column is None else _checked(*column, rows, name)


def by_class(part: Part, weights: Mapping[int, float] | str | None) -> Part:
    """The part with its rows' weights times those of their classes."""
    if weights is None:
        return part
    factors = _factors(part, weights)
    return replace(part, weights=factors if part.weights is None else part.weights * factors)


def class_weights(stated: Value, classes: tuple[str, ...]) -> Mapping[int, float] | str | None:
    """`model.class_weight` by class position; a class that is not named weighs 1."""
    if isinstance(stated, Map):
        named = {str(name): float(value) for name, value in stated.items()}  # type: ignore[arg-type]
        return {code: named.get(name, 1.0) for code, name in enumerate(classes)}
    return BALANCED if stated == BALANCED else None


def _factors(part: Part, by_class: Mapping[int, float] | str) -> Array:
    """A factor a row; balanced: what all rows weigh / (classes * what those of its class weigh), as
    scikit-learn's `compute_class_weight` has it. A class that weighs nothing keeps its factor 1."""
    counts = np.bincount(part.target, part.weights)
    if not isinstance(by_class, str):
        return np.array([by_class[code] for code in range(len(counts))])[part.target]
    shares = len(counts) * counts
    found: Array = np.divide(counts.sum(), shares, out=np.ones(len(counts)), where=shares > 0)
    return found[part.target]


def _column(path: Path) -> tuple[str, Array] | None:
    """The name and the values of the column with the role weight."""
    table = read_table(path)
    for field in table.schema:
        if field.metadata is not None and field.metadata.get(b"role") == b"weight":
            values = table.column(field.name).combine_chunks()
            return field.name, values.to_numpy(zero_copy_only=False).astype("float64")
    return None


def _checked(name: str, values: Array, rows: Array, part: str) -> Array:
    """The weights of these rows; StepError for one that is none."""
    weights: Array = values[rows]
    where, hint = ("data", "columns", name), "mend it, or leave the role weight out"
    for faulty, what in ((np.isnan(weights), "missing"), (weights < 0, "negative")):
        if count := int(faulty.sum()):
            first = int(rows[np.flatnonzero(faulty)[0]]) + 1
            message = (
                f"the weight is {what} in {count} row{'s' * (count > 1)} of the {part} part,"
                f" the first is row {first} of the validated table"
            )
            raise StepError([problem("weight", message, where, hint)])
    if part == "train" and not weights.any():
        message = "all weights of the train part are 0, which leaves nothing to learn from"
        raise StepError([problem("weight", message, where, hint)])
    return weights


def directions(stated: Value, features: tuple[tuple[str, str], ...]) -> tuple[int, ...]:
    """`model.monotone` feature by feature; StepError for what is no feature with an order."""
    assert isinstance(stated, Map)
    if not len(stated):
        return ()
    sorts = dict(features)
    found = []
    for name in stated:
        where = ("model", "monotone", name)
        if name not in sorts:
            made = [feature for feature in sorts if feature.partition(":")[0] == name]
            message = "there is no such feature after preparation"
            hint = f"the column becomes {', '.join(made[:6])}" if made else ""
            if not made:
                hint = f"features are {', '.join(list(sorts)[:8])}{', ...' * (len(sorts) > 8)}"
            found.append(problem("monotone", message, where, hint, by_key=True))
        elif sorts[name] == "code":
            message = "a native category has no order that predictions could follow"
            hint = "prepare it as ordinal, with its order"
            found.append(problem("monotone", message, where, hint, by_key=True))
    if found:
        raise StepError(found)
    return tuple(int(str(stated.get(name, 0))) for name, _ in features)
