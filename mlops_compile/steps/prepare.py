"""Prepare: columns become features, by states that are learned from the training rows alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.value import Map, Value, parse, pretty
from mlops_compile.steps.preparations import PREPARATIONS
from mlops_compile.steps.preparations.kind import Feature, Sort
from mlops_compile.steps.tables import read_table, write_table

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_compile.steps.kind import Work

NUMERIC: tuple[Sort, ...] = ("numeric", "boolean", "code")


def run(work: Work) -> None:
    """Writes `features` (float64 columns, one a feature, a row a row of the table) and
    `preparation` (the columns in order, each with its states, and the features' sorts and
    columns)."""
    params = work.params["prepare"]
    assert isinstance(params, Map)
    table = read_table(work.inputs["table"])
    train = np.load(work.inputs["train"], allow_pickle=False)
    columns: list[Value] = []
    features: list[Feature] = []
    origins: list[str] = []
    for field in table.schema:
        if field.metadata[b"role"] != b"feature":
            continue
        column = load_column(field, table.column(field.name))
        made, states = _fit_chain(_chain(params, column), column, train)
        columns.append(Map({"name": column.name, "sort": column.sort, "states": states}))
        features += made
        origins += [column.name] * len(made)
    if not features:
        message = "no column is left to learn from"
        hint = "give at least one column the role feature, and do not drop all by preparation"
        raise StepError([problem("no-features", message, ("data", "columns"), hint)])
    arrays = [pa.array(feature.values, pa.float64()) for feature in features]
    fields = [pa.field(f"f{n}", pa.float64()) for n in range(len(features))]
    write_table(work.outputs["features"], pa.table(arrays, schema=pa.schema(fields)))
    names = tuple(
        Map({"name": f.name, "sort": f.sort, "column": column})
        for f, column in zip(features, origins, strict=True)
    )
    state = Map({"columns": tuple(columns), "features": names})
    work.outputs["preparation"].write_text(pretty(state), "utf-8")


def load_column(field: pa.Field, values: pa.ChunkedArray) -> Feature:
    """A column of a validated table as the feature that preparations start from."""
    sort = cast(Sort, field.metadata[b"sort"].decode("ascii"))
    array = values.combine_chunks()
    match sort:
        case "categorical":
            codes = pc.fill_null(array.indices, -1).to_numpy(zero_copy_only=False)
            levels = array.dictionary.to_pylist()
            categories = pd.Categorical.from_codes(codes, categories=pd.Index(levels, dtype=object))
            return Feature(name=field.name, sort=sort, values=categories)
        case "boolean":
            array = pc.cast(array, pa.float64())
        case "datetime":
            array = pc.cast(array, pa.timestamp("us"))
            return Feature(name=field.name, sort=sort, values=array.to_numpy(zero_copy_only=False))
    numbers = array.to_numpy(zero_copy_only=False).astype("float64", copy=False)
    return Feature(name=field.name, sort=sort, values=numbers)


def _chain(params: Map, column: Feature) -> tuple[Map, ...]:
    own = params.get("columns", Map())
    assert isinstance(own, Map)
    chain = own.get(column.name, params.get(column.sort, ()))
    assert isinstance(chain, tuple)
    return cast(tuple[Map, ...], chain)


def _fit_chain(
    chain: tuple[Map, ...], column: Feature, train: np.ndarray[Any, Any]
) -> tuple[list[Feature], tuple[Value, ...]]:
    """Every operation is fitted on each feature that the one before it made, then applied."""
    under_way = [column]
    states: list[Value] = []
    for entry in chain:
        ((name, options),) = entry.items()
        preparation = PREPARATIONS[name]
        spec = from_value(preparation.spec, options)
        made: list[Feature] = []
        for feature in under_way:
            if feature.sort not in preparation.accepts:
                raise StepError([_unfit(name, feature, column)])
            part = Feature(name=feature.name, sort=feature.sort, values=feature.values[train])
            state = preparation.fit(spec, part)
            states.append(Map({"op": name, "state": state}))
            made += preparation.apply(state, feature)
        under_way = made
    for feature in under_way:
        if feature.sort not in NUMERIC:
            message = f"the {feature.sort} column is not turned into numbers"
            hint = f"add a preparation, for example prepare.columns.{column.name}"
            where = ("data", "columns", column.name)
            raise StepError([problem("preparation", message, where, hint)])
    return under_way, tuple(states)


def _unfit(name: str, feature: Feature, column: Feature) -> Any:
    message = f"{name} cannot take a {feature.sort} column"
    accepts = ", ".join(PREPARATIONS[name].accepts)
    where = ("data", "columns", column.name)
    return problem("preparation", message, where, hint=f"it takes {accepts}")


def read_matrix(path: Path, rows: np.ndarray[Any, Any] | None = None) -> np.ndarray[Any, Any]:
    """Features as a float64 matrix (rows x features), of all rows or of these."""
    table = read_table(path)
    count = table.num_rows if rows is None else len(rows)
    matrix = np.empty((count, table.num_columns))
    for position, column in enumerate(table.columns):
        values = column.to_numpy()
        matrix[:, position] = values if rows is None else values[rows]
    return matrix


def read_preparation(path: Path) -> Map:
    """The fitted preparation of a file."""
    value = parse(path.read_text("utf-8"))
    assert isinstance(value, Map)
    return value
