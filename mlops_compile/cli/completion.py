"""Completion: what a shell offers for the word at the cursor, and `-sc` itself."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_compile.cli.shells import INSTALL, UNINSTALL, Line, read_line
from mlops_compile.cli.verbs import COMPOSING, VERBS
from mlops_compile.ir.config import Composition
from mlops_compile.ir.problem import ProblemsError, UsageError, problem

# Hydra is imported where a word needs it: verbs and options are offered without.
if TYPE_CHECKING:
    from argparse import Action

    from mlops_compile.cli.verb import Verb
    from mlops_compile.compiler.offers import Offers

_PLAIN = re.compile(r"[^\s\"'=.,:{}()\[\]\\]+\Z")
_BEFORE_VERB = ("--debug", "--help", "--shell-completion", "--version")


def run(words: Sequence[str]) -> int:
    """`-sc install=SHELL`, `uninstall=SHELL` or `query=SHELL`: prints it, gives the exit code."""
    what, _, shell = (words[1] if len(words) == 2 else "").partition("=")
    if what not in ("install", "uninstall", "query") or shell not in INSTALL:
        from mlops_compile.cli.problems import say_problems  # a Tab says nothing

        hint = "write -sc install=bash or -sc install=zsh, or uninstall="
        say_problems([problem("usage", "-sc takes ACTION=SHELL", hint=hint)], sys.stderr)
        return UsageError.exit_code
    match what:
        case "install":
            print(INSTALL[shell], end="")
        case "uninstall":
            print(UNINSTALL[shell], end="")
        case _:
            print(_reply())
    return 0


def _reply() -> str:
    """What fits at the cursor of the line that the shell gives in the environment."""
    text = os.environ.get("COMP_LINE", "")
    point = os.environ.get("COMP_POINT", "")
    breaks = os.environ.get("COMP_WORDBREAKS", "")
    line = read_line(text, int(point) if point.isdecimal() else len(text), breaks)
    fitting = sorted({word for word in candidates(line) if word.startswith(line.word)})
    return "\n".join(map(line.reply, fitting))


def candidates(line: Line) -> Iterable[str]:
    """Whole words that may stand at the cursor; those that do not fit are left out later."""
    if not line.words or (len(line.words) == 1 and line.words[0] == "--debug"):
        return (*VERBS, *_BEFORE_VERB)
    name, *before = (word for word in line.words if word != "--debug")
    if name in ("-sc", "--shell-completion"):
        return [f"{what}={shell}" for what in ("install", "uninstall") for shell in INSTALL]
    if name not in VERBS:
        return ()
    if name in COMPOSING and not line.word.startswith("-") and _only_hydras(before):
        return _Overrides(before).words(line.word)  # without the verb's module, which is slow
    verb: Verb = import_module(VERBS[name]).VERB
    return _of_verb(verb, before, line.word, composes=name in COMPOSING)


def _only_hydras(words: list[str]) -> bool:
    """Whether overrides, and flags of Hydra without a value, are all that stands there."""
    from mlops_compile.cli import flags  # imports Hydra

    found = [flags.long_name(word) for word in words if word.startswith("-")]
    return all(name in flags.LONG and not flags.takes_value(name) for name in found)


def _of_verb(verb: Verb, before: list[str], word: str, *, composes: bool) -> Iterable[str]:
    from argparse import ArgumentParser  # not for overrides

    parser = ArgumentParser(add_help=False)
    verb.arguments(parser)
    options = {name: action for action in parser._actions for name in action.option_strings}
    flag, equals, _ = word.partition("=")
    if equals and flag in options:
        return [f"{flag}={value}" for value in _values(verb, options[flag])]
    last = options.get(before[-1]) if before else None
    if last is not None and last.nargs != 0:
        return _values(verb, last)
    own = [name for name in options if name.startswith("--")] if word.startswith("-") else []
    if composes:
        return [*own, *_composing(_without(before, options), word)]
    if own:
        return [*own, "--help"]
    positional = (action for action in parser._actions if not action.option_strings)
    return [value for action in positional for value in _values(verb, action)]


def _values(verb: Verb, action: Action) -> Sequence[str]:
    """What an option may be given, where that can be listed; the shell offers files elsewhere."""
    if action.dest in verb.values:
        return verb.values[action.dest]()
    return tuple(map(str, action.choices)) if action.choices is not None else ()


def _without(words: Sequence[str], options: Mapping[str, Action]) -> list[str]:
    """The words that are left for Hydra."""
    rest, found = list(words), []
    while rest:
        word = rest.pop(0)
        action = options.get(word.partition("=")[0])
        if action is None:
            found.append(word)
        elif action.nargs != 0 and "=" not in word and rest:
            rest.pop(0)
    return found


def _composing(before: list[str], word: str) -> Iterable[str]:
    """Hydra's flags and their values, groups, keys and values of overrides."""
    from mlops_compile.cli import flags  # imports Hydra

    flag, equals, _ = word.partition("=")
    if before and flags.takes_value(before[-1]) and "=" not in before[-1]:
        return _flag_values(before[-1], before[:-1])
    if word.startswith("-"):
        found = [f"{flag}={item}" for item in _flag_values(flag, before)] if equals else []
        return [*found, *flags.LONG]
    return _Overrides(before).words(word)


def _flag_values(flag: str, before: list[str]) -> Sequence[str]:
    from mlops_compile.cli import flags  # imports Hydra
    from mlops_compile.compiler.compose.search_path import directories_of  # likewise

    name = flags.long_name(flag)
    if name == "--config-name":
        places = directories_of(_composition(before).search_path)
        return [file.stem for place in places for file in place.glob("*.yaml")]
    return flags.VALUES.get(name, ())


def _composition(before: list[str]) -> Composition:
    from mlops_compile.cli.flags import composition, in_order  # imports Hydra

    try:
        return composition(in_order(before))
    except ProblemsError:  # a flag that is not known, or lacks its value: it is told when run
        return composition(in_order([word for word in before if not word.startswith("-")]))


class _Overrides:
    """What may be written as an override, behind the words that stand before it."""

    def __init__(self, before: list[str]) -> None:
        from mlops_compile.compiler.compose.partial import Partial  # imports Hydra

        self._partial = Partial(_composition(before))

    @cached_property
    def _config(self) -> dict[str, Any]:
        return self._partial.config()

    @cached_property
    def _offers(self) -> Offers:
        from mlops_compile.compiler.offers import Offers  # needs what the checker needs

        return Offers(self._config)

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
        parent = key.rpartition("/")[0]
        for name in self._partial.groups(parent):
            group = f"{parent}/{name}" if parent else name
            if self._partial.options(group):
                yield f"{sign}{group}{end}"
            if self._partial.groups(group):
                yield f"{sign}{group}/"
        *around, _ = key.split(".")
        for name, nested in self._keys(around).items():
            if _PLAIN.match(name):
                yield f"{sign}{'.'.join([*around, name])}{'.' if nested else end}"

    def _keys(self, path: Sequence[str]) -> dict[str, bool]:
        """The keys at a path, those of the config and those that could be set."""
        known = self._offers.keys(path)
        if not path:
            del known["defaults"], known["hydra"]
        here = self._at(path)
        if isinstance(here, list):
            here = dict(enumerate(here))
        for name, value in here.items() if isinstance(here, dict) else ():
            known[str(name)] = isinstance(value, dict) or known.get(str(name), False)
        return known

    def _at(self, path: Sequence[str]) -> Any:
        value: Any = self._config
        for name in path:
            if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
                value = value[int(name)]
            else:
                value = value.get(name) if isinstance(value, dict) else None
        return value

    def _values(self, key: str, value: str) -> Iterable[str]:
        group = key.partition("@")[0]
        head = value[: max(value.rfind(","), value.rfind("[")) + 1]
        named = head.strip("[").split(",")
        if options := self._partial.options(group):
            return [f"{head}{option}" for option in options if option not in named]
        if value[:1] in (".", "/") or key.endswith(".path"):
            return _files(value)
        path = key.split(".")
        if value.startswith("["):
            items = self._offers.values(path, item=True)
            return [f"{head}{item}" for item in items if item not in named]
        found = [f"{head}{item}" for item in self._offers.values(path) if item not in named]
        now = self._at(path)
        if not head and isinstance(now, bool | int | float | str) and "${" not in str(now):
            found.append(str(now).lower() if isinstance(now, bool) else str(now))
        return [item for item in found if item != "???"]


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
