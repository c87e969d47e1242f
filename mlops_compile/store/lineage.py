"""What derives from what: results from contents of sources, and results from results.

A record tells which bytes a step took, not who made them, and several may have made the same. So a
result is of a source unless other data gives it, too: unless everything that it was made of is made
by others who are not of that source, and so on down to other sources. Its bytes are theirs then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from heapq import heapify, heappop, heappush

from mlops_compile.store.entry import Entry

Keys = tuple[str, ...]


class Lineage:
    """The actions of a census, by key, and what each was made of."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = entries
        self._reached: dict[Keys, frozenset[str]] = {}

    @cached_property
    def takers(self) -> Mapping[str, Keys]:
        """The keys of the actions that take a digest as input."""
        return _by(self._entries.values(), lambda entry: entry.inputs)

    @cached_property
    def makers(self) -> Mapping[str, Keys]:
        """The keys of the actions that make a digest as output."""
        return _by(self._entries.values(), lambda entry: entry.outputs)

    @cached_property
    def unknown(self) -> frozenset[str]:
        """The keys of actions that were made of something, at any distance, of which no record
        tells who made it: they may derive from any source."""
        return frozenset(self._entries.keys() - self._needed.keys())

    def may_derive(self, contents: Iterable[str]) -> frozenset[str]:
        """The keys of all actions that read one of these contents of sources or were made, at any
        distance, of bytes that such an action made."""
        wanted = frozenset(contents)
        left = [e.key for e in self._entries.values() if wanted & {e.source, *e.parts}]
        found = set(left)
        while left:
            for digest in self._entries[left.pop()].outputs:
                behind = [key for key in self.takers.get(digest, ()) if key not in found]
                found.update(behind)
                left += behind
        return frozenset(found)

    def derived(self, contents: Collection[str]) -> frozenset[str]:
        """Those of them that other data did not give, too."""
        reached = self.may_derive(contents)
        others = self._entries.keys() - reached - self.unknown
        given = {
            digest
            for key in reached
            for digest in self._entries[key].inputs
            if not others.isdisjoint(self.makers.get(digest, ()))
        }
        wanted = frozenset(contents)
        read = {e.key: {e.source, *e.parts} for e in map(self._entries.__getitem__, reached)}
        free = [key for key in reached if wanted.isdisjoint(read[key])]
        return reached - frozenset(self._given(free, given))

    def origins(self, key: str) -> frozenset[str]:
        """The contents of sources that an action derives from; of one that each of several gave
        alike, all of these."""
        needed = self._needed.get(key, 0)
        if not needed:
            inputs = self._entries[key].inputs
            if inputs not in self._reached:
                self._reached[inputs] = self._behind(inputs)
            return self._reached[inputs]
        return frozenset(name for bit, name in enumerate(self._sources) if needed >> bit & 1)

    @cached_property
    def _sources(self) -> Keys:
        return tuple(sorted({entry.source for entry in self._entries.values()} - {""}))

    @cached_property
    def _needed(self) -> Mapping[str, int]:
        """For each action that is not of unknown origin, the sources without which it could not be
        made, as bits. What several make needs what all of them need, so that a need may be taken
        back while the actions are gone through."""
        bits = {name: 1 << bit for bit, name in enumerate(self._sources)}
        waits = {key: len(entry.inputs) for key, entry in self._entries.items()}
        left = deque(key for key, count in waits.items() if not count)
        needed: dict[str, int] = {}
        of_digest: dict[str, int] = {}
        while left:
            entry = self._entries[left.popleft()]
            need = bits.get(entry.source, 0)
            for digest in entry.inputs:
                need |= of_digest[digest]
            if needed.get(entry.key) == need:
                continue
            needed[entry.key] = need
            for digest in entry.outputs:
                before = of_digest.get(digest)
                now = need if before is None else before & need
                if now == before:
                    continue
                of_digest[digest] = now
                for taker in self.takers.get(digest, ()):
                    waits[taker] -= before is None
                    if not waits[taker]:
                        left.append(taker)
        return needed

    def _behind(self, inputs: Keys) -> frozenset[str]:
        """The contents of sources that these digests may derive from."""
        found: set[str] = set()
        left = [*inputs]
        seen = set(left)
        while left:
            for maker in self.makers.get(left.pop(), ()):
                entry = self._entries[maker]
                found.add(entry.source)
                more = [digest for digest in entry.inputs if digest not in seen]
                seen.update(more)
                left += more
        return frozenset(found - {""})

    def support(self, first: Collection[str]) -> Mapping[str, Keys]:
        """For each action, one maker of each thing that it takes, so that all of them together go
        back to sources; of those that could be named one of `first`, then the latest used. Of
        something whose origin is unknown all makers are named."""
        makers: dict[str, str] = {}
        for among in (self._entries.keys() & {*first}, self._entries):
            for key in self._given(among, {*makers}):
                for digest in self._entries[key].outputs:
                    makers.setdefault(digest, key)
        return {
            key: tuple(
                maker
                for digest in entry.inputs
                for maker in ([makers[digest]] if digest in makers else self.makers.get(digest, ()))
            )
            for key, entry in self._entries.items()
        }

    def _given(self, among: Collection[str], given: set[str]) -> Iterator[str]:
        """Those actions that are made of nothing but what is given and what others of these make,
        in an order in which they could be made, the latest used first. `given` is added to."""
        entries = {key: self._entries[key] for key in among}
        waits = {key: len({*entry.inputs} - given) for key, entry in entries.items()}
        ready = [(-entries[key].used, key) for key, count in waits.items() if not count]
        heapify(ready)
        while ready:
            _, key = heappop(ready)
            yield key
            for digest in entries[key].outputs:
                if digest in given:
                    continue
                given.add(digest)
                for taker in self.takers.get(digest, ()):
                    if taker in waits:
                        waits[taker] -= 1
                        if not waits[taker]:
                            heappush(ready, (-entries[taker].used, taker))


def _by(entries: Iterable[Entry], names: Callable[[Entry], Keys]) -> Mapping[str, Keys]:
    found: dict[str, list[str]] = {}
    for entry in entries:
        for name in names(entry):
            found.setdefault(name, []).append(entry.key)
    return {name: tuple(keys) for name, keys in found.items()}
