"""Rows of the index: its tables and statements over one SQLite connection; each row has a sum."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3

    from mlops_compile.store.actions import Action

FORMAT = 1
_TABLES = """
CREATE TABLE about (format INTEGER PRIMARY KEY);
CREATE TABLE actions (key TEXT PRIMARY KEY, kind TEXT, step TEXT, platformless TEXT, made REAL,
    seconds REAL, sum BLOB) WITHOUT ROWID;
CREATE INDEX by_step ON actions (kind, step, made, seconds);
CREATE INDEX by_kind ON actions (kind, made);
CREATE INDEX by_causes ON actions (platformless);
CREATE TABLE plans (plan TEXT, key TEXT, sum BLOB, PRIMARY KEY (plan, key)) WITHOUT ROWID;
CREATE INDEX by_key ON plans (key);
CREATE TABLE uses (key TEXT PRIMARY KEY, used REAL, sum BLOB) WITHOUT ROWID;
"""
_LATEST = 5  # actions that say how long a step takes
_MANY = 500  # names in a question, below SQLite's limit for parameters


class Rows:
    """The rows of an index. A row whose sum does not fit is no row; sqlite3's errors are raised."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def create(self) -> None:
        """Make the tables of an empty database."""
        self._connection.executescript(_TABLES)
        self._connection.execute("INSERT INTO about VALUES (?)", (FORMAT,))

    def format(self) -> int:
        """The format of the database's tables."""
        return int(self._connection.execute("SELECT format FROM about").fetchone()[0])

    def add(
        self, actions: Iterable[tuple[str, Action]], plans: Iterable[tuple[str, str]], used: float
    ) -> None:
        """Add actions by key, and pairs of a plan key and an action key; all are in use now."""
        keys = []
        for key, action in actions:
            keys.append(key)
            self._put("actions", _action_row(key, action))
        for plan, key in plans:
            keys.append(key)
            self._put("plans", (plan, key))
        for key in dict.fromkeys(keys):
            self._put("uses", (key, used))

    def drop(self, keys: Sequence[str]) -> None:
        """Forget actions."""
        for table in ("actions", "plans", "uses"):
            self._connection.executemany(
                f"DELETE FROM {table} WHERE key = ?", ((key,) for key in keys)
            )

    def known(self, plan: str, key: str) -> float | None:
        """When an action was used last; None where it, or its plan key, is not in the index."""
        asked = (
            "SELECT uses.* FROM uses JOIN actions USING (key) JOIN plans USING (key)"
            " WHERE key = ? AND plan = ?"
        )
        return next((used for _, used in self._sound(asked, (key, plan))), None)

    def plans(self, plans: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Pairs of a plan key and an action key."""
        for asked, names in _parts("SELECT * FROM plans WHERE plan IN ({})", plans):
            yield from self._sound(asked, names)

    def variants(self, platformless: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Pairs of a key without a platform and the key of an action that has these causes."""
        for asked, names in _parts(
            "SELECT * FROM actions WHERE platformless IN ({})", platformless
        ):
            yield from ((row[3], row[0]) for row in self._sound(asked, names))

    def nearest(self, kind: str, step: str, limit: int) -> tuple[str, ...]:
        """Keys of a kind, the latest first, those of the same step before others."""
        of_kind = "SELECT * FROM actions WHERE kind = ?"
        latest = "ORDER BY made DESC LIMIT ?"
        own = self._sound(f"{of_kind} AND step = ? {latest}", (kind, step, limit))
        others = self._sound(f"{of_kind} {latest}", (kind, limit))
        return tuple(dict.fromkeys(row[0] for row in (*own, *others)))[:limit]

    def of_kind(self, kind: str) -> tuple[str, ...]:
        """Keys of a kind, the latest first."""
        asked = "SELECT * FROM actions WHERE kind = ? ORDER BY made DESC"
        return tuple(row[0] for row in self._sound(asked, (kind,)))

    def durations(self, steps: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], float]:
        """The median seconds of the latest few actions of each of these pairs of a kind and a step
        name, as far as there are any; those of whatever step of a kind under an empty name."""
        latest = f"ORDER BY made DESC LIMIT {_LATEST}"
        of_step = f"SELECT * FROM actions WHERE kind = ? AND step = ? {latest}"
        of_kind = f"SELECT * FROM actions WHERE kind = ? {latest}"
        asked: dict[tuple[str, str], tuple[str, tuple[str, ...]]]
        asked = {pair: (of_step, pair) for pair in steps}
        asked |= {(kind, ""): (of_kind, (kind,)) for kind, _ in steps}
        found = {
            pair: [seconds for *_, seconds in self._sound(question, values)]
            for pair, (question, values) in asked.items()
        }
        return {pair: median(times) for pair, times in found.items() if times}

    def uses(self) -> Mapping[str, float]:
        """When each action was used last, by key."""
        return dict(self._sound("SELECT * FROM uses", ()))

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """All pairs of a plan key and an action key."""
        return tuple((plan, key) for plan, key in self._sound("SELECT * FROM plans", ()))

    def keys(self) -> frozenset[str]:
        """The keys of all actions in the index whose row is sound."""
        return frozenset(row[0] for row in self._sound("SELECT * FROM actions", ()))

    def damaged(self) -> int:
        """The number of rows whose sum does not fit."""
        rows = (
            row
            for table in ("actions", "plans", "uses")
            for row in self._connection.execute(f"SELECT * FROM {table}")
        )
        return sum(told != _sum(tuple(row)) for *row, told in rows)

    def _put(self, table: str, row: tuple[Any, ...]) -> None:
        places = ", ".join("?" * (len(row) + 1))
        self._connection.execute(
            f"INSERT OR REPLACE INTO {table} VALUES ({places})", (*row, _sum(row))
        )

    def _sound(self, asked: str, values: Sequence[object]) -> Iterator[Any]:
        for *row, told in self._connection.execute(asked, values):
            if told == _sum(tuple(row)):
                yield row


def _action_row(key: str, action: Action) -> tuple[Any, ...]:
    return (
        *(key, action.kind, action.step, action.platformless),
        *(float(action.made), round(float(action.seconds), 6)),
    )


def _sum(row: tuple[Any, ...]) -> bytes:
    """Tells a row that was written from one that was damaged; it is no defence against forgery."""
    return hashlib.blake2b(repr(row).encode("utf-8", "replace"), digest_size=8).digest()


def _parts(asked: str, names: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    for start in range(0, len(names), _MANY):
        part = names[start : start + _MANY]
        yield asked.format(", ".join("?" * len(part))), part
