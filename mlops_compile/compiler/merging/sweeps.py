"""Merges the locks of sweeps, point by point; a point that one side adds takes what the other
changes in the points that are like it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mlops_compile.compiler.merging.locks import merge_locks
from mlops_compile.compiler.merging.sides import Changes, Side, refusal
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.sweep import Sweep, SweepPoint
from mlops_compile.ir.value import same

# An override of a value, which no choice of an option follows from.
_VALUE = re.compile(r"(seed|[a-z_]+(?:\.[^.=@/]+)+)=", re.DOTALL)
Overrides = tuple[str, ...]
Table = Mapping[Overrides, Lock]


def merge_sweeps(base: Sweep, ours: Sweep, theirs: Sweep) -> Sweep:
    """The sweep that both changes of a base come to, as compiling them together writes it.
    CompileError says why the locks do not tell that."""
    if theirs.digest in (base.digest, ours.digest):
        return ours
    if ours.digest == base.digest:
        return theirs
    old, one, two = (_table(sweep) for sweep in (base, ours, theirs))
    points = tuple(
        SweepPoint(overrides=overrides, lock=_merged(overrides, old, one, two))
        for overrides in _order(old, one, two)
    )
    if len({point.lock.digest for point in points}) < len(points):
        raise CompileError([refusal("two points come to the same plan", ("points",))])
    return Sweep(points=points)


def _table(sweep: Sweep) -> Table:
    return {point.overrides: point.lock for point in sweep.points}


def _order(base: Table, ours: Table, theirs: Table) -> tuple[Overrides, ...]:
    """The points of both, in the order of the side that changes which there are."""
    old, one, two = (tuple(table) for table in (base, ours, theirs))
    if one == two or old == two:
        return one
    if old == one:
        return two
    raise CompileError([refusal("both change which points there are", ("points",))])


def _merged(overrides: Overrides, base: Table, ours: Table, theirs: Table) -> Lock:
    """The lock of one point."""
    if overrides in base:
        return merge_locks(base[overrides], ours[overrides], theirs[overrides])
    if overrides in ours and overrides in theirs:
        if ours[overrides].digest == theirs[overrides].digest:
            return ours[overrides]
        raise CompileError([refusal(f"both add {' '.join(overrides)}", ("points",))])
    adding, other = (ours, theirs) if overrides in ours else (theirs, ours)
    peer = _peer(overrides, base, other)
    locks = {id(adding): adding[overrides], id(other): other[peer]}
    return merge_locks(base[peer], locks[id(ours)], locks[id(theirs)])


def _peer(overrides: Overrides, base: Table, other: Table) -> Overrides:
    """A point that both other locks have, and that differs from a new one in the values of the same
    keys alone. CompileError where there is none, or where points like it change differently."""
    shown = " ".join(overrides)
    keys = _keys(overrides)
    peers = [known for known in base if known in other and keys and _keys(known) == keys]
    if not peers:
        message = f"no point is known to differ from {shown} in values alone"
        raise CompileError([refusal(message, ("points",))])
    changes = [_changes(base[peer], other[peer]) for peer in peers]
    if any(not _alike(changes[0], found) for found in changes):
        message = f"points like {shown} change each in another way"
        raise CompileError([refusal(message, ("points",))])
    return peers[0]


def _keys(overrides: Overrides) -> tuple[str, ...]:
    """The keys that a point sets; none where it may choose an option, add or take away a key."""
    found = [_VALUE.match(text) for text in overrides]
    return tuple(match[1] for match in found if match) if all(found) else ()


def _changes(base: Lock, other: Lock) -> Changes:
    return Side(name="other", lock=other).changes(Side(name="base", lock=base))


def _alike(one: Changes, two: Changes) -> bool:
    return one.keys() == two.keys() and all(same(one[path], two[path]) for path in one)
