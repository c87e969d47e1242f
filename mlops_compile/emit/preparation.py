"""Fitted preparations become straight-line Python, one variable a feature."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from mlops_compile.ir.serving import LevelTable, NumberTable
from mlops_compile.ir.value import Map
from mlops_compile.steps.derived import derived_code
from mlops_compile.steps.preparations import PREPARATIONS, rows
from mlops_compile.steps.preparations.kind import Sort

_ROWS = ast.parse(inspect.getsource(rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnCode:
    """The code of a column: constants, lines, and the variables that hold its features."""

    tables: tuple[LevelTable, ...]
    numbers: tuple[NumberTable, ...]
    lines: tuple[str, ...]
    features: tuple[str, ...]


def column_codes(preparation: Map, attributes: Mapping[str, str]) -> dict[str, ColumnCode]:
    """The code of each column, by name, in the order of the features.

    `attributes` are the variables that hold the columns; a column without one has no feature, and
    nothing is derived from it. A derived column's lines begin with the one that derives it.
    """
    derived = _maps(preparation.get("derived", ()))
    own = {str(state["name"]): state for state in derived}
    functions = function_names(preparation)
    sorts = {str(c["name"]): str(c["sort"]) for c in _maps(preparation["columns"])}
    codes = {}
    for column in _maps(preparation["columns"]):
        name = str(column["name"])
        if name not in attributes:
            continue
        lines: list[str] = []
        if (state := own.get(name)) is not None:
            inputs = state["inputs"]
            assert isinstance(inputs, tuple)
            taken = tuple((attributes[str(item)], sorts[str(item)]) for item in inputs)
            function = functions.get(str(state.get("function")), "")
            lines.append(derived_code(state, taken, function, attributes[name]))
        more, features = _column(column, attributes[name])
        codes[name] = _hoisted((*lines, *more), features, attributes[name])
    return codes


def function_names(preparation: Map) -> dict[str, str]:
    """The user's functions, each with its name in the generated code."""
    found = {str(s["function"]) for s in _maps(preparation.get("derived", ())) if "function" in s}
    return {name: f"FUNCTION_{n}" for n, name in enumerate(sorted(found))}


def quiet_functions(preparation: Map, sensitive: frozenset[str]) -> tuple[str, ...]:
    """The user's functions that take a sensitive column, or one that is derived from such."""
    hidden, found = {*sensitive}, set()
    for state in _maps(preparation.get("derived", ())):
        inputs = state["inputs"]
        assert isinstance(inputs, tuple)
        if hidden & {*map(str, inputs)}:
            hidden.add(str(state["name"]))
            found |= {str(state["function"])} if "function" in state else set()
    return tuple(sorted(found))


def derived_names(preparation: Map) -> tuple[str, ...]:
    """The derived columns, each behind those that it is computed from."""
    return tuple(str(state["name"]) for state in _maps(preparation.get("derived", ())))


def _maps(value: object) -> tuple[Map, ...]:
    assert isinstance(value, tuple)
    return cast(tuple[Map, ...], value)


def _column(column: Map, attribute: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Follow the stages: each was fitted on every feature that the one before it made."""
    under_way = [attribute]
    lines: list[str] = []
    count = 0
    for stage in _maps(column["stages"]):
        operation = PREPARATIONS[str(stage["op"])]
        made: list[str] = []
        for variable, fit in zip(under_way, _maps(stage["fits"]), strict=True):
            state = fit["state"]
            assert isinstance(state, Map)
            outputs = operation.outputs(variable, state)
            targets = tuple(f"{attribute}_{count + position}" for position in range(len(outputs)))
            count += len(targets)
            lines += operation.code(state, cast(Sort, fit["takes"]), variable, targets)
            made += targets
        under_way = made
    return tuple(lines), tuple(under_way)


def _hoisted(lines: tuple[str, ...], features: tuple[str, ...], attribute: str) -> ColumnCode:
    """Dicts and tuples in the lines become constants: Python would build the former anew for every
    record, and neither is for people to read within a line."""
    kept: list[str] = []
    tables: list[LevelTable] = []
    numbers: list[NumberTable] = []
    for line in lines:
        found = [n for n in ast.walk(ast.parse(line)) if isinstance(n, ast.Dict | ast.Tuple)]
        data = line.encode("utf-8")
        for node in sorted(found, key=lambda node: node.col_offset, reverse=True):
            value = ast.literal_eval(node)
            if isinstance(value, dict):
                name = f"LEVELS_{attribute.upper()}_{len(tables)}"
                tables.append(LevelTable(name=name, codes=tuple(value.items())))
            else:
                name = f"VALUES_{attribute.upper()}_{len(numbers)}"
                numbers.append(NumberTable(name=name, values=value))
            assert node.end_col_offset is not None  # columns are counted in bytes
            data = data[: node.col_offset] + name.encode() + data[node.end_col_offset :]
        kept.append(data.decode("utf-8"))
    return ColumnCode(
        tables=tuple(tables), numbers=tuple(numbers), lines=tuple(kept), features=features
    )


def carried(lines: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """The imports, the functions and the classes of rows.py that lines use, as source; nothing for
    none."""
    kinds = ast.FunctionDef | ast.ClassDef
    functions = {node.name: node for node in _ROWS.body if isinstance(node, kinds)}
    wanted: set[str] = set()
    new = {name for line in lines for name in _loaded(ast.parse(line))} & {*functions}
    while new:
        wanted |= new
        new = {name for item in new for name in _loaded(functions[item])} & {*functions} - wanted
    used = {name for item in wanted for name in _loaded(functions[item])}
    imports = []
    for node in _ROWS.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            node = ast.parse(ast.unparse(node)).body[0]
            assert isinstance(node, ast.Import | ast.ImportFrom)
            node.names = [alias for alias in node.names if alias.name in used]
            is_future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
            if node.names and not is_future:
                imports.append(ast.unparse(node))
    source = inspect.getsource(rows)
    texts = [ast.get_source_segment(source, node) for n, node in functions.items() if n in wanted]
    return tuple(imports), "\n\n\n".join(text for text in texts if text)


def _loaded(node: ast.AST) -> set[str]:
    return {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}
