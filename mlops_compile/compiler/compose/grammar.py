"""Overrides that the grammar does not take: each is told with what to type instead.

Hydra stops at the first of them; here all are looked at before Hydra sees any.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, IntervalSweep, RangeSweep
from hydra.errors import HydraException

from mlops_compile.compiler.compose.many import EXPERIMENT, no_points, shell, two_experiments
from mlops_compile.compiler.compose.marks import MOST_DEPTH
from mlops_compile.compiler.compose.missing import wrong_choices
from mlops_compile.compiler.compose.overrides import (
    QUOTED,
    bare_keys,
    options_in,
    parsed,
    shuffled,
)
from mlops_compile.compiler.compose.search_path import options_of
from mlops_compile.ir.config import Composition
from mlops_compile.ir.origin import Origin
from mlops_compile.ir.problem import CompileError, Problem

_KEY = re.compile(r"[+~]*([\w$/@:-]*|[\w.$-]+|[\w$/-]+@[\w.$:-]+)\Z", re.ASCII)
_NAME = re.compile(r"[\w$-]+\Z", re.ASCII)
_MAP_KEY = re.compile(r"""[{,]\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*:""")
_CALL = re.compile(r"(\w+)\(")
_QUOTABLE = re.compile(r'([{\[,:]\s*)([<>]=?[^,{}\[\]"\']*[^\s,{}\[\]"\'])')
_IN_A_FILE = "write it in a file of conf/"
_LONGEST = 250  # as a file's name, with .yaml behind it
_SQL = re.compile(r"\s*(select|with)\s", re.I)
# Those that a config may call; `interval` and `shuffle` have no fixed points.
_FUNCTIONS = ("bool", "choice", "float", "glob", "int", "range", "sort", "str", "tag")
_CALLS = {
    "choice": "choice(A,B)",
    "glob": "glob(PATTERN) or glob([PATTERN], exclude=[PATTERN])",
    "range": "range(STOP), range(START,STOP) or range(START,STOP,STEP)",
    "sort": "sort(A,B) or sort(A,B,reverse=true)",
    "tag": "tag(NAME,choice(A,B))",
}
_CLOSING = {"[": "]", "{": "}", "(": ")"}


def check_overrides(composition: Composition) -> None:
    """CompileError for every override that does not parse, or asks for an order at random."""
    texts = composition.overrides
    options = options_of(composition.search_path) if texts else {}
    found = [item for text in _joined(texts) for item in _refused(text, texts, options)]
    twice = list(two_experiments(texts))
    if problems := [*found, *twice, *shuffled(texts)]:
        told = {found.origin.text for found in problems if found.origin is not None}
        told |= {text for text in texts if twice and EXPERIMENT.match(text)}
        rest = tuple(text for text in texts if text not in told)
        raise CompileError((*problems, *wrong_choices(replace(composition, overrides=rest))))


def _joined(texts: tuple[str, ...]) -> Iterator[str]:
    """Overrides; words that were parted by spaces around a `=` are one."""
    rest = list(texts)
    while rest:
        text = rest.pop(0)
        if rest and "=" not in text and text[:1] != "~" and rest[0][:1] == "=":
            text = f"{text} {rest.pop(0)}"
        if rest and text.endswith("=") and "=" not in rest[0]:
            text = f"{text} {rest.pop(0)}"
        while rest and text.endswith(",") and "=" in text and "=" not in rest[0]:
            text = f"{text} {rest.pop(0)}"
        while rest and _left_open(text.partition("=")[2]) and "=" not in rest[0]:
            text = f"{text} {rest.pop(0)}"
        yield text


def _too_deep(text: str) -> int | None:
    """Where brackets open deeper than in any config; None where they do not."""
    depth = 0
    for position, sign in enumerate(QUOTED.sub(lambda quoted: " " * len(quoted[0]), text)):
        depth += (sign in _CLOSING) - (sign in _CLOSING.values())
        if depth > MOST_DEPTH:
            return position
    return None


def _refused(
    text: str, words: tuple[str, ...], options: Mapping[str, tuple[str, ...]]
) -> Iterator[Problem]:
    if (deep := _too_deep(text)) is not None:
        message = f"more than {MOST_DEPTH} levels, each in the other"
        yield _problem("override", message, _IN_A_FILE, text, deep, deep + 1)
        return
    override = parsed(text)
    key, equals, value = text.partition("=")
    if not key.strip():
        message = "there is no key in front of the =" if equals else "an override is empty"
        yield _problem("override", message, "write KEY=VALUE", text, 0, len(text))
        return
    if override is not None and text not in words and not re.search(r"\s=|=\s", text):
        begin = text.index(" ")
        message = "the shell parts this at its spaces"
        hint = f"put the whole in quotes: {shell(text)}"
        yield _problem("override", message, hint, text, begin, begin + 1)
        return
    if override is None or re.search(r"\s=|=\s", key + equals + value[:1]):
        message, hint, begin, end = _diagnosis(text, options)
        yield _problem("override", message, hint, text, begin, end)
        return
    names = (*key.split("/"), *(value.split("/") if key in options else ()))
    if long := [name for name in names if len(name.encode("utf-8", "replace")) > _LONGEST]:
        begin = text.index(long[0])
        message = f"a name of {len(long[0])} characters: none is that long"
        hint = f"a name has at most {_LONGEST} bytes"
        yield _problem("override", message, hint, text, begin, begin + len(long[0]))
        return
    group = override.key_or_group
    if group in options and override.value() in (None, "") and not override.is_delete():
        key = group
        begin = text.index("=") + 1
        message = f"the group {key} needs an option"
        hint = f"the group has: {', '.join(options[key])}"
        if key == "experiment":
            hint = "leave it out for no experiment"
        yield _problem("no-option", message, hint, text, begin, len(text))
    elif isinstance(override.value(), IntervalSweep):
        message = "an interval is for sweepers that search; here a sweep is a list of points"
        hint = "write range(START,STOP,STEP) or choice(A,B)"
        yield _problem("override", message, hint, text, text.index("=") + 1, len(text))
    elif isinstance(override.value(), RangeSweep) and (message := no_points(override.value())):
        hint = f"it is {_CALLS['range']}, without STOP itself"
        yield _problem("override", message, hint, text, text.index("=") + 1, len(text))
    elif isinstance(override.value(), Glob) and not options_in(override, options.get(group, ())):
        message = f"no option of {group} is like this" if group in options else "this is no group"
        hint = f"the group has: {', '.join(options[group])}" if group in options else ""
        yield _problem("no-option", message, hint, text, text.index("=") + 1, len(text))


def _diagnosis(text: str, options: Mapping[str, tuple[str, ...]]) -> tuple[str, str, int, int]:
    """What is wrong with an override that does not parse: message, hint, and the part marked."""
    key, equals, value = text.partition("=")
    if not equals:
        return _no_equals(text, options)
    if key != key.rstrip() or (value != value.lstrip() and _NAME.match(key.replace(".", ""))):
        begin = len(key.rstrip())
        end = len(text) - len(value.lstrip())
        meant = f"{key.strip()}={value.strip()}"
        return "there are spaces around the =", f"write {shell(meant)}", begin, end
    if not _KEY.match(key) or ".." in key:
        return _bad_key(key, value)
    begin = len(key) + 1
    if opened := _left_open(value):
        position, what = opened
        if what == "{" and value[:position].endswith("$"):
            hint = "close it with }, or write \\${ if no interpolation is meant"
            return "this ${ is not closed", hint, begin + position - 1, len(text)
        hint = "close it; a word that holds spaces needs quotes of the shell around it"
        return f"this {what} is not closed", hint, begin + position, begin + position + 1
    if value.rstrip().endswith(","):
        place = begin + value.rstrip().rfind(",")
        hint = f"leave it out: {shell(text.rstrip(', '))}"
        return "the override ends in a comma", hint, place, place + 1
    if name := next((m for m in _MAP_KEY.finditer(value) if _unholdable(m[1])), None):
        message = "the command line cannot hold this name"
        return message, _IN_A_FILE, begin + name.start(1), begin + name.end(1)
    if (call := _CALL.match(value)) and (wrong := _call(text, call[1])):
        return (*wrong, begin, begin + len(call[1]))
    place = begin + _stops(text, value)
    meant = f'{key}="{value}"' if value[:1] not in ("{", "[") else _QUOTABLE.sub(r'\1"\2"', text)
    hint = "put quotes around what holds commas, brackets, colons or comparisons"
    if '"' not in value and parsed(meant) is not None:
        hint = f"put it in quotes, and the whole in quotes of the shell: {shell(meant)}"
    if _SQL.match(value):
        where = key.rpartition(".")[2]
        hint += f"\na long text is better kept in a file of conf/: `{where}: |` and lines below it"
    return "this cannot be parsed from here on", hint, place, place + 1


def _unholdable(quoted: str) -> bool:
    """Whether a quoted key of a map is one that the grammar cannot hold."""
    return parsed(f"x={{{quoted}: 1}}") is None


def _call(text: str, name: str) -> tuple[str, str] | None:
    """What is wrong with a call of a function of the grammar: message and hint."""
    parser = OverridesParser.create()
    known = tuple(sorted(parser.functions.functions))
    usual = ", ".join(name for name in known if name in _FUNCTIONS)
    key, _, value = text.partition("=")
    quoted = f'{key}="{value}"'
    as_text = f"for a text: {shell(quoted)}"
    if name not in known:
        return f"there is no function {name}", f"functions: {usual}\n{as_text}"
    try:
        parser.parse_override(bare_keys(text))
    except HydraException as error:
        said = str(error).splitlines()[0]
        if " while evaluating " in said:
            usage = _CALLS.get(name, f"{name}(VALUE)")
            return f"{name} is not called so", f"it is {usage}; {as_text}"
    return None


def _no_equals(text: str, options: Mapping[str, tuple[str, ...]]) -> tuple[str, str, int, int]:
    message, end = "an override is KEY=VALUE, and this has no =", len(text)
    key, colon, value = text.partition(":")
    if colon and _NAME.match(key.replace(".", "")):
        meant = f"{key}={value.strip()}"
        return (
            "an override has a = where YAML has a colon",
            f"write {meant}",
            len(key),
            len(key) + 1,
        )
    if text.startswith("~"):
        message = "a key on the command line has letters, digits and _ only"
        return message, "take it out of its file in conf/", max(text.rfind(".") + 1, 1), end
    group, _, option = text.removesuffix(".yaml").removeprefix("conf/").rpartition("/")
    if option in options.get(group, ()):
        return message, f"write {group}={option}", 0, end
    if groups := [group for group, names in options.items() if text in names]:
        return message, f"write {' or '.join(f'{group}={text}' for group in groups)}", 0, end
    if text.endswith((".yaml", ".yml")):
        hint = "an option of a group is GROUP=NAME, another primary config --config-name=NAME"
        return "a config file is no override", hint, 0, end
    if text in options:
        return message, f"write {text}=NAME, one of {', '.join(options[text])}", 0, end
    return message, f"write {text}=VALUE" if _KEY.match(text) else "write KEY=VALUE", 0, end


def _bad_key(key: str, value: str) -> tuple[str, str, int, int]:
    """A key that the grammar cannot hold: the way to write it is a map."""
    if ".." in key:
        place = key.index("..")
        hint = f"write {shell(re.sub(r'[.]+', '.', key) + '=' + value)}"
        return "there are two dots in a row", hint, place, place + 2
    parts = re.findall(r"\"[^\"]*\"|'[^']*'|[^.]+", key)
    bad = next((n for n, part in enumerate(parts) if not _NAME.match(part.lstrip("+~"))), 0)
    begin = len(".".join(parts[:bad])) + (1 if bad else 0)
    name = parts[bad].strip("\"'")
    if item := re.match(r"(\w+)\[(\d+)\]\Z", name):
        path = ".".join([*parts[:bad], item[1], item[2], *parts[bad + 1 :]])
        hint = f"write {shell(f'{path}={value}')}"
        return "an item of a list is named behind a dot", hint, begin, begin + len(parts[bad])
    inner = value
    for part in reversed(parts[bad + 1 :]):
        inner = f"{{{part}: {inner}}}"
    message = "a key on the command line has letters, digits and _ only"
    hint = _IN_A_FILE
    meant = f'{".".join(parts[:bad])}={{"{name}": {inner}}}'
    if bad and parsed(meant) is not None:
        hint = f"write a map, which is merged into what is there: {shell(meant)}"
    return message, hint, begin, begin + len(parts[bad])


def _left_open(value: str) -> tuple[int, str] | None:
    """The first bracket, or the quote, that nothing closes."""
    opened: list[int] = []
    quote = -1
    for position, char in enumerate(value):
        if quote >= 0:
            if char == value[quote] and value[position - 1] != "\\":
                quote = -1
        elif char in "\"'" and not value[:position].rstrip()[-1:].isalnum():
            quote = position
        elif char in _CLOSING:
            opened.append(position)
        elif opened and char == _CLOSING[value[opened[-1]]]:
            opened.pop()
    if quote >= 0:
        return quote, "quote"
    return (opened[0], value[opened[0]]) if opened else None


def _stops(text: str, value: str) -> int:
    """Where in its value an override stops making sense to the grammar."""
    written = bare_keys(text)
    try:
        OverridesParser.create().parse_overrides([written])
    except HydraException as error:
        lines = str(error).splitlines()
        # Some versions of Hydra name the override in a line of its own before it is marked.
        start = next((line.index(written) for line in reversed(lines) if written in line), 0)
        column = next((len(line) - 1 - start for line in lines if line.strip() == "^"), 0)
        return min(max(column - (len(text) - len(value)), 0), max(len(value) - 1, 0))
    return 0


def _problem(code: str, message: str, hint: str, text: str, begin: int, end: int) -> Problem:
    origin = Origin.of_override(text, begin, max(end, begin + 1))
    return Problem(code=code, message=message, hint=hint, origin=origin)
