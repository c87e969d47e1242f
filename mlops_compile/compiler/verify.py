"""Verify: a lock that was read is one that compiling could have written."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_compile.compiler.check import check
from mlops_compile.compiler.derive import unasked
from mlops_compile.compiler.fitting import data_problems
from mlops_compile.compiler.lower import SOURCE, lower
from mlops_compile.compiler.pin import contract_of
from mlops_compile.ir.config import Composition, Config
from mlops_compile.ir.lock import Lock, plan_value, to_value
from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.source import Pinned
from mlops_compile.ir.value import Map, Value, dotted, leaves, same
from mlops_compile.steps.kinds import KINDS

_HINT = "a lock is made, not edited; write it again with `mlops-compile compile`"


def verify(lock: Lock) -> None:
    """CompileError where a lock's params, plan, source and contract do not belong together.

    The params of its steps are slices of a config: put together again, they must pass every check
    and lower to the same plan. What only running can find (the classes in the data) is left to it.
    """
    source = dict(lock.sources).get(SOURCE)
    if source is None or len(lock.sources) != 1:
        raise CompileError([problem("lock", "must hold one source, `data`", ("sources",), _HINT)])
    try:
        spec = check(Config(values=_config(lock), composition=_NOWHERE))
    except CompileError as error:
        raise CompileError(_from_lock(found) for found in error.problems) from None
    found = [*_differences(plan_value(lower(spec)), plan_value(lock.plan), ("steps",))]
    if source.kind != spec.data.source.kind:
        message = f"is {source.kind!r}, and the plan reads {spec.data.source.kind!r}"
        found.append(problem("lock", message, ("sources", SOURCE, "kind"), _HINT))
    pinned = Pinned(source=source, levels=tuple(sorted(lock.contract.classes)))
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
        found.append(problem("lock", message, ("code", "functions"), _HINT))
    if found:
        raise CompileError(found)


_NOWHERE = Composition(config_name="lock", search_path=(), overrides=())


def _config(lock: Lock) -> Map:
    """The config that a lock's steps are slices of."""
    merged: Value = Map()
    for step in lock.plan.steps:
        merged = _merged(merged, step.params)
    assert isinstance(merged, Map)
    seeds = [step.seed for step in lock.plan.steps if step.seed is not None]
    data = merged.get("data", Map())
    if not isinstance(data, Map):
        return merged
    keys = data.get("source")
    if isinstance(keys, Map) and keys.get("kind") == "csv":
        data = Map({**data, "source": Map({**keys, "path": lock.source(SOURCE).location})})
    deploy = merged.get("deploy", Map())
    name = deploy.get("name", "data") if isinstance(deploy, Map) else "data"
    return Map({**merged, "data": Map({**data, "name": name}), "seed": seeds[0] if seeds else 0})


def _merged(one: Value, other: Value) -> Value:
    if isinstance(one, Map) and isinstance(other, Map):
        both = {name: _merged(one[name], item) for name, item in other.items() if name in one}
        return Map({**one, **other, **both})
    return other


def _from_lock(found: Problem) -> Problem:
    return problem(found.code, f"the lock's params: {found.message}", found.where, _HINT)


def _differences(expected: Value, found: Value, where: tuple[str, ...]) -> Iterator[Problem]:
    """Every leaf of a lock that is not what its own params compile to."""
    old, new = dict(leaves(expected)), dict(leaves(found))
    for path in sorted({*old, *new}):
        if path not in old or path not in new or not same(old[path], new[path]):
            message = f"{dotted(path)} is not what the rest of the lock compiles to"
            yield problem("lock", message, where, _HINT)
