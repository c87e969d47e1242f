"""What a `forget` has begun to remove: kept until all of it is gone, whatever ends it before."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from mlops_compile.ir.value import Map, Value, canonical, parse
from mlops_compile.store.files import sync_directory, write_atomic

FILE = "forgetting.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The contents of sources that are to go and where they were, the actions (by key) and blobs
    that derive from them, and the plan keys that led to these.

    Records tell what derives from what: with some of them gone it could not be told any more.
    """

    sources: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    blobs: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()


def read_begun(root: Path) -> Begun | None:
    """What was begun in a store and not finished. ValueError where its file is damaged."""
    try:
        text, _, told = (root / FILE).read_bytes().rstrip(b"\n").rpartition(b"\n")
    except FileNotFoundError:
        return None
    if told != _sum(text):
        raise ValueError("its sum does not fit")
    value = parse(text)
    if not isinstance(value, Map):
        raise ValueError("it is no object")
    return Begun(**{name: _texts(value[name]) for name in Begun.__dataclass_fields__})


def write_begun(root: Path, begun: Begun) -> None:
    """Keep, durably, what is about to go."""
    fields: dict[str, Value] = {name: getattr(begun, name) for name in Begun.__dataclass_fields__}
    text = canonical(Map(fields))
    write_atomic(root / FILE, text + b"\n" + _sum(text) + b"\n")


def end_begun(root: Path) -> None:
    """All of it is gone."""
    (root / FILE).unlink(missing_ok=True)
    sync_directory(root)


def _sum(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode()


def _texts(value: Value) -> tuple[str, ...]:
    if not isinstance(value, tuple):
        raise ValueError("a part of it is no list")
    return tuple(map(str, value))
