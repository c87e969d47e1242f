"""Rounds of improvement: a directory each, taken up where it was left, and closed by its result."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlops_compile.ir.digest import digest_of
from mlops_compile.ir.value import Map, Value, canonical, parse, pretty
from mlops_compile.store.files import write_atomic

FOLDER = "improve"
REPORT = "report.md"
_RESULT, _IDS = "result.json", "ids.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A round below `improve/NAME/`: of one champion, one config and one set of labelled rows."""

    directory: Path

    @property
    def name(self) -> str:
        return self.directory.name

    @property
    def result(self) -> Map | None:
        """What came of it; None while it is not closed."""
        file = self.directory / _RESULT
        found = parse(file.read_bytes()) if file.is_file() else None
        return found if isinstance(found, Map) else None

    @property
    def ids(self) -> frozenset[str]:
        """The ids of its labelled rows."""
        found = parse((self.directory / _IDS).read_bytes())
        assert isinstance(found, tuple)
        return frozenset(map(str, found))

    def begin(self, ids: tuple[str, ...]) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        write_atomic(self.directory / _IDS, canonical(ids))

    def report(self, text: str) -> None:
        """Write how it ends, before it does: what follows may be cut off."""
        write_atomic(self.directory / REPORT, text.encode("utf-8"))

    def close(self, result: Map) -> None:
        """Write the result: a round that has one is closed."""
        write_atomic(self.directory / _RESULT, pretty(result).encode("utf-8"))


def round_of(place: Path, champion: str, config: Value, rows: tuple[Value, ...]) -> Round:
    """The round of a champion (the digest of its plan), a config and labelled rows."""
    said = Map({"champion": champion, "config": config, "rows": rows})
    return Round(directory=place / digest_of(canonical(said)).sha256[:12])


def known_ids(place: Path, champion: str, config: Value) -> frozenset[str]:
    """The ids of the labelled rows of the rounds of a champion and config that are closed."""
    found: frozenset[str] = frozenset()
    for directory in sorted(place.glob("*/")):
        held = Round(directory=directory)
        result = held.result
        if result and result["against"] == champion and result["config"] == config_digest(config):
            found |= held.ids
    return found


def config_digest(config: Value) -> str:
    return digest_of(canonical(config)).sha256


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Only one improvement of a name at a time: another one waits."""
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
