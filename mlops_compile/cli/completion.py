"""Completion: what a shell offers for the word at the cursor, and `-sc` itself."""

from __future__ import annotations

import os
import sys
from argparse import Action, ArgumentParser, _SubParsersAction
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_compile.cli import flags
from mlops_compile.cli.shells import SHELLS, Line, install, read_line, uninstall
from mlops_compile.cli.verb import Verb
from mlops_compile.cli.verbs import VERBS
from mlops_compile.ir.problem import ProblemsError, UsageError, problem

# Hydra is imported where a word needs it: verbs and options are offered without.
if TYPE_CHECKING:
    from mlops_compile.cli.overrides import Overrides

_BEFORE_VERB = ("--debug", "--help", "--shell-completion", "--version")


def run(words: Sequence[str]) -> int:
    """`-sc install=SHELL`, `uninstall=SHELL` or `query=SHELL`: prints it, gives the exit code."""
    what, _, shell = (words[1] if len(words) == 2 else "").partition("=")
    if what not in ("install", "uninstall", "query") or shell not in SHELLS:
        from mlops_compile.cli.problems import say_problems  # a Tab says nothing

        hint = "write -sc install=bash or -sc install=zsh, or uninstall="
        say_problems([problem("usage", "-sc takes ACTION=SHELL", hint=hint)], sys.stderr)
        return UsageError.exit_code
    match what:
        case "install":
            print(install(shell, _command()), end="")
        case "uninstall":
            print(uninstall(shell, _command()), end="")
        case _:
            print(_reply(shell))
    return 0


def _command() -> str:
    """The command that was called, as shells know it: by its name, or `python` with `-m`."""
    module = sys.argv[0].endswith("__main__.py")
    return Path(sys.orig_argv[0] if module else sys.argv[0]).name


def _reply(shell: str) -> str:
    """What fits at the cursor of the line that the shell gives in the environment."""
    text = os.environ.get("COMP_LINE", "")
    point = os.environ.get("COMP_POINT", "")
    breaks = os.environ.get("COMP_WORDBREAKS", "")
    line = read_line(text, int(point) if point.isdecimal() else len(text), breaks)
    fitting = sorted({word for word in candidates(line) if word.startswith(line.word)})
    return "\n".join(line.reply(word, shell) for word in fitting)


def candidates(line: Line) -> Iterable[str]:
    """Whole words that may stand at the cursor; those that do not fit are left out later."""
    if not line.words or (len(line.words) == 1 and line.words[0] == "--debug"):
        return (*VERBS, *_BEFORE_VERB)
    name, *before = (word for word in line.words if word != "--debug")
    if name in ("-sc", "--shell-completion"):
        return [f"{what}={shell}" for what in ("install", "uninstall") for shell in SHELLS]
    if name not in VERBS:
        return ()
    return _of_verb(VERBS[name], before, line.word)


def _of_verb(verb: Verb, before: list[str], word: str) -> Iterable[str]:
    parser = ArgumentParser(add_help=False)
    verb.arguments(parser)
    for action in parser._actions:
        if isinstance(action, _SubParsersAction) and before and before[0] in action.choices:
            parser, before = action.choices[before[0]], before[1:]
    options = {name: action for action in parser._actions for name in action.option_strings}
    flag, equals, _ = word.partition("=")
    if equals and flag in options:
        return [f"{flag}={value}" for value in _values(verb, options[flag])]
    last = options.get(before[-1]) if before else None
    if last is not None and last.nargs != 0:
        return _values(verb, last)
    own = list(options) if word.startswith("-") else []
    if verb.composes:
        return [*own, *_composing(_without(before, options), word)]
    if own:
        return sorted({*own, "--help"})
    positional = [action for action in parser._actions if not action.option_strings]
    given = _without(before, options)
    own_words = [action for action in positional if action.dest != "overrides"]
    if len(given) >= len(own_words) < len(positional):
        return _overrides(given[len(own_words) :]).words(word)
    awaited = own_words[len(given) :][:1]
    return [value for action in awaited for value in _values(verb, action)]


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
    flag, equals, _ = word.partition("=")
    last = flags.long_name(before[-1]) if before else ""
    if flags.takes_value(last):
        values = _flag_values(last, before[:-1], word)
        # Its value may be left out.
        return [*values, *_overrides(before[:-1]).words(word)] if last == "--info" else values
    if not word.startswith("-"):
        return _overrides(before).words(word)
    name = flags.long_name(flag)
    values = _flag_values(name, before, word.removeprefix(f"{flag}=")) if equals else ()
    return [*flags.LONG, *(f"{flag}={value}" for value in values)]


def _flag_values(name: str, before: list[str], word: str) -> Sequence[str]:
    """The values of a flag of Hydra; of those that take a folder, the shell offers files."""
    match name:
        case "--config-name":
            return _overrides(before).configs()
        case "--package":
            return _overrides(before).packages(word)
        case _:
            return flags.VALUES.get(name, ())


def _overrides(before: list[str]) -> Overrides:
    from mlops_compile.cli.overrides import Overrides  # imports Hydra

    try:
        return Overrides(flags.composition(flags.in_order(before)))
    except ProblemsError:  # a flag that is not known, or lacks its value: it is told when run
        rest = [word for word in before if not word.startswith("-")]
        return Overrides(flags.composition(flags.in_order(rest)))
