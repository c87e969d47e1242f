"""Groups and options that defaults lists and overrides name wrongly: every one, with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from hydra.core.object_type import ObjectType

from mlops_compile.compiler.compose.choices import Entry, defaults_of, entries_of
from mlops_compile.compiler.compose.chosen import Chosen
from mlops_compile.compiler.compose.entries import wrong_entry
from mlops_compile.compiler.compose.marks import node_origin
from mlops_compile.compiler.compose.overrides import parsed
from mlops_compile.compiler.compose.search_path import (
    directories_of,
    listed,
    shown_path,
)
from mlops_compile.compiler.suggest import nearest, suggest
from mlops_compile.ir.config import Composition
from mlops_compile.ir.origin import Origin
from mlops_compile.ir.problem import Problem
from mlops_compile.ir.schema import declared

_CHOICE = re.compile(r"\$\{\s*([\w/@]+)\s*\}")
_DATA = re.compile(r".*\.(csv|tsv|txt|parquet|jsonl?|gz)\Z")


def wrong_choices(composition: Composition) -> tuple[Problem, ...]:
    """What the defaults lists of a config, and its overrides, choose that is not there."""
    return tuple(_Lists(composition).problems())


class _Lists:
    """The defaults lists that a config is composed of."""

    def __init__(self, composition: Composition) -> None:
        self._path = composition.search_path
        self._overrides = composition.overrides
        self._all = Chosen(composition)
        self._loader = self._all.loader
        self._options = self._all.options
        self._entries = self._all.entries

    def problems(self) -> Iterator[Problem]:
        for name in self._all.names:
            yield from self._entries_of(name)
        yield from self._circles()
        plain = [entry for entry in self._entries if not entry.overrides]
        for number, entry in enumerate(plain):
            if entry.group and any(entry.group == other.group for other in plain[:number]):
                if entry.group_origin != plain[number - 1].group_origin:
                    yield self._twice(entry)
        yield from self._near_groups()
        groups = {entry.group for entry in plain}
        for entry in (entries[0] for entries in self._all.typed.values()):
            if entry.written.startswith("+") and entry.group in groups:
                message = f"the group {entry.group} is in the defaults list already"
                hint = f"leave the + out: {entry.written.lstrip('+')}"
                yield _problem("compose", message, hint, entry.group_origin)
            elif not entry.written.startswith("+") and (found := self._no_such_package(entry)):
                yield found
        for entry in self._entries:
            if entry.overrides and entry.group not in groups:
                yield self._overrides_nothing(entry, groups)
            elif entry.overrides and (found := self._no_such_override(entry, plain)):
                yield found
        for entry in self._all.chosen():
            if entry.overrides and entry.group not in groups and "hydra/" not in entry.group:
                continue  # told of above
            if "${" in entry.option:  # resolvers are known to Hydra alone, and to `impure`
                yield from self._no_such_choice(entry, groups)
                continue
            if not self._loader.repository.config_exists(entry.config_path):
                yield self._missing(entry)

    def _circles(self) -> Iterator[Problem]:
        """The entry by which a config is in its own defaults list, through others."""
        inner = {
            name: [entry for entry in entries_of(self._loader, name) if not entry.overrides]
            for name in self._all.names
        }
        done: set[str] = set()

        def follow(way: tuple[str, ...]) -> Iterator[Problem]:
            done.add(way[-1])
            for entry in inner.get(way[-1], ()):
                path = entry.config_path
                if path in way[:-1]:
                    circle = " -> ".join((*way[way.index(path) :], path))
                    message = f"leads back to itself: {circle}"
                    yield _problem("compose", message, "leave this entry out", entry.origin)
                elif path not in done:
                    yield from follow((*way, path))

        for name in self._all.names:
            if name not in done:
                yield from follow((name,))

    def _no_such_override(self, entry: Entry, plain: list[Entry]) -> Problem | None:
        """That `override /model@here: x` names a package, and the lists have the group without."""
        package = entry.written.partition("@")[2]
        listed = [item.written for item in plain if item.group == entry.group]
        if not package or any("@" in written for written in listed):
            return None
        message = f"no defaults list has {entry.group}@{package} that this could override"
        hint = f"write override /{entry.group}: {entry.option}"
        return _problem("compose", message, hint, entry.group_origin)

    def _no_such_choice(self, entry: Entry, groups: set[str]) -> Iterator[Problem]:
        """Interpolations of an entry that name a group of which no option is chosen."""
        for name in _CHOICE.findall(entry.option):
            if name not in groups:
                message = f"no option of a group {name} is chosen"
                hint = suggest(name, tuple(sorted(groups - {""})), "groups")
                yield _problem("interpolation", message, hint, entry.origin)

    def _no_such_package(self, entry: Entry) -> Problem | None:
        """That an override names a package (`model@main=ridge`) at which no list has the group."""
        key = entry.written.partition("=")[0]
        package = key.partition("@")[2]
        listed = [item for item in self._entries if item.group == entry.group]
        if not package or any(item.written.partition("@")[2] == package for item in listed):
            return None
        message = f"no defaults list has {key}"
        hint = f"to add it: +{entry.written}"
        if listed:
            hint = f"write {listed[0].written.lstrip('/')}={entry.option}; {hint}"
        return _problem("compose", message, hint, entry.group_origin)

    def _near_groups(self) -> Iterator[Problem]:
        """Overrides of a key that is no group, and nearly one."""
        from mlops_compile.compiler.spec import Spec  # only on the way to an error

        known = {*self._options, *(item.name for item in declared(Spec))}
        for text in self._overrides:
            override = parsed(text)
            key = "" if override is None else override.key_or_group
            if override is None or override.is_delete() or not key.isidentifier():
                continue
            if key not in known and (near := nearest(key, tuple(self._options))):
                begin = text.index(key)
                origin = Origin.of_override(text, begin, begin + len(key))
                yield _problem("unknown-key", f"there is no group {key}", near, origin)

    def _entries_of(self, name: str) -> Iterator[Problem]:
        """Entries of a defaults list that are none, or stand where they cannot."""
        found = defaults_of(self._loader, name)
        if found is None:
            return
        key, value, file = found
        lines = file.read_text("utf-8").splitlines()
        if not isinstance(value, yaml.SequenceNode):
            yield self._no_list(key, value, node_origin(key, file, lines))
            return
        for number, item in enumerate(value.value):
            others = value.value[:number], value.value[number + 1 :]
            if (wrong := wrong_entry(item, name, *others)) is not None:
                node, message, hint = wrong
                yield _problem("compose", message, hint, node_origin(node, file, lines))

    def _no_list(self, key: Any, value: Any, origin: Origin) -> Problem:
        """A `defaults` that is not a list."""
        hint = "begin each entry with a dash"
        if isinstance(value, yaml.MappingNode) and value.value:
            first, option = value.value[0]
            hint += f": - {first.value}: {option.value}"
        return _problem("compose", "the defaults must be a list", hint, origin)

    def _twice(self, entry: Entry) -> Problem:
        message = f"the group {entry.group} is chosen already"
        hint = "keep one of the entries"
        if entry.group_origin.source != self._entries[0].group_origin.source:
            hint = f"to replace that choice: override /{entry.group}: {entry.option}"
        return _problem("compose", message, hint, entry.group_origin)

    def _overrides_nothing(self, entry: Entry, groups: set[str]) -> Problem:
        message = f"no defaults list has a group {entry.group} that this could override"
        last = entry.group.rpartition("/")[2]
        if last in groups and last != entry.group:
            hint = f"a slash stands for the top of conf/: override /{last}: {entry.option}"
        else:
            hint = suggest(entry.group, tuple(sorted(groups - {""})), "groups")
        return _problem("compose", message, hint, entry.group_origin)

    def _missing(self, entry: Entry) -> Problem:
        if not entry.group:
            message = f"there is no config {entry.option}"
            if entry.option in self._options:
                message = f"{entry.option} is a group, and no option of it is named"
                names = self._options[entry.option]
                hint = f"write {entry.option}: NAME, one of {', '.join(names)}"
            else:
                around, _, last = entry.option.rpartition("/")
                beside = listed(self._loader.repository, around, ObjectType.CONFIG)
                hint = nearest(last, ("_self_", *beside))
                hint = hint or "an entry is GROUP: OPTION, or the name of a file in conf/"
            return _problem("no-option", message, hint, entry.origin)
        names = self._names(entry.group)
        if not names:
            message = f"there is no group {entry.group}"
            hint = self._below(entry) or suggest(entry.group, tuple(self._options), "groups")
            return _problem("no-option", message, hint, entry.group_origin)
        if entry.option == "???":
            message = f"an option of {entry.group} must be chosen"
            hint = f"write it here, or on the command line: {entry.group}=NAME"
            hint += f"\noptions of {entry.group}: {', '.join(names)}"
            return _problem("no-option", message, hint, entry.origin)
        message = f"the group {entry.group} has no option {entry.option!r}"
        hint = self._elsewhere(entry) or suggest(entry.option, names, f"options of {entry.group}")
        if entry.group in ("hydra/launcher", "hydra/sweeper"):
            what = entry.group.removeprefix("hydra/")
            hint += f"; another {what} comes with a plugin of Hydra that is not installed"
        return _problem("no-option", message, hint, entry.origin)

    def _below(self, entry: Entry) -> str:
        """What is meant by a group below the one of a file that names it."""
        around, _, last = entry.group.rpartition("/")
        if last == around and entry.option in self._options.get(around, ()):
            return f"this file is in the group {around}: write - {entry.option}"
        if around and last in self._options:
            return f"a slash stands for the top of conf/: /{last}: {entry.option}"
        return ""

    def _names(self, group: str) -> tuple[str, ...]:
        """The options of a group, those in its folders too."""
        found = self._loader.repository
        below = [
            f"{name}/{option}"
            for name in listed(found, group, ObjectType.GROUP)
            for option in listed(found, f"{group}/{name}", ObjectType.CONFIG)
        ]
        return (*listed(found, group, ObjectType.CONFIG), *below)

    def _elsewhere(self, entry: Entry) -> str:
        """Where an option is that was not found."""
        names = self._names(entry.group)
        inner = entry.option.removeprefix("conf/").removeprefix(f"{entry.group}/")
        if inner != entry.option and inner in names:
            return f"the group is named already: {entry.group}={inner}"
        if below := [name for name in names if name.startswith(f"{entry.option}/")]:
            return f"{entry.option} is a folder of the group: {', '.join(below)}"
        for directory in directories_of(self._path):
            wrong = directory / entry.group / f"{entry.option}.yml"
            if wrong.is_file():
                return (
                    f"{shown_path(str(wrong))} is there, and only .yaml is read:"
                    f" rename it to {entry.option}.yaml"
                )
            if (top := directory / f"{entry.option}.yaml").is_file():
                right = directory / entry.group / top.name
                return f"{shown_path(str(top))} is there: move it to {shown_path(str(right))}"
        if entry.group == "data" and _DATA.match(entry.option):
            return (
                f"data names a file of conf/data/; a data file is data.source.path={entry.option}"
            )
        others = [group for group, names in self._options.items() if entry.option in names]
        return f"it is an option of the group {others[0]}" if others else ""


def _problem(code: str, message: str, hint: str, origin: Origin) -> Problem:
    return Problem(code=code, message=message, hint=hint, origin=origin)
