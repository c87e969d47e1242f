"""The checked config: every key that there is, with its type, default and rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlops_compile.ir.contract import TASKS
from mlops_compile.ir.schema import group, key, to_value
from mlops_compile.ir.value import Map
from mlops_compile.steps.calibrations import Calibration
from mlops_compile.steps.columns import Column, Rows
from mlops_compile.steps.deploy import Deploy
from mlops_compile.steps.derive import Derived
from mlops_compile.steps.evaluation import Evaluate
from mlops_compile.steps.families import FAMILIES, OTHERS
from mlops_compile.steps.improving import Improve
from mlops_compile.steps.joins import Join
from mlops_compile.steps.monitoring import Monitor
from mlops_compile.steps.preparations.used import learns_from_target
from mlops_compile.steps.searching import Search
from mlops_compile.steps.thresholds import Threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """`data`: where the rows come from, and what is to be predicted."""

    name: str = key("name of the data set", filled=True)
    target: str = key("the column that is predicted", filled=True)
    task: str = key("binary, multiclass or regression", choices=TASKS)
    positive: bool | int | str | None = key(
        "the class that counts as positive in a binary task; else the last in order", default=None
    )
    missing_target: str = key(
        "rows whose target is missing: fail, or drop them", default="fail", choices=("fail", "drop")
    )
    source: Any = key("where the rows come from", variants="sources")
    test: Any = key(
        "where the rows to test on come from; else they are split off",
        default=None,
        variants="sources",
    )
    join: tuple[tuple[str, Join], ...] = key("columns of other sources, by name", default=())
    columns: tuple[tuple[str, Column], ...] = key("what is to be known of columns", default=())
    rows: Rows = group("what must hold of the table", Rows)
    split: Any = key("which rows train and which test", variants="splits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare:
    """`prepare`: lists of preparations by column type, and for single columns.

    `auto` stands for the usual preparations of the model's family.
    """

    numeric: Any = key("preparations of numeric columns", default="auto", variants="chain")
    boolean: Any = key("preparations of boolean columns", default="auto", variants="chain")
    categorical: Any = key("preparations of categorical columns", default="auto", variants="chain")
    datetime: Any = key("preparations of datetime columns", default="auto", variants="chain")
    columns: Any = key("preparations of single columns", default=Map(), variants="chains")
    derive: tuple[tuple[str, Derived], ...] = key(
        "new columns by name, computed from others before the lists are", default=()
    )
    rows: tuple[str, ...] = key(
        "conditions that the rows to learn from must meet, for example 'age > 17'", default=()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRoots:
    """`code`: where functions of yours are."""

    roots: tuple[str, ...] = key(
        "directories that hold your packages, relative to the project, as they are searched",
        default=(),
        place=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """`model`: a family and its library's own parameters; what is done with its probabilities."""

    family: str = key("the model family", choices=tuple(FAMILIES), more=OTHERS)
    params: Map = key("parameters of the family, by the names of its library", default=Map())
    class_weight: str | Map | None = key(
        "how much each class counts in training: balanced, or {CLASS: weight}",
        default=None,
        choices=("balanced",),
    )
    monotone: Map = key(
        "features that predictions rise (1) or fall (-1) with, by name: {age: 1}", default=Map()
    )
    calibration: Calibration | None = key(
        "how probabilities are made true on the validation part", default=None
    )
    threshold: Threshold | None = key(
        "from which probability on the answer is the positive class; else the more probable one",
        default=None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """`store`: where results are kept."""

    uri: str = key("directory of the state", default=".mlops", filled=True, place=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """`registry`: where versions of models are kept by name, and when one may take another's place.

    None of it enters a step.
    """

    uri: str | None = key(
        "database of the versions, as postgresql+psycopg://host/database; else a file below"
        " store.uri",
        default=None,
        filled=True,
        place=True,
    )
    credentials_env: str | None = key(
        "environment variable that holds user:password of the database",
        default=None,
        filled=True,
        place=True,
    )
    name: str | None = key(
        "name of the versions; else that of the data set", default=None, filled=True, place=True
    )
    register: bool = key(
        "whether a run whose gates hold is registered as a version", default=True, place=True
    )
    promote: str = key(
        "what a challenger must show beside the champion: not_worse (its interval is not wholly"
        " below), or better (it is wholly above)",
        default="not_worse",
        choices=("not_worse", "better"),
        place=True,
    )
    confidence: float = key(
        "confidence of that interval",
        default=0.95,
        low=0.5,
        high=1,
        high_open=True,
        place=True,
    )
    keep: int | None = key(
        "versions of a name that `registry archive` leaves, besides those that an alias means or"
        " a pin; else all",
        default=None,
        low=1,
        place=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """`execution`: how a plan is run; never what comes out."""

    kind: str = key("local", default="local", choices=("local",), place=True)
    workers: int | None = key(
        "steps that run side by side; else one a core", default=None, low=1, place=True
    )
    threads: int | None = key(
        "threads of one step; else its share of the cores", default=None, low=1, place=True
    )
    memory: float | None = key(
        "GiB of memory that one step may take; else no limit",
        default=None,
        low=0,
        low_open=True,
        place=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedWaiver:
    """One of `review.waivers`: what is accepted of one change, and why."""

    what: str = key(
        "contract: a service that breaks its clients; gates: gates that are not met",
        choices=("contract", "gates"),
    )
    old: str = key("digest of the old plan, 12 digits or more, as diff shows it", filled=True)
    new: str = key("digest of the new plan, 12 digits or more", filled=True)
    reason: str = key("why", filled=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waivers:
    """`review`: what is accepted of a change, though a review would end with an error."""

    waivers: tuple[StatedWaiver, ...] = key(
        "what is accepted, each for one pair of plans; no step reads it", default=(), place=True
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """The whole config."""

    format: int = key("the format of the config's keys", default=1, low=1, place=True)
    env: tuple[str, ...] = key(
        "environment variables that ${oc.env:NAME} may use", default=(), place=True
    )
    seed: int = key("every random choice derives from it", default=0, low=0)
    data: Data = key("where the rows come from, and what is to be predicted")
    prepare: Prepare = group("how columns become features", Prepare)
    model: Model = key("the model")
    search: Search = group("trials of other values, of which the best makes the model", Search)
    code: CodeRoots = group("where functions of yours are", CodeRoots)
    evaluate: Evaluate = group("what is measured, and what must be reached", Evaluate)
    deploy: Deploy = group("the service that is generated", Deploy)
    monitor: Monitor = group("when a running service is to be looked at", Monitor)
    improve: Improve = group("when a model is made anew, and what follows", Improve)
    review: Waivers = group("what is accepted of a change", Waivers)
    store: Store = group("where results are kept", Store)
    registry: Registry = group("where versions of models are kept", Registry)
    execution: Execution = group("how a plan is run", Execution)


PLACES = ("store", "registry", "execution")


def searches(spec: Spec) -> bool:
    """Whether trials choose the values that make the model."""
    return spec.search.kind != "none"


def supervised(prepare: Prepare) -> bool:
    """Whether a preparation learns from the target."""
    value = to_value(prepare, defaults=True)
    assert isinstance(value, Map)
    return learns_from_target(value)
