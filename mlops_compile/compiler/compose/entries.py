"""Entries of a defaults list: what is wrong in the form of one, and a list without `_self_`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from mlops_compile.compiler.compose.choices import defaults_of
from mlops_compile.compiler.compose.marks import node_origin
from mlops_compile.compiler.compose.search_path import loader_of
from mlops_compile.ir.config import Composition
from mlops_compile.ir.problem import Problem


def wrong_entry(
    item: Any, name: str, before: list[Any], behind: list[Any]
) -> tuple[Any, str, str] | None:
    """The node that is wrong in an entry of a config's defaults list, with message and hint."""
    if isinstance(item, yaml.SequenceNode):
        return item, "an entry is GROUP: OPTION, not a list", "leave the brackets out"
    if isinstance(item, yaml.ScalarNode):
        if item.tag.endswith(":null"):
            return item, "this entry is empty", "write GROUP: OPTION, or leave the dash out"
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
    origin = node_origin(key, file, text.splitlines())
    yield Problem(code="no-self", message=message, hint=hint, origin=origin)
