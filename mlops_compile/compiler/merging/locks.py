"""Merges the locks of two branches where it can be told from them what compiling both would give.

Two changes are put together only where no step reads of one group of keys what both change: then
the values of both are compiled, over what both pin, by the passes that compile any config.
"""

from __future__ import annotations

from collections.abc import Iterator

from mlops_compile.compiler.merging.apart import follows, overlaps
from mlops_compile.compiler.merging.pins import merge_pins
from mlops_compile.compiler.merging.sides import Side, refusal
from mlops_compile.compiler.recompile import again, recompiled
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.problem import CompileError, Problem
from mlops_compile.ir.three_way import merge_known, merge_maps
from mlops_compile.ir.value import Map


def merge_locks(base: Lock, ours: Lock, theirs: Lock) -> Lock:
    """The lock that both changes of a base come to, as compiling them together writes it.

    CompileError says why the locks do not tell that (`merge`), or what is wrong with the changes
    together.
    """
    if theirs.digest in (base.digest, ours.digest):
        return ours
    if ours.digest == base.digest:
        return theirs
    old = Side(name="base", lock=base)
    one, two = Side(name="ours", lock=ours), Side(name="theirs", lock=theirs)
    if found := [*_unsound(old), *_unsound(one), *_unsound(two)]:
        raise CompileError(found)
    if found := [*overlaps(old, one, two), *follows(old, one, two)]:
        raise CompileError(found)
    values = _values(old, one, two)
    merged = recompiled(values, merge_pins(values, old, one, two))
    if again(merged).digest != merged.digest:
        raise CompileError([refusal("the two together do not compile to a lock that shows both")])
    return merged


def _unsound(side: Side) -> Iterator[Problem]:
    """A lock that this version does not compile from its own causes: it was edited, or another
    version wrote it."""
    try:
        if again(side.lock).digest == side.lock.digest:
            return
    except CompileError:
        pass
    yield refusal(f"the lock of {side.name} is not as this version of mlops-compile writes it")


def _values(base: Side, ours: Side, theirs: Side) -> Map:
    """The config that both changes come to."""
    values, clashes = merge_maps(base.values, ours.values, theirs.values)
    seed = merge_known(base.seed, ours.seed, theirs.seed)
    clashes += (("seed",),) if seed is None else ()
    if clashes:
        raise CompileError([refusal("both change it", path) for path in clashes])
    return Map({**values, "seed": seed[0] if seed else 0})
