"""The kinds of steps, declared apart from the code that runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache

from mlops_compile.ir.key import Needs
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Step
from mlops_compile.ir.problem import LOCK_HINT, CompileError, Problem, problem
from mlops_compile.ir.schema import declared
from mlops_compile.ir.value import KeyPath, Map, Value, pick
from mlops_compile.steps.evaluation import JUDGED, MEASURED, draws
from mlops_compile.steps.foldings import MOST_FOLDS, fold_ports
from mlops_compile.steps.joins import Join
from mlops_compile.steps.kind import StepKind
from mlops_compile.steps.needs import (
    METRICS,
    TABLES,
    acquire_needs,
    evaluate_needs,
    family_of,
    map_at,
    package_needs,
    prepare_imports,
    prepare_needs,
    prepare_of,
    search_needs,
    train_needs,
)
from mlops_compile.steps.preparations.used import learns_from_target
from mlops_compile.steps.registry import table
from mlops_compile.steps.sources.kind import SOURCE_KEYS
from mlops_compile.steps.splits import OWN_PARTS
from mlops_compile.steps.splits import draws as draws_rows


def kind_of(name: str) -> StepKind:
    """The kind of a name: one of ours, or one that an installed distribution offers under the
    entry point group `mlops_compile.steps`. KeyError where there is none."""
    return KINDS[name] if name in KINDS else _offered(name)


@cache
def _offered(name: str) -> StepKind:
    from importlib.metadata import entry_points  # slow to import, and for plugins only

    for found in entry_points(group="mlops_compile.steps", name=name):
        kind = found.load()
        if not isinstance(kind, StepKind) or kind.name != name:
            raise ValueError(f"{found.value} is no step kind that is called {name!r}")
        return kind
    raise KeyError(name)


def _family_imports(*modules: str) -> Callable[[Map], tuple[str, ...]]:
    """These modules, then those of the family that params name."""
    return lambda params: (*modules, *family_of(params).imports)


def _numbered(port: str) -> tuple[str, ...]:
    return tuple(f"{port}_{number}" for number in range(2, MOST_FOLDS + 1))


# The input of steps that take a search's choice: values that stand in place of their params' own.
CHOSEN = "chosen"
_UNCHOSEN = Needs()  # those of the step that is made of it, once the search has ended
# What of the config a model is fitted by.
FITTED: tuple[KeyPath, ...] = tuple(
    ("model", name) for name in ("family", "params", "class_weight", "monotone")
)

KINDS: Mapping[str, StepKind] = table(
    "step kind",
    StepKind(
        name="acquire",
        version=1,
        run="mlops_compile.steps.acquire:run",
        outputs=("table",),
        reads=(SOURCE_KEYS,),
        needs=acquire_needs,
        imports=lambda params: ("mlops_compile.steps.acquire", "pyarrow.compute"),
    ),
    StepKind(
        name="combine",
        version=2,
        run="mlops_compile.steps.combine:run",
        inputs=("table",),
        optional_inputs=("*",),
        outputs=("table",),
        reads=tuple(
            ("data", "join", "*", item.name) for item in declared(Join) if item.name != "source"
        ),
        needs=lambda params: Needs(distributions=TABLES),
        imports=lambda params: ("mlops_compile.steps.combine", "pyarrow.compute"),
    ),
    StepKind(
        name="validate",
        version=2,
        run="mlops_compile.steps.validate:run",
        inputs=("table",),
        outputs=("table", "target", "profile", "report"),
        reads=(
            ("data", "columns"),
            ("data", "rows"),
            ("data", "target"),
            ("data", "missing_target"),
            ("data", "task"),
            ("data", "positive"),
        ),
        needs=lambda params: Needs(distributions=TABLES),
        imports=lambda params: ("mlops_compile.steps.validate", "pyarrow.compute"),
    ),
    StepKind(
        name="split",
        version=2,
        run="mlops_compile.steps.split:run",
        inputs=("table", "target"),
        outputs=("train", "validation", "test"),
        optional_outputs=(*OWN_PARTS, "facts"),
        reads=(("data", "split"),),
        needs=lambda params: Needs(distributions=("numpy", "pyarrow")),
        seeded=lambda params: draws_rows(map_at(params, ("data", "split"))),
        imports=lambda params: ("mlops_compile.steps.split", "pyarrow.compute"),
    ),
    StepKind(
        name="inspect",
        version=2,
        run="mlops_compile.steps.leaks:run",
        inputs=("table", "target", "train", "test"),
        outputs=("findings",),
        reads=(("data", "target"),),
        needs=lambda params: Needs(distributions=("numpy", "pyarrow")),
        imports=lambda params: ("mlops_compile.steps.leaks", "pyarrow.compute"),
    ),
    StepKind(
        name="prepare",
        version=2,
        run="mlops_compile.steps.prepare:run",
        inputs=("table", "train"),
        optional_inputs=("target", CHOSEN),
        outputs=("features", "preparation"),
        optional_outputs=("rows",),
        reads=(("prepare",),),
        needs=prepare_needs,
        seeded=lambda params: learns_from_target(prepare_of(params)),
        imports=prepare_imports,
    ),
    StepKind(
        name="train",
        version=2,
        run="mlops_compile.steps.train:run",
        inputs=("features", "preparation", "target", "train", "validation"),
        optional_inputs=("table", CHOSEN),
        outputs=("model",),
        trees=("model",),
        reads=FITTED,
        needs=train_needs,
        seeded=lambda params: family_of(params).seeded,
        imports=_family_imports("mlops_compile.steps.train"),
        threaded=True,
    ),
    StepKind(
        name="trial",
        version=1,
        run="mlops_compile.steps.trial:run",
        inputs=("features", "preparation", "target", "train", "validation", "test"),
        optional_inputs=("table",),
        outputs=("predictions",),
        reads=FITTED,
        needs=train_needs,
        seeded=lambda params: family_of(params).seeded,
        imports=_family_imports("mlops_compile.steps.trial"),
        threaded=True,
    ),
    StepKind(
        name="score",
        version=1,
        run="mlops_compile.steps.score:run",
        inputs=("target", "predictions_1", "test_1"),
        optional_inputs=("table", *_numbered("predictions"), *_numbered("test")),
        outputs=("metrics",),
        reads=(("search", "metric"), ("evaluate", "options")),
        needs=lambda params: Needs(distributions=METRICS, platform=True),
        imports=lambda params: ("mlops_compile.steps.score", "sklearn.metrics"),
    ),
    StepKind(
        name="search",
        version=1,
        run="mlops_compile.steps.sampling:refuse",
        inputs=("table", "target"),
        optional_inputs=("*",),
        outputs=("best", "trials"),
        reads=(
            ("search",),
            ("prepare",),
            *FITTED,
            ("evaluate", "options"),
        ),
        needs=search_needs,
        seeded=lambda params: pick(params, ("search", "kind")) != "grid",
    ),
    StepKind(
        name="refit",
        version=1,
        run="mlops_compile.steps.refit:run",
        inputs=("train", "validation"),
        outputs=("train", "validation"),
        reads=(("search", "refit"),),
        needs=lambda params: Needs(distributions=("numpy",)),
        imports=lambda params: ("mlops_compile.steps.refit",),
    ),
    StepKind(
        name="calibrate",
        version=1,
        run="mlops_compile.steps.calibrate:run",
        inputs=("model", "features", "target", "validation"),
        optional_inputs=("table", CHOSEN),
        outputs=("calibration",),
        reads=(("model", "family"), ("model", "calibration")),
        needs=evaluate_needs,
        imports=_family_imports("mlops_compile.steps.calibrate"),
        threaded=True,
    ),
    StepKind(
        name="threshold",
        version=1,
        run="mlops_compile.steps.threshold:run",
        inputs=("model", "features", "target", "validation"),
        optional_inputs=("calibration", "table", CHOSEN),
        outputs=("decision",),
        reads=(("model", "family"), ("model", "threshold")),
        needs=train_needs,
        imports=_family_imports("mlops_compile.steps.threshold"),
        threaded=True,
    ),
    StepKind(
        name="evaluate",
        version=5,
        run="mlops_compile.steps.evaluate:run",
        inputs=("model", "features", "target", "train", "validation", "test"),
        outputs=("metrics",),
        optional_inputs=("table", "calibration", "decision", CHOSEN),
        optional_outputs=("predictions", "evaluation"),
        reads=(
            ("model", "family"),
            ("data", "columns", "*", "sensitive"),
            *(("evaluate", key) for key in MEASURED),
        ),
        needs=evaluate_needs,
        seeded=draws,
        imports=_family_imports("mlops_compile.steps.evaluate", "sklearn.metrics"),
        threaded=True,
    ),
    StepKind(
        name="folds",
        version=1,
        run="mlops_compile.steps.folds:run",
        inputs=("table", "target", "train", "validation"),
        outputs=fold_ports(1),
        optional_outputs=fold_ports(MOST_FOLDS)[len(fold_ports(1)) :],
        reads=(("evaluate", "cross_validation"),),
        needs=lambda params: Needs(distributions=("numpy", "pyarrow")),
        seeded=lambda params: pick(params, ("evaluate", "cross_validation", "kind")) != "time",
        imports=lambda params: ("mlops_compile.steps.folds", "pyarrow.compute"),
    ),
    StepKind(
        name="summarise",
        version=1,
        run="mlops_compile.steps.summarise:run",
        inputs=("metrics_1", "metrics_2"),
        optional_inputs=_numbered("metrics")[1:],
        outputs=("metrics",),
        reads=(),
        needs=lambda params: Needs(),
        imports=lambda params: ("mlops_compile.steps.summarise",),
    ),
    StepKind(
        name="package",
        version=7,
        run="mlops_compile.emit.package:run",
        inputs=(
            "model",
            "evaluation",
            "predictions",
            "table",
            "profile",
            "report",
            "facts",
            "train",
        ),
        optional_inputs=("calibration", "decision", "folds", CHOSEN),
        outputs=("bundle",),
        trees=("bundle",),
        reads=(
            ("data", "columns", "*", "sensitive"),
            ("model", "family"),
            ("search", "won"),
            ("deploy",),
            ("monitor",),
            ("evaluate", "options"),
            *(("evaluate", key) for key in JUDGED),
        ),
        needs=package_needs,
        imports=_family_imports("mlops_compile.emit.package"),
    ),
)


def slice_of(config: Map, reads: tuple[KeyPath, ...]) -> Map:
    """The parts of a config that lie at or below these key paths, under these; nothing else."""
    return _restricted(config, reads) or Map()


def _restricted(value: Map, paths: tuple[KeyPath, ...]) -> Map | None:
    """What of a map lies at or below some path; None if nothing does."""
    found: dict[str, Value] = {}
    for name, item in value.items():
        inner = tuple(path[1:] for path in paths if path[0] in (name, "*"))
        if () in inner:
            found[name] = item
        elif inner and isinstance(item, Map) and (part := _restricted(item, inner)) is not None:
            found[name] = part
    return Map(found) if found else None


def needs_of(lock: Lock) -> dict[str, Needs]:
    """The needs of every step of a lock, by step name; CompileError for kinds not known here."""
    if found := [*kind_problems(lock.plan.steps)]:
        raise CompileError(found)
    try:
        return {step.name: _needs(step, lock) for step in lock.plan.steps}
    except KeyError as error:
        message = f"the lock names {error.args[0]!r}, which is not known here"
        raise CompileError([problem("lock", message, ("steps",), LOCK_HINT)]) from None
    except (AssertionError, AttributeError, TypeError, ValueError):  # params of no kind's form
        message = "the params of a step have not the form that its kind reads"
        raise CompileError([problem("lock", message, ("steps",), LOCK_HINT)]) from None


def kind_problems(steps: Iterable[Step]) -> Iterator[Problem]:
    """The steps that this version cannot run: of another version of their kind, or of none."""
    for step in steps:
        where = ("steps", step.name, "kind")
        kind = _kind_or_none(step.kind)
        if kind is None:
            hint = f"this version knows {', '.join(sorted(KINDS))}"
            yield problem("step-kind", f"there is no step kind {step.kind!r}", where, hint)
        elif kind.version != step.version:
            message = (
                f"the lock has version {step.version} of the step kind {step.kind!r}; "
                f"this version runs {kind.version}"
            )
            hint = "write the lock again with `mlops-compile compile`"
            yield problem("kind-version", message, where, hint)
        elif not kind.has_ports([port for port, _ in step.inputs], step.outputs) or (
            step.source is None
        ) != bool(step.inputs):
            message = f"the ports of the step are not those of its kind {step.kind!r}"
            yield problem("step-kind", message, where, LOCK_HINT)


def asked_of(step: Step) -> Needs | None:
    """What a step needs of the world outside, whatever version of its kind it has; None where its
    kind, or something that its params name, is not known here."""
    if CHOSEN in dict(step.inputs):
        return _UNCHOSEN
    kind = _kind_or_none(step.kind)
    if kind is None:
        return None
    try:
        return kind.needs(step.params)
    except (AssertionError, AttributeError, LookupError, TypeError, ValueError):
        return None


def _kind_or_none(name: str) -> StepKind | None:
    try:
        return kind_of(name)
    except KeyError:
        return None


def _needs(step: Step, lock: Lock) -> Needs:
    kind = kind_of(step.kind)
    if CHOSEN in dict(step.inputs):
        return _UNCHOSEN
    needs = kind.needs(step.params)
    versions = dict(lock.environment)
    if kind.seeded(step.params) != (step.seed is not None):
        message = "the step needs a seed" if step.seed is None else "the step takes no seed"
        raise CompileError([problem("lock", message, ("steps", step.name, "seed"), LOCK_HINT)])
    if missing := {*needs.functions} - {function.name for function in lock.code.functions}:
        raise KeyError(f"code.functions.{min(missing)}")
    for name in (*needs.distributions, *lock.code.distributions(needs.functions)):
        if name not in versions:
            raise KeyError(f"environment.{name}")
    return needs
