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
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import NoReturn, TextIO, TypeVar

import hydra
from hydra.conf import HydraConf, JobConf, RunDir, SweepDir
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from mlops_compile.cli.flags import Words, in_order
from mlops_compile.cli.flags import composition as composition_of
from mlops_compile.cli.problems import say_problems
from mlops_compile.compiler.compose.chosen import check_files
from mlops_compile.compiler.compose.config import to_config
from mlops_compile.compiler.compose.grammar import check_overrides
from mlops_compile.compiler.compose.origins import located
from mlops_compile.compiler.compose.overrides import given_overrides, open_keys
from mlops_compile.compiler.compose.places import with_places
from mlops_compile.compiler.compose.refusals import refusals
from mlops_compile.compiler.compose.search_path import register_groups
from mlops_compile.compiler.compose.versions import BASE, REPLACE, register_resolver
from mlops_compile.compiler.suggest import suggest
from mlops_compile.ir.config import Composition, Config
from mlops_compile.ir.problem import CompileError, ProblemsError, StoreError, UsageError, problem
from mlops_compile.ir.schema import declared

T = TypeVar("T")

_NO_PACKAGE = re.compile(r"package '(.+)' not found in config")
_HYDRAS = re.compile(r"\.hydra/(config|hydra|overrides)\.yaml|mlops_compile\.log|multirun\.yaml")
_INSPECT = (
    "hydra.output_subdir=null",
    "hydra.run.dir=.",
    "hydra.sweep.dir=${mlops_run:}",
    "hydra.sweep.subdir=.",
    "hydra/job_logging=disabled",
    "hydra/hydra_logging=disabled",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One composed config, the directory that Hydra gave it (of no meaning to inspection), and
    whether it is a point of a multirun."""

    config: Config
    directory: Path
    point: bool


def run_hydra(words: Sequence[str], task: Callable[[Job], T], *, inspect: bool) -> list[T]:
    """What a task gives for each job that these flags and overrides ask for.

    `inspect` leaves no output directory behind. Empty where Hydra answered by itself (`--cfg`,
    `--info`, `--help`). CompileError says what Hydra refuses; a task's errors pass through.
    """
    asked = in_order(words)
    project = Path.cwd()
    composition = with_places(composition_of(asked), project)
    results: list[T] = []
    problems: list[BaseException] = []
    with tempfile.TemporaryDirectory() as nowhere:
        reserve = _Reserver(nowhere if inspect or asked.answered else None)
        try:
            with located(composition), refusals(composition), open_keys():
                check_overrides(composition)
                check_files(composition)
                given = given_overrides(composition)
                written = dict(given)

                def call(config: DictConfig) -> None:
                    try:
                        _quiet_console()
                        job = _job(config, written)
                        with contextlib.chdir(project):  # whatever hydra.job.chdir says
                            results.append(task(job))
                    except Exception as error:
                        problems.append(error)

                ours = _INSPECT if inspect and not asked.answered else ()
                arguments = [*_flags(asked), *ours, *(text for text, _ in given)]
                _call_hydra(call, composition, arguments, reserve, answered=asked.answered)
        except CompileError as error:
            reserve.give_back()
            raise reserve.refused or error from None
    if problems:
        if not results and isinstance(problems[0], CompileError):
            reserve.give_back()  # it was refused before anything was done
        raise problems[0]
    return results


def _flags(asked: Words) -> list[str]:
    """The flags that are left for Hydra: it is told the primary place and config by itself."""
    ours = ("--config-path", "--config-name")
    return [flag for flag in asked.flags if not flag.startswith(ours)]


def _call_hydra(
    call: Callable[[DictConfig], None],
    composition: Composition,
    arguments: Sequence[str],
    reserve: _Reserver,
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


def _job(config: DictConfig, written: dict[str, str]) -> Job:
    """A job of Hydra; its overrides as the user wrote them (`written`, by what Hydra was given)."""
    own = HydraConfig.get()
    places = tuple(
        f"{source.schema}://{source.path}" if source.schema != "file" else str(source.path)
        for source in own.runtime.config_sources
        if source.provider not in ("hydra", "schema")
    )
    given = OmegaConf.to_container(own.overrides.task, resolve=False)
    assert isinstance(given, list)
    composition = Composition(
        config_name=str(own.job.config_name),
        search_path=places,
        overrides=tuple(written.get(text, text) for text in given),
    )
    with located(composition), refusals(composition):
        composed = to_config(config, composition)
    say_problems(composed.notes, sys.stderr, "note")
    directory = Path(own.runtime.output_dir)
    return Job(config=composed, directory=directory, point=own.mode == RunMode.MULTIRUN)


class _Reserver:
    """Gives PARENT/DATE/TIME of this run, TIME-02 to the second in that second; reserved by making
    the directory, so that they never share one. `refused` is why a directory could not be made.

    With `nowhere`, a directory that is thrown away, it makes none, and `${mlops_run:}` is that.
    """

    def __init__(self, nowhere: str | None) -> None:
        self._nowhere = nowhere
        self._own: list[Path] = []
        self._chosen: dict[str, str] = {}
        self.refused: StoreError | None = None

    def __call__(self, parent: str = "") -> str:
        if self._nowhere is not None and not parent:
            return self._nowhere
        if parent not in self._chosen:
            stamp = f"{parent}/{time.strftime('%Y-%m-%d/%H-%M-%S')}"
            # Later runs of the same second are sorted behind the first.
            names = chain([stamp], (f"{stamp}-{number:02}" for number in count(2)))
            self._chosen[parent] = next(
                name for name in names if self._nowhere is not None or self._made(name)
            )
        return self._chosen[parent]

    def _made(self, name: str) -> bool:
        """Whether this call made the directory; False if it was there."""
        place = Path(name).absolute()
        missing = [above for above in (place.parent, place.parent.parent) if not above.exists()]
        try:
            _make(place)
        except FileExistsError:
            if place.is_dir():
                return False
            self._refuse(name, "a file is in the way")
        except OSError as error:
            self._refuse(name, error.strerror or str(error))
        self._own += [place, *missing]
        return True

    def give_back(self) -> None:
        """Remove the directories that were made, where nothing is in them but Hydra's own files."""
        for place in self._own:
            files = [path for path in place.rglob("*") if not path.is_dir()]
            if not all(_HYDRAS.fullmatch(path.relative_to(place).as_posix()) for path in files):
                return
            with contextlib.suppress(OSError):  # one that is not empty has become another's, too
                for path in files:
                    path.unlink()
                for empty in (place / ".hydra", place):
                    if empty.is_dir():
                        empty.rmdir()

    def _refuse(self, name: str, why: str) -> NoReturn:
        """Hydra puts what is raised here into a sentence of its own: it is kept."""
        hint = "let this user write there, or name another place: hydra.run.dir=PATH"
        message = f"the run's directory {name} cannot be made: {why}"
        self.refused = StoreError([problem("disk", message, hint=hint)])
        raise self.refused


def _make(place: Path) -> None:
    """Make a new directory; what is above may be given back by another run meanwhile."""
    for last in (False, False, True):
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.mkdir()
            return
        except FileNotFoundError:
            if last:
                raise


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
