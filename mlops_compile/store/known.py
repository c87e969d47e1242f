"""What a text names of the sources that a store knows: by location or by digits."""

from __future__ import annotations

import os
from collections.abc import Iterable

from mlops_compile.ir.digest import is_sha256
from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.store.begun import Begun
from mlops_compile.store.census import Census

_SHORTEST = 8  # digits of a digest


def known_sources(
    census: Census, what: str, contents: frozenset[str], begun: Begun, leftovers: bool
) -> tuple[str, ...]:
    """The contents of sources that a text names: a location, or at least eight digits of a digest.
    The file of a folder names the folder, of which every result was made.

    `contents` are digests that are known to have been at that place of this project, `begun` is
    what an earlier `forget` has begun. With `leftovers`, of which nothing tells what they derive
    from, any content may be known. CompileError where nothing is known by that name, where
    digits could be of more than one, or where others who share the store may have had theirs at a
    place of that name.
    """
    known = {s for e in census.entries.values() for s in (e.source, *e.parts)} - {""}
    known |= {*begun.sources}
    known |= contents if leftovers else set()
    place = os.path.normpath(what)
    named = {
        source
        for source, names in census.locations.items()
        if place in map(os.path.normpath, names)
    }
    there = {*contents} & {*known, *census.blobs}
    if place in map(os.path.normpath, begun.locations):
        there |= {*begun.sources}
    if named - there:
        raise CompileError([_whose(what, named, there)])
    if there:
        return _with_folders(census, there)
    digits = what.lower()
    found = {s for s in known if len(digits) >= _SHORTEST and s.startswith(digits)}
    if digits in census.blobs or (is_sha256(digits) and leftovers):
        found.add(digits)  # a snapshot that no action has read, or what is lost
    if len(found) == 1:
        return _with_folders(census, found)
    raise CompileError([_unclear(what, found)])


def _with_folders(census: Census, contents: set[str]) -> tuple[str, ...]:
    folders = {e.source for e in census.entries.values() if not contents.isdisjoint(e.parts)}
    return tuple(sorted(contents | folders))


def _whose(what: str, named: Iterable[str], there: set[str]) -> Problem:
    """Locations stand in the store as they were written, by whatever project."""
    told = [
        f"{source[:12]}{' (of this project)' if source in there else ''}"
        for source in sorted(named, key=lambda source: (source not in there, source))
    ]
    message = (
        f"the store has sources of the location {what!r} that nothing here shows to be of this"
        " project; another may share the store"
    )
    return problem("no-source", message, hint=f"forget each by its digest: {', '.join(told)}")


def _unclear(what: str, found: set[str]) -> Problem:
    if found:
        message = f"{what} begins the digest of {len(found)} sources"
        hint = f"give more digits: {', '.join(sorted(s[: len(what) + 4] for s in found))}"
    else:
        message = f"nothing of a source {what!r} is in the store"
        hint = "give its location as the config has it, or its digest as the lock has it"
    return problem("no-source", message, hint=hint)
