"""The kinds of steps, declared apart from the code that runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from mlops_compile.ir.key import Needs
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Step
from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.value import KeyPath, Map, Value, pick
from mlops_compile.steps.deploy import SERVICE
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.families.kind import Family
from mlops_compile.steps.kind import StepKind
from mlops_compile.steps.registry import table
from mlops_compile.steps.sources import SOURCES

_TABLES = ("numpy", "pandas", "pyarrow")
_METRICS = (
    "joblib",
    "narwhals",
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "scipy",
    "threadpoolctl",
)


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


def family_of(params: Map) -> Family:
    """The family that a step's params name."""
    return FAMILIES[str(pick(params, ("model", "family")))]


def _family_imports(*modules: str) -> Callable[[Map], tuple[str, ...]]:
    """These modules, then those of the family that params name."""
    return lambda params: (*modules, *family_of(params).imports)


def _acquire_needs(params: Map) -> Needs:
    kind = str(pick(params, ("data", "source", "kind")))
    return Needs(distributions=SOURCES[kind].distributions)


def _train_needs(params: Map) -> Needs:
    return Needs(distributions=family_of(params).distributions, platform=True)


def _evaluate_needs(params: Map) -> Needs:
    both = {*family_of(params).distributions, *_METRICS}
    return Needs(distributions=tuple(sorted(both)), platform=True)


def _package_needs(params: Map) -> Needs:
    family = family_of(params)
    both = {*SERVICE, *family.serving, *_TABLES, "jinja2", "markupsafe"}
    return Needs(distributions=tuple(sorted(both)), contract=True)


KINDS: Mapping[str, StepKind] = table(
    "step kind",
    StepKind(
        name="acquire",
        version=1,
        run="mlops_compile.steps.acquire:run",
        outputs=("table",),
        reads=(("data", "source", "kind"), ("data", "source", "options")),
        needs=_acquire_needs,
        imports=lambda params: ("mlops_compile.steps.acquire", "pyarrow.compute"),
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
        needs=lambda params: Needs(distributions=_TABLES),
        imports=lambda params: ("mlops_compile.steps.validate", "pyarrow.compute"),
    ),
    StepKind(
        name="split",
        version=1,
        run="mlops_compile.steps.split:run",
        inputs=("table", "target"),
        outputs=("train", "validation", "test"),
        reads=(("data", "split"),),
        needs=lambda params: Needs(distributions=("numpy", "pyarrow")),
        seeded=lambda params: pick(params, ("data", "split", "kind")) != "time",
        imports=lambda params: ("mlops_compile.steps.split", "pyarrow.compute"),
    ),
    StepKind(
        name="inspect",
        version=1,
        run="mlops_compile.steps.leaks:run",
        inputs=("table", "target", "train", "test"),
        outputs=("findings",),
        reads=(("data", "target"),),
        needs=lambda params: Needs(distributions=("numpy", "pyarrow")),
        imports=lambda params: ("mlops_compile.steps.leaks", "pyarrow.compute"),
    ),
    StepKind(
        name="prepare",
        version=1,
        run="mlops_compile.steps.prepare:run",
        inputs=("table", "train"),
        outputs=("features", "preparation"),
        reads=(("prepare",),),
        needs=lambda params: Needs(distributions=_TABLES),
        imports=lambda params: ("mlops_compile.steps.prepare", "pandas"),
    ),
    StepKind(
        name="train",
        version=1,
        run="mlops_compile.steps.train:run",
        inputs=("features", "preparation", "target", "train", "validation"),
        outputs=("model",),
        trees=("model",),
        reads=(("model",),),
        needs=_train_needs,
        seeded=lambda params: family_of(params).seeded,
        imports=_family_imports("mlops_compile.steps.train"),
        threaded=True,
    ),
    StepKind(
        name="evaluate",
        version=1,
        run="mlops_compile.steps.evaluate:run",
        inputs=("model", "features", "target", "train", "validation", "test"),
        outputs=("metrics", "predictions"),
        reads=(("model", "family"), ("evaluate", "metrics")),
        needs=_evaluate_needs,
        imports=_family_imports("mlops_compile.steps.evaluate", "sklearn.metrics"),
        threaded=True,
    ),
    StepKind(
        name="package",
        version=1,
        run="mlops_compile.emit.package:run",
        inputs=("model", "metrics", "predictions", "table", "profile"),
        outputs=("bundle",),
        trees=("bundle",),
        reads=(("model", "family"), ("deploy",), ("evaluate", "gates")),
        needs=_package_needs,
        imports=_family_imports("mlops_compile.emit.package"),
    ),
)


def slice_of(config: Map, kind: StepKind) -> Map:
    """The parts of a config that a kind reads, under their own key paths; nothing else."""
    return _restricted(config, kind.reads) or Map()


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
    found = []
    for step in lock.plan.steps:
        where = ("steps", step.name, "kind")
        kind = _kind_or_none(step.kind)
        if kind is None:
            hint = f"this version knows {', '.join(sorted(KINDS))}"
            found.append(problem("step-kind", f"there is no step kind {step.kind!r}", where, hint))
        elif kind.version != step.version:
            message = (
                f"the lock has version {step.version} of the step kind {step.kind!r}; "
                f"this version runs {kind.version}"
            )
            hint = "write the lock again with `mlops-compile compile`"
            found.append(problem("kind-version", message, where, hint))
        elif not kind.has_ports([port for port, _ in step.inputs], step.outputs) or (
            step.source is None
        ) != bool(step.inputs):
            message = f"the ports of the step are not those of its kind {step.kind!r}"
            hint = "a lock is made, not edited; write it again with `mlops-compile compile`"
            found.append(problem("step-kind", message, where, hint))
    if found:
        raise CompileError(found)
    try:
        return {step.name: _needs(step, lock) for step in lock.plan.steps}
    except KeyError as error:
        hint = "a lock is made, not edited; write it again with `mlops-compile compile`"
        message = f"the lock names {error.args[0]!r}, which is not known here"
        raise CompileError([problem("lock", message, ("steps",), hint)]) from None


def _kind_or_none(name: str) -> StepKind | None:
    try:
        return kind_of(name)
    except KeyError:
        return None


def _needs(step: Step, lock: Lock) -> Needs:
    kind = kind_of(step.kind)
    needs = kind.needs(step.params)
    versions = dict(lock.environment)
    if kind.seeded(step.params) != (step.seed is not None):
        message = "the step needs a seed" if step.seed is None else "the step takes no seed"
        hint = "a lock is made, not edited; write it again with `mlops-compile compile`"
        raise CompileError([problem("lock", message, ("steps", step.name, "seed"), hint)])
    for name in needs.distributions:
        if name not in versions:
            raise KeyError(f"environment.{name}")
    return needs
