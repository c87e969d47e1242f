"""Compares a chain of preparations with its generated code: the same bits, row by row."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pandas as pd

from mlops_compile.emit.preparation import carried, column_codes
from mlops_compile.ir.value import Map, freeze, parse, pretty
from mlops_compile.steps.preparations.chain import Rows, apply_chain, fit_chain
from mlops_compile.steps.preparations.kind import Feature, Target


def feature(sort: Any, values: list) -> Feature:
    if sort == "categorical":
        return Feature(name="x", sort="categorical", values=pd.Categorical(values))
    if sort == "datetime":
        times = np.array(values, dtype="datetime64[us]")
        return Feature(name="x", sort="datetime", values=times)
    numbers = np.array([math.nan if value is None else value for value in values], dtype="float64")
    return Feature(name="x", sort=sort, values=numbers)


def same(left: float, right: float) -> bool:
    return struct.pack("d", left) == struct.pack("d", right) or (left != left and right != right)


def check(chain: list, sort: Any, values: list, target: Target | None = None) -> None:
    """Fit a chain on all values, apply it, and compare with the generated code row by row."""
    rows = Rows(train=np.arange(len(values)), target=None)
    whole = feature(sort, values)
    if target is not None:
        rows = Rows(train=np.arange(len(values)), target=target)
    stages = fit_chain(freeze(chain), whole, rows, ())[1]
    # Those of rows outside of training, which are others where a target is learned from.
    *_, (_, under_way) = apply_chain(stages, whole)
    column = {"name": "x", "sort": sort, "stages": stages}
    preparation = parse(pretty(freeze({"columns": [column], "features": []})))  # as in the file
    assert isinstance(preparation, Map)
    made = column_codes(preparation, {"x": "c0"})["x"]
    assert len(made.features) == len(under_way)
    imports, functions = carried(made.lines)
    space: dict = {"NAN": math.nan}
    exec("\n".join(("from __future__ import annotations", *imports, functions)), space)
    space |= {table.name: dict(table.codes) for table in made.tables}
    space |= {table.name: table.values for table in made.numbers}
    code = compile("\n".join(made.lines), "generated", "exec")
    for row, value in enumerate(values):
        space["c0"] = math.nan if sort in ("numeric", "boolean") and value is None else value
        exec(code, space)
        for variable, item in zip(made.features, under_way, strict=True):
            assert same(space[variable], float(item.values[row])), (variable, value)
