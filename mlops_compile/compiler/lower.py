"""Lower: a checked spec becomes small steps, each with the slice of config that it reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mlops_compile.compiler.spec import Spec
from mlops_compile.ir.plan import Plan, Ref, Step, in_order
from mlops_compile.ir.schema import to_value
from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.foldings import fold_ports
from mlops_compile.steps.kinds import KINDS, slice_of
from mlops_compile.steps.splits import OWN_PARTS, asked_parts

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
        Piece(
            name="split", kind="split", takes=_from(validate="table target"), makes=_own_parts(spec)
        ),
        Piece(name="prepare", kind="prepare", takes=_from(validate="table", split="train")),
        Piece(
            name="train",
            kind="train",
            takes={
                **_from(
                    prepare="features preparation", validate="target", split="train validation"
                ),
                **_early_stopping(spec),
            },
        ),
        Piece(
            name="evaluate",
            kind="evaluate",
            takes=_from(
                train="model",
                prepare="features",
                validate="target",
                split="train validation test",
            ),
        ),
        *_fold_pieces(spec),
        Piece(
            name="package",
            kind="package",
            takes=_from(train="model", evaluate="metrics predictions", validate="table profile"),
        ),
    )


def part_for(spec: Spec, use: str) -> Ref:
    """The rows for `early_stopping`, `threshold` or `calibration`: a part of their own where the
    split has one, else the validation part."""
    return Ref(step="split", output=use if use in _own_parts(spec) else "validation")


def _own_parts(spec: Spec) -> tuple[str, ...]:
    return tuple(part for part in OWN_PARTS if part in asked_parts(spec.data.split))


def _early_stopping(spec: Spec) -> dict[str, Ref]:
    """The port of early stopping, where it has rows of its own."""
    use = "early_stopping"
    return {use: part_for(spec, use)} if use in _own_parts(spec) else {}


def _fold_pieces(spec: Spec) -> Iterator[Piece]:
    """The folds of a cross-validation, a model for each, and what they come to together."""
    if spec.evaluate.cross_validation is None:
        return
    numbers = range(1, spec.evaluate.cross_validation.folds + 1)
    yield Piece(
        name="folds",
        kind="folds",
        takes=_from(validate="table target", split="train validation"),
        makes=fold_ports(len(numbers))[len(fold_ports(1)) :],
    )
    for number in numbers:
        parts = {
            part: Ref(step="folds", output=f"{part}_{number}")
            for part in ("train", "validation", "test")
        }
        yield from fold_pieces(spec, f"fold/{number}", parts)
    metrics = {
        f"metrics_{number}": Ref(step=f"fold/{number}/evaluate", output="metrics")
        for number in numbers
    }
    yield Piece(name="summarise", kind="summarise", takes=metrics)


def fold_pieces(spec: Spec, name: str, parts: Mapping[str, Ref]) -> tuple[Piece, ...]:
    """The steps that prepare, train and evaluate on one fold's rows, under a name of its own.

    Their keys follow from the rows, the params and the plan's seed: a fold of a search and the same
    fold alone are one.
    """
    prepared = _from(**{f"{name}/prepare": "features preparation"})
    target = _from(validate="target")
    return (
        Piece(
            name=f"{name}/prepare",
            kind="prepare",
            takes={**_from(validate="table"), "train": parts["train"]},
        ),
        Piece(
            name=f"{name}/train",
            kind="train",
            takes={
                **prepared,
                **target,
                "train": parts["train"],
                "validation": parts["validation"],
                **_early_stopping(spec),
            },
        ),
        Piece(
            name=f"{name}/evaluate",
            kind="evaluate",
            takes={
                **_from(**{f"{name}/train": "model"}),
                "features": prepared["features"],
                **target,
                **parts,
            },
        ),
    )


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
