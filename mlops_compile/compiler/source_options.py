"""Options of a source as `init` takes them, NAME=VALUE: each is read as its key is declared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from mlops_compile.compiler.read import Reader, whole
from mlops_compile.compiler.suggest import suggest
from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.schema import Declared, declared, members
from mlops_compile.ir.value import KeyPath, Map, Value, freeze
from mlops_compile.steps.sources import SOURCES
from mlops_compile.steps.sources.kind import SOURCE_KEYS

_OPTIONS: KeyPath = (*SOURCE_KEYS, "options")
# Keys of a source that are no options: what it is, and what is asked of it.
_OWN = ("kind", "query")
# How people write a tab in a shell.
_TABS = ("\\t", "tab", "TAB")
_TEXTS = tuple[str, ...]


def source_of(
    kind: str, keys: Mapping[str, Value], texts: Mapping[str, str | tuple[str, ...]]
) -> Any:
    """The keys of a source of a kind, with options as texts (or lists as they are). CompileError
    for names that there are not, and values that cannot be."""
    source = SOURCES[kind]
    known = {item.name: item for item in options_of(kind)}
    if unknown := [name for name in texts if name not in known]:
        what = f"options of {kind}"
        raise CompileError(
            problem(
                "unknown-key",
                f"{kind} has no such option",
                (*_OPTIONS, name),
                suggest(name, tuple(known), what),
            )
            for name in unknown
        )
    options = Map({name: _value(known[name], text) for name, text in texts.items()})
    nested = any(item.name == _OPTIONS[-1] for item in declared(source.spec))
    held = Map({"kind": kind, **keys, **({_OPTIONS[-1]: options} if nested else options)})
    reader = Reader()
    spec = reader.group(source.spec, held, SOURCE_KEYS)
    problems = [*reader.problems, *(source.complaints(spec) if whole(spec) else ())]
    if problems:
        raise CompileError(problems)
    return spec


def options_of(kind: str) -> tuple[Declared, ...]:
    """The options of a kind of source: the keys below `options`, or those of the source itself."""
    source = SOURCES[kind]
    keys = {item.name: item for item in declared(source.spec)}
    if _OPTIONS[-1] in keys:
        return declared(keys[_OPTIONS[-1]].type)
    return tuple(item for name, item in keys.items() if name not in (*_OWN, source.place))


def _value(item: Declared, text: str | tuple[str, ...]) -> Value:
    """A text as a value of the key's type; one that it cannot be stays a text, which the reader
    refuses."""
    if isinstance(text, tuple):
        return text
    types = members(item.type)
    if type(None) in types and text == "null":
        return None
    if str in types:
        return _text(item, text)
    if bool in types and text in ("true", "false"):
        return text == "true"
    if int in types and text.isascii() and text.isdigit():
        return int(text)
    if _TEXTS in types and not text.startswith("["):
        return (text,)
    return _nested(item, text) if _TEXTS in types or Map in types else text


def _text(item: Declared, text: str) -> str:
    if item.name == "separator" and text in _TABS:
        return "\t"
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            return str(json.loads(text))
        except ValueError:
            return text
    return text


def _nested(item: Declared, text: str) -> Value:
    """A list or map as YAML writes it in a line, in which every scalar is a text."""
    try:
        return freeze(yaml.load(text, Loader=yaml.BaseLoader))
    except (yaml.YAMLError, ValueError, TypeError):
        hint = 'put texts that hold signs in quotes: ["?", "-1"]'
        message = f"is no list or map as YAML writes it: {text}"
        raise CompileError([problem("wrong-type", message, (*_OPTIONS, item.name), hint)]) from None
