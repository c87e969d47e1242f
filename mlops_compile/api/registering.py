"""Runs become versions: a run whose gates hold is registered, once."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_compile.api.state import State, state_of
from mlops_compile.compiler.check import check_places
from mlops_compile.compiler.compose.config import compose
from mlops_compile.compiler.spec import Registry as Stated
from mlops_compile.ir.config import Config
from mlops_compile.ir.criteria import primary_of
from mlops_compile.ir.lock import Lock, encode
from mlops_compile.ir.problem import StoreError, UsageError, problem
from mlops_compile.ir.record import RunRecord, encode_record
from mlops_compile.ir.value import Map
from mlops_compile.ir.version import Registered, Version

if TYPE_CHECKING:
    from mlops_compile.registry.registry import Registry

FOLDER, _FILE = "registry", "registry.sqlite"
_NO_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a project's versions are kept: the config's words, and the state beside them."""

    stated: Stated
    state: State

    @property
    def file(self) -> Path | None:
        """The file of the versions; None where a database is named."""
        return None if self.stated.uri else self.state.root / FOLDER / _FILE


def place_of(config: Config, state: State) -> Place:
    """The place that a config names."""
    return Place(stated=check_places(config).registry, state=state)


def place_with(overrides: Sequence[str], project: Path) -> Place:
    """The place of a project whose config has these overrides."""
    config = compose(tuple(overrides), project)
    return place_of(config, state_of(config, project))


@contextmanager
def opened(place: Place) -> Iterator[Registry]:
    """The registry of a place. StoreError where it cannot be used."""
    from mlops_compile.registry.connect import registry_at  # SQLAlchemy is slow to import

    name = place.stated.credentials_env
    secret = os.environ.get(name, "") if name else ""
    if name and not secret:
        message = f"the environment variable {name} is not set"
        where = ("registry", "credentials_env")
        raise StoreError([problem("registry", message, where, "it holds user:password")])
    uri = place.stated.uri or f"sqlite:///{place.file}"
    with registry_at(uri, secret, time.time, getuser()) as registry:
        yield registry


def versions_to_keep(place: Place) -> tuple[Version, ...]:
    """The versions whose results stay in the store: those that are not archived, and those that an
    alias means."""
    if place.file is not None and not place.file.exists():
        return ()
    with opened(place) as registry:
        meant = {(name, number) for (name, _), number in registry.aliases().items()}
        versions = registry.versions()
    return tuple(v for v in versions if v.archived is None or (v.name, v.number) in meant)


def check_held(version: Version) -> None:
    """UsageError for a version that is archived, whose results may be gone."""
    if version.archived is not None:
        hint = f"bring it back: mlops-compile registry restore {version}"
        raise UsageError([problem("registry", f"{version} is archived", hint=hint)])


def import_ahead() -> None:
    """Import what registering needs while workers are at work: this process waits for them."""
    threading.Thread(target=__import__, args=("sqlalchemy",), daemon=True).start()


def name_of(config: Config, place: Place) -> str:
    """The name of a project's versions: the one that is stated, or else that of its data set."""
    data = config.values.get("data")
    stated = place.stated.name or (data.get("name") if isinstance(data, Map) else None)
    return _NO_NAME.sub("-", str(stated or "model")).lstrip(".-")[:_LONGEST] or "model"


def prepare(lock: Lock, place: Place) -> None:
    """Import what registering the run of a lock will need, unless nothing new is to be expected."""
    if place.stated.register and place.state.cache.get(_key(lock)) is None:
        import_ahead()


def _key(lock: Lock) -> str:
    return f"version-{lock.digest[:16]}"


def register_run(record: RunRecord, name: str, place: Place) -> Registered | None:
    """Register what a run made; the version that it is, an earlier one where nothing is new. None
    where it made no bundle, or versions are not wanted."""
    bundle = next((r for r in record.results if r.kind == "package" and r.outputs), None)
    if not place.stated.register or not record.ok or bundle is None or record.model is None:
        return None
    remembered = _Remembered(place, name, record)
    if (known := remembered.found()) is not None:
        return known
    blobs, lock = place.state.store.blobs, record.lock
    try:
        texts = [blobs.put(t.encode("utf-8")) for t in (encode(lock), encode_record(record))]
    except OSError as error:
        message = f"the version cannot be kept: {error.strerror or error}"
        raise StoreError([problem("registry", message, ("store", "uri"))]) from None
    test = record.metrics.get("test")
    version = Version(
        name=name,
        number=1,
        plan=lock.digest,
        lock=texts[0],
        record=texts[1],
        model=record.model,
        bundle=bundle.output("bundle"),
        metrics=test if isinstance(test, Map) else Map(),
        primary=primary_of(lock),
        data=Map({source: pinned.digest.sha256 for source, pinned in lock.sources}),
        code=Map({function.name: function.digest for function in lock.code.functions}),
    )
    with opened(place) as registry:
        made, _ = registry.register(version)
    remembered.keep(made.number)
    return Registered(name=name, number=made.number)


class _Remembered:
    """Which version a plan and its bundle are, beside the state: a run that does nothing asks no
    database. It counts for the file of versions that it was of, and for no server."""

    def __init__(self, place: Place, name: str, record: RunRecord) -> None:
        self._place, self._name = place, name
        self._key = _key(record.lock)
        self._what = {"name": name, "plan": record.lock.digest, "bundle": str(record.bundle)}

    def found(self) -> Registered | None:
        held, facts = self._place.state.cache.get(self._key), self._facts()
        if not isinstance(held, Map) or not facts["inode"] or not facts.items() <= held.items():
            return None
        number = held.get("number")
        return Registered(name=self._name, number=number) if isinstance(number, int) else None

    def keep(self, number: int) -> None:
        self._place.state.cache.put(self._key, Map({**self._facts(), "number": number}))

    def _facts(self) -> Mapping[str, str | int]:
        file = self._place.file
        try:
            inode = file.stat().st_ino if file else 0
        except OSError:
            inode = 0
        return {**self._what, "inode": inode}
