"""What two changes of a lock pin together: sources, versions of distributions, functions."""

from __future__ import annotations

from mlops_compile.compiler.merging.sides import Side, refusal
from mlops_compile.compiler.recompile import Pins
from mlops_compile.ir.code import Code
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.three_way import held, merge_known, merge_maps
from mlops_compile.ir.value import KeyPath, Map, Value, canonical, same

# Keys of `data` that what is found in a source does not depend on.
_LATER = ("name", "split", "rows", "positive", "missing_target")
_SOURCES: KeyPath = ("sources",)


def merge_pins(values: Map, base: Side, ours: Side, theirs: Side) -> Pins:
    """What both changes pin, where `values` is the config that they come to. CompileError where
    both pin one thing anew."""
    seen = _seen(values, base, ours, theirs)
    sides = (base.lock, ours.lock, theirs.lock)
    versions = _known("environment", *(Map(lock.environment) for lock in sides))
    functions = _known("code", *(_functions(lock) for lock in sides))
    roots = _known("code", *(_roots(lock) for lock in sides))
    return Pins(
        sources=dict(seen.sources),
        levels=tuple(sorted(seen.contract.classes)),
        versions={name: str(version) for name, version in versions.items()},
        code=Code.from_dict(Map({"roots": (), **roots, "functions": functions})),
    )


def _functions(lock: Lock) -> Map:
    functions = lock.code.to_dict()["functions"]
    assert isinstance(functions, Map)
    return functions


def _roots(lock: Lock) -> Map:
    """The roots of a lock's functions; none where it has no functions, so that they do not show."""
    return Map({"roots": lock.code.roots} if lock.code.functions else {})


def _known(what: str, base: Map, ours: Map, theirs: Map) -> Map:
    """What both come to of a table that holds on each side only what is needed there."""
    found: dict[str, Value] = {}
    for name in sorted({*base, *ours, *theirs}):
        both = merge_known(held(base, name), held(ours, name), held(theirs, name))
        if both is None:
            message = f"is {_text(ours[name])} in ours and {_text(theirs[name])} in theirs"
            raise CompileError([refusal(message, (what, name))])
        found[name] = both[0]
    return Map(found)


def _text(value: Value) -> str:
    return value if isinstance(value, str) else canonical(value).decode("utf-8")


def _seen(values: Map, base: Side, ours: Side, theirs: Side) -> Lock:
    """The lock of the side that saw the sources as the config of both would: what is found in a
    source follows from its bytes and from how the config says that they are read."""
    places, clashes = merge_maps(*(_identities(side.lock) for side in (base, ours, theirs)))
    if not clashes:
        wanted = _reading(values), places
        for side in (ours, theirs):
            if same(wanted, (_reading(side.values), _identities(side.lock))):
                return side.lock
    message = "both change the data, or one the data and the other how it is read"
    raise CompileError([refusal(message, _SOURCES)])


def _identities(lock: Lock) -> Map:
    """Of each source what does not follow from its bytes."""
    kept = ("kind", "location", "digest", "size", "files", "credentials_env")
    return Map(
        {
            name: Map({key: item for key, item in source.to_dict().items() if key in kept})
            for name, source in lock.sources
        }
    )


def _reading(values: Map) -> Value:
    """What of a config has a say in what is found in its sources: among others the types of
    columns, and all that is said of the target, whose classes are found."""
    data = values["data"]
    assert isinstance(data, Map)
    columns = data.get("columns", Map())
    assert isinstance(columns, Map)
    types = Map(
        {
            name: item if name == data["target"] else Map({"type": item.get("type")})
            for name, item in columns.items()
            if isinstance(item, Map) and ("type" in item or name == data["target"])
        }
    )
    rest = {name: item for name, item in data.items() if name not in (*_LATER, "columns")}
    return Map({**rest, "columns": types})
