"""Sampling: which points of a space are tried next, from what is known of those before.

Each sampler proposes the same points whatever the number of workers and however often it is asked
from the start: fewer trials are the first ones of more.
"""

# Optuna and scipy are imported where a search must draw by them, and nowhere else.

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from mlops_compile.ir.key import derived_seed
from mlops_compile.ir.value import KeyPath, Map, Value, dotted, same
from mlops_compile.steps.searching import Search
from mlops_compile.steps.spaces import Choices, Domain, Range, Space, grid_points, point_at

if TYPE_CHECKING:
    from mlops_compile.steps.kind import Work

Point = dict[KeyPath, Value]
# The trials of tpe that are drawn at random, before there is enough to learn from.
STARTUP = 10


class Sampler(Protocol):
    """Proposes points, a generation at a time, and hears in order what they came to."""

    def ask(self) -> list[Point]:
        """The next generation; nothing once there are no more."""

    def tell(self, objectives: Sequence[float | None]) -> None:
        """What the points of the last generation came to; None for one that failed."""


class Listed:
    """Points that are known beforehand, `size` of them at a time."""

    def __init__(self, points: Iterator[Point], size: int) -> None:
        self._points = points
        self._size = size

    def ask(self) -> list[Point]:
        return list(islice(self._points, self._size))

    def tell(self, objectives: Sequence[float | None]) -> None:
        """They are as they are."""


class Tpe:
    """Optuna's tree-structured Parzen estimator, behind a few points at random."""

    def __init__(self, search: Search, space: Space, config: Map, seed: int) -> None:
        assert search.trials is not None
        self._space = space
        self._config = config
        self._left = search.trials
        self._batch = search.batch
        self._random = random_points(space, config, seed)
        self._startup = STARTUP
        self._seed = derived_seed(seed, "search", "tpe")
        self._study: Any = None
        self._maximize = search.direction == "maximize"
        self._asked: list[tuple[Point, Any]] = []
        self._told: list[tuple[Point, float | None]] = []

    def ask(self) -> list[Point]:
        count = min(self._batch, self._left)
        if 0 < self._startup < count:
            count = self._startup  # a generation is at random, or none of it is
        self._left -= count
        if self._startup:
            self._startup -= min(count, self._startup)
            self._asked = [(point, None) for point in islice(self._random, count)]
        else:
            self._asked = [self._propose() for _ in range(count)]
        return [point for point, _ in self._asked]

    def tell(self, objectives: Sequence[float | None]) -> None:
        for (point, trial), objective in zip(self._asked, objectives, strict=True):
            if trial is None:
                self._told.append((point, objective))
            else:
                self._end(trial, objective)

    def _propose(self) -> tuple[Point, Any]:
        study = self._studied()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trial = study.ask()
            point: Point = {}
            for domain in self._space.domains:
                if domain.holds(point, self._config):
                    point[domain.path] = _suggested(trial, domain)
        return point, trial

    def _studied(self) -> Any:
        """The study, which has heard of every trial before."""
        if self._study is None:
            import optuna

            optuna.logging.set_verbosity(optuna.logging.ERROR)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what is experimental in it
                sampler = optuna.samplers.TPESampler(
                    seed=self._seed, n_startup_trials=1, constant_liar=True
                )
            self._study = optuna.create_study(
                sampler=sampler, direction="maximize" if self._maximize else "minimize"
            )
            for point, objective in self._told:
                self._study.add_trial(ended_trial(self._space, self._config, point, objective))
        return self._study

    def _end(self, trial: Any, objective: float | None) -> None:
        import optuna

        if objective is None:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(trial, objective)


def sampler_of(search: Search, space: Space, config: Map, seed: int) -> Sampler:
    """The sampler of a search; `config` is the config that its trials vary."""
    if search.kind == "tpe":
        return Tpe(search, space, config, seed)
    points = listed_points(search, space, config, seed)
    return Listed(points, _AT_ONCE)


# Trials of a list that are run together.
_AT_ONCE = 200


def listed_points(search: Search, space: Space, config: Map, seed: int) -> Iterator[Point]:
    """The points of a search that are known beforehand: of tpe, those at random."""
    match search.kind:
        case "grid":
            return grid_points(space, config)
        case "sobol":
            assert search.trials is not None
            return sobol_points(space, config, seed, search.trials)
        case "tpe":
            assert search.trials is not None
            return islice(random_points(space, config, seed), min(STARTUP, search.trials))
        case _:
            return islice(random_points(space, config, seed), search.trials)


def random_points(space: Space, config: Map, seed: int) -> Iterator[Point]:
    """Points at random. What a key is in a trial follows from the seed, the key and the trial's
    number alone: a further key leaves the others as they were."""
    number = 0
    while True:
        shares = {
            domain.where: random.Random(
                derived_seed(seed, "search", str(number), dotted(domain.where))
            ).random()
            for domain in space.domains
        }
        yield point_at(space, config, shares)
        number += 1


def sobol_points(space: Space, config: Map, seed: int, count: int) -> Iterator[Point]:
    """The first points of a scrambled Sobol sequence, a dimension a key."""
    from scipy.stats import qmc

    sequence = qmc.Sobol(
        len(space.domains), scramble=True, rng=derived_seed(seed, "search", "sobol")
    )
    for _ in range(count):
        row = sequence.random(1)[0]
        shares = {d.where: float(x) for d, x in zip(space.domains, row, strict=True)}
        yield point_at(space, config, shares)


def _suggested(trial: Any, domain: Domain) -> Value:
    name, held = dotted(domain.where), domain.held
    if isinstance(held, Choices):
        place: int = trial.suggest_categorical(name, list(range(len(held.values))))
        return held.values[place]
    found: int | float
    if held.integer:
        step = int(held.step) if held.step is not None else 1
        found = trial.suggest_int(name, int(held.low), int(_last(held)), step=step, log=held.log)
    else:
        found = trial.suggest_float(
            name, float(held.low), float(held.high), step=held.step, log=held.log
        )
    return held.nearest(found)


def _last(held: Range) -> float:
    return held.all()[-1] if held.stepped else held.high


def ended_trial(space: Space, config: Map, point: Point, objective: float | None) -> Any:
    """A trial of Optuna that has ended, from what was tried without it."""
    import optuna
    from optuna.distributions import (
        BaseDistribution,
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    params: dict[str, Any] = {}
    distributions: dict[str, BaseDistribution] = {}
    for domain in space.domains:
        if not domain.holds(point, config):
            continue
        name, held, value = dotted(domain.where), domain.held, point[domain.path]
        if isinstance(held, Choices):
            params[name] = next(n for n, item in enumerate(held.values) if same(item, value))
            distributions[name] = CategoricalDistribution(list(range(len(held.values))))
        elif held.integer:
            params[name] = value
            step = int(held.step) if held.step is not None else 1
            distributions[name] = IntDistribution(
                int(held.low), int(_last(held)), log=held.log, step=step
            )
        else:
            params[name] = value
            distributions[name] = FloatDistribution(
                float(held.low), float(held.high), log=held.log, step=held.step
            )
    states = optuna.trial.TrialState
    state = states.FAIL if objective is None else states.COMPLETE
    return optuna.trial.create_trial(
        state=state, value=objective, params=params, distributions=distributions
    )


def refuse(work: Work) -> None:
    """A search is no work for a worker: its trials are."""
    raise ValueError(f"{work.step} is driven by its trials (api/driving.py)")
