"""Hydra's flags apart from the overrides, whatever order they are written in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops_compile.ir.config import CONFIG_NAME, Composition
from mlops_compile.ir.problem import Problem, UsageError, problem

_SHORT = {
    "-p": "--package",
    "-c": "--cfg",
    "-cp": "--config-path",
    "-cn": "--config-name",
    "-cd": "--config-dir",
    "-h": "--help",
    "-r": "--run",
    "-m": "--multirun",
    "-i": "--info",
}
_WITH_VALUE = ("--package", "--cfg", "--config-path", "--config-name", "--config-dir")
_ALONE = ("--help", "--hydra-help", "--version", "--resolve", "--run", "--multirun")
LONG = (*_WITH_VALUE, *_ALONE, "--info")
_ANSWERED = {"--help", "--hydra-help", "--version", "--cfg", "--info"}
_SHOWN = ("job", "hydra", "all")
# The values of flags that take one of a few.
VALUES: Mapping[str, tuple[str, ...]] = {
    "--cfg": _SHOWN,
    "--info": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
}
_COMMANDS = ("--run", "--multirun", "--cfg", "--info")


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Flags by their long names, as `--name` or `--name=value`, and the overrides."""

    flags: tuple[str, ...]
    overrides: tuple[str, ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(flag.partition("=")[0] for flag in self.flags)

    @property
    def answered(self) -> bool:
        """Whether Hydra answers by itself, so that no job is called."""
        return bool(self.names & _ANSWERED)

    def value(self, name: str) -> str | None:
        """What a flag was given last, or None."""
        values = (flag.partition("=")[2] for flag in self.flags if flag.startswith(f"{name}="))
        return next(reversed(list(values)), None)


def long_name(flag: str) -> str:
    """A flag's long name: `-cn` is `--config-name`."""
    return _SHORT.get(flag, flag)


def takes_value(flag: str) -> bool:
    """Whether the word behind a flag is its value."""
    return long_name(flag) in (*_WITH_VALUE, "--info")


def composition(asked: Words) -> Composition:
    """What the words ask to compose: the primary place is `--config-path`, else the project's."""
    from mlops_compile.compiler.compose.search_path import config_directory  # imports Hydra

    primary = asked.value("--config-path")
    if primary is None:
        primary = str(config_directory(Path.cwd()))
    elif "://" not in primary:
        primary = str(Path(primary).resolve())
    more = asked.value("--config-dir")
    places = (primary, *((str(Path(more).resolve()),) if more else ()))
    name = asked.value("--config-name") or CONFIG_NAME
    return Composition(config_name=name, search_path=places, overrides=asked.overrides)


def in_order(words: Sequence[str]) -> Words:
    """The words of a command line; UsageError where a flag is not known or lacks its value."""
    flags: list[str] = []
    overrides: list[str] = []
    unknown: list[Problem] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            overrides += rest
            break
        if not word.startswith("-"):
            overrides.append(word)
            continue
        try:
            name, value = _known(word, rest)
        except UsageError as error:
            unknown += error.problems
            continue
        if name in _WITH_VALUE and value is None:
            if not rest:
                raise UsageError([problem("usage", f"{word} needs a value")])
            value = rest.pop(0)
        elif name == "--info" and value is None:
            # An override holds a `=` or starts with a `~`: a bare word is the kind of information.
            bare = bool(rest) and "=" not in rest[0] and rest[0][:1] not in ("-", "+", "~")
            value = rest.pop(0) if bare else "all"
        flags.append(name if value is None else f"{name}={value}")
    if unknown:
        raise UsageError(unknown)
    found = Words(flags=tuple(flags), overrides=tuple(overrides))
    _check(found)
    return found


def _known(word: str, rest: Sequence[str]) -> tuple[str, str | None]:
    """A flag's long name and the value written in the same word: `-cjob`, `--cfg=job`."""
    spelled, equals, value = word.partition("=")
    name = _SHORT.get(spelled, spelled)
    if name in LONG and not (equals and name in _ALONE):
        return name, value if equals else None
    if equals and name in _ALONE:
        raise UsageError([problem("usage", f"{spelled} takes no value", hint=f"write {spelled}")])
    for short in ("-cd", "-cp", "-cn", "-c", "-p", "-i"):
        if word.startswith(short):
            return _SHORT[short], word.removeprefix(short)
    if word == "--experimental-rerun" or word.startswith("--experimental-rerun="):
        hint = "run a lock again with `mlops-compile run --plan DIRECTORY/plan.lock.json`"
        message = "--experimental-rerun takes Hydra's own record of a job, which is not kept here"
        raise UsageError([problem("usage", message, hint=hint)])
    raise UsageError([_no_such_option(word, rest)])


def _no_such_option(word: str, rest: Sequence[str]) -> Problem:
    from mlops_compile.compiler.compose.search_path import (  # imports Hydra
        config_directory,
        options_of,
    )

    name, equals, value = word.lstrip("-").partition("=")
    if not equals and rest and not rest[0].startswith("-") and "=" not in rest[0]:
        value = rest[0]
    hint = "see --help for the verb's options and --hydra-help for Hydra's"
    from difflib import get_close_matches  # only on the way to an error

    groups = options_of((str(config_directory(Path.cwd())),))
    near = get_close_matches(name, [flag.lstrip("-") for flag in LONG], n=1, cutoff=0.7)
    if near and name.partition(".")[0] not in groups:
        hint = f"did you mean --{near[0]}?"
    elif equals or name.partition(".")[0] in groups:
        hint = f"if an override is meant, it has no dashes: {name}={value or 'VALUE'}"
    return problem("usage", f"there is no option {word}", hint=hint)


def _check(words: Words) -> None:
    """UsageError for flags that exclude each other, or a `--cfg` of another kind."""
    commands = [name for name in _COMMANDS if name in words.names]
    if len(commands) > 1:
        message = f"{commands[0]} and {commands[1]} exclude each other"
        if set(commands) == {"--multirun", "--cfg"}:
            message = "--cfg shows one config, and --multirun asks for many"
        raise UsageError([problem("usage", message, hint="leave one of them out")])
    if "--resolve" in words.names and not words.names & {"--cfg", "--help"}:
        message = "--resolve says how --cfg and --help print: it needs one of them"
        raise UsageError([problem("usage", message, hint="for example --cfg job --resolve")])
    if "--package" in words.names and "--cfg" not in words.names:
        message = "--package says which part --cfg shows: it needs that"
        hint = f"for example --cfg job --package {words.value('--package')}"
        raise UsageError([problem("usage", message, hint=hint)])
    if (shown := words.value("--cfg")) not in (None, *_SHOWN):
        hint = f"--cfg takes one of {', '.join(_SHOWN)}"
        raise UsageError([problem("usage", f"there is no config {shown!r} to show", hint=hint)])
    if (told := words.value("--info")) not in (None, *VALUES["--info"]):
        hint = f"--info takes one of {', '.join(VALUES['--info'])}"
        raise UsageError(
            [problem("usage", f"--info shows nothing that is called {told!r}", hint=hint)]
        )
