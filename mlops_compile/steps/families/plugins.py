"""Families of installed distributions, by the entry point group `mlops_compile.families`.

They are looked up only for a name that is no family of ours: looking takes longer than compiling.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.resources import package_text
from mlops_compile.steps.families.kind import Family
from mlops_compile.steps.registry import Pieces

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "mlops_compile.families"
_WHERE = ("model", "family")


class Families(Pieces[Family]):
    """Our own families, which it iterates over, and by name those of installed distributions."""

    def __getitem__(self, name: str) -> Family:
        return (
            super().__getitem__(name) if super().__contains__(name) else _loaded(name, tuple(self))
        )

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in _offers()


class Others(Collection[str]):
    """The names of the families that installed distributions offer."""

    def __contains__(self, name: object) -> bool:
        return name in _offers()

    def __iter__(self) -> Iterator[str]:
        return iter(_offers())

    def __len__(self) -> int:
        return len(_offers())


@cache
def _offers() -> Mapping[str, tuple[EntryPoint, ...]]:
    from importlib.metadata import entry_points  # slow to import, and for plugins only

    found: dict[str, tuple[EntryPoint, ...]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda item: (item.name, item.value)):
        found[entry.name] = (*found.get(entry.name, ()), entry)
    return found


@cache
def _loaded(name: str, own: tuple[str, ...]) -> Family:
    """A family of another distribution; KeyError for a name that none has, CompileError for one
    that cannot be used."""
    offers = _offers()
    if taken := sorted(set(offers) & set(own)):
        raise _refused(
            f"{_from(offers[taken[0]])} declares {taken[0]!r}, which is a family of ours"
        )
    first, *others = offers[name]
    if others:
        raise _refused(f"{_from(offers[name])} declare {name!r}, and only one of them can have it")
    try:
        family = first.load()
    except Exception as error:  # whatever their code raises
        cause = f"{type(error).__name__}: {error}".splitlines()[0]
        raise _refused(f"{_from((first,))} offers {name!r}, which breaks: {cause}") from error
    if not isinstance(family, Family) or family.name != name:
        message = f"{_from((first,))} offers {name!r}, and {first.value} is no family of that name"
        raise _refused(message)
    try:
        package_text(family.table)
    except (OSError, ImportError, ValueError):
        message = f"{_from((first,))} offers {name!r} without a table of its parameters"
        raise _refused(message) from None
    return replace(family, origin=_distribution(first))


def _from(entries: tuple[EntryPoint, ...]) -> str:
    return " and ".join(f"the installed {_distribution(entry)}" for entry in entries)


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.module


def _refused(message: str) -> CompileError:
    return CompileError([problem("plugin", message, _WHERE, "mend the package, or remove it")])
