"""Overrides while they are written: groups and their options, keys and their values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from mlops_compile.compiler.compose.partial import Partial
from mlops_compile.compiler.offers import Offers
from mlops_compile.ir.config import Composition

# What Hydra's grammar takes as one part of a key, and as a text without quotes.
_NAME = re.compile(r"[\w$/@:-]+\Z")
_BARE = re.compile(
    r"(?!(?:null|true|false|nan|inf|[\d._]+(?:e[\d_]+)?)\Z)[\w./][\w./%@:-]*\Z", re.I
)


class Overrides:
    """What may be written as an override, with what is composed so far."""

    def __init__(self, composition: Composition) -> None:
        self._partial = Partial(composition)

    @cached_property
    def _offers(self) -> Offers:
        return Offers(self._partial.config)

    def words(self, word: str) -> Iterator[str]:
        """Candidates for a word: KEY=VALUE, with or without a sign in front."""
        body = word.lstrip("+~")
        sign = word[: len(word) - len(body)]
        key, equals, value = body.partition("=")
        if equals:
            for item in self._values(key, value):
                yield f"{sign}{key}={item}"
            return
        end = "" if sign == "~" else "="
        for group in self._groups(key) if "." not in key else ():
            if self._partial.options(group.partition("@")[0]):
                yield f"{sign}{group}{end}"
            if self._partial.groups(group):
                yield f"{sign}{group}/"
        *around, _ = key.split(".")
        for name, value in self._keys(around).items():
            here = ".".join([*around, name])
            if not isinstance(value, dict):
                yield f"{sign}{here}{end}"
            if isinstance(value, dict | list):
                yield f"{sign}{here}."

    def configs(self) -> tuple[str, ...]:
        """The primary configs."""
        return self._partial.configs()

    def packages(self, word: str) -> list[str]:
        """The parts of the config, as `--package` takes them."""
        *around, _ = word.split(".")
        here = self._at(around)
        return [".".join([*around, str(name)]) for name in here] if isinstance(here, dict) else []

    def _groups(self, word: str) -> Iterator[str]:
        """The groups beside a word, and those that are in the defaults list with a package."""
        parent = word.rpartition("/")[0]
        for name in self._partial.groups(parent):
            yield f"{parent}/{name}" if parent else name
        choices = self._at(("hydra", "runtime", "choices"))
        yield from (name for name in choices or () if "@" in name) if "@" in word else ()

    def _keys(self, path: Sequence[str]) -> dict[str, Any]:
        """The keys at a path with their values: those of the config, and those that could be
        set (None, or an empty map)."""
        offered = self._offers.keys(path)
        known: dict[str, Any] = {name: {} if nested else None for name, nested in offered.items()}
        here = self._at(path)
        found = dict(enumerate(here)) if isinstance(here, list) else here
        for name, value in found.items() if isinstance(found, dict) else ():
            if isinstance(value, dict | list) or known.get(str(name)) is None:
                known[str(name)] = value
        return {name: value for name, value in known.items() if _NAME.match(name)}

    def _at(self, path: Sequence[str]) -> Any:
        """The value at a path, with interpolations resolved; None where there is none."""
        value: Any = self._partial.config
        for depth, name in enumerate(path, start=1):
            if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
                value = value[int(name)]
            else:
                value = value.get(name) if isinstance(value, dict) else None
            if isinstance(value, str) and "${" in value:
                value = self._partial.resolved(path[:depth])
        return value

    def _values(self, key: str, value: str) -> Iterable[str]:
        """Values for a key; the last of several that stand in a list or sweep."""
        head = value[: max(value.rfind(","), value.rfind("[")) + 1]
        named = head.strip("[").split(",")
        if options := self._partial.options(key.partition("@")[0]):
            return [f"{head}{option}" for option in options if option not in named]
        path = key.split(".")
        listed = value.startswith("[")
        offered = self._offers.values(path, item=listed)
        found = [f"{head}{item}" for item in offered if item not in named]
        if not head:
            found += self._present(path)
        if not listed and (value.startswith((".", "/")) or key.endswith(".path")):
            found += _files(value)
        return found

    def _present(self, path: Sequence[str]) -> list[str]:
        """The value that a key has, as it is written in an override."""
        value, around = self._at(path), self._at(path[:-1])
        raw = around.get(path[-1]) if isinstance(around, dict) else value
        missing = value is None and (raw is not None or path[-1] not in (around or ()))
        written = None if missing else _written(value)
        return [] if written is None else [written]


def _written(value: Any) -> str | None:
    """A value as Hydra's grammar reads it; None for what has no short form."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case str() if value == "???" or re.search(r"\$\{|[\n\\]", value):
            return None
        case str():
            return value if _BARE.match(value) else _quoted(value)
        case list():
            items = [_written(item) for item in value]
            return f"[{','.join(map(str, items))}]" if None not in items else None
        case _:
            return None


def _quoted(text: str) -> str:
    quote = "'" if '"' in text else '"'
    escaped = text.replace(quote, f"\\{quote}")
    return f"{quote}{escaped}{quote}"


def _files(value: str) -> list[str]:
    """Files and folders whose paths begin with a value."""
    place, _, start = value.rpartition("/")
    folder = Path(f"{place}/" if "/" in value else ".")
    try:
        found = sorted(item for item in folder.iterdir() if item.name.startswith(start))
    except OSError:
        return []
    shown = [item for item in found if start or not item.name.startswith(".")]
    ahead = f"{place}/" if "/" in value else ""
    return [f"{ahead}{item.name}{'/' if item.is_dir() else ''}" for item in shown]
