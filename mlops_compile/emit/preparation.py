"""Fitted preparations become straight-line Python, one variable a feature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from mlops_compile.ir.value import Map
from mlops_compile.steps.preparations import PREPARATIONS
from mlops_compile.steps.preparations.kind import Sort


def feature_lines(
    preparation: Map, attributes: Mapping[str, str]
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """The lines of each column, by name, and the variables that hold the features in order.

    `attributes` are the variables that hold the columns. The order of states is that in which
    steps/prepare.py fitted them: operation by operation, feature by feature.
    """
    lines: dict[str, tuple[str, ...]] = {}
    features: list[str] = []
    columns = preparation["columns"]
    assert isinstance(columns, tuple)
    for column in columns:
        assert isinstance(column, Map)
        name = str(column["name"])
        code, made = _column(column, attributes[name])
        lines[name] = code
        features += made
    return lines, tuple(features)


def _column(column: Map, attribute: str) -> tuple[tuple[str, ...], list[str]]:
    """Follow the chain: each state belongs to the next feature that is under way."""
    states = column["states"]
    assert isinstance(states, tuple)
    under_way: list[tuple[str, Sort]] = [(attribute, cast(Sort, column["sort"]))]
    made: list[tuple[str, Sort]] = []
    lines: list[str] = []
    count = 0
    for entry in states:
        assert isinstance(entry, Map) and isinstance(entry["state"], Map)
        if not under_way:
            under_way, made = made, []
        variable, sort = under_way.pop(0)
        operation = PREPARATIONS[str(entry["op"])]
        outputs = operation.outputs(variable, entry["state"])
        targets = tuple(f"{attribute}_{count + position}" for position in range(len(outputs)))
        count += len(targets)
        lines += operation.code(entry["state"], sort, variable, targets)
        keeps = entry["op"] == "impute"  # its first output is the column itself
        made += [(t, sort if keeps and n == 0 else "numeric") for n, t in enumerate(targets)]
    return tuple(lines), [variable for variable, _ in [*made, *under_way]]
