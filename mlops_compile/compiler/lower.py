"""Lower: a checked spec becomes small steps, each with the slice of config that it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlops_compile.compiler.spec import Spec
from mlops_compile.ir.plan import Plan, Ref, Step, in_order
from mlops_compile.ir.schema import to_value
from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.kinds import KINDS, slice_of

SOURCE = "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A step to come: where each of its input ports comes from, and the optional ports it makes."""

    name: str
    kind: str
    takes: Mapping[str, Ref] = field(default_factory=dict)
    makes: tuple[str, ...] = ()
    source: str | None = None


def pieces(spec: Spec) -> tuple[Piece, ...]:
    """The steps that a spec asks for, and what they take from each other."""
    return (
        Piece(name="acquire", kind="acquire", source=SOURCE),
        Piece(name="validate", kind="validate", takes=_from(acquire="table")),
        Piece(name="split", kind="split", takes=_from(validate="table target")),
        Piece(name="prepare", kind="prepare", takes=_from(validate="table", split="train")),
        Piece(
            name="train",
            kind="train",
            takes=_from(
                prepare="features preparation", validate="target", split="train validation"
            ),
        ),
        Piece(
            name="evaluate",
            kind="evaluate",
            takes=_from(
                train="model",
                prepare="features",
                validate="target table" if _looks_at_rows(spec) else "target",
                split="train validation test",
            ),
        ),
        Piece(
            name="package",
            kind="package",
            takes=_from(train="model", evaluate="evaluation predictions", validate="table profile"),
        ),
    )


def _looks_at_rows(spec: Spec) -> bool:
    """Whether evaluating needs columns of the table: weights, or those that segments are cut by."""
    roles = {column.role for _, column in spec.data.columns}
    return bool(spec.evaluate.segments) or not roles.isdisjoint(("segment", "weight"))


def _from(**outputs: str) -> dict[str, Ref]:
    """Ports that have the names of the outputs that they take, by the step that makes them."""
    return {
        output: Ref(step=step, output=output)
        for step, names in outputs.items()
        for output in names.split()
    }


def lower(spec: Spec) -> Plan:
    """The plan of a spec. Defaults and places are left out of every slice."""
    config = causes(spec)
    steps = tuple(_step(piece, spec, config) for piece in pieces(spec))
    return Plan(steps=in_order(steps))


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


def _step(piece: Piece, spec: Spec, config: Map) -> Step:
    kind = KINDS[piece.kind]
    params = slice_of(config, kind)
    return Step(
        name=piece.name,
        kind=kind.name,
        version=kind.version,
        params=params,
        inputs=tuple((port, piece.takes[port]) for port in sorted(piece.takes)),
        outputs=tuple(sorted((*kind.outputs, *piece.makes))),
        seed=spec.seed if kind.seeded(params) else None,
        source=piece.source,
    )


def _as_map(value: Value) -> Map:
    assert isinstance(value, Map)
    return value
