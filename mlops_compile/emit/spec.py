"""What was made becomes a serving spec: plain values for the templates."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mlops_compile.emit.preparation import column_codes
from mlops_compile.ir.contract import RequestField
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.serving import ServedColumn, ServingSpec
from mlops_compile.ir.value import Map, Value, parse
from mlops_compile.steps.deploy import SERVICE, Deploy
from mlops_compile.steps.kinds import family_of
from mlops_compile.steps.prepare import read_preparation
from mlops_compile.steps.tables import read_table
from mlops_compile.steps.train import PREPARATION

if TYPE_CHECKING:
    from mlops_compile.steps.kind import Work


def serving_spec(work: Work) -> ServingSpec:
    """The spec of a package step's service."""
    contract = work.contract
    assert contract is not None
    deploy = from_value(Deploy, work.params.get("deploy", Map()))
    family = family_of(work.params)
    profile = parse(work.inputs["profile"].read_bytes())
    assert isinstance(profile, Map) and isinstance(profile["columns"], Map)
    preparation = read_preparation(work.inputs["model"] / PREPARATION)
    schema = read_table(work.inputs["table"]).schema
    codes = column_codes(preparation, _attributes(contract.request))
    columns = tuple(
        ServedColumn(
            name=field.name,
            attribute=f"c{position}",
            kind=_kind(field, schema),
            nullable=field.nullable,
            lines=codes[field.name].lines,
            tables=codes[field.name].tables,
        )
        for position, field in enumerate(contract.request)
    )
    return ServingSpec(
        name=deploy.name or contract.target,
        model=work.digests["model"].sha256,
        family=family.name,
        scorer=family.scorer,
        contract=contract,
        columns=columns,
        features=tuple(name for code in codes.values() for name in code.features),
        made=_made(preparation),
        example=_example(columns, profile["columns"]),
        requirements=tuple(
            (name, importlib.metadata.version(name)) for name in sorted({*SERVICE, *family.serving})
        ),
        max_records=deploy.max_records,
        max_body_bytes=deploy.max_body_bytes,
    )


def _attributes(request: tuple[RequestField, ...]) -> dict[str, str]:
    return {field.name: f"c{position}" for position, field in enumerate(request)}


def _made(preparation: Map) -> tuple[tuple[str, str], ...]:
    features = preparation["features"]
    assert isinstance(features, tuple)
    return tuple((str(f["name"]), str(f["sort"])) for f in features if isinstance(f, Map))


def _kind(field: RequestField, schema: pa.Schema) -> str:
    if field.type == "datetime" and schema.field(field.name).type.tz:
        return "datetime_utc"
    return field.type


def _example(columns: tuple[ServedColumn, ...], profile: Map) -> Map:
    """A record of typical values, never a real row: medians and the most frequent levels; of a
    sensitive column, a value that says nothing."""
    return Map({column.name: _typical(column, profile[column.name]) for column in columns})


def _typical(column: ServedColumn, facts: Value) -> Value:
    assert isinstance(facts, Map)
    found: Any
    if "sensitive" in facts:
        return _NOTHING[column.kind]
    match column.kind:
        case "numeric":
            found = facts.get("quantiles")
            return found[3] if found else None
        case "boolean":
            return True
        case "categorical":
            found = facts.get("top")
            return min(found, key=lambda level: (-found[level], level)) if found else None
        case _:
            found = facts.get("low")
            if found is None:
                return None
            day = datetime.fromisoformat(str(found)).replace(hour=12, minute=0, second=0)
            return day.replace(microsecond=0).isoformat()


_NOTHING: Mapping[str, Value] = {
    "numeric": 0.0,
    "boolean": True,
    "categorical": "",
    "datetime": "2000-01-01T12:00:00",
    "datetime_utc": "2000-01-01T12:00:00+00:00",
}
