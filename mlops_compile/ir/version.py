"""Versions of models: what each is, what aliases mean, and the history of both."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from mlops_compile.ir.digest import Digest, is_sha256
from mlops_compile.ir.value import Map, Value

What: TypeAlias = Literal[
    "registered", "promoted", "rolled back", "archived", "restored", "imported"
]
CHAMPION = "champion"  # the alias of what is served
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A version by its name and number."""

    name: str
    number: int

    def __str__(self) -> str:
        return f"{self.name}:{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version of a model by name and number.

    `plan` is the digest of its lock's text, `lock` and `record` the blobs of both texts, `model`
    the model's digest, `bundle` the tree of its service. `metrics` are those of the test part and
    `primary` the one that it is judged by,
    `data` and `code` the digests of sources and functions by name. `made` is the Unix time when it
    was registered, `by` who did; these two are in the registry only. `archived` is the Unix time
    when its results were taken out of the store, into a file.
    """

    name: str
    number: int
    plan: str
    lock: Digest
    record: Digest
    model: str
    bundle: Digest
    metrics: Map = field(default_factory=Map)
    primary: str = ""
    data: Map = field(default_factory=Map)
    code: Map = field(default_factory=Map)
    made: float = 0.0
    by: str = ""
    archived: float | None = None

    def __post_init__(self) -> None:
        if not is_version_name(self.name):
            raise ValueError(f"{self.name!r} is no name of a model")
        if self.number < 1 or not is_sha256(self.plan) or not is_sha256(self.model):
            raise ValueError(f"{self} is no version")

    def __str__(self) -> str:
        return f"{self.name}:{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What happened to a name: to a version, or to an alias, which meant `before` and then the
    version (None: nothing). `about` holds the figures that spoke for it."""

    number: int
    name: str
    what: What
    version: int | None = None
    alias: str | None = None
    before: int | None = None
    reason: str = ""
    about: Map = field(default_factory=Map)
    made: float = 0.0
    by: str = ""


_DIGESTS = ("lock", "record", "bundle")
_PLAIN = ("name", "number", "plan", "model", "metrics", "primary", "data", "code", "made", "by")


def to_value(version: Version) -> Map:
    """A version as a JSON object."""
    digests = {name: getattr(version, name).to_dict() for name in _DIGESTS}
    return Map({**{name: getattr(version, name) for name in _PLAIN}, **digests})


def from_value(value: Value) -> Version:
    """The version of a JSON object; ValueError, or KeyError, for what is none."""
    if not isinstance(value, Map):
        raise ValueError("a version is an object")
    fields: dict[str, Any] = {name: value[name] for name in _PLAIN}
    fields |= {name: Digest.from_dict(value[name]) for name in _DIGESTS}
    texts = (fields[name] for name in ("name", "plan", "model", "primary", "by"))
    maps = (fields[name] for name in ("metrics", "data", "code"))
    if not all(isinstance(text, str) for text in texts) or type(fields["number"]) is not int:
        raise ValueError("a part of the version is of another type")
    if not all(isinstance(table, Map) for table in maps):
        raise ValueError("a part of the version is no object")
    return Version(**fields)


def is_version_name(text: str) -> bool:
    """Whether a text may name a model or an alias: letters, digits, `_`, `-` and `.`."""
    return bool(_NAME.match(text))
