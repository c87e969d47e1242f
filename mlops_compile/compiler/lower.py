"""Lower: a checked spec becomes small steps, each with the slice of config that it reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from mlops_compile.compiler.spec import Data, Model, Spec, searches, supervised
from mlops_compile.ir.memo import Memo
from mlops_compile.ir.plan import Plan, Ref, Step, in_order
from mlops_compile.ir.schema import declared, key_value, to_value
from mlops_compile.ir.value import KeyPath, Map, Value
from mlops_compile.steps.evaluation import COUNTED
from mlops_compile.steps.foldings import SEARCH_FOLDS, fold_ports
from mlops_compile.steps.kinds import KINDS, slice_of
from mlops_compile.steps.splits import OWN_PARTS, asked_parts

SOURCE, TEST = "data", "test"
_VALUES = ("seed", "model")
# What of the config an evaluate step reads that makes metrics and nothing else.
COUNTED_READS: tuple[KeyPath, ...] = (
    ("model", "family"),
    *(("evaluate", name) for name in COUNTED),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A step to come: where each of its input ports comes from, the optional ports it makes, and
    what of the config it reads (else what its kind does), or of another config, its `params`."""

    name: str
    kind: str
    takes: Mapping[str, Ref] = field(default_factory=dict)
    makes: tuple[str, ...] = ()
    source: str | None = None
    reads: tuple[KeyPath, ...] | None = None
    params: Map | None = None


def pieces(spec: Spec, stated: Map) -> tuple[Piece, ...]:
    """The steps that a spec asks for, and what they take from each other; `stated` is for a
    search."""
    acquired = acquisition(spec.data)
    refitted, parts = _refitted(spec)
    model = modelling(spec, parts, makes=("predictions", "evaluation"))
    return (
        *acquired,
        Piece(name="validate", kind="validate", takes=taken(**{acquired[-1].name: "table"})),
        Piece(
            name="split",
            kind="split",
            takes=taken(validate="table target"),
            makes=(*_own_parts(spec), "facts"),
        ),
        Piece(
            name="inspect",
            kind="inspect",
            takes=taken(validate="table target", split="train test"),
        ),
        *_search_pieces(spec, stated),
        *refitted,
        *_chosen(
            spec,
            (
                *model,
                *_fold_pieces(spec),
                Piece(
                    name="package",
                    kind="package",
                    takes={
                        **taken(
                            train="model",
                            evaluate="evaluation predictions",
                            validate="table profile report",
                            split="facts",
                        ),
                        "train": prepared(spec, parts, "")[1]["train"],
                        **_applied(model),
                        **_folded(spec),
                    },
                ),
            ),
        ),
    )


def _folded(spec: Spec) -> dict[str, Ref]:
    """What the folds come to, where there are any: gates are held to it, and the card tells it."""
    if spec.evaluate.cross_validation is None:
        return {}
    return {"folds": Ref(step="summarise", output="metrics")}


def _refitted(spec: Spec) -> tuple[tuple[Piece, ...], dict[str, Ref]]:
    """The parts that the model is made on; where it is trained on two of them, the step that makes
    one of these."""
    parts = taken(split="train validation test")
    if spec.search.refit == "train":
        return (), parts
    takes = {name: parts[name] for name in ("train", "validation")}
    piece = Piece(name="refit", kind="refit", takes=takes)
    return (piece,), {**parts, **taken(refit="train validation")}


def _chosen(spec: Spec, found: Iterable[Piece]) -> Iterator[Piece]:
    """The steps whose values a search chooses, where there is one."""
    chosen = taken(search="best")["best"]
    for piece in found:
        reads = searches(spec) and "chosen" in KINDS[piece.kind].optional_inputs
        yield replace(piece, takes={**piece.takes, "chosen": chosen}) if reads else piece


def _search_pieces(spec: Spec, stated: Map) -> Iterator[Piece]:
    """The search, and the folds that its trials are trained on. Its params are as they are stated:
    what follows from them follows in each trial anew."""
    if not searches(spec):
        return
    folds = folding_piece(spec, spec.search.cv, SEARCH_FOLDS) if spec.search.cv else None
    takes = taken(validate="table target")
    if folds is not None:
        yield folds
        ports = (*KINDS["folds"].outputs, *folds.makes)
        takes |= {port: Ref(step=SEARCH_FOLDS, output=port) for port in ports}
    else:
        takes |= taken(split="train validation")
    if "early_stopping" in _own_parts(spec):
        takes |= taken(split="early_stopping")
    yield Piece(
        name="search", kind="search", takes=takes, params=slice_of(stated, KINDS["search"].reads)
    )


def fold_parts(step: str, number: int) -> dict[str, Ref]:
    names = ("train", "validation", "test")
    return {part: Ref(step=step, output=f"{part}_{number}") for part in names}


def folding_piece(spec: Spec, folding: Any, name: str) -> Piece:
    """The step that makes folds of the rows of the train and validation parts."""
    value = to_value(folding, defaults=False)
    return Piece(
        name=name,
        kind="folds",
        takes=taken(validate="table target", split="train validation"),
        makes=fold_ports(folding.folds)[len(fold_ports(1)) :],
        params=Map({"evaluate": Map({"cross_validation": value})}),
    )


def prepared(spec: Spec, parts: Mapping[str, Ref], under: str) -> tuple[Piece, dict[str, Ref]]:
    """The step that prepares rows, and what training on them takes."""
    train = parts["train"]
    if spec.prepare.rows:
        train = Ref(step=f"{under}prepare", output="rows")
    prepare = Piece(
        name=f"{under}prepare",
        kind="prepare",
        takes={
            **taken(validate="table target" if supervised(spec.prepare) else "table"),
            "train": parts["train"],
        },
        makes=("rows",) if spec.prepare.rows else (),
    )
    return prepare, {
        **taken(**{f"{under}prepare": "features preparation"}),
        **taken(validate="target table" if has_weights(spec) else "target"),
        "train": train,
        "validation": _rows_for(spec, "early_stopping", parts["validation"]),
    }


def modelling(
    spec: Spec, parts: Mapping[str, Ref], under: str = "", makes: tuple[str, ...] = ()
) -> tuple[Piece, ...]:
    """The steps that prepare, train and evaluate on these parts, under names that begin with
    `under`. `makes` are what evaluating tells beside the metrics.

    Their keys follow from the rows, the params and the plan's seed: a fold of a search and the same
    fold alone are one.
    """
    prepare, takes = prepared(spec, parts, under)
    train = takes["train"]
    answers = {
        **taken(**{f"{under}train": "model"}),
        "features": takes["features"],
        **taken(validate="target"),
    }
    ends = _endings(spec, answers, parts["validation"], under)
    return (
        prepare,
        Piece(name=f"{under}train", kind="train", takes=takes),
        *ends,
        Piece(
            name=f"{under}evaluate",
            kind="evaluate",
            takes={
                **answers,
                **_applied(ends),
                **(taken(validate="table") if looks_at_rows(spec, makes) else {}),
                **parts,
                "train": train,
            },
            makes=makes,
            reads=None if makes else COUNTED_READS,
        ),
    )


def _endings(
    spec: Spec, answers: Mapping[str, Ref], validation: Ref, under: str
) -> tuple[Piece, ...]:
    """The steps that follow training where the config asks for them: what they make, evaluation
    and service apply."""
    found = []
    if has_weights(spec):
        answers = {**answers, **taken(validate="table")}
    if spec.model.calibration is not None:
        rows = _rows_for(spec, "calibration", validation)
        takes = {**answers, "validation": rows}
        found.append(Piece(name=f"{under}calibrate", kind="calibrate", takes=takes))
    if spec.model.threshold is not None:
        rows = _rows_for(spec, "threshold", validation)
        takes = {**answers, **_applied(found), "validation": rows}
        found.append(Piece(name=f"{under}threshold", kind="threshold", takes=takes))
    return tuple(found)


def _applied(found: Iterable[Piece]) -> dict[str, Ref]:
    """What steps after training made, for those that apply it."""
    return {
        output: Ref(step=piece.name, output=output)
        for piece in found
        if piece.kind in ("calibrate", "threshold")
        for output in KINDS[piece.kind].outputs
    }


def _rows_for(spec: Spec, use: str, validation: Ref) -> Ref:
    """The rows for early stopping, calibration or a threshold: a part of their own where the split
    has one, else the validation part."""
    return Ref(step="split", output=use) if use in _own_parts(spec) else validation


def _own_parts(spec: Spec) -> tuple[str, ...]:
    return tuple(part for part in OWN_PARTS if part in asked_parts(spec.data.split))


def _fold_pieces(spec: Spec) -> Iterator[Piece]:
    """The folds of a cross-validation, a model for each, and what they come to together."""
    if spec.evaluate.cross_validation is None:
        return
    numbers = range(1, spec.evaluate.cross_validation.folds + 1)
    yield folding_piece(spec, spec.evaluate.cross_validation, "folds")
    for number in numbers:
        parts = fold_parts("folds", number)
        yield from modelling(spec, parts, f"fold/{number}/")
    metrics = {
        f"metrics_{number}": Ref(step=f"fold/{number}/evaluate", output="metrics")
        for number in numbers
    }
    yield Piece(name="summarise", kind="summarise", takes=metrics)


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
                **taken(acquire="table"),
                **{name: Ref(step=f"acquire/{name}", output="table") for name in others},
            },
        ),
    )


def others_of(data: Data) -> dict[str, KeyPath]:
    """The sources beside the data's own, by name: where the keys of each stand."""
    found: dict[str, KeyPath] = {TEST: ("data", "test")} if data.test is not None else {}
    return found | {name: ("data", "join", name, "source") for name, _ in data.join}


def looks_at_rows(spec: Spec, makes: tuple[str, ...]) -> bool:
    """Whether evaluating needs columns of the table: weights, or those that segments are cut by,
    where more than metrics is told."""
    if has_weights(spec) or "evaluation" not in makes:
        return has_weights(spec)
    roles = {column.role for _, column in spec.data.columns}
    return bool(spec.evaluate.segments) or "segment" in roles


def taken(**outputs: str) -> dict[str, Ref]:
    """Ports that have the names of the outputs that they take, by the step that makes them."""
    return {
        output: Ref(step=step, output=output)
        for step, names in outputs.items()
        for output in names.split()
    }


def lower(spec: Spec, memo: Memo | None = None, *, stated: Map = Map()) -> Plan:  # noqa: B008
    """The plan of a spec. Defaults and places are left out of every slice. Specs of one memo share
    the steps that are alike in all. Of a search, `stated` is the config as `searching.stated` gives
    it."""
    shared = memo or Memo()
    config = causes(spec, shared)
    if searches(spec):
        found = pieces(spec, stated)
    else:
        found = shared.of("pieces", forming(spec), lambda: pieces(spec, stated))
    steps = tuple(step_of(piece, spec, config, shared) for piece in found)
    order = shared.of("order", (found,), lambda: [steps.index(s) for s in in_order(steps)])
    return Plan(steps=tuple(steps[place] for place in order))


def forming(spec: Spec) -> tuple[object, ...]:
    """What of a spec without a search says which steps there are, and what they take from each
    other: all but the seed and the model's parameters."""
    own = [getattr(spec, item.name) for item in declared(Spec) if item.name not in _VALUES]
    own += [getattr(spec.model, item.name) for item in declared(Model) if item.name != "params"]
    return tuple(own)


def causes(spec: Spec, memo: Memo | None = None) -> Map:
    """What of a spec can be a cause: no defaults, no places, no column without a statement."""
    shared = memo or Memo()
    found: dict[str, Value] = {}
    for name, held in ((item.name, getattr(spec, item.name)) for item in declared(Spec)):
        value = shared.of(("cause", name), (held,), partial(_cause, name, held))
        found |= {} if value is None else {name: value[0]}
    return Map(found)


def _cause(name: str, held: object) -> tuple[Value] | None:
    """A top key of a spec as a cause, in a tuple of its own; None where it is none."""
    value = key_value(Spec, name, held, defaults=False, places=False)
    if value is None or name != "data":
        return value
    data = _as_map(value[0])
    columns = _as_map(data.get("columns", Map()))
    stated = Map({column: item for column, item in columns.items() if len(_as_map(item))})
    rest = {key: item for key, item in data.items() if key != "columns"}
    return (Map({**rest, "columns": stated} if len(stated) else rest),)


def step_of(piece: Piece, spec: Spec, config: Map, memo: Memo | None = None) -> Step:
    """The step of a piece; those of one memo share what is alike."""
    shared, kind = memo or Memo(), KINDS[piece.kind]
    params = piece.params
    if params is None:
        reads = kind.reads if piece.reads is None else piece.reads
        read = tuple(config.get(name) for name in sorted({path[0] for path in reads}))
        params = shared.of(("slice", reads), read, lambda: slice_of(config, reads))
    takes = tuple((port, piece.takes[port]) for port in sorted(piece.takes))
    draws = shared.of(("seeded", kind.name), (params,), lambda: kind.seeded(params))
    seed = spec.seed if draws else None
    what = (piece.name, piece.kind, takes, piece.makes, piece.source)
    return shared.of(what, (params, seed), lambda: _made(piece, params, seed))


def _made(piece: Piece, params: Map, seed: int | None) -> Step:
    kind = KINDS[piece.kind]
    return Step(
        name=piece.name,
        kind=kind.name,
        version=kind.version,
        params=params,
        inputs=tuple((port, piece.takes[port]) for port in sorted(piece.takes)),
        outputs=tuple(sorted((*kind.outputs, *piece.makes))),
        seed=seed,
        source=piece.source,
    )


def _as_map(value: Value) -> Map:
    assert isinstance(value, Map)
    return value
