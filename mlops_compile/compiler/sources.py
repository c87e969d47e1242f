"""Looks at sources for pinning: content digest, rows, columns; a cache spares the reading."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from mlops_compile.compiler.look import Cache, Keeping, Look, Rooms, system_room
from mlops_compile.compiler.lower import SOURCE, TEST
from mlops_compile.compiler.spec import Data
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.schema import to_value
from mlops_compile.ir.source import ColumnFact, Misfit, Pinned, Source, Table
from mlops_compile.ir.value import KeyPath, Map, canonical, pick
from mlops_compile.steps.columns import Column, storage_type
from mlops_compile.steps.joins import (
    below,
    join_problems,
    joined,
    keeps_rows,
    test_problems,
    where_of,
)
from mlops_compile.steps.sources import SOURCES
from mlops_compile.steps.sources.kind import (
    SOURCE_KEYS,
    SourceKind,
    moved,
)

_VERSION = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A source to pin: its keys and where they stand, the storage types that are asked of its
    columns, the sorts that are stated of them, and the target, whose levels are looked for (or the
    empty text). `prefix` stands before the names of columns that a join takes."""

    name: str
    keys: Any
    where: KeyPath
    types: Mapping[str, str]
    sorts: Mapping[str, str]
    target: str
    prefix: str = ""

    @property
    def kind(self) -> SourceKind:
        found: SourceKind = SOURCES[self.keys.kind]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A pinned source, the levels of the target in it, and why columns of it are texts."""

    source: Source
    levels: tuple[str, ...]
    misfits: tuple[tuple[str, Misfit], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """What looking at sources needs of a project. `keeping` is where the rows of a source that is
    asked once are kept, `room` makes a directory for files that are brought here. `refresh`: trust
    no earlier look; the pins of `committed` stand where the data is not here: `assumed` is told the
    name of each such source. `unseen` is called before rows are read that were never looked at.
    `inside`: the project is a copy of an earlier state, and what lies outside of it is not of that
    state, so it is not looked at."""

    cache: Cache
    project: Path
    keeping: Keeping | None = None
    room: Rooms = system_room
    committed: Lock | None = None
    refresh: bool = False
    unseen: Callable[[], None] = lambda: None
    inside: bool = False
    assumed: Callable[[str], None] = lambda name: None


def pin_sources(data: Data, looking: Looking) -> Pinned:
    """The sources of a config, pinned by content; their locations are relative to the project.

    Where the data is not here (a reviewer, CI), the pin of the committed lock stands, if it is of
    the same source read in the same way. CompileError says what cannot be read, of all sources.
    """
    target = "" if data.task == "regression" else data.target
    types = _types(data.columns)
    sorts = {name: column.type for name, column in data.columns if column.type}

    def like_data(name: str, keys: Any, where: KeyPath) -> _Wanted:
        return _Wanted(name=name, keys=keys, where=where, types=types, sorts=sorts, target=target)

    wanted = [like_data(SOURCE, data.source, SOURCE_KEYS)]
    if data.test is not None:
        wanted.append(like_data(TEST, data.test, ("data", "test")))
    for name, join in data.join:
        wanted.append(
            _Wanted(
                name=name,
                keys=join.source,
                where=("data", "join", name, "source"),
                types=_without(join.prefix, types),
                sorts=_without(join.prefix, sorts),
                target="",
                prefix=join.prefix,
            )
        )
    pinned: dict[str, _Found] = {}
    problems: list[Problem] = []
    for one in wanted:
        if one.name == TEST and SOURCE in pinned:
            one = replace(one, types={**_likes(pinned[SOURCE].source), **types})
        try:
            pinned[one.name] = _pin(one, data, looking)
        except CompileError as error:
            problems += moved(error.problems, one.where)
    if problems:
        raise CompileError(problems)
    misfits = tuple(item for found in pinned.values() for item in found.misfits)
    unfit = {name for name, _ in pinned[SOURCE].misfits if name in sorts}
    whole = together(
        data,
        {name: found.source for name, found in pinned.items()},
        _levels(pinned),
        dict(misfits),
        unfit,
    )
    return replace(whole, test_levels=_apart(pinned), misfits=misfits)


def _likes(source: Source) -> dict[str, str]:
    """The types of the data's columns, by which test rows are read where they fit: a column of
    theirs may be empty, or look like something narrower. Any numbers fit each other."""
    facts = ((fact.name, fact.type) for fact in source.columns)
    return {name: stored for name, stored in facts if stored not in ("int64", "float64")}


def _levels(pinned: Mapping[str, _Found]) -> tuple[str, ...]:
    """The levels of the target in all rows; none where one source has too many."""
    each = [pinned[name].levels for name in (SOURCE, TEST) if name in pinned]
    return tuple(sorted({level for levels in each for level in levels})) if all(each) else ()


def _without(prefix: str, columns: Mapping[str, str]) -> dict[str, str]:
    """What is said of the columns that a join brings, by their own names."""
    named = {name: text for name, text in columns.items() if name.startswith(prefix)}
    return {name.removeprefix(prefix): text for name, text in named.items()}


def _apart(pinned: Mapping[str, _Found]) -> tuple[str, ...]:
    """The levels of the target that the test rows alone have."""
    if TEST not in pinned:
        return ()
    return tuple(level for level in pinned[TEST].levels if level not in pinned[SOURCE].levels)


def together(
    data: Data,
    sources: Mapping[str, Source],
    levels: tuple[str, ...],
    misfits: Mapping[str, Misfit] | None = None,
    unfit: Collection[str] = (),
) -> Pinned:
    """What pinned sources make together. CompileError where they do not fit each other."""
    main = sources[SOURCE]
    others = tuple(sorted((name, source) for name, source in sources.items() if name != SOURCE))
    if not others:
        return Pinned(source=main, levels=levels)
    columns, rows = main.columns, main.rows
    problems: list[Problem] = []
    if TEST in sources:
        problems += test_problems(main, sources[TEST], misfits or {}, unfit)
        columns = below(main.columns, sources[TEST].columns)
        rows += sources[TEST].rows
    problems += join_problems(columns, data.join, sources)
    if problems:
        raise CompileError(problems)
    columns = joined(columns, data.join, sources)
    table = Table(columns=columns, rows=rows if keeps_rows(data.join) else None)
    return Pinned(source=main, levels=levels, others=others, together=table)


def _types(columns: tuple[tuple[str, Column], ...]) -> dict[str, str]:
    found = {name: storage_type(column) for name, column in columns}
    return {name: stored for name, stored in found.items() if stored is not None}


def _pin(wanted: _Wanted, data: Data, looking: Looking) -> _Found:
    """A source, and what was found in it."""
    kind, spec = wanted.kind, wanted.keys
    if (found := _committed(wanted, data, looking)) is not None:
        assert looking.committed is not None
        looking.assumed(wanted.name)
        classes = looking.committed.contract.classes
        return _Found(source=found, levels=tuple(sorted(classes)))
    if looking.inside and (_is_outside(spec) or _is_gone(wanted, looking)):
        message = f"what {kind.location(spec)} held then is not known: it is not in that revision"
        hint = "commit the lock beside conf/: it says what the data was"
        raise CompileError([problem("operand", message, SOURCE_KEYS, hint)])
    files = kind.files(spec, looking.project)
    keeping = looking.keeping if kind.once else None
    with Look(files, looking.cache, looking.refresh, keeping, looking.room) as look:
        digest = look.digest
        facts = _facts(wanted, look, looking)
        misfits = _misfits(wanted, facts, look)
        if changed := look.changed(kind.files(spec, looking.project)):
            message = f"{kind.location(spec)} changes while it is read"
            if files.tree:
                message += f": {', '.join(changed[:5])}{', ...' if len(changed) > 5 else ''}"
            hint = "compile again once it is whole"
            raise CompileError([problem("source", message, SOURCE_KEYS, hint)])
        look.keep()
    columns, levels, rows = facts["columns"], facts["levels"], facts["rows"]
    assert isinstance(columns, Map) and isinstance(levels, tuple) and isinstance(rows, int)
    source = Source(
        kind=kind.name,
        location=kind.location(spec),
        digest=digest,
        rows=rows,
        columns=tuple(ColumnFact.parse(name, str(text)) for name, text in columns.items()),
        files=len(files.places) if files.tree else None,
        credentials_env=kind.credentials_env(spec),
    )
    return _Found(source=source, levels=tuple(map(str, levels)), misfits=misfits)


def _misfits(wanted: _Wanted, facts: Map, look: Look) -> tuple[tuple[str, Misfit], ...]:
    """Why columns are texts: those that are stated to be something else, and those that nearly
    are."""
    columns, almost = facts["columns"], facts["nearly"]
    assert isinstance(columns, Map) and isinstance(almost, Map)
    texts = [name for name, text in columns.items() if str(text).startswith("string")]
    sorts = {**{name: str(sort) for name, sort in almost.items()}, **wanted.sorts}
    found = []
    for name in texts:
        if (sort := sorts.get(name, "categorical")) != "categorical":
            misfit = wanted.kind.misfit(look.paths(), wanted.keys, name, sort)
            if misfit is not None:
                found.append((f"{wanted.prefix}{name}", misfit))
    return tuple(found)


def _committed(wanted: _Wanted, data: Data, looking: Looking) -> Source | None:
    """The pin of the committed lock, where it stands."""
    if looking.committed is None or (wanted.kind.once and looking.refresh):
        return None
    if looking.inside and _is_outside(wanted.keys):
        return _from_lock(wanted, data, looking.committed)
    try:
        if not _is_gone(wanted, looking):
            return None
    except CompileError:
        pass  # it cannot be looked at, and its pin may stand
    return _from_lock(wanted, data, looking.committed)


def _is_gone(wanted: _Wanted, looking: Looking) -> bool:
    files = wanted.kind.files(wanted.keys, looking.project)
    return any(place.is_gone for place in files.places)


def _is_outside(keys: Any) -> bool:
    """Whether a source lies outside of the project. What a library brings is of no time."""
    if keys.kind == "sklearn":
        return False
    path = getattr(keys, "path", None)
    if path is None:
        return True
    below = PurePosixPath(path)
    return "://" in path or below.is_absolute() or ".." in below.parts


def _facts(wanted: _Wanted, look: Look, looking: Looking) -> Map:
    asked = Map(
        {
            "version": _VERSION,
            "source": to_value(wanted.keys, places=False),
            "digest": look.digest.sha256,
            "types": Map(wanted.types),
            "target": wanted.target,
        }
    )
    key = "facts-" + hashlib.sha256(canonical(asked)).hexdigest()
    cached = looking.cache.get(key)
    if isinstance(cached, Map) and set(cached) == {"digest", "rows", "columns", "levels", "nearly"}:
        return cached
    looking.unseen()
    found = wanted.kind.scan(look.paths(), wanted.keys, wanted.types, wanted.target)
    facts = Map(
        {
            "digest": look.digest.sha256,  # by which `store forget` finds it
            "rows": found.rows,
            "columns": Map({column.name: column.text for column in found.columns}),
            "levels": found.levels,
            "nearly": Map(dict(found.nearly)),
        }
    )
    looking.cache.put(key, facts)
    return facts


def _from_lock(wanted: _Wanted, data: Data, lock: Lock) -> Source | None:
    sources = dict(lock.sources)
    source = sources.get(wanted.name)
    location = wanted.kind.location(wanted.keys)
    if source is None or source.kind != wanted.kind.name or source.location != location:
        return None
    acquire = next((step for step in lock.plan.steps if step.source == wanted.name), None)
    keys = to_value(wanted.keys, defaults=False, places=False)
    if acquire is None or pick(acquire.params, where_of(acquire.params)) != keys:
        return None
    if lock.contract.target != data.target and data.task != "regression":
        return None
    # A time with a zone is what is asked for where times are.
    types = {column.name: column.type.removesuffix("_utc") for column in source.columns}
    if any(types.get(name, stored) != stored for name, stored in wanted.types.items()):
        return None
    return replace(source, credentials_env=wanted.kind.credentials_env(wanted.keys))
