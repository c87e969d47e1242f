"""Ways to divide rows into parts of stated sizes and into folds.

Each way has `parts` (shares of the given rows by part, taken in that order; the rest is `train`)
and `folds` (the rows to train on and those to test on, fold by fold). Nothing depends on the order
in which rows are given, but the row numbers themselves.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlops_compile.steps.splits import LATEST, cut_sizes

Rows: TypeAlias = NDArray[np.int64]
Seed: TypeAlias = Callable[..., int]
Wanted: TypeAlias = Sequence[tuple[str, float]]
Folded: TypeAlias = list[tuple[Rows, Rows]]


class Divider(Protocol):
    """A way to divide rows; `seed(role, ...)` is the seed of one use of randomness."""

    def parts(self, rows: Rows, wanted: Wanted, seed: Seed) -> dict[str, Rows]: ...

    def folds(self, rows: Rows, folds: int, seed: Seed) -> Folded: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Shuffled:
    """At random."""

    def parts(self, rows: Rows, wanted: Wanted, seed: Seed) -> dict[str, Rows]:
        return _cut([shuffled(rows, seed())], wanted)

    def folds(self, rows: Rows, folds: int, seed: Seed) -> Folded:
        numbers = np.empty(len(rows), np.int64)
        pieces = np.array_split(shuffled(np.arange(len(rows)), seed()), folds)
        for number, piece in enumerate(pieces):
            numbers[piece] = number
        return _numbered(rows, numbers, folds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratified:
    """At random within each class; `codes` are the positions of the rows' classes in `names`."""

    codes: Rows
    names: Sequence[str]

    def parts(self, rows: Rows, wanted: Wanted, seed: Seed) -> dict[str, Rows]:
        codes = self.codes[rows]
        strata = [shuffled(rows[codes == code], seed(name)) for code, name in enumerate(self.names)]
        return _cut(strata, wanted)

    def folds(self, rows: Rows, folds: int, seed: Seed) -> Folded:
        codes = self.codes[rows]
        # Every n-th of the sorted classes: counts within one of each other by class and in all.
        ordered, classes = np.sort(codes), len(self.names)
        each = [np.bincount(ordered[fold::folds], minlength=classes) for fold in range(folds)]
        numbers = np.empty(len(rows), np.int64)
        for code, name in enumerate(self.names):
            places = shuffled(np.flatnonzero(codes == code), seed(name))
            numbers[places] = np.repeat(np.arange(folds), [counts[code] for counts in each])
        return _numbered(rows, numbers, folds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped:
    """Whole groups at random; `groups` are the rows' groups as numbers."""

    groups: Rows

    def parts(self, rows: Rows, wanted: Wanted, seed: Seed) -> dict[str, Rows]:
        """Each part takes the groups that it has room for, then one more if that is nearer: it is
        off by at most half of the smallest group that is left."""
        place, sizes = _groups(self.groups[rows])
        left = shuffled(np.arange(len(sizes)), seed()).tolist()
        part_of = np.zeros(len(sizes), np.int64)
        for number, (_, share) in enumerate(wanted, start=1):
            room, kept = round(share * len(rows)), []
            for group in left:
                if sizes[group] <= room:
                    part_of[group] = number
                    room -= sizes[group]
                else:
                    kept.append(group)
            if room and kept:
                smallest = min(kept, key=lambda group: sizes[group])
                if sizes[smallest] - room < room:
                    part_of[smallest] = number
                    kept.remove(smallest)
            left = kept
        names = ("train", *(name for name, _ in wanted))
        return {name: rows[part_of[place] == number] for number, name in enumerate(names)}

    def folds(self, rows: Rows, folds: int, seed: Seed) -> Folded:
        """The largest group first, each to the fold that is lightest so far."""
        place, sizes = _groups(self.groups[rows])
        order = shuffled(np.arange(len(sizes)), seed())
        order = order[np.argsort(-sizes[order], kind="stable")]
        fold_of, weights = np.zeros(len(sizes), np.int64), np.zeros(folds, np.int64)
        for group in order:
            fold_of[group] = lightest = int(np.argmin(weights))
            weights[lightest] += sizes[group]
        return _numbered(rows, fold_of[place], folds)


@dataclass(frozen=True, slots=True, kw_only=True)
class StratifiedGroups:
    """Whole groups, with shares of the classes that are as near as groups allow."""

    codes: Rows
    groups: Rows
    classes: int

    def parts(self, rows: Rows, wanted: Wanted, seed: Seed) -> dict[str, Rows]:
        sized = [(name, share) for name, share in wanted if share]
        rest = 1.0 - sum(share for _, share in sized)
        names = ("train", *(name for name, _ in sized))
        numbers = self._deal(rows, [rest, *(share for _, share in sized)], seed)
        found = {name: rows[numbers == number] for number, name in enumerate(names)}
        return {name: found.get(name, rows[:0]) for name in ("train", *dict(wanted))}

    def folds(self, rows: Rows, folds: int, seed: Seed) -> Folded:
        return _numbered(rows, self._deal(rows, [1.0] * folds, seed), folds)

    def _deal(self, rows: Rows, weights: list[float], seed: Seed) -> Rows:
        """The number of each row's part, as scikit-learn's StratifiedGroupKFold deals groups: those
        whose classes are most uneven first, each to where all parts' shares of the classes come
        out most alike, and of equal ones to where the fewest rows are."""
        place, sizes = _groups(self.groups[rows])
        counts = np.zeros((len(sizes), self.classes))
        np.add.at(counts, (place, self.codes[rows]), 1.0)
        all_rows = np.maximum(counts.sum(axis=0), 1.0)
        order = shuffled(np.arange(len(sizes)), seed())
        order = order[np.argsort(-np.std(counts[order], axis=1), kind="stable")]
        share = np.array(weights)[:, np.newaxis]
        held = np.zeros((len(weights), self.classes))
        one = np.eye(len(weights))[:, :, np.newaxis]  # one part more, for each part
        part_of = np.zeros(len(sizes), np.int64)
        for group in order:
            after = (held + one * counts[group]) / share / all_rows
            uneven = np.mean(np.std(after, axis=1), axis=1)
            rows_of = (held.sum(axis=1) + counts[group].sum()) / share[:, 0]
            best = 0
            for number in range(1, len(weights)):
                near = math.isclose(uneven[number], uneven[best], rel_tol=1e-5, abs_tol=1e-8)
                less = rows_of if near else uneven
                best = number if less[number] < less[best] else best
            part_of[group] = best
            held[best] += counts[group]
        found: Rows = part_of[place]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashed:
    """By a hash of each row's key, salted with the seed: other rows do not matter."""

    keys: Sequence[bytes]

    def parts(self, rows: Rows, wanted: Wanted, seed: Seed) -> dict[str, Rows]:
        ends = np.cumsum([share for _, share in wanted])
        number = np.searchsorted(ends, self._places(rows, seed()), side="right")
        names = [name for name, _ in wanted]
        found = {name: rows[number == position] for position, name in enumerate(names)}
        return {"train": rows[number == len(names)], **found}

    def folds(self, rows: Rows, folds: int, seed: Seed) -> Folded:
        numbers = np.floor(self._places(rows, seed()) * folds).astype(np.int64)
        return _numbered(rows, numbers, folds)

    def _places(self, rows: Rows, seed: int) -> NDArray[np.float64]:
        """Numbers in [0, 1), one for each row."""
        salt = seed.to_bytes(8, "big")
        high = 1 << 53  # as many as a float holds without rounding up to 1
        numbers = (
            int.from_bytes(hashlib.blake2b(self.keys[row], digest_size=8, key=salt).digest()) >> 11
            for row in rows
        )
        return np.fromiter(numbers, np.float64, len(rows)) / high


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """The latest rows first; rows of one time stay together.

    `starts` are times from which on rows are of a part, in place of its share. Rows less than `gap`
    before a later part belong to no part. `window`: how many blocks a fold trains on; None: all.
    """

    times: NDArray[Any]
    gap: float = 0
    starts: Mapping[str, float] = field(default_factory=dict)
    window: int | None = None

    def parts(self, rows: Rows, wanted: Wanted, seed: Seed) -> dict[str, Rows]:
        order, times = self._sorted(rows)
        total = end = len(order)
        sizes, found = dict(wanted), {}
        for name in (name for name in LATEST if name in sizes):
            at = self.starts.get(name)
            if at is not None:
                start = min(end, int(np.searchsorted(times, at, side="left")))
            elif sizes[name]:
                start = _boundary(times, max(0, end - round(total * sizes[name])))
            else:
                found[name] = order[:0]
                continue
            found[name] = order[start:end]
            if at is not None or start < end:
                end = self._before(times, start, times[start] if at is None else at)
        return {"train": order[:end], **found}

    def folds(self, rows: Rows, folds: int, seed: Seed) -> Folded:
        order, times = self._sorted(rows)
        size = len(order) // (folds + 1)
        starts = [_boundary(times, len(order) - size * (folds - n)) for n in range(folds)]
        edges, found = [0, *starts, len(order)], []
        for number in range(1, folds + 1):
            start, end = edges[number], edges[number + 1]
            first = edges[max(0, number - self.window)] if self.window else 0
            last = self._before(times, start, times[start]) if start < end else start
            found.append((order[first:last], order[start:end]))
        return found

    def _sorted(self, rows: Rows) -> tuple[Rows, NDArray[Any]]:
        order = rows[np.argsort(self.times[rows], kind="stable")]
        return order, self.times[order]

    def _before(self, times: NDArray[Any], start: int, limit: Any) -> int:
        """The end of the rows that lie the gap before a limit."""
        if not self.gap:
            return start
        return min(start, int(np.searchsorted(times, limit - self.gap, side="right")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Folds by the numbers that rows have already; parts at random."""

    numbers: Rows

    def parts(self, rows: Rows, wanted: Wanted, seed: Seed) -> dict[str, Rows]:
        return Shuffled().parts(rows, wanted, seed)

    def folds(self, rows: Rows, folds: int, seed: Seed) -> Folded:
        return _numbered(rows, self.numbers[rows], folds)


def shuffled(rows: Rows, seed: int) -> Rows:
    """A permutation; RandomState's stream is frozen, unlike that of numpy's Generator."""
    return np.random.RandomState(seed).permutation(rows)


def _cut(strata: list[Rows], wanted: Wanted) -> dict[str, Rows]:
    """Each stratum's first rows to the first part, the next to the second, the rest to train."""
    starts = [0] * len(strata)
    found = {}
    for name, counts in cut_sizes([len(rows) for rows in strata], wanted):
        ends = [start + count for start, count in zip(starts, counts, strict=True)]
        found[name] = np.concatenate(
            [rows[start:end] for rows, start, end in zip(strata, starts, ends, strict=True)]
        )
        starts = ends
    rest = [rows[start:] for rows, start in zip(strata, starts, strict=True)]
    return {"train": np.concatenate(rest), **found}


def _numbered(rows: Rows, numbers: Rows, folds: int) -> Folded:
    return [(rows[numbers != fold], rows[numbers == fold]) for fold in range(folds)]


def _groups(groups: Rows) -> tuple[Rows, Rows]:
    """The place of each row's group among the groups that there are, and the groups' sizes."""
    _, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return place, sizes


def _boundary(times: NDArray[Any], position: int) -> int:
    """The first position at or before this one at which the time changes."""
    while 0 < position < len(times) and times[position] == times[position - 1]:
        position -= 1
    return position
