"""Groups and options that defaults lists and overrides name wrongly: every one, with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from hydra.core.object_type import ObjectType

from mlops_compile.compiler.compose.choices import Entry, defaults_of
from mlops_compile.compiler.compose.chosen import Chosen
from mlops_compile.compiler.compose.marks import node_origin
from mlops_compile.compiler.compose.overrides import parsed
from mlops_compile.compiler.compose.search_path import (
    directories_of,
    listed,
    loader_of,
    shown_path,
)
from mlops_compile.compiler.suggest import nearest, suggest
from mlops_compile.ir.config import Composition
from mlops_compile.ir.origin import Origin
from mlops_compile.ir.problem import Problem
from mlops_compile.ir.schema import declared

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
        for entry in self._all.chosen():
            if entry.overrides and entry.group not in groups and "hydra/" not in entry.group:
                continue  # told of above
            if "${" in entry.option:
                continue  # known to Hydra alone, and to `impure`
            if not self._loader.repository.config_exists(entry.config_path):
                yield self._missing(entry)

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
            if (wrong := _wrong_entry(item, name, *others)) is not None:
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
                listed = ", ".join(self._options[entry.option])
                hint = f"write {entry.option}: NAME, one of {listed}"
            else:
                hint = "an entry is GROUP: OPTION, or the name of a file in conf/"
            return _problem("no-option", message, hint, entry.origin)
        names = self._names(entry.group)
        if not names:
            message = f"there is no group {entry.group}"
            hint = suggest(entry.group, tuple(self._options), "groups")
            return _problem("no-option", message, hint, entry.group_origin)
        message = f"the group {entry.group} has no option {entry.option!r}"
        hint = self._elsewhere(entry) or suggest(entry.option, names, f"options of {entry.group}")
        if entry.group in ("hydra/launcher", "hydra/sweeper"):
            what = entry.group.removeprefix("hydra/")
            hint += f"; another {what} comes with a plugin of Hydra that is not installed"
        return _problem("no-option", message, hint, entry.origin)

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
        if (inner := entry.option.removeprefix(f"{entry.group}/")) in names:
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


def _wrong_entry(
    item: Any, name: str, before: list[Any], behind: list[Any]
) -> tuple[Any, str, str] | None:
    """The node that is wrong in an entry of a config's defaults list, with message and hint."""
    if isinstance(item, yaml.SequenceNode):
        return item, "an entry is GROUP: OPTION, not a list", "leave the brackets out"
    if isinstance(item, yaml.ScalarNode):
        if item.value == "_self_" and any(other.value == "_self_" for other in before):
            return item, "_self_ is in the list already", "keep one of them"
        if item.value.lstrip("/") == name:
            return item, "a config cannot be in its own defaults list", "leave it out"
        return None
    if len(item.value) > 1:
        return item.value[1][0], "an entry names one group", "give it a line and a dash of its own"
    for key, option in item.value:
        if isinstance(option, yaml.MappingNode):
            return option, "an option is a name, not a map", "its values stand in the option's file"
        if _overrides(item) and any(not _overrides(other) for other in behind):
            return key, "this override stands in front of other entries", "move it to the end"
    return None


def _overrides(item: Any) -> bool:
    """Whether an entry may stand at the end of a list: an override, or `_self_`."""
    if isinstance(item, yaml.MappingNode):
        return all("override" in str(key.value).split()[:-1] for key, _ in item.value)
    return bool(item.value == "_self_")


def no_self(composition: Composition) -> Iterator[Problem]:
    """A note where the primary config does not say if its own keys come before or after what its
    defaults list names."""
    loader = loader_of(composition.search_path)
    found = defaults_of(loader, composition.config_name)
    if found is None or not isinstance(found[1], yaml.SequenceNode):
        return
    key, listed, file = found
    if any(isinstance(item, yaml.ScalarNode) and item.value == "_self_" for item in listed.value):
        return
    text = file.read_text("utf-8")
    if not re.search(r"^(?!defaults\b|hydra\b)\w+\s*:", text, re.M):
        return
    message = "the defaults list has no _self_: this file's own keys come last, behind experiments"
    hint = "add `- _self_` where they shall come, in front of `- experiment`"
    yield _problem("no-self", message, hint, node_origin(key, file, text.splitlines()))


def _problem(code: str, message: str, hint: str, origin: Origin) -> Problem:
    return Problem(code=code, message=message, hint=hint, origin=origin)
