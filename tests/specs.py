"""Serving specs of small services whose names, levels and classes would break templates."""

from __future__ import annotations

from typing import Any

from mlops_compile.emit.bins import bins
from mlops_compile.ir.contract import Contract, RequestField
from mlops_compile.ir.reference import SCORE, ColumnReference
from mlops_compile.ir.schema import to_value
from mlops_compile.ir.serving import Bins, LevelTable, Served, ServedColumn, ServingSpec
from mlops_compile.ir.trees import Tree, Trees
from mlops_compile.ir.value import Map
from mlops_compile.steps.deploy import Container, Deploy
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.monitoring import Monitor
from mlops_compile.steps.targets import TARGETS
from tests.bundles import CLASSES, FLAG, LEVEL, LEVELS, NAME, NUMBER, TIME

STUMP = Tree(
    feature=(0, 2),
    threshold=(0.5, 0.0),
    flags=(1, 2),
    left=(1, ~0),
    right=(~2, ~1),
    values=(0.25, -1.5, 3.0),
)
_KINDS = {NUMBER: "numeric", TIME: "datetime", FLAG: "boolean", LEVEL: "categorical"}
_EXAMPLE: dict[str, Any] = {
    NUMBER: 38.0,
    TIME: "2024-01-31T12:00:00",
    FLAG: True,
    LEVEL: LEVELS[1],
}


def spec_of(target: str, family: str = "lightgbm", **more: Any) -> ServingSpec:
    """A binary service of this family for this target."""
    kind = FAMILIES[family]
    fields = tuple(
        RequestField(name=name, type=_KINDS[name], nullable=name == LEVEL)
        for name in sorted(_KINDS)
    )
    columns = tuple(_column(place, field) for place, field in enumerate(fields))
    features = tuple(
        f"c{n}" if _KINDS[f.name] in _PLAIN else f"c{n}_0" for n, f in enumerate(fields)
    )
    trees = Trees(
        features=4,
        classes=2,
        base=(0.0,),
        width=1,
        trees=(STUMP,),
        link="logistic",
        sets=((1,),),
        cut=True,
    )
    container: Any = to_value(Container())
    given: dict[str, Any] = {
        "name": NAME,
        "model": "ab" * 32,
        "family": family,
        "scorer": kind.scorer,
        "contract": Contract(request=fields, target=NAME, task="binary", classes=CLASSES[:2]),
        "columns": columns,
        "features": features,
        "origins": tuple(field.name for field in fields),
        "made": tuple((field.name, "numeric") for field in fields),
        "example": Map(_EXAMPLE),
        "requirements": tuple((name, "1.0") for name in TARGETS[target].distributions),
        "optional": tuple((name, "1.0", use) for name, use in TARGETS[target].optional),
        "max_records": 1000,
        "max_body_bytes": 10_485_760,
        "trees": trees if kind.trees else None,
        "target": target,
        "served": Served(
            service=_service(),
            bins=tuple(map(_bins, [*sorted(_KINDS), SCORE], ["c0", "c1", "c2", "c3", ""])),
            monitor=_monitor(),
        ),
        "container": container,
    }
    return ServingSpec(**{**given, **more})


def _service() -> Any:
    stated: Any = to_value(Deploy())
    return Map({n: v for n, v in stated.items() if n not in ("name", "target", "container")})


_PLAIN = ("numeric", "boolean")


def _column(place: int, field: RequestField) -> ServedColumn:
    name, kind = f"c{place}", _KINDS[field.name]
    lines = {
        "datetime": (f"{name}_0 = NAN if {name} is None else float({name}.hour)",),
        "categorical": (f"{name}_0 = LEVELS_{name.upper()}_0.get({name}, NAN)",),
    }.get(kind, ())
    codes = tuple((level, float(code)) for code, level in enumerate(LEVELS))
    table = LevelTable(name=f"LEVELS_{name.upper()}_0", codes=codes)
    return ServedColumn(
        name=field.name,
        attribute=name,
        kind=kind,
        nullable=field.nullable,
        lines=lines,
        tables=(table,) if kind == "categorical" else (),
    )


def _bins(name: str, attribute: str) -> Bins:
    held: dict[str, Any] = {"edges": (0.5, 1.5), "counts": (20, 60, 20)}
    kind = _KINDS.get(name, "numeric")
    if kind == "boolean":
        held = {"levels": (("true", 60), ("false", 40))}
    if kind == "categorical":
        held = {"levels": tuple((level, 10) for level in LEVELS), "other": 20}
    return bins(ColumnReference(name=name, kind=kind, rows=100, missing=0, **held), attribute)


def _monitor() -> Map:
    stated: Any = to_value(Monitor(least_volume=10.0, most_volume=1e6, most_seconds=0.5))
    return Map(stated)
