"""Fitted preparations become straight-line Python, one variable a feature."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from mlops_compile.ir.serving import LevelTable
from mlops_compile.ir.value import Map
from mlops_compile.steps.preparations import PREPARATIONS
from mlops_compile.steps.preparations.kind import Sort


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnCode:
    """The code of a column: constants, lines, and the variables that hold its features."""

    tables: tuple[LevelTable, ...]
    lines: tuple[str, ...]
    features: tuple[str, ...]


def column_codes(preparation: Map, attributes: Mapping[str, str]) -> dict[str, ColumnCode]:
    """The code of each column, by name, in the order of the features.

    `attributes` are the variables that hold the columns. The order of states is that in which
    steps/prepare.py fitted them: operation by operation, feature by feature.
    """
    columns = preparation["columns"]
    assert isinstance(columns, tuple)
    codes = {}
    for column in columns:
        assert isinstance(column, Map)
        name = str(column["name"])
        lines, features = _column(column, attributes[name])
        lines, tables = _hoisted(lines, attributes[name])
        codes[name] = ColumnCode(tables=tables, lines=lines, features=features)
    return codes


def _column(column: Map, attribute: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
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
    return tuple(lines), tuple(variable for variable, _ in [*made, *under_way])


def _hoisted(
    lines: tuple[str, ...], attribute: str
) -> tuple[tuple[str, ...], tuple[LevelTable, ...]]:
    """Dicts in the lines become constants: Python would build them anew for every record."""
    kept: list[str] = []
    tables: list[LevelTable] = []
    for line in lines:
        found = [node for node in ast.walk(ast.parse(line)) if isinstance(node, ast.Dict)]
        for node in found:
            text = ast.get_source_segment(line, node)
            assert text is not None
            name = f"LEVELS_{attribute.upper()}_{len(tables)}"
            line = line.replace(text, name, 1)
            tables.append(LevelTable(name=name, codes=tuple(ast.literal_eval(node).items())))
        kept.append(line)
    return tuple(kept), tuple(tables)
