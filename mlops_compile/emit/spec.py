"""What was made becomes a serving spec: plain values for the templates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from mlops_compile.emit.preparation import (
    ColumnCode,
    carried,
    column_codes,
    derived_names,
    function_names,
    quiet_functions,
)
from mlops_compile.emit.ranges import edges, ranges, shown_levels
from mlops_compile.ir.contract import RequestField
from mlops_compile.ir.schema import from_value, to_value
from mlops_compile.ir.serving import Carried, DerivedColumn, Served, ServedColumn, ServingSpec
from mlops_compile.ir.value import Map, Value, found_at, parse
from mlops_compile.steps.calibrations import read_calibration
from mlops_compile.steps.deploy import Deploy
from mlops_compile.steps.needs import family_of
from mlops_compile.steps.prepare import features_of, read_preparation
from mlops_compile.steps.tables import read_table
from mlops_compile.steps.targets import TARGETS
from mlops_compile.steps.threshold import read_threshold
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
    table = read_table(work.inputs["table"])
    schema = table.schema
    attributes = _attributes(contract.request, derived_names(preparation))
    codes = column_codes(preparation, attributes)
    columns = _columns(contract.request, table, codes)
    target, container = TARGETS[deploy.target], to_value(deploy.container)
    assert isinstance(container, Map)
    needed = sorted({*target.distributions, *family.serving})
    versions = {name: version(name) for name in needed}
    return ServingSpec(
        name=deploy.name or contract.target,
        target=target.name,
        container=container,
        optional=tuple((name, version(name), use) for name, use in target.optional),
        model=work.digests["model"].sha256,
        family=family.name,
        scorer=family.scorer,
        contract=contract,
        columns=columns,
        features=tuple(name for code in codes.values() for name in code.features),
        origins=tuple(name for name, code in codes.items() for _ in code.features),
        made=features_of(preparation),
        example=_example(columns, profile["columns"]),
        requirements=tuple(sorted({**versions, **_versions(preparation)}.items())),
        max_records=deploy.max_records,
        max_body_bytes=deploy.max_body_bytes,
        calibration=_calibration(work),
        threshold=read_threshold(work),
        derived=_derived(derived_names(preparation), attributes, codes),
        carried=_carried(preparation, codes, _sensitive(schema)),
        trees=family.trees(work.inputs["model"], len(contract.classes)) if family.trees else None,
        served=Served(
            service=_service(deploy),
            plan=work.key,
            sensitive=_hidden(work.params, schema, columns, contract.target),
            ranges=ranges(columns, profile["columns"], table),
            levels=shown_levels(columns, profile["columns"]),
            edges=edges(contract.task, profile["target"]),
        ),
    )


def _columns(
    request: tuple[RequestField, ...], table: pa.Table, codes: Mapping[str, ColumnCode]
) -> tuple[ServedColumn, ...]:
    return tuple(
        ServedColumn(
            name=field.name,
            attribute=f"c{position}",
            kind=_kind(field, table.schema),
            nullable=field.nullable,
            lines=codes[field.name].lines,
            tables=codes[field.name].tables,
            numbers=codes[field.name].numbers,
            trimmed=field.type == "categorical" and _are_trimmed(table.column(field.name)),
        )
        for position, field in enumerate(request)
    )


def _are_trimmed(column: pa.ChunkedArray) -> bool:
    """Whether no text of a column has white space around it, as none of csv or JSON lines has."""
    texts = column.combine_chunks().dictionary
    return bool(pc.all(pc.equal(texts, pc.utf8_trim_whitespace(texts)), min_count=0).as_py())


def _derived(
    names: tuple[str, ...], attributes: Mapping[str, str], codes: Mapping[str, ColumnCode]
) -> tuple[DerivedColumn, ...]:
    return tuple(
        DerivedColumn(
            name=name,
            attribute=attributes[name],
            lines=codes[name].lines,
            tables=codes[name].tables,
            numbers=codes[name].numbers,
        )
        for name in names
    )


def _hidden(
    params: Map, schema: pa.Schema, columns: tuple[ServedColumn, ...], target: str
) -> tuple[str, ...]:
    """The sensitive fields of a request, and the target where it is sensitive."""
    hidden = _sensitive(schema) & {column.name for column in columns}
    if found_at(params, ("data", "columns", target, "sensitive")) is True:
        hidden |= {target}
    return tuple(sorted(hidden))


# What says of a service what it is made to be, and not what it does.
_NOT_READ = ("name", "target", "container")


def _service(deploy: Deploy) -> Map:
    """What the running service reads of its config."""
    stated = to_value(deploy)
    assert isinstance(stated, Map)
    return Map({name: value for name, value in stated.items() if name not in _NOT_READ})


def _calibration(work: Work) -> str:
    if "calibration" not in work.inputs:
        return ""
    return str(read_calibration(work.inputs["calibration"])["method"])


def _attributes(request: tuple[RequestField, ...], derived: tuple[str, ...]) -> dict[str, str]:
    fields = {field.name: f"c{position}" for position, field in enumerate(request)}
    return {**fields, **{name: f"d{position}" for position, name in enumerate(derived)}}


def _sensitive(schema: pa.Schema) -> frozenset[str]:
    return frozenset(field.name for field in schema if b"sensitive" in (field.metadata or {}))


def _carried(
    preparation: Map, codes: Mapping[str, ColumnCode], sensitive: frozenset[str]
) -> Carried:
    imports, functions = carried(tuple(line for code in codes.values() for line in code.lines))
    files = preparation.get("functions", Map({"files": Map()}))
    assert isinstance(files, Map) and isinstance(files["files"], Map)
    return Carried(
        imports=imports,
        functions=functions,
        files=tuple((path, str(text)) for path, text in files["files"].items()),
        called=tuple(function_names(preparation).items()),
        quiet=quiet_functions(preparation, sensitive),
        distributions=tuple(sorted(_versions(preparation))),
    )


def _versions(preparation: Map) -> dict[str, str]:
    """The versions of what the user's functions import."""
    functions = preparation.get("functions", Map({"versions": Map()}))
    assert isinstance(functions, Map) and isinstance(functions["versions"], Map)
    return {name: str(version) for name, version in functions["versions"].items()}


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
            if facts.get("low") is None:
                return None
            low, high = (datetime.fromisoformat(str(facts[end])) for end in ("low", "high"))
            middle = (low + (high - low) / 2).replace(microsecond=0)
            noon = middle.replace(hour=12, minute=0, second=0)
            return next((t for t in (noon, middle) if low <= t <= high), low).isoformat()


_NOTHING: Mapping[str, Value] = {
    "numeric": 0.0,
    "boolean": True,
    "categorical": "",
    "datetime": "2000-01-01T12:00:00",
    "datetime_utc": "2000-01-01T12:00:00+00:00",
}
