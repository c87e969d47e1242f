"""Rounds of improvement: a directory each, taken up where it was left, and closed by its result."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlops_compile.api.writing import written
from mlops_compile.ir.digest import digest_of
from mlops_compile.ir.problem import StoreError, problem
from mlops_compile.ir.value import Map, Value, canonical, parse, pretty
from mlops_compile.store.files import write_atomic

FOLDER = "improve"
REPORT = "report.md"
_RESULT, _BEGUN = "result.json", "round.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A round below `improve/NAME/`: of one champion, one config and one set of labelled rows."""

    directory: Path

    @property
    def name(self) -> str:
        return self.directory.name

    @property
    def result(self) -> Map | None:
        """What came of it; None while it is not closed. StoreError where its file is damaged."""
        return self._read(_RESULT, ("status", "against", "config", "champion"))

    @property
    def begun(self) -> Map | None:
        """What it works with, once its data is written. StoreError where its file is damaged."""
        return self._read(
            _BEGUN, ("against", "config", "ids", "triggers", "told", "parts", "columns")
        )

    def _read(self, name: str, keys: tuple[str, ...]) -> Map | None:
        file = self.directory / name
        if not file.is_file():
            return None
        try:
            found = parse(file.read_bytes())
        except ValueError:
            found = None
        if not isinstance(found, Map) or not {*keys} <= {*found}:
            hint = f"remove the directory {self.directory}: what it was made of is in the log"
            raise StoreError([problem("store", f"{file} is damaged", hint=hint)])
        return found

    def begin(self, told: Map) -> None:
        """Say what it works with, once its data is written."""
        self._write(_BEGUN, pretty(told))

    def report(self, text: str) -> None:
        """Write how it ends, before it does: what follows may be cut off."""
        self._write(REPORT, text)

    def close(self, result: Map) -> None:
        """Write the result: a round that has one is closed."""
        self._write(_RESULT, pretty(result))

    def _write(self, name: str, text: str) -> None:
        with written(self.directory):
            write_atomic(self.directory / name, text.encode("utf-8"))


def round_of(place: Path, champion: str, config: Value, rows: tuple[Value, ...]) -> Round:
    """The round of a champion (the digest of its plan), a config and labelled rows."""
    said = Map({"champion": champion, "config": config, "rows": rows})
    return Round(directory=place / digest_of(canonical(said)).sha256[:12])


def rounds_of(place: Path, config: Value) -> Iterator[tuple[Round, Map]]:
    """The rounds of a config whose data is written, with what each works with."""
    for directory in sorted(place.glob("*/")):
        held = Round(directory=directory)
        if (begun := held.begun) is not None and begun["config"] == config_digest(config):
            yield held, begun


def known_ids(place: Path, config: Value) -> frozenset[str]:
    """The ids of the labelled rows of the rounds of a config that are closed, whether they were
    learned from, compared on, or capped."""
    found: set[str] = set()
    for held, begun in rounds_of(place, config):
        ids = begun["ids"]
        if held.result is not None and isinstance(ids, tuple):
            found |= {*map(str, ids)}
    return frozenset(found)


def open_round(place: Path, champion: str, config: Value) -> Round | None:
    """The round of a champion and config that was cut off after its data was written."""
    for held, begun in rounds_of(place, config):
        if held.result is None and begun["against"] == champion:
            return held
    return None


def config_digest(config: Value) -> str:
    return digest_of(canonical(config)).sha256


@contextmanager
def alone(place: Path, waiting: Callable[[Path], None]) -> Iterator[None]:
    """Only one improvement of a name at a time: another one waits, once `waiting` was called with
    the file that is locked."""
    file = place / "lock"
    with written(place):
        place.mkdir(parents=True, exist_ok=True)
        handle = file.open("w")
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting(file)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
