"""Garbage: what of a census no root reaches, and in which order it is to go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlops_compile.store.census import Census
from mlops_compile.store.entry import Entry, held
from mlops_compile.store.reach import Marks

Support = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What of the garbage stays: what was used since `since` (Unix time), and, the latest used
    first, as much as keeps blobs and records within `budget` bytes. None: nothing."""

    budget: int | None = None
    since: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """What is to go: actions in their order, and blobs that are of no action. `stays` counts who
    needs each blob when all of that is gone, `support` names for each action those that stay for
    it."""

    actions: tuple[Entry, ...]
    orphans: tuple[str, ...]
    stays: Counter[str]
    support: Support


def garbage(census: Census, marks: Marks, limits: Limits) -> Garbage:
    """What of a census is to go.

    Of what an action that stays was made of, one that made it stays: `forget` follows these.
    """
    roots = [e.key for e in census.entries.values() if reached(e, marks, census)]
    support = census.lineage.support(roots)
    kept = set(_with_support(support, roots, set()))
    wanted = Counter(sha for key in kept for sha in census.entries[key].blobs)
    wanted.update(census.entries[key].source for key in roots)
    wanted.update(marks.blobs)
    others = _oldest_first(census, support, kept)
    counts = wanted + Counter(sha for e, _ in others for sha in held(e))
    orphans = tuple(sha for sha in census.blobs if not counts[sha])
    size = sum(blob.size for sha, blob in census.blobs.items() if counts[sha])
    size += sum(entry.size for entry in census.entries.values())
    gone = []
    for entry, used in others:
        if limits.since is not None and used >= limits.since:
            continue
        if limits.budget is not None and size <= limits.budget:
            break
        gone.append(entry)
        size -= entry.size + sum(census.blobs[sha].size for sha in release(entry, counts, census))
    return Garbage(actions=tuple(gone), orphans=orphans, stays=counts, support=support)


def reached(entry: Entry, marks: Marks, census: Census) -> bool:
    """Whether marks say that an action must stay."""
    if entry.key in marks.keys or any(digest in marks.blobs for digest in entry.outputs):
        return True
    contents = {content for shape, content in marks.shapes if shape == entry.shape}
    return bool(contents) and (
        entry.key in census.lineage.unknown
        or not contents.isdisjoint(census.lineage.origins(entry.key))
    )


def _with_support(support: Support, keys: Iterable[str], seen: set[str]) -> Iterator[str]:
    """Keys, and those of the actions that stay for them, without those already seen."""
    left = list(keys)
    while left:
        key = left.pop()
        if key not in seen:
            seen.add(key)
            yield key
            left += support[key]


def _oldest_first(census: Census, support: Support, kept: set[str]) -> list[tuple[Entry, float]]:
    """The other actions and when each, or one that it stays for, was used last; it stands behind
    those that it stays for."""
    used: dict[str, float] = {}
    seen = set(kept)
    for entry in sorted(census.entries.values(), key=lambda entry: -entry.used):
        for key in _with_support(support, [entry.key], seen):
            used[key] = entry.used
    place = {key: n for n, key in enumerate(_supported_first(support, list(used)))}
    order = sorted(used, key=lambda key: (used[key], place[key]))
    return [(census.entries[key], used[key]) for key in order]


def _supported_first(support: Support, keys: Sequence[str]) -> Iterator[str]:
    """Keys, each after those of all actions that it stays for (a circle is cut somewhere)."""
    behind: dict[str, list[str]] = {}
    for key in sorted(keys):
        for maker in support[key]:
            behind.setdefault(maker, []).append(key)
    begun: set[str] = set()
    for first in sorted(keys):
        left = [(first, False)]
        while left:
            key, done = left.pop()
            if done:
                yield key
            elif key not in begun:
                begun.add(key)
                left.append((key, True))
                left += [(k, False) for k in behind.get(key, ())]


def release(entry: Entry, counts: Counter[str], census: Census) -> list[str]:
    """Take an action's hold of its blobs away; those that nobody else holds."""
    blobs = list(held(entry))
    counts.subtract(blobs)
    return [sha for sha in blobs if counts[sha] <= 0 and sha in census.blobs]
