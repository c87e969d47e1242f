"""Prepare: columns become features, by states that are learned from the training rows alone."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mlops_compile.ir.key import derived_seed
from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.value import Map, Value, parse, pretty
from mlops_compile.steps.conditions import condition, meets
from mlops_compile.steps.derive import Derived, derived_of, functions_of
from mlops_compile.steps.derived import derive
from mlops_compile.steps.functions import Functions, imported
from mlops_compile.steps.preparations.chain import Rows, fit_chain
from mlops_compile.steps.preparations.kind import Feature, Sort, Target
from mlops_compile.steps.tables import read_table, write_table

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_compile.steps.kind import Work

Array = np.ndarray[Any, Any]


def run(work: Work) -> None:
    """Writes `features` (float64 columns, one a feature, a row a row of the table), `preparation`
    (the columns in order, each with its stages, and the features' sorts and columns) and, where the
    config asks for it, `rows` (the training rows that it keeps)."""
    params = work.params["prepare"]
    assert isinstance(params, Map)
    table = read_table(work.inputs["table"])
    loaded = {field.name: load_column(field, table.column(field.name)) for field in table.schema}
    found: dict[str, Value] = {}
    secret = {f.name for f in table.schema if b"sensitive" in f.metadata}
    columns, derived, functions = _derived(work, params, table.schema, loaded, secret)
    train, kept = _kept(params, loaded, np.load(work.inputs["train"], allow_pickle=False))
    if "rows" in work.outputs:
        with work.outputs["rows"].open("wb") as file:
            np.save(file, train, allow_pickle=False)
        found["rows"] = kept
    if derived:
        found["derived"] = derived
    if functions is not None:
        found["functions"] = functions
    rows = Rows(train=train, target=_target(work, train))
    made, features, origins = _fitted(params, columns, {*derived_of(params)}, rows, secret)
    if not features:
        message = "no column is left to learn from"
        hint = "give at least one column the role feature, and do not drop all by preparation"
        raise StepError([problem("no-features", message, ("data", "columns"), hint)])
    arrays = [pa.array(feature.values, pa.float64()) for feature in features]
    fields = [pa.field(f"f{n}", pa.float64()) for n in range(len(features))]
    write_table(work.outputs["features"], pa.table(arrays, schema=pa.schema(fields)))
    found["columns"] = made
    found["features"] = tuple(
        Map({"name": f.name, "sort": f.sort, "column": column})
        for f, column in zip(features, origins, strict=True)
    )
    work.outputs["preparation"].write_text(pretty(Map(found)), "utf-8")


def _fitted(
    params: Map,
    columns: tuple[Feature, ...],
    derived: set[str],
    rows: Rows,
    secret: set[str],
) -> tuple[tuple[Value, ...], list[Feature], list[str]]:
    """How each column is prepared, the features, and the column that each comes from."""
    made: list[Value] = []
    features: list[Feature] = []
    origins: list[str] = []
    for column in columns:
        under = ("prepare", "derive") if column.name in derived else ("data", "columns")
        try:
            done, stages = fit_chain(_chain(params, column), column, rows, (*under, column.name))
        except StepError as error:
            if column.name not in secret:
                raise
            raise StepError(found.without_values() for found in error.problems) from None
        made.append(Map({"name": column.name, "sort": column.sort, "stages": stages}))
        features += _unnamed(done) if column.name in secret else done
        origins += [column.name] * len(done)
    return tuple(made), features, origins


def _derived(
    work: Work, params: Map, schema: pa.Schema, loaded: dict[str, Feature], secret: set[str]
) -> tuple[tuple[Feature, ...], tuple[Value, ...], Map | None]:
    """The columns that become features, the derived ones last (they are added to `loaded` too, and
    to `secret` what derives from a sensitive column); how they are derived; and the user's
    functions, with all that serving needs of them."""
    columns = [loaded[field.name] for field in schema if field.metadata[b"role"] == b"feature"]
    made: list[Value] = []
    functions = Functions.verified(work.code, functions_of(params)) if work.code else None
    with imported(functions.files if functions else {}) as load:
        for name, spec in derived_of(params).items():
            function = load(spec.function) if spec.function else None
            hidden = bool(secret & {*spec.columns})
            loaded[name] = derive(name, spec, loaded, function, hidden)
            secret |= {name} if hidden else set()
            columns.append(loaded[name])
            made.append(_entry(name, spec))
    return tuple(columns), tuple(made), functions.to_value() if functions else None


def _entry(name: str, spec: Derived) -> Map:
    value: dict[str, Value] = {
        "name": name,
        "kind": spec.kind,
        "inputs": spec.columns,
        "sort": spec.sort,
    }
    if spec.function:
        value["function"] = spec.function
    elif spec.kind == "difference":
        value["unit"] = spec.unit
    return Map(value)


def _kept(params: Map, loaded: Mapping[str, Feature], train: Array) -> tuple[Array, Map]:
    """The training rows that meet every condition, and how many each of them takes away."""
    texts = params.get("rows", ())
    assert isinstance(texts, tuple)
    met = np.ones(len(train), dtype=bool)
    counts: list[Value] = []
    for text in texts:
        wanted = condition(str(text))
        assert wanted is not None  # the compiler has read it
        meeting = meets(wanted, loaded[wanted.column])[train]
        counts.append(
            Map({"condition": str(text), "dropped": int(np.count_nonzero(met & ~meeting))})
        )
        met &= meeting
    kept: Array = train[met]
    if not len(kept):
        message = f"no training row of {len(train):,} meets the conditions"
        raise StepError([problem("preparation", message, ("prepare", "rows"), "loosen them")])
    if texts:
        warnings.warn(
            f"prepare.rows keeps {len(kept):,} of {len(train):,} training rows", stacklevel=1
        )
    return kept, Map({"train": len(train), "kept": len(kept), "conditions": tuple(counts)})


def _target(work: Work, train: Array) -> Target | None:
    """The training rows' target, where a preparation learns from it."""
    if "target" not in work.inputs:
        return None
    column = read_table(work.inputs["target"]).column("target").combine_chunks()
    assert work.seed is not None
    seed = derived_seed(work.seed, "prepare")
    if pa.types.is_dictionary(column.type):
        codes = column.indices.to_numpy().astype("int64")
        return Target(values=codes[train], classes=tuple(column.dictionary.to_pylist()), seed=seed)
    return Target(values=column.to_numpy()[train], classes=(), seed=seed)


def _unnamed(features: list[Feature]) -> list[Feature]:
    """Features of a sensitive column under names that hold none of its levels."""
    return [
        Feature(
            name=f"{feature.name.partition('=')[0]}#{n}", sort=feature.sort, values=feature.values
        )
        for n, feature in enumerate(features, 1)
    ]


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


def _chain(params: Map, column: Feature) -> tuple[Value, ...]:
    own = params.get("columns", Map())
    assert isinstance(own, Map)
    chain = own.get(column.name, params.get(column.sort, ()))
    assert isinstance(chain, tuple)
    return chain


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


def features_of(preparation: Map) -> tuple[tuple[str, str], ...]:
    """The names and sorts of the features, in order."""
    features = preparation["features"]
    assert isinstance(features, tuple)
    return tuple((str(f["name"]), str(f["sort"])) for f in features if isinstance(f, Map))
