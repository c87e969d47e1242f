"""The front of Hydra: puts a verb's words in its order, runs it, and keeps stdout for answers.

With compiler/compose/ the only code that knows Hydra.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TextIO, TypeVar

import hydra
from hydra.conf import HydraConf, JobConf, RunDir, SweepDir
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf

from mlops_compile.cli.flags import Words, in_order
from mlops_compile.cli.flags import composition as asked_composition
from mlops_compile.cli.launching import our_launcher
from mlops_compile.cli.point_files import log_into, make_directory
from mlops_compile.cli.problems import say_problems
from mlops_compile.cli.reserve import Reserver
from mlops_compile.compiler.compose.chosen import check_files
from mlops_compile.compiler.compose.config import to_config
from mlops_compile.compiler.compose.grammar import check_overrides
from mlops_compile.compiler.compose.once import composed_once
from mlops_compile.compiler.compose.origins import located
from mlops_compile.compiler.compose.overrides import given_overrides, open_keys
from mlops_compile.compiler.compose.places import with_places
from mlops_compile.compiler.compose.points import Point, Points, composition_of
from mlops_compile.compiler.compose.refusals import refusals
from mlops_compile.compiler.compose.search_path import register_groups
from mlops_compile.compiler.compose.versions import BASE, REPLACE, register_resolver
from mlops_compile.compiler.suggest import suggest
from mlops_compile.ir.config import Composition, Config
from mlops_compile.ir.problem import CompileError, Problem, ProblemsError, UsageError, problem
from mlops_compile.ir.schema import declared

T = TypeVar("T")

_NO_PACKAGE = re.compile(r"package '(.+)' not found in config")
_INSPECT = (
    "hydra.output_subdir=null",
    "hydra.run.dir=.",
    "hydra.sweep.dir=${mlops_run:}",
    "hydra.sweep.subdir=.",
    "hydra/job_logging=disabled",
    "hydra/hydra_logging=disabled",
)
# After so many points that cannot be composed, what is wrong is known well enough.
_MOST_REFUSED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One composed config, the directory that Hydra gave it (of no meaning to inspection), and
    whether it is a point of a multirun."""

    config: Config
    directory: Path
    point: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Multirun:
    """The jobs of a multirun, and the directory around theirs; `make` makes that of a job, under a
    number that may be another than its own."""

    jobs: tuple[Job, ...]
    directory: Path
    make: Callable[[int, int], Path]


def run_hydra(
    words: Sequence[str],
    task: Callable[[Job], T],
    *,
    inspect: bool,
    together: Callable[[Multirun], Sequence[T]] | None = None,
) -> list[T]:
    """What a task gives for each job that these flags and overrides ask for.

    The points of a multirun are given to `together` at once, where there is such a function and the
    user's config chooses no launcher of another's; that one's processes get the task pickled.
    `inspect` leaves no output directory behind. Empty where Hydra answered by itself (`--cfg`,
    `--info`, `--help`). CompileError says what Hydra refuses; a task's errors pass through.
    """
    asked = in_order(words)
    project = Path.cwd()
    composition = with_places(asked_composition(asked), project)
    with tempfile.TemporaryDirectory() as nowhere:
        reserve = Reserver(nowhere if inspect or asked.answered else None)
        try:
            with located(composition), refusals(composition), open_keys():
                check_overrides(composition)
                check_files(composition)
                given = given_overrides(composition)
                called = _Task(task, together, dict(given), project, inspect)
                ours = _INSPECT if inspect and not asked.answered else ()
                arguments = [*_flags(asked), *ours, *(text for text, _ in given)]
                _call_hydra(called, composition, arguments, reserve, answered=asked.answered)
        except CompileError as error:
            reserve.give_back()
            raise reserve.refused or error from None
    if called.problems:
        if not called.results and isinstance(called.problems[0], CompileError):
            reserve.give_back()  # it was refused before anything was done
        raise called.problems[0]
    return called.results


class _Task(Generic[T]):
    """What Hydra calls: for a job, or by way of our launcher for all of a multirun. Pickled, for a
    process of another launcher, it does jobs and gives what comes of them."""

    def __init__(
        self,
        task: Callable[[Job], T],
        together: Callable[[Multirun], Sequence[T]] | None,
        written: Mapping[str, str],
        project: Path,
        inspects: bool,
    ) -> None:
        self._task = task
        self._together = together
        self._written = written
        self._project = project
        self.inspects = inspects
        self.results: list[T] = []
        self.problems: list[Exception] = []

    def __reduce__(self) -> Any:
        return _Task, (self._task, None, self._written, self._project, self.inspects)

    def __call__(self, config: DictConfig) -> Given[T]:
        try:
            _quiet_console()
            job = _job(config, self._written)
            with contextlib.chdir(self._project):  # whatever hydra.job.chdir says
                given = Given(result=self._task(job))
        except Exception as error:
            given = Given(error=error)
        if HydraConfig.get().mode != RunMode.MULTIRUN:
            self.returned([given])
        return given

    def launch(
        self, context: HydraContext, config: DictConfig, overrides: Sequence[Sequence[str]]
    ) -> list[Given[T]]:
        """Do all jobs of a multirun. CompileError where one of them cannot be composed."""
        points = _composed(Points(context.config_loader, config, self._written), overrides)
        say_problems([note for point in points for note in point.config.notes], sys.stderr, "note")
        directory = Path(str(config.hydra.sweep.dir)).absolute()
        if not self.inspects:
            log_into(directory, config, context)
            _quiet_console()
        jobs = tuple(Job(config=point.config, directory=directory, point=True) for point in points)
        try:
            with contextlib.chdir(self._project):
                if self._together is None:
                    return [Given(result=self._task(job)) for job in jobs]
                multirun = Multirun(
                    jobs=jobs,
                    directory=directory,
                    make=lambda job, number: make_directory(points[job], number),
                )
                return [Given(result=result) for result in self._together(multirun)]
        except Exception as error:
            return [Given(error=error)]

    def returned(self, results: Sequence[Given[T]]) -> None:
        for given in results:
            if given.error is not None:
                self.problems.append(given.error)
            elif given.result is not None:
                self.results.append(given.result)


@dataclass(frozen=True, kw_only=True)
class Given(Generic[T]):
    """What came of a job: a result, or the error that ended it."""

    result: T | None = None
    error: Exception | None = None


def _composed(points: Points, overrides: Sequence[Sequence[str]]) -> list[Point]:
    """All points, or CompileError with the problems of the first that cannot be composed."""
    made: list[Point] = []
    problems: dict[Problem, None] = {}
    refused = 0
    for each in overrides:
        try:
            made.append(points.point(each))
        except CompileError as error:
            problems |= dict.fromkeys(error.problems)
            refused += 1
            if refused == _MOST_REFUSED:
                break
    if problems:
        raise CompileError(problems)
    return made


def _flags(asked: Words) -> list[str]:
    """The flags that are left for Hydra: it is told the primary place and config by itself."""
    ours = ("--config-path", "--config-name")
    return [flag for flag in asked.flags if not flag.startswith(ours)]


def _call_hydra(
    call: Callable[[DictConfig], Any],
    composition: Composition,
    arguments: Sequence[str],
    reserve: Reserver,
    *,
    answered: bool,
) -> None:
    """Run Hydra's own entry. Its answers go to stdout, all else of it to stderr."""
    register_resolver("mlops_run", reserve)
    defaults = HydraConf(
        run=RunDir(dir="${mlops_run:outputs}"),
        sweep=SweepDir(dir="${mlops_run:multirun}", subdir="${hydra.job.num}"),
        job=JobConf(name="mlops_compile"),
    )
    ConfigStore.instance().store(
        group="hydra", name="config", node=defaults, provider="hydra", **REPLACE
    )
    register_groups()
    main = hydra.main(
        config_path=composition.search_path[0], config_name=composition.config_name, **BASE
    )
    before = sys.argv
    sys.argv = ["mlops-compile", *arguments]
    answer, said = io.StringIO(), io.StringIO()
    stdout: TextIO = answer if answered else sys.stderr
    try:
        with (
            our_launcher(),
            composed_once(multirun=not {"-m", "--multirun"}.isdisjoint(arguments)),
            contextlib.redirect_stdout(stdout),
            contextlib.redirect_stderr(said if answered else sys.stderr),
            warnings.catch_warnings(),
        ):
            warnings.showwarning = _say_warning
            main(call)()
    except SystemExit as end:
        if end.code:
            raise _refused(said.getvalue(), str(end.code)) from None
    finally:
        sys.argv = before
    sys.stderr.write(said.getvalue())
    sys.stdout.write(answer.getvalue())


def _say_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)


def _refused(said: str, code: str) -> ProblemsError:
    """What Hydra wrote before it ended the process, as a problem."""
    line = next(reversed(said.strip().splitlines()), f"Hydra ended with {code}")
    message = line.removeprefix("mlops-compile: error: ")
    if found := _NO_PACKAGE.search(message):
        from mlops_compile.compiler.spec import Spec  # only on the way to an error

        message = f"the config has no key {found[1]} to show"
        hint = suggest(found[1], tuple(item.name for item in declared(Spec)), "keys")
        return CompileError([problem("unknown-key", message, hint=hint)])
    kind = UsageError if code == str(UsageError.exit_code) else CompileError
    return kind([problem("usage" if kind is UsageError else "compose", message)])


def _job(config: DictConfig, written: Mapping[str, str]) -> Job:
    """A job of Hydra; its overrides as the user wrote them (`written`, by what Hydra was given)."""
    own = HydraConfig.get()
    given = OmegaConf.to_container(own.overrides.task, resolve=False)
    assert isinstance(given, list)
    overrides = tuple(written.get(text, text) for text in given)
    composition = composition_of(own, overrides)
    with located(composition), refusals(composition):
        composed = to_config(config, composition)
    say_problems(composed.notes, sys.stderr, "note")
    directory = Path(own.runtime.output_dir)
    return Job(config=composed, directory=directory, point=own.mode == RunMode.MULTIRUN)


def _quiet_console() -> None:
    """Leave the console to our own lines; the run's log file keeps everything."""
    for handler in logging.getLogger().handlers:
        if type(handler) is logging.StreamHandler:
            handler.setLevel(logging.CRITICAL + 1)
        else:
            handler.handleError = partial(_say_log_fails, handler)  # type: ignore[method-assign]


def _say_log_fails(handler: logging.Handler, record: logging.LogRecord) -> None:
    """A log that cannot be written is said once; logging itself would print a traceback a line."""
    handler.setLevel(logging.CRITICAL + 1)
    print(f"warning: the run's log cannot be written: {sys.exception()}", file=sys.stderr)
