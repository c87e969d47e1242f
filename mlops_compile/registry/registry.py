"""The registry: versions of models by name and number, aliases of them, and what happened.

Every change is one transaction with its event. Numbers are given by the database: two that
register at once get two; two that change an alias at once are one that does and one that is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from mlops_compile.ir.digest import Digest
from mlops_compile.ir.problem import StoreError, problem
from mlops_compile.ir.value import Map, canonical, parse
from mlops_compile.ir.version import Event, Version, What
from mlops_compile.registry.tables import ABOUT, ALIASES, EVENTS, FORMAT, METADATA, VERSIONS

T = TypeVar("T")
_TRIES = 20


class Lost(Exception):
    """Somebody else changed an alias meanwhile: it means `version` now."""

    def __init__(self, version: int | None) -> None:
        super().__init__(version)
        self.version = version


class Registry:
    """Versions, aliases and history in a database. `clock` gives the Unix time, `by` says who."""

    def __init__(self, engine: sa.Engine, clock: Callable[[], float], by: str) -> None:
        self._engine, self._clock, self._by = engine, clock, by

    def make(self) -> None:
        """Make the tables where there are none. StoreError for those of a newer format."""
        try:
            METADATA.create_all(self._engine)
        except (OperationalError, ProgrammingError, IntegrityError):  # another made them meanwhile
            METADATA.create_all(self._engine)
        found = self._again(_format)
        if found > FORMAT:
            message = f"the registry has format {found}; this version reads {FORMAT}"
            hint = "use the version of mlops_compile that wrote it, or a later one"
            raise StoreError([problem("registry", message, ("registry", "uri"), hint)])

    def close(self) -> None:
        self._engine.dispose()

    # Looking up

    def names(self) -> tuple[str, ...]:
        """The names that have versions."""
        with self._engine.connect() as connection:
            return tuple(connection.scalars(sa.select(VERSIONS.c.name).distinct().order_by("name")))

    def versions(self, name: str | None = None, most: int | None = None) -> tuple[Version, ...]:
        """The versions of a name, or all; the newest first, so many at most."""
        query = sa.select(VERSIONS).order_by(VERSIONS.c.name, VERSIONS.c.number.desc())
        if name is not None:
            query = query.where(VERSIONS.c.name == name)
        with self._engine.connect() as connection:
            return tuple(map(_version, connection.execute(query.limit(most)).mappings()))

    def version(self, name: str, number: int) -> Version | None:
        """A version, if there is one."""
        with self._engine.connect() as connection:
            return _one(connection, name, number)

    def aliases(self, name: str | None = None) -> Mapping[tuple[str, str], int]:
        """The number that each alias means, by name and alias; of a name, or all."""
        query = sa.select(ALIASES.c.name, ALIASES.c.alias, ALIASES.c.version)
        if name is not None:
            query = query.where(ALIASES.c.name == name)
        with self._engine.connect() as connection:
            found = connection.execute(query.order_by("name", "alias"))
            return {(row.name, row.alias): row.version for row in found}

    def meant(self, name: str, alias: str) -> tuple[int | None, int]:
        """The number that an alias means, and the alias' revision; None and 0 of one that there is
        not."""
        with self._engine.connect() as connection:
            row = connection.execute(_alias(name, alias)).first()
        return (None, 0) if row is None else (row.version, row.revision)

    def history(
        self, name: str | None = None, alias: str | None = None, most: int | None = None
    ) -> tuple[Event, ...]:
        """What happened to a name, or to one of its aliases; the newest first."""
        query = sa.select(EVENTS).order_by(EVENTS.c.number.desc()).limit(most)
        if name is not None:
            query = query.where(EVENTS.c.name == name)
        if alias is not None:
            query = query.where(EVENTS.c.alias == alias)
        with self._engine.connect() as connection:
            return tuple(map(_event, connection.execute(query).mappings()))

    # Changing

    def register(self, version: Version, what: What = "registered") -> tuple[Version, bool]:
        """Add a version under the next number of its name, and whether it is new: of one plan and
        bundle there is one."""

        def once(connection: sa.Connection) -> tuple[Version, bool]:
            if (found := _same(connection, version.name, version.plan, version.bundle)) is not None:
                return found, False
            highest = sa.select(sa.func.max(VERSIONS.c.number)).where(
                VERSIONS.c.name == version.name
            )
            number = (connection.execute(highest).scalar() or 0) + 1
            made = replace(version, number=number, made=self._clock(), by=self._by, archived=None)
            connection.execute(VERSIONS.insert().values(_row(made)))
            self._add(connection, version.name, what, version=number)
            return made, True

        return self._again(once)

    def assign(
        self,
        name: str,
        alias: str,
        number: int,
        *,
        revision: int,
        what: What = "promoted",
        reason: str = "",
        about: Map | None = None,
    ) -> None:
        """Let an alias mean a version. Lost where its revision is not the one that was seen."""
        with self._change() as connection:
            row = connection.execute(_alias(name, alias)).first()
            before, seen = (None, 0) if row is None else (row.version, row.revision)
            if seen != revision:
                raise Lost(before)
            try:
                if row is None:
                    values = {"name": name, "alias": alias, "version": number, "revision": 1}
                    connection.execute(ALIASES.insert().values(values))
                else:
                    changed = connection.execute(
                        ALIASES.update()
                        .where(ALIASES.c.name == name, ALIASES.c.alias == alias)
                        .where(ALIASES.c.revision == revision)
                        .values(version=number, revision=revision + 1)
                    )
                    if changed.rowcount != 1:
                        raise Lost(None)
            except IntegrityError:
                raise Lost(None) from None
            told = {"alias": alias, "version": number, "before": before, "reason": reason}
            self._add(connection, name, what, about=about or Map(), **told)

    def mark_archived(self, name: str, number: int, archived: bool) -> bool:
        """Say that a version's results were taken out of the store, or are back; whether that is
        new."""
        wanted = VERSIONS.c.archived.is_(None) if archived else VERSIONS.c.archived.is_not(None)
        with self._change() as connection:
            done = connection.execute(
                VERSIONS.update()
                .where(VERSIONS.c.name == name, VERSIONS.c.number == number, wanted)
                .values(archived=self._clock() if archived else None)
            )
            if done.rowcount:
                self._add(connection, name, "archived" if archived else "restored", version=number)
            return bool(done.rowcount)

    def _add(self, connection: sa.Connection, name: str, what: What, **told: Any) -> None:
        about = canonical(told.pop("about", Map())).decode("utf-8")
        event = {"name": name, "what": what, "reason": "", "made": self._clock(), "by": self._by}
        connection.execute(EVENTS.insert().values({**event, "about": about, **told}))

    @contextmanager
    def _change(self) -> Iterator[sa.Connection]:
        """A transaction that writes. SQLite is told so at its beginning: one that began to read
        could not go on while another writes."""
        with self._engine.connect() as connection:
            if self._engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def _again(self, work: Callable[[sa.Connection], T]) -> T:
        """Do what another may get before, until it is done."""
        for _ in range(_TRIES):
            try:
                with self._change() as connection:
                    return work(connection)
            except IntegrityError:
                continue
        message = "others change the registry all the time"
        raise StoreError([problem("registry", message, ("registry", "uri"), "try again")])


def _format(connection: sa.Connection) -> int:
    """The format of the tables; that of new ones is ours."""
    found: int | None = connection.execute(sa.select(ABOUT.c.format)).scalar()
    if found is None:
        connection.execute(ABOUT.insert().values(format=FORMAT))
    return found or FORMAT


def _alias(name: str, alias: str) -> sa.Select[Any]:
    return sa.select(ALIASES).where(ALIASES.c.name == name, ALIASES.c.alias == alias)


def _one(connection: sa.Connection, name: str, number: int) -> Version | None:
    where = (VERSIONS.c.name == name, VERSIONS.c.number == number)
    row = connection.execute(sa.select(VERSIONS).where(*where)).mappings().first()
    return None if row is None else _version(row)


def _same(connection: sa.Connection, name: str, plan: str, bundle: Digest) -> Version | None:
    where = (
        VERSIONS.c.name == name,
        VERSIONS.c.plan == plan,
        VERSIONS.c.bundle == bundle.sha256,
    )
    row = connection.execute(sa.select(VERSIONS).where(*where)).mappings().first()
    return None if row is None else _version(row)


_DIGESTS = ("lock", "record", "bundle")
_MAPS = ("metrics", "data", "code")
_PLAIN = ("name", "number", "plan", "model", "primary", "made", "by", "archived")


def _row(version: Version) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(version, name) for name in _PLAIN}
    for name in _DIGESTS:
        digest: Digest = getattr(version, name)
        row |= {name: digest.sha256, f"{name}_size": digest.size}
    return row | {name: canonical(getattr(version, name)).decode("utf-8") for name in _MAPS}


def _version(row: sa.RowMapping) -> Version:
    fields: dict[str, Any] = {name: row[name] for name in _PLAIN}
    fields |= {name: Digest(sha256=row[name], size=row[f"{name}_size"]) for name in _DIGESTS}
    return Version(**fields | {name: parse(row[name]) for name in _MAPS})


def _event(row: sa.RowMapping) -> Event:
    about: Any = parse(row["about"])
    return Event(**{**row, "about": about})
