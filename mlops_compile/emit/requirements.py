"""The requirements of a bundle, with digests of the files that may be installed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

# Written by `nox -s hashes` from requirements/main.txt.
FILE = Path(__file__).with_name("hashes.json")
# What a distribution asks for on some systems only: there, pip wants its digests too.
ELSEWHERE = {"click": ("colorama",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A distribution in a version, where it is needed (a marker; empty: everywhere), and the
    digests of all files that were published of it; none where they are not known."""

    name: str
    version: str
    marker: str = ""
    hashes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """What is to be installed. pip takes digests for all or for none: none are written where those
    of some are `unknown`."""

    pins: tuple[Pin, ...]
    unknown: tuple[str, ...]


def pins_of(versions: Iterable[tuple[str, str]]) -> Pins:
    """The requirements of distributions in these versions, by name."""
    named = dict(versions)
    more = {other for name in named for other in ELSEWHERE.get(name, ()) if other in table()}
    named |= {name: str(table()[name]["version"]) for name in more - {*named}}
    found = tuple(_pin(name, version) for name, version in sorted(named.items()))
    unknown = tuple(f"{pin.name}=={pin.version}" for pin in found if not pin.hashes)
    return Pins(pins=found, unknown=unknown)


def _pin(name: str, version: str) -> Pin:
    known = table().get(name, {})
    hashes = tuple(known["hashes"]) if known.get("version") == version else ()
    return Pin(name=name, version=version, marker=str(known.get("marker", "")), hashes=hashes)


@cache
def table() -> Mapping[str, Mapping[str, Any]]:
    """What is known of the locked distributions: version, marker and hashes, by name."""
    found: Mapping[str, Mapping[str, Any]] = json.loads(FILE.read_text("ascii"))
    return found
