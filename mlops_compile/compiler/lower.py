"""Lower: a checked spec becomes small steps, each with the slice of config that it reads."""

from __future__ import annotations

from mlops_compile.compiler.spec import Spec
from mlops_compile.ir.plan import Plan, Ref, Step, in_order
from mlops_compile.ir.schema import to_value
from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.kind import StepKind
from mlops_compile.steps.kinds import KINDS, slice_of

SOURCE = "data"

# Which step makes what another takes; a port that is not named here has the maker's own name.
_MADE_BY = {
    "acquire": {},
    "validate": {"table": "acquire"},
    "split": {"table": "validate", "target": "validate"},
    "prepare": {"table": "validate", "train": "split"},
    "train": {
        "features": "prepare",
        "preparation": "prepare",
        "target": "validate",
        "train": "split",
        "validation": "split",
        "table": "validate",
    },
    "calibrate": {
        "model": "train",
        "features": "prepare",
        "target": "validate",
        "validation": "split",
    },
    "threshold": {
        "model": "train",
        "calibration": "calibrate",
        "features": "prepare",
        "target": "validate",
        "validation": "split",
    },
    "evaluate": {
        "calibration": "calibrate",
        "decision": "threshold",
        "model": "train",
        "features": "prepare",
        "target": "validate",
        "train": "split",
        "validation": "split",
        "test": "split",
    },
    "package": {
        "calibration": "calibrate",
        "decision": "threshold",
        "model": "train",
        "metrics": "evaluate",
        "predictions": "evaluate",
        "table": "validate",
        "profile": "validate",
    },
}


def lower(spec: Spec) -> Plan:
    """The plan of a spec. Defaults and places are left out of every slice."""
    config = causes(spec)
    asked = tuple(name for name in _MADE_BY if _is_asked(name, spec))
    return Plan(steps=in_order(tuple(_step(name, asked, spec, config) for name in asked)))


def _is_asked(name: str, spec: Spec) -> bool:
    """Whether a config asks for a step; most stand in every plan."""
    match name:
        case "calibrate":
            return spec.model.calibration is not None
        case "threshold":
            return spec.model.threshold is not None
        case _:
            return True


def _ports(kind: StepKind, asked: tuple[str, ...], spec: Spec) -> tuple[str, ...]:
    """The inputs of a step: of the optional ones, those whose makers are asked for, and the table
    where it holds the weights of rows."""
    weights = any(column.role == "weight" for _, column in spec.data.columns)
    return tuple(
        port
        for port in sorted((*kind.inputs, *kind.optional))
        if port in kind.inputs
        or (weights if port == "table" else _MADE_BY[kind.name].get(port) in asked)
    )


def causes(spec: Spec) -> Map:
    """What of a spec can be a cause: no defaults, no places, no column without a statement."""
    value = to_value(spec, defaults=False, places=False)
    assert isinstance(value, Map)
    data = value["data"]
    assert isinstance(data, Map)
    columns = data.get("columns", Map())
    assert isinstance(columns, Map)
    stated = Map({name: column for name, column in columns.items() if len(_as_map(column))})
    rest = {name: item for name, item in data.items() if name != "columns"}
    return Map({**value, "data": Map({**rest, "columns": stated} if len(stated) else rest)})


def _step(name: str, asked: tuple[str, ...], spec: Spec, config: Map) -> Step:
    kind = KINDS[name]
    params = slice_of(config, kind)
    return Step(
        name=name,
        kind=kind.name,
        version=kind.version,
        params=params,
        inputs=tuple(
            (port, Ref(step=_MADE_BY[name][port], output=port))
            for port in _ports(kind, asked, spec)
        ),
        outputs=tuple(sorted(kind.outputs)),
        seed=spec.seed if kind.seeded(params) else None,
        source=SOURCE if name == "acquire" else None,
    )


def _as_map(value: Value) -> Map:
    assert isinstance(value, Map)
    return value
