"""Our launcher and sweeper of Hydra: the jobs of a multirun come to the front all at once.

Hydra's own launcher runs a job after the other, and its sweeper composes each of them a second
time. Where the user's config chooses another launcher (joblib), that runs each job by itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Sweep
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from mlops_compile.compiler.compose.overrides import open_keys
from mlops_compile.compiler.compose.versions import REPLACE
from mlops_compile.ir.problem import CompileError, problem

# Hydra 1.3 makes plugins of this package only, which leads back here. They are registered for this
# process: an installed one would be one of every Hydra app of the environment.
_PACKAGE = "hydra_plugins.mlops_compile"
_ZIP = "zip"


class Jobs(Protocol):
    """Hydra's task, as far as a multirun needs it."""

    inspects: bool

    def __call__(self, config: DictConfig) -> Any:
        """Do one job."""

    def launch(
        self,
        context: HydraContext,
        config: DictConfig,
        overrides: Sequence[Sequence[str]],
    ) -> list[Any]:
        """Do all jobs; what each gives."""

    def returned(self, results: Sequence[Any]) -> None:
        """What the jobs of a multirun gave, whoever launched them."""


class Together(Launcher):
    """Hands all jobs on at once."""

    __module__ = _PACKAGE

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self._context = hydra_context
        self._task: Any = task_function
        self._config = config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        setup_globals()
        results = self._task.launch(self._context, self._config, job_overrides)
        return [JobReturn(status=JobStatus.COMPLETED, _return_value=item) for item in results]


class Sweeping(Sweeper):
    """Hydra's basic sweeper, which composes no job to see whether that works where all of them are
    composed at once; and sweeps of one tag `zip` go side by side."""

    __module__ = _PACKAGE

    def __init__(self, max_batch_size: int | None, params: Mapping[str, Any] | None = None) -> None:
        self._size = max_batch_size
        self._params = [f"{key}={value}" for key, value in (params or {}).items()]

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self._context = hydra_context
        self._task = cast(Any, task_function)
        self._launches: Launcher = Together()
        self._config = config
        place = str(config.hydra.sweep.dir)
        if not self._task.inspects:
            loader = Elsewhere(hydra_context.config_loader.get_search_path(), place)
            self._launches = Plugins.instance().instantiate_launcher(
                hydra_context=replace(hydra_context, config_loader=loader),
                task_function=task_function,
                config=config,
            )
        if isinstance(self._launches, Together):
            self._launches.setup(
                hydra_context=hydra_context, task_function=task_function, config=config
            )
        Path(place).mkdir(parents=True, exist_ok=True)
        OmegaConf.save(config, Path(place, "multirun.yaml"))

    def sweep(self, arguments: list[str]) -> Any:
        loader = self._context.config_loader
        parser = OverridesParser.create(config_loader=loader)
        points = grid(parser.parse_overrides([*self._params, *arguments]))
        size = self._size or len(points)
        if isinstance(self._launches, Together):
            size = len(points)
        else:
            for point in points:
                loader.load_sweep_config(self._config, list(point))  # refuses before any job runs
        returns: list[JobReturn] = []
        for begin in range(0, len(points), size):
            returns += self._launches.launch(points[begin : begin + size], initial_job_idx=begin)
        self._task.returned([item.return_value for item in returns])
        return returns


class Elsewhere(ConfigLoaderImpl):
    """Composes a job in a process of another launcher as it is composed here."""

    def __init__(self, search_path: Any, place: str) -> None:
        super().__init__(config_search_path=search_path)
        self._place = place

    def load_sweep_config(
        self, master_config: DictConfig, sweep_overrides: list[str]
    ) -> DictConfig:
        with open_keys():
            config = super().load_sweep_config(master_config, sweep_overrides)
        config.hydra.sweep.dir = self._place
        return config


@dataclass
class TogetherConf:
    """`hydra/launcher=basic`."""

    _target_: str = f"{_PACKAGE}.{Together.__name__}"


@dataclass
class SweepingConf:
    """`hydra/sweeper=basic`, with the keys of Hydra's."""

    _target_: str = f"{_PACKAGE}.{Sweeping.__name__}"
    max_batch_size: int | None = None
    params: dict[str, str] | None = None


@contextmanager
def our_launcher() -> Iterator[None]:
    """Inside, our launcher and sweeper stand in the place of Hydra's basic ones."""
    for plugin in (Together, Sweeping):
        Plugins.instance().register(plugin)
    store = ConfigStore.instance()
    nodes = {"hydra/launcher": TogetherConf, "hydra/sweeper": SweepingConf}
    before = {group: store.load(f"{group}/basic.yaml").node for group in nodes}
    for group, node in nodes.items():
        store.store(group=group, name="basic", node=node, provider="hydra", **REPLACE)
    try:
        yield
    finally:
        for group, was in before.items():
            store.store(group=group, name="basic", node=was, provider="hydra", **REPLACE)


def grid(overrides: Sequence[Override]) -> list[tuple[str, ...]]:
    """The points of a grid in Hydra's order; sweeps of one tag `zip` are one axis.

    CompileError where those are not of one length.
    """
    keys: dict[str, Override] = {}
    for override in overrides:
        keys[override.get_key_element()] = override
    axes: dict[str, dict[str, list[str]]] = {}  # by zip or key: what each key is given
    for key, override in keys.items():
        axes.setdefault(_axis(override) or f"={key}", {})[key] = _texts(key, override)
    for name, held in axes.items():
        _check_lengths(name, held)
    points = []
    for chosen in itertools.product(*(zip(*held.values(), strict=True) for held in axes.values())):
        texts = {
            key: text
            for held, values in zip(axes.values(), chosen, strict=True)
            for key, text in zip(held, values, strict=True)
        }
        points.append(tuple(texts[key] for key in keys))
    return points


def _texts(key: str, override: Override) -> list[str]:
    if override.is_sweep_override():
        if not override.is_discrete_sweep():
            message = f"{key}: an interval is for sweepers that search; a sweep is a list of points"
            hint = "write range(START,STOP,STEP) or choice(A,B)"
            raise CompileError([problem("override", message, hint=hint)])
        return [f"{key}={value}" for value in override.sweep_string_iterator()]
    return [f"{key}={override.get_value_element_as_str()}"]


def _axis(override: Override) -> str:
    """The tag by which a sweep goes side by side with others; empty without one."""
    value: Any = override.value()
    tags: set[str] = value.tags if isinstance(value, Sweep) else set()
    return min((tag for tag in tags if tag.startswith(_ZIP)), default="")


def _check_lengths(name: str, held: dict[str, list[str]]) -> None:
    lengths = {key: len(texts) for key, texts in held.items()}
    if len(set(lengths.values())) > 1:
        counted = ", ".join(f"{key} has {count}" for key, count in lengths.items())
        message = f"sweeps that are zipped have as many values each; of tag {name}, {counted}"
        hint = "give them as many, or leave the tag out for a grid"
        raise CompileError([problem("override", message, hint=hint)])
