"""Lower: a checked spec becomes small steps, each with the slice of config that it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlops_compile.compiler.spec import Data, Spec, supervised
from mlops_compile.ir.plan import Plan, Ref, Step, in_order
from mlops_compile.ir.schema import to_value
from mlops_compile.ir.value import KeyPath, Map, Value
from mlops_compile.steps.kinds import KINDS, slice_of

SOURCE, TEST = "data", "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A step to come: where each of its input ports comes from, the optional ports it makes, and
    what of the config it reads (else what its kind does)."""

    name: str
    kind: str
    takes: Mapping[str, Ref] = field(default_factory=dict)
    makes: tuple[str, ...] = ()
    source: str | None = None
    reads: tuple[KeyPath, ...] | None = None


def pieces(spec: Spec) -> tuple[Piece, ...]:
    """The steps that a spec asks for, and what they take from each other."""
    acquired = acquisition(spec.data)
    ends = endings(spec)
    made = _from(**{end.name: " ".join(KINDS[end.kind].outputs) for end in ends})
    return (
        *acquired,
        Piece(name="validate", kind="validate", takes=_from(**{acquired[-1].name: "table"})),
        Piece(name="split", kind="split", takes=_from(validate="table target")),
        Piece(
            name="inspect",
            kind="inspect",
            takes=_from(validate="table target", split="train test"),
        ),
        Piece(
            name="prepare",
            kind="prepare",
            takes=_from(
                validate="table target" if supervised(spec.prepare) else "table", split="train"
            ),
            makes=("rows",) if spec.prepare.rows else (),
        ),
        Piece(
            name="train",
            kind="train",
            takes={
                **_from(
                    prepare="features preparation",
                    validate="target table" if has_weights(spec) else "target",
                    split="validation",
                ),
                "train": _training(spec),
            },
        ),
        *ends,
        Piece(
            name="evaluate",
            kind="evaluate",
            takes={
                **made,
                **_from(
                    train="model",
                    prepare="features",
                    validate="target table" if looks_at_rows(spec) else "target",
                    split="validation test",
                ),
                "train": _training(spec),
            },
        ),
        Piece(
            name="package",
            kind="package",
            takes=made
            | _from(train="model", evaluate="evaluation predictions", validate="table profile"),
        ),
    )


def _training(spec: Spec) -> Ref:
    """The rows to learn from: those of the training part, or what `prepare.rows` keeps of them."""
    kept = Ref(step="prepare", output="rows")
    return kept if spec.prepare.rows else Ref(step="split", output="train")


def endings(spec: Spec) -> tuple[Piece, ...]:
    """The steps that follow training where the config asks for them: what they make, evaluation
    and service apply."""
    rows = _from(train="model", prepare="features", validate="target", split="validation")
    found = []
    if spec.model.calibration is not None:
        found.append(Piece(name="calibrate", kind="calibrate", takes=rows))
    if spec.model.threshold is not None:
        takes = rows | (_from(calibrate="calibration") if found else {})
        found.append(Piece(name="threshold", kind="threshold", takes=takes))
    return tuple(found)


def has_weights(spec: Spec) -> bool:
    """Whether a column says how much each row counts."""
    return any(column.role == "weight" for _, column in spec.data.columns)


def acquisition(data: Data) -> tuple[Piece, ...]:
    """The steps that bring the rows together; the last one makes their table."""
    main = Piece(name="acquire", kind="acquire", source=SOURCE)
    others = others_of(data)
    if not others:
        return (main,)
    return (
        main,
        *(
            Piece(
                name=f"acquire/{name}",
                kind="acquire",
                source=name,
                reads=(where,),
            )
            for name, where in others.items()
        ),
        Piece(
            name="combine",
            kind="combine",
            takes={
                **_from(acquire="table"),
                **{name: Ref(step=f"acquire/{name}", output="table") for name in others},
            },
        ),
    )


def others_of(data: Data) -> dict[str, KeyPath]:
    """The sources beside the data's own, by name: where the keys of each stand."""
    found: dict[str, KeyPath] = {TEST: ("data", "test")} if data.test is not None else {}
    return found | {name: ("data", "join", name, "source") for name, _ in data.join}


def looks_at_rows(spec: Spec) -> bool:
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
    params = slice_of(config, kind.reads if piece.reads is None else piece.reads)
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
