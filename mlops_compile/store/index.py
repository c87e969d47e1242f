"""The index: what is quicker to ask than the files of actions; it can be lost at any time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mlops_compile.store.actions import Action, Records
from mlops_compile.store.files import make_directory, share
from mlops_compile.store.guard import leave
from mlops_compile.store.rows import FORMAT, Rows
from mlops_compile.store.sqlite import connect, errors, is_damage, transaction, wrong_database

if TYPE_CHECKING:
    import sqlite3

T = TypeVar("T")
FILE = "index.sqlite"
_PARTS = ("", "-wal", "-shm")
_BATCH = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What was found of an index. `damage`: bytes that nobody has written. `behind`: records came
    or went without it, as after a full disk; who looks an action up adds it again."""

    damage: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()


class Index:
    """An index of a store's actions, safe to ask from several threads.

    Nothing here is the user's error: where the file is missing, damaged, locked for long, or of
    another format, answers come from the files of actions (by an index in memory). Who adds puts a
    damaged file aside and makes it again.
    """

    def __init__(self, root: Path, records: Records) -> None:
        self._root = root
        self._records = records
        self._mutex = threading.RLock()
        self._opened: sqlite3.Connection | None = None
        self._by_files: Rows | None = None
        self._process = 0

    def add(
        self, actions: Sequence[tuple[str, Action]], plans: Sequence[tuple[str, str]], used: float
    ) -> None:
        """Add actions, which have their records already, and pairs of plan key and action key."""
        self._change(lambda rows: rows.add(actions, plans, used))

    def drop(self, keys: Sequence[str]) -> None:
        """Forget actions, before their records go."""
        if self.place.exists():
            self._change(lambda rows: rows.drop(keys))

    def known(self, plan: str, key: str) -> float | None:
        """When an action was used last; None where it, or its plan key, is not in the file."""
        with self._mutex:
            opened = self._file()
            if opened is None:
                return None
            try:
                return Rows(opened).known(plan, key)
            except errors():
                return None

    def plans(self, plans: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """The action keys of each plan key that is known."""
        return _grouped(self._ask(lambda rows: list(rows.plans(plans))))

    def variants(self, platformless: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """The action keys, of whatever machine, of each key without a platform."""
        return _grouped(self._ask(lambda rows: list(rows.variants(platformless))))

    def nearest(self, kind: str, step: str, limit: int) -> tuple[str, ...]:
        """Keys of a kind, the latest first, those of the same step before others."""
        return self._ask(lambda rows: rows.nearest(kind, step, limit))

    def of_kind(self, kind: str) -> tuple[str, ...]:
        """Keys of a kind, the latest first."""
        return self._ask(lambda rows: rows.of_kind(kind))

    def durations(self, steps: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], float]:
        """The median seconds of the latest few actions of each of these pairs of a kind and a step
        name, as far as there are any; those of whatever step of a kind under an empty name."""
        return self._ask(lambda rows: rows.durations(steps))

    def uses(self) -> Mapping[str, float]:
        """When each action was used last, by key."""
        return self._ask(lambda rows: rows.uses())

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """All pairs of a plan key and an action key."""
        return self._ask(lambda rows: rows.pairs())

    @property
    def place(self) -> Path:
        """Where the file is, or would be."""
        return self._root / FILE

    def examine(self) -> Examined:
        """What of the file is damaged, and what of it the records say otherwise."""
        there = set(self._records.every_key())
        with self._mutex:
            opened = self._file()
            if opened is None and not self.place.exists():
                return Examined(behind=("it was not there",) if there else ())
            try:
                if opened is None:
                    self._open().close()  # says why it cannot be
                    return Examined()
                (told,) = opened.execute("PRAGMA quick_check(1)").fetchone()
                known, damaged = Rows(opened).keys(), Rows(opened).damaged()
            except errors() as error:
                return Examined(damage=(f"it is damaged: {error}",))
        damage = {
            "its pages are damaged": told != "ok",
            f"it has damaged rows: {damaged}": damaged > 0,
        }
        behind = {
            f"it lacks {len(there - known)} of the actions": not damaged and not there <= known,
            f"it has rows without a record: {len(known - there)}": not known <= there,
        }
        return Examined(
            damage=tuple(text for text, wrong in damage.items() if wrong),
            behind=tuple(text for text, wrong in behind.items() if wrong),
        )

    def renew(self) -> None:
        """Put the file aside and make it again from the records, with the uses that it knew."""
        with self._mutex, self._writing():
            uses = self._uses_told()
            self._put_aside()
            self._make(uses)

    def close(self) -> None:
        """Close the file; it is opened again when it is asked."""
        with self._mutex:
            if self._opened is not None and self._process == os.getpid():
                self._opened.close()
            self._opened = self._by_files = None

    def sweep(self) -> None:
        """Remove what dead processes left of making the file. OSError where it cannot be."""
        if self._root.is_dir():
            with self._writing():
                self._remove_parts()

    # Reading

    def _ask(self, question: Callable[[Rows], T]) -> T:
        with self._mutex:
            opened = self._file()
            if opened is not None:
                try:
                    return question(Rows(opened))
                except errors():
                    self.close()
            if self._by_files is None:
                self._by_files = self._in_memory()
            return question(self._by_files)

    def _file(self) -> sqlite3.Connection | None:
        """The open file, in this process; None where it cannot be used."""
        if self._opened is not None and self._process != os.getpid():
            self._opened = None  # a connection does not survive a fork
        if self._opened is None and self.place.exists():
            with contextlib.suppress(*errors()):
                self._opened = self._open()
        self._process = os.getpid()
        return self._opened

    def _open(self) -> sqlite3.Connection:
        """The file's connection; to read only where it cannot be written."""
        uri = self.place.absolute().as_uri()
        for how in ("mode=rw", "mode=ro", "immutable=1"):
            connection = connect(f"{uri}?{how}", uri=True)
            try:
                if Rows(connection).format() != FORMAT:
                    raise wrong_database(f"the index is not of format {FORMAT}")
                if how == "mode=rw":
                    connection.execute("PRAGMA synchronous=NORMAL")
                return connection
            except errors() as error:
                connection.close()
                if is_damage(error) or how == "immutable=1":
                    raise
        raise AssertionError("the last way returns or raises")

    def _in_memory(self) -> Rows:
        connection = connect(":memory:")
        rows = Rows(connection)
        rows.create()
        self._fill(rows, {})
        return rows

    def _fill(self, rows: Rows, uses: Mapping[str, float]) -> None:
        for key in self._records.every_key():
            action = self._records.read(key)
            if action is not None:
                plans = [(action.plan, key)] if action.plan else []
                rows.add([(key, action)], plans, uses.get(key, action.made))

    # Writing

    def _change(self, change: Callable[[Rows], None]) -> None:
        with self._mutex:
            self._by_files = None
            failures: tuple[type[Exception], ...] = (OSError, *errors())
            for _ in range(2):  # once more after a damaged file was put aside
                try:
                    if self._file() is None:
                        self._mend()
                    if self._opened is None:
                        return
                    with transaction(self._opened):
                        change(Rows(self._opened))
                    return
                except failures as error:
                    self.close()
                    if not is_damage(error):
                        return

    def _mend(self) -> None:
        """Make the file where there is none, or none that can be read."""
        with self._writing():
            if self._file() is not None:  # another process has made it meanwhile
                return
            if self.place.exists() and not self._damaged():
                return
            self._put_aside()
            self._make({})

    def _damaged(self) -> bool:
        try:
            self._open().close()
        except errors() as error:
            return is_damage(error)
        return False

    def _make(self, uses: Mapping[str, float]) -> None:
        """Make the file beside its place, whole, before it is named."""
        self._remove_parts()
        new = self._root / f".new-{os.getpid()}-{FILE}"
        connection = connect(str(new))
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=OFF")
            Rows(connection).create()
            with transaction(connection):
                self._fill(Rows(connection), uses)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()
            share(new, self._root)
            os.rename(new, self.place)
        finally:
            connection.close()
            self._remove_parts()
        self._opened = self._open()

    def _remove_parts(self) -> None:
        """Remove files that are being made; whoever holds the lock of those who make them may."""
        for part in self._root.glob(f".new-*-{FILE}*"):
            part.unlink(missing_ok=True)

    def _put_aside(self) -> None:
        self.close()
        for part in _PARTS:
            file = self._root / f"{FILE}{part}"
            if file.exists():
                make_directory(self._root / "quarantine", self._root)
                os.replace(file, self._root / "quarantine" / file.name)

    def _uses_told(self) -> Mapping[str, float]:
        opened = self._file()
        try:
            return Rows(opened).uses() if opened is not None else {}
        except errors():
            return {}

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the lock of those who make the file: one at a time."""
        place = self._root / "index.lock"
        handle = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            with contextlib.suppress(OSError):
                share(place, self._root)
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            leave(handle)


def _grouped(pairs: Iterable[tuple[Any, Any]]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for name, key in pairs:
        found.setdefault(name, []).append(key)
    return {name: tuple(keys) for name, keys in found.items()}
