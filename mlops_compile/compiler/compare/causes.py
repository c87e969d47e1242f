"""Causes: what of a step's own causes differs between two locks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mlops_compile.compiler.compare.categories import category_of
from mlops_compile.ir.change import Cause
from mlops_compile.ir.contract import Contract
from mlops_compile.ir.difference import Sort, changes
from mlops_compile.ir.key import Needs
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Step
from mlops_compile.ir.source import Source
from mlops_compile.ir.value import KeyPath, Map, Value, same
from mlops_compile.steps.foldings import SEARCH_FOLDS
from mlops_compile.steps.kinds import KINDS

# The folds of a search are made by a step of the kind that reads the one, and are configured by the
# other.
_FOLDS, _CV = ("evaluate", "cross_validation"), ("search", "cv")


def own_causes(old: tuple[Lock, Step, Needs], new: tuple[Lock, Step, Needs]) -> Iterator[Cause]:
    """What differs of two steps of one name, each with its lock and its needs, apart from what
    they take from other steps."""
    (was_in, was, _), (now_in, now, _) = old, new
    if was.params is not now.params:
        for path, before, after, sort in changes(was.params, now.params):
            key, unstated = config_key(path, now), now if sort == "removed" else was
            cause = _cause(key, now.kind, before, after, sort)
            yield cause if sort == "changed" else with_default(cause, unstated.params, unstated)
    yield from _one(("seed",), now.kind, was.seed, now.seed)
    yield from _one(("kinds", now.kind, "version"), now.kind, was.version, now.version)
    if was.kind != now.kind:
        yield from _one(("kinds", now.name), now.kind, was.kind, now.kind)
    if set(was.outputs) != set(now.outputs):
        listed = tuple(sorted(was.outputs)), tuple(sorted(now.outputs))
        yield from _one(("steps", now.name, "outputs"), now.kind, *listed)
    if was.source is not None and now.source is not None:
        yield from source_causes(was_in.source(was.source), now_in.source(now.source), now)
    yield from _environment(old, new)
    yield from _code(old, new)
    yield from _contract(old, new)


def config_key(path: KeyPath, step: Step) -> KeyPath:
    """The key of the config that a param of a step comes from."""
    if step.name == SEARCH_FOLDS and path[: len(_FOLDS)] == _FOLDS:
        return (*_CV, *path[len(_FOLDS) :])
    return path


def with_default(cause: Cause, stated: Map, step: Step) -> Cause:
    """A cause with the default of its key in a config that does not state it. Another version of a
    step's kind may have had another one."""
    from mlops_compile.compiler.compare.defaults import default_of  # every spec there is

    default = default_of(cause.path, stated)
    kind = KINDS.get(step.kind)
    is_known = kind is not None and kind.version == step.version
    return replace(cause, default=default if is_known or default is None else ())


def _cause(path: KeyPath, kind: str, old: Value, new: Value, sort: Sort) -> Cause:
    return Cause(path=path, category=category_of(path, kind), sort=sort, old=old, new=new)


def _one(path: KeyPath, kind: str, old: Value, new: Value) -> Iterator[Cause]:
    if not same(old, new):
        sort: Sort = "added" if old is None else "removed" if new is None else "changed"
        yield _cause(path, kind, old, new, sort)


def source_causes(old: Source, new: Source, step: Step) -> Iterator[Cause]:
    """What of a source's content differs. Columns are told by the types that they are read as."""
    if old is new or same(old.identity, new.identity):
        return
    kind, where = step.kind, ("sources", str(step.source))
    columns = [Map({column.name: column.type for column in one.columns}) for one in (old, new)]
    found = [
        _cause((*where, "columns", *path), kind, before, after, sort)
        for path, before, after, sort in changes(columns[0], columns[1])
    ]
    if old.rows != new.rows:
        found.insert(0, _cause((*where, "rows"), kind, old.rows, new.rows, "changed"))
    if old.digest.size != new.digest.size:
        sizes = old.digest.size, new.digest.size
        found.append(_cause((*where, "size"), kind, *sizes, "changed"))
    if old.digest.sha256 != new.digest.sha256:
        digests = old.digest.sha256, new.digest.sha256
        found.append(_cause((*where, "digest"), kind, *digests, "changed"))
    yield from found


def _environment(old: tuple[Lock, Step, Needs], new: tuple[Lock, Step, Needs]) -> Iterator[Cause]:
    if old[0].environment == new[0].environment and old[2] is new[2]:
        return
    tables = []
    for lock, _, needs in (old, new):
        versions = dict(lock.environment)
        names = {*needs.distributions, *lock.code.distributions(needs.functions)}
        tables.append(Map({name: versions[name] for name in names if name in versions}))
    for path, before, after, sort in changes(tables[0], tables[1], ("environment",)):
        yield _cause(path, new[1].kind, before, after, sort)


def _code(old: tuple[Lock, Step, Needs], new: tuple[Lock, Step, Needs]) -> Iterator[Cause]:
    if not old[2].functions and not new[2].functions:
        return
    tables = []
    for lock, _, needs in (old, new):
        known = {function.name: function.digest for function in lock.code.functions}
        tables.append(Map({name: known[name] for name in needs.functions if name in known}))
    for (name,), before, after, sort in changes(tables[0], tables[1]):
        yield _cause(("code", *name.split(".")), new[1].kind, before, after, sort)


def _contract(old: tuple[Lock, Step, Needs], new: tuple[Lock, Step, Needs]) -> Iterator[Cause]:
    if not old[2].contract and not new[2].contract:
        return
    before, after = old[0].contract_of(old[1].name), new[0].contract_of(new[1].name)
    yield from contract_causes(before, after, new[1].kind)


def contract_causes(old: Contract, new: Contract, kind: str) -> Iterator[Cause]:
    """What of the service's contract differs, by its path in a lock."""
    if old == new:
        return
    for path, before, after, sort in changes(old.to_dict(), new.to_dict(), ("contract",)):
        yield _cause(path, kind, before, after, sort)
