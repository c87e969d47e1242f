"""A search at compile time: its space is checked as if each of its values stood in the config; and
the configs and locks of its trials and of its winner, which are made by the same passes as any."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from mlops_compile.compiler.fitting import data_problems
from mlops_compile.compiler.lower import causes, lower
from mlops_compile.compiler.pin import pin
from mlops_compile.compiler.read import Reader, known, whole
from mlops_compile.compiler.spec import Spec, searches
from mlops_compile.compiler.splitting import check_folds, has_rows_for
from mlops_compile.compiler.suggest import suggest
from mlops_compile.compiler.trials import trial_steps
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.memo import Memo
from mlops_compile.ir.plan import Step
from mlops_compile.ir.problem import Problem
from mlops_compile.ir.source import Pinned
from mlops_compile.ir.value import KeyPath, Map, Value
from mlops_compile.steps.metrics import METRICS
from mlops_compile.steps.searching import Search
from mlops_compile.steps.spaces import (
    Choices,
    Space,
    Variation,
    trial_values,
    variations,
    varied,
    without_searched,
)
from mlops_compile.steps.splits import OWN_PARTS, asked_parts
from mlops_compile.steps.stated_space import space_of

_SPACE: KeyPath = ("search", "space")
_CV: KeyPath = ("search", "cv")
_MOST_POINTS = 100_000
# The columns that folds are made by, where they follow the split.
_BY = {
    "group": ("column",),
    "time": ("column",),
    "hash": ("columns",),
    "stratified": ("group", "bins"),
}


def is_search(values: Map) -> bool:
    """Whether a composed config asks for a search."""
    search = values.get("search")
    return isinstance(search, Map) and search.get("kind", "none") != "none"


def settled_values(values: Map) -> Map:
    """The composed values with the kind of a search's folds filled in, that of the split; and,
    where there is a search, without those that every trial replaces."""
    if isinstance(values.get("search"), Map):
        values = _with_folds(values)
    if not is_search(values):
        return values
    return without_searched(values, space_in(values)[0])


def space_in(values: Map) -> tuple[Space, tuple[Any, ...]]:
    """The space of a config's search, and its faults."""
    search, model = values["search"], values.get("model")
    assert isinstance(search, Map)
    space = search.get("space")
    family = model.get("family") if isinstance(model, Map) else None
    return space_of(space if isinstance(space, Map) else Map(), str(family))


def stated(values: Map) -> Map:
    """The causes that a settled config states, before what it leaves to `auto` is filled in."""
    reader = Reader()
    return causes(reader.group(Spec, values, ()))


def _with_folds(values: Map) -> Map:
    search, data = values["search"], values.get("data")
    assert isinstance(search, Map)
    cv, split = search.get("cv"), data.get("split") if isinstance(data, Map) else None
    if not isinstance(cv, Map) or "kind" in cv:
        return values
    kind = split.get("kind") if isinstance(split, Map) else None
    made: dict[str, Value] = {"kind": kind if kind in _BY else "random"}
    own = split if isinstance(split, Map) else Map()
    made |= {name: own[name] for name in _BY.get(str(kind), ()) if own.get(name) is not None}
    return Map({**values, "search": Map({**search, "cv": Map({**made, **cv})})})


# Checks


def check_search(reader: Reader, spec: Spec, values: Map) -> Search:
    """The search with its metric and direction filled in, and its problems told, but for those of
    single values (`value_problems`)."""
    search = spec.search
    if not known(search) or not known(search.kind) or not searches(spec):
        _check_refit(reader, spec)
        return search
    _check_trials(reader, search)
    search = _settle_metric(reader, search, spec)
    if search.cv is None:
        if not has_rows_for(spec.data, "validation"):
            message = "trials have no rows to be judged on: there are no folds, and no validation"
            message += " part"
            hint = "set search.cv={folds: 3}, or data.split.validation_size=0.2"
            reader.complain("impossible", message, _CV, hint)
    elif known(search.cv):
        check_folds(reader, spec.data, search.cv, _CV)
    space, faults = space_in(values)
    for fault in faults:
        reader.complain(fault.code, fault.message, (*_SPACE, *fault.where), fault.hint)
    if not space.domains and not faults and known(search.space):
        message = "names nothing to vary"
        hint = "for example search.space.model.params.num_leaves={low: 8, high: 128}"
        reader.complain("missing-value", message, _SPACE, hint)
    if search.kind == "grid":
        _check_grid(reader, space)
    _check_refit(reader, spec)
    return search


def _check_trials(reader: Reader, search: Search) -> None:
    where = ("search", "trials")
    if search.kind == "grid" and search.trials is not None:
        message = "a grid tries every point of its space"
        reader.complain("impossible", message, where, "leave it out, or take random")
    elif search.kind != "grid" and search.trials is None:
        message = f"must be given: how many points {search.kind} tries"
        reader.complain("missing-value", message, where, "for example search.trials=40")


def _check_grid(reader: Reader, space: Space) -> None:
    count = 1
    for domain in space.domains:
        if isinstance(domain.held, Choices):
            count *= len(domain.held.values)
        elif domain.held.stepped:
            count *= domain.held.count
        else:
            message = "has no steps, so that a grid cannot count its points out"
            hint = "give it a step, or choices; or take random, sobol or tpe"
            reader.complain("impossible", message, (*_SPACE, *domain.where), hint)
    if count > _MOST_POINTS:
        message = f"has {count:,} points"
        hint = "give wider steps, or take random, sobol or tpe"
        reader.complain("impossible", message, _SPACE, hint)


def _settle_metric(reader: Reader, search: Search, spec: Spec) -> Search:
    task, where = spec.data.task, ("search", "metric")
    metric = search.metric or spec.evaluate.primary
    if search.metric is not None and known(search.metric, task):
        fitting = tuple(name for name, item in METRICS.items() if task in item.tasks)
        if search.metric not in METRICS:
            hint = suggest(search.metric, fitting, f"metrics of a {task} task")
            message = f"there is no metric {search.metric!r}"
            reader.complain("unknown-choice", message, where, hint)
        elif search.metric not in fitting:
            message = f"{search.metric} is a metric of {' and '.join(METRICS[search.metric].tasks)}"
            hint = f"metrics of a {task} task: {', '.join(fitting)}"
            reader.complain("impossible", f"{message}, and the task is {task}", where, hint)
    direction = search.direction
    if direction is None and known(metric) and metric is not None and metric in METRICS:
        direction = "maximize" if METRICS[metric].greater_is_better else "minimize"
    return replace(search, metric=metric, direction=direction)


def _check_refit(reader: Reader, spec: Spec) -> None:
    if not known(spec.search, spec.data, spec.model) or spec.search.refit == "train":
        return
    where = ("search", "refit")
    if not whole(spec.data.split):
        return
    parts = asked_parts(spec.data.split)
    if "validation" not in parts:
        message = "there is no validation part to train on: data.split.validation_size is 0"
        reader.complain("impossible", message, where, "take search.refit=train")
        return
    uses = {
        "calibration": spec.model.calibration is not None,
        "threshold": spec.model.threshold is not None,
        "early_stopping": known(spec.model.params) and _stops_early(spec.model.params),
    }
    for use in OWN_PARTS:
        if uses[use] and use not in parts:
            what = use.replace("_", " ")
            message = f"{what} needs rows that the model was not trained on"
            hint = f"give it a part of its own (data.split.{use}_size), or take search.refit=train"
            reader.complain("impossible", message, where, hint)


def _stops_early(params: Map) -> bool:
    return params.get("early_stopping_round", 0) not in (0, None) or (
        params.get("early_stopping") is True
    )


Check = Callable[[Map], tuple[Spec, tuple[Problem, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """The spec of a trial that shows one end or choice of a domain."""

    spec: Spec
    shows: Variation

    def moved(self, found: Problem) -> Problem:
        """A problem of a value at the place of the space that gives it; of another key, at the end
        or choice that is shown."""
        for depth in range(len(found.where), 0, -1):
            if (given := self.shows.places.get(found.where[:depth])) is not None:
                domain, place = given
                below = found.where[depth:]
                is_key = not below and (found.by_key or found.of.mark == "key")
                where = (*_SPACE, *domain.where, *(() if is_key else (*place, *below)))
                return replace(found, where=where, origin=None)
        where = (*_SPACE, *self.shows.domain.where, *self.shows.place)
        return replace(found, where=where, origin=None)


def variants_of(
    values: Map, base: Iterable[Problem], check: Check
) -> tuple[tuple[Variant, ...], tuple[Problem, ...]]:
    """The trials that show every end and choice of a search's space, and what is wrong with them
    and not with the config itself, at the place of the value."""
    space, config = space_in(values)[0], varied(values)
    told = {(item.code, item.message, item.where) for item in base}
    variants: list[Variant] = []
    found: dict[tuple[str, str, KeyPath], Problem] = {}
    for shows in variations(space, values):
        spec, problems = check(trial_values(config, space, shows.point))
        variant = Variant(spec=spec, shows=shows)
        for item in problems:
            key = (item.code, item.message, item.where)
            if key not in told:
                found.setdefault(key, variant.moved(item))
        if not problems:
            variants.append(variant)
    return tuple(variants), tuple(found.values())


def unfit_variants(spec: Spec, variants: Iterable[Variant], pinned: Pinned) -> tuple[Problem, ...]:
    """What of the values that trials take does not fit the data."""
    told = {(item.code, item.message, item.where) for item in data_problems(spec, pinned)}
    found: dict[tuple[str, str, KeyPath], Problem] = {}
    for variant in variants:
        for item in data_problems(variant.spec, pinned):
            key = (item.code, item.message, item.where)
            if key not in told:
                found.setdefault(key, variant.moved(item))
    return tuple(found.values())


# Trials and the winner


def trial_of(spec: Spec, trial: Spec, under: str, memo: Memo) -> tuple[Step, ...]:
    """The steps of a trial, of the search of `spec`; those of one memo share their work."""
    return trial_steps(trial, spec.search, under, memo)


def won(lock: Lock, trial: Spec, pinned: Pinned, best: Map) -> Lock:
    """The lock of a search's winner: as that of the same config alone, but that the package step
    is told what it won."""
    versions = dict(lock.environment)
    plan = lower(trial)
    steps = tuple(
        replace(step, params=Map({**step.params, "search": Map({"won": best})}))
        if step.kind == "package"
        else step
        for step in plan.steps
    )
    return pin(trial, replace(plan, steps=steps), pinned, versions.__getitem__, lock.code)
