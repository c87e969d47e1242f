"""Verify: a lock that was read is one that compiling could have written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlops_compile.compiler.check import check
from mlops_compile.compiler.derive import unasked
from mlops_compile.compiler.fitting import data_problems
from mlops_compile.compiler.lower import SOURCE, TEST, lower, others_of
from mlops_compile.compiler.pin import contract_of
from mlops_compile.compiler.searching import stated
from mlops_compile.compiler.sources import together
from mlops_compile.compiler.spec import Data, searches
from mlops_compile.ir.config import Composition, Config
from mlops_compile.ir.lock import Lock, plan_value, to_value
from mlops_compile.ir.plan import Step
from mlops_compile.ir.problem import LOCK_HINT, CompileError, Problem, problem
from mlops_compile.ir.source import Source
from mlops_compile.ir.value import Map, Value, dotted, leaves, pick, same
from mlops_compile.steps.joins import where_of
from mlops_compile.steps.kinds import FITTED, KINDS
from mlops_compile.steps.sources import SOURCES
from mlops_compile.steps.sources.kind import SOURCE_KEYS


def verify(lock: Lock) -> None:
    """CompileError where a lock's params, plan, source and contract do not belong together.

    The params of its steps are slices of a config: put together again, they must pass every check
    and lower to the same plan. What only running can find (the classes in the data) is left to it.
    """
    sources = dict(lock.sources)
    if SOURCE not in sources:
        raise CompileError(
            [problem("lock", "must hold the source `data`", ("sources",), LOCK_HINT)]
        )
    try:
        values = config_of(lock)
        spec = check(Config(values=values, composition=NOWHERE))
    except CompileError as error:
        raise CompileError(_from_lock(found) for found in error.problems) from None
    found = [
        *_differences(
            plan_value(lower(spec, stated=stated(values) if searches(spec) else Map())),
            plan_value(lock.plan),
            ("steps",),
        )
    ]
    found += _source_problems(spec.data, sources)
    if not found:
        try:
            pinned = together(spec.data, sources, tuple(sorted(lock.contract.classes)))
        except CompileError as error:
            raise CompileError(_from_lock(item) for item in error.problems) from None
        found += map(_from_lock, data_problems(spec, pinned))
    if not found:
        contract = to_value(lock)["contract"]
        expected = contract_of(spec.data, pinned, unasked(spec, pinned)).to_dict()
        found += _differences(expected, contract, ("contract",))
    names = {
        name for step in lock.plan.steps for name in KINDS[step.kind].needs(step.params).functions
    }
    if names != {function.name for function in lock.code.functions}:
        message = "holds other functions than the plan calls"
        found.append(problem("lock", message, ("code", "functions"), LOCK_HINT))
    if found:
        raise CompileError(found)


NOWHERE = Composition(config_name="lock", search_path=(), overrides=())


def _source_problems(data: Data, sources: Mapping[str, Source]) -> Iterator[Problem]:
    """Sources that the plan does not read, or not as what they are."""
    wanted = {SOURCE: SOURCE_KEYS, **others_of(data)}
    for name in sorted({*sources} ^ {*wanted}):
        message = "is not in the lock" if name in wanted else "is read by no step"
        yield problem("lock", f"the source {name} {message}", ("sources",), LOCK_HINT)
    for name in sorted({*sources} & {*wanted}):
        keys = data.source if name == SOURCE else data.test
        keys = keys if name in (SOURCE, TEST) else dict(data.join)[name].source
        if sources[name].kind != keys.kind:
            message = f"is {sources[name].kind!r}, and the plan reads {keys.kind!r}"
            yield problem("lock", message, ("sources", name, "kind"), LOCK_HINT)


def config_of(lock: Lock) -> Map:
    """The config that a lock's steps are slices of."""
    merged: Value = Map()
    for step in lock.plan.steps:
        if step.name.split("/")[0] == "search":
            continue
        merged = _merged(merged, step.params)
        if step.source is not None:
            merged = _merged(merged, _place(step, lock.source(step.source)))
    assert isinstance(merged, Map)
    seeds = [step.seed for step in lock.plan.steps if step.seed is not None]
    data = merged.get("data", Map())
    if not isinstance(data, Map):
        return merged
    deploy = merged.get("deploy", Map())
    name = deploy.get("name", "data") if isinstance(deploy, Map) else "data"
    seed = seeds[0] if seeds else 0
    return _with_search(Map({**merged, "data": Map({**data, "name": name}), "seed": seed}), lock)


def _with_search(config: Map, lock: Lock) -> Map:
    """The config with what its search states, which the steps behind it hold as it was settled."""
    for step in lock.plan.steps:
        if step.kind == "search":
            model, own = config.get("model", Map()), step.params.get("model", Map())
            if not (isinstance(model, Map) and isinstance(own, Map)):
                return config
            fitted = {path[1] for path in FITTED}
            rest = {name: item for name, item in model.items() if name not in fitted}
            parts = {name: step.params.get(name, Map()) for name in ("search", "prepare")}
            return Map({**config, **parts, "model": Map({**rest, **own})})
    return config


def _place(step: Step, source: Source) -> Map:
    """Where a step's source is, under the key that says so; a lock tells it apart."""
    try:
        where = where_of(step.params)
        kind = SOURCES[str(pick(step.params, (*where, "kind")))]
    except (KeyError, StopIteration, AssertionError):  # the checks say what is wrong
        return Map()
    if not kind.snapshot:
        return Map()
    value: Value = source.location
    for name in reversed((*where, kind.place)):
        value = Map({name: value})
    assert isinstance(value, Map)
    return value


def _merged(one: Value, other: Value) -> Value:
    if isinstance(one, Map) and isinstance(other, Map):
        both = {name: _merged(one[name], item) for name, item in other.items() if name in one}
        return Map({**one, **other, **both})
    return other


def _from_lock(found: Problem) -> Problem:
    return problem(found.code, f"the lock's params: {found.message}", found.where, LOCK_HINT)


def _differences(expected: Value, found: Value, where: tuple[str, ...]) -> Iterator[Problem]:
    """Every leaf of a lock that is not what its own params compile to."""
    old, new = dict(leaves(expected)), dict(leaves(found))
    for path in sorted({*old, *new}):
        if path not in old or path not in new or not same(old[path], new[path]):
            message = f"{dotted(path)} is not what the rest of the lock compiles to"
            yield problem("lock", message, where, LOCK_HINT)
