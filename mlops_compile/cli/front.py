"""The front of Hydra: puts a verb's words in its order, runs it, and keeps stdout for answers.

With compiler/compose*.py the only code that knows Hydra.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import NoReturn, TypeVar

import hydra
from hydra.conf import HydraConf, RunDir, SweepDir
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from mlops_compile.cli.problems import say_problems
from mlops_compile.compiler.compose.config import CONFIG_NAME, to_config
from mlops_compile.compiler.compose.grammar import check_overrides
from mlops_compile.compiler.compose.guard import guard
from mlops_compile.compiler.compose.origins import located
from mlops_compile.compiler.compose.overrides import plain_override
from mlops_compile.compiler.compose.refusals import refusals
from mlops_compile.compiler.compose.search_path import (
    config_directory,
    group_names,
    register_groups,
    search_path_of,
)
from mlops_compile.compiler.read import suggest
from mlops_compile.ir.config import Composition, Config
from mlops_compile.ir.problem import CompileError, Problem, StoreError, UsageError, problem

T = TypeVar("T")

_WITH_VALUE = {
    *("--package", "-p", "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"),
    *("--cfg", "-c", "--experimental-rerun"),
}
_ALONE = {
    *("--help", "-h", "--hydra-help", "--resolve", "--run", "-r", "--multirun", "-m"),
    *("--shell-completion", "-sc", "--info", "-i", "--version"),
}
_ANSWERS = {
    "--help",
    "-h",
    "--hydra-help",
    "--cfg",
    "-c",
    "--info",
    "-i",
    "-sc",
    "--shell-completion",
}
_INSPECT = (
    "hydra.output_subdir=null",
    "hydra.run.dir=.",
    "hydra/job_logging=disabled",
    "hydra/hydra_logging=disabled",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One composed config, and the directory that Hydra gave it (of no meaning to inspection)."""

    config: Config
    directory: Path


def run_hydra(words: Sequence[str], task: Callable[[Job], T], *, inspect: bool) -> list[T]:
    """What a task gives for each job that these flags and overrides ask for.

    `inspect` leaves no output directory behind. Empty where Hydra answered by itself (`--cfg`,
    `--info`, `--help`). CompileError says what Hydra refuses; a task's errors pass through.
    """
    flags, overrides = _order(words)
    groups = group_names(Path.cwd())
    written = {plain_override(text, groups): text for text in overrides}
    results: list[T] = []
    problems: list[BaseException] = []

    def call(config: DictConfig) -> None:
        try:
            _quiet_console()
            composed = _job_config(config, written)
            say_problems(composed.notes, sys.stderr, "note")
            directory = Path(HydraConfig.get().runtime.output_dir)
            job = Job(config=composed, directory=directory)
            results.append(task(job))
        except Exception as error:
            problems.append(error)

    reserve = _Reserver(reserve=not inspect)
    OmegaConf.register_new_resolver("mlops_run", reserve, replace=True)
    directories = HydraConf(
        run=RunDir(dir="${mlops_run:outputs}"),
        sweep=SweepDir(dir="${mlops_run:multirun}", subdir="${hydra.job.num}"),
    )
    ConfigStore.instance().store(group="hydra", name="config", node=directories, provider="hydra")
    register_groups()
    directory = config_directory(Path.cwd())
    ours = ("hydra.job.name=mlops_compile", *(_INSPECT if inspect else ()))
    before = sys.argv
    sys.argv = ["mlops-compile", *flags, *ours, *written]
    answers = any(flag.partition("=")[0] in _ANSWERS for flag in flags)
    name = _value_of(flags, "--config-name", "-cn")
    added = _value_of(flags, "--config-dir", "-cd")
    more = [Path(added).resolve()] if added and Path(added).is_dir() else []
    asked = Composition(
        config_name=name.removesuffix(".yaml") if name else CONFIG_NAME,
        search_path=search_path_of(directory, *more),
        overrides=tuple(overrides),
    )
    quiet = contextlib.nullcontext() if answers else contextlib.redirect_stdout(sys.stderr)
    try:
        with quiet, located(asked), refusals(asked):
            guard(asked.search_path)
            many = bool({"-m", "--multirun"} & set(flags))
            check_overrides(asked.overrides, asked.search_path, many=many)
            hydra.main(version_base="1.3", config_path=str(directory), config_name=CONFIG_NAME)(
                call
            )()
    except CompileError as error:
        raise reserve.refused or error from None
    finally:
        sys.argv = before
    if problems:
        raise problems[0]
    return results


def _order(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Flags, then overrides; Hydra 1.3 refuses a flag behind an override."""
    flags: list[str] = []
    overrides: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, _ = word.partition("=")
        if not word.startswith("-"):
            overrides.append(word)
        elif name in _WITH_VALUE:
            if not equals and not rest:
                raise UsageError([problem("usage", f"{word} needs a value")])
            flags += [word] if equals else [word, rest.pop(0)]
        elif name in ("--info", "-i"):
            flags.append(word if equals else "--info=all")
        elif name in _ALONE:
            flags.append(word)
        else:
            raise UsageError([_no_such_option(word, rest)])
    _check_cfg(flags)
    names = {flag.partition("=")[0] for flag in flags}
    if names & {"--cfg", "-c"} and names & {"--multirun", "-m"}:
        message = "--cfg shows one config, and -m asks for many"
        raise UsageError([problem("usage", message, hint="leave one of them out")])
    return flags, overrides


def _check_cfg(flags: Sequence[str]) -> None:
    """UsageError for a `--cfg` of another kind, which Hydra would exit for."""
    shown = ("job", "hydra", "all")
    value = _value_of(flags, "--cfg", "-c")
    if value and value not in shown:
        hint = f"--cfg takes one of {', '.join(shown)}"
        raise UsageError([problem("usage", f"there is no config {value!r} to show", hint=hint)])


def _value_of(flags: Sequence[str], *names: str) -> str:
    """The value of a flag; empty without it."""
    for flag, following in zip_longest(flags, flags[1:], fillvalue=""):
        name, equals, value = flag.partition("=")
        if name in names:
            return value if equals else following
    return ""


def _no_such_option(word: str, rest: Sequence[str]) -> Problem:
    name, equals, value = word.lstrip("-").partition("=")
    if not equals and rest and not rest[0].startswith("-") and "=" not in rest[0]:
        value = rest[0]
    hint = "see --help for the verb's options and --hydra-help for Hydra's"
    known = tuple(sorted(name for name in (*_WITH_VALUE, *_ALONE) if name.startswith("--")))
    if equals or name.partition(".")[0] in group_names(Path.cwd()):
        hint = f"if an override is meant, it has no dashes: {name}={value or 'VALUE'}"
    elif (near := suggest(word, known)).startswith("did you mean"):
        hint = near
    return problem("usage", f"there is no option {word}", hint=hint)


def _job_config(config: DictConfig, written: dict[str, str]) -> Config:
    """A job's config; its overrides as the user wrote them (`written`, by what Hydra was given)."""
    runtime = HydraConfig.get()
    paths = tuple(
        f"{source.schema}://{source.path}"
        for source in runtime.runtime.config_sources
        if source.schema in ("file", "pkg") and source.provider != "hydra"
    )
    given = OmegaConf.to_container(runtime.overrides.task, resolve=False)
    assert isinstance(given, list)
    overrides = tuple(written.get(text, text.removeprefix("++")) for text in given)
    composition = Composition(
        config_name=str(runtime.job.config_name), search_path=paths, overrides=overrides
    )
    with located(composition), refusals(composition):
        return to_config(config, composition)


class _Reserver:
    """Gives PARENT/DATE/TIME of this run; reserved by making the directory, so that two runs in the
    same second never share one. `refused` is why a directory could not be made."""

    def __init__(self, *, reserve: bool) -> None:
        self._reserve = reserve
        self._chosen: dict[str, str] = {}
        self.refused: StoreError | None = None

    def __call__(self, parent: str) -> str:
        while parent not in self._chosen:
            name = f"{parent}/{time.strftime('%Y-%m-%d/%H-%M-%S')}"
            if not self._reserve or self._made(name):
                self._chosen[parent] = name
            else:
                time.sleep(0.05)
        return self._chosen[parent]

    def _made(self, name: str) -> bool:
        """Whether this call made the directory; False if it was there."""
        place = Path(name)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.mkdir()
        except FileExistsError:
            if place.is_dir():
                return False
            self._refuse(name, "a file is in the way")
        except OSError as error:
            self._refuse(name, error.strerror or str(error))
        return True

    def _refuse(self, name: str, why: str) -> NoReturn:
        """Hydra puts what is raised here into a sentence of its own: it is kept."""
        hint = "let this user write there, or name another place: hydra.run.dir=PATH"
        message = f"the run's directory {name} cannot be made: {why}"
        self.refused = StoreError([problem("disk", message, hint=hint)])
        raise self.refused


def _quiet_console() -> None:
    """Leave the console to our own lines; the run's log file keeps everything."""
    for handler in logging.getLogger().handlers:
        if type(handler) is logging.StreamHandler:
            handler.setLevel(logging.CRITICAL + 1)
