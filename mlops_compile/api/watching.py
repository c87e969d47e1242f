"""What is told of a search while it goes on: how many trials have ended, and the best of them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mlops_compile.api.searching import read
from mlops_compile.execute.observer import Observer, Progress
from mlops_compile.ir.plan import Step
from mlops_compile.ir.problem import Problem
from mlops_compile.ir.record import StepResult
from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.sampling import Point
from mlops_compile.steps.spaces import shown
from mlops_compile.store.store import Store

_TRIAL = re.compile(r"\A(trial/\d+)/.*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A trial that has ended: what its scores say, or why it has none."""

    number: int
    point: Point
    scores: Map = field(default_factory=Map)
    problems: tuple[Problem, ...] = ()
    log: str = ""

    @property
    def objective(self) -> float | None:
        mean = self.scores.get("mean")
        return mean if isinstance(mean, float) else None

    def to_value(self) -> Map:
        value: dict[str, Value] = {
            "number": self.number,
            "params": shown(self.point),
            "status": "failed" if self.problems else "ok",
            "objective": self.objective,
        }
        if self.problems:
            value["error"] = "\n".join(map(str, self.problems))
            value |= {"log": self.log} if self.log else {}
        else:
            value |= {name: self.scores[name] for name in ("deviation", "each")}
        return Map(value)


class Watching:
    """Hears of the steps of trials, and tells how far the search is."""

    def __init__(self, observer: Observer, count: int | None, maximize: bool, store: Store) -> None:
        self._observer = observer
        self._count = count
        self._sign = 1 if maximize else -1
        self._store = store
        self._start = time.monotonic()
        self._scores: dict[str, list[int]] = {}
        self._ran = self._failed = 0
        self._running: dict[str, str] = {}  # steps that are at work, each with its trial
        self.trials: dict[int, Trial] = {}
        self.best: tuple[int, float] | None = None

    def expect(self, trials: Iterable[int], names: Mapping[str, str]) -> None:
        """The trials that run now; `names` as of `alike`."""
        self._scores = {}
        for number in trials:
            name = f"trial/{number}/score"
            self._scores.setdefault(names[name], []).append(number)

    def started(self, step: Step, seconds: float | None) -> None:
        """Trials are many: they are counted."""
        self._running[step.name] = _TRIAL.sub(r"\1", step.name)
        self._tell()

    def waiting(self, step: Step) -> None:
        self._observer.waiting(step)

    def noted(self, step: Step, message: str) -> None:
        self._observer.noted(step, message)

    def finished(self, result: StepResult) -> None:
        self._running.pop(result.step, None)
        if result.status == "failed":
            self._observer.finished(result)
        for number in self._scores.get(result.step, ()):
            self._ran += result.status == "ran"
            self.ended(Trial(number=number, point={}, scores=self._read(result)))

    def ended(self, trial: Trial) -> None:
        """A trial has its scores, or will have none."""
        self.trials[trial.number] = trial
        self._failed += trial.objective is None
        objective = trial.objective
        if objective is not None and (
            self.best is None or self._sign * (objective - self.best[1]) > 0
        ):
            self.best = (trial.number, objective)
        self._tell()

    def _tell(self) -> None:
        count = self._count if self._count is not None else len(self.trials)
        left = count - len(self.trials)
        each = (time.monotonic() - self._start) / self._ran if self._ran else None
        self._observer.searched(
            Progress(
                ended=len(self.trials),
                failed=self._failed,
                trials=count,
                running=len({*self._running.values()}),
                best=self.best,
                seconds=None if each is None else each * left,
            )
        )

    def expected(self, steps: int, seconds: float | None) -> None:
        """Of trials, not of their steps."""

    def searched(self, progress: Progress) -> None:
        """It is this that tells."""

    def _read(self, result: StepResult) -> Map:
        return read(self._store, result, "metrics") if result.outputs else Map()


class Rest:
    """Hears of the steps of a winner's plan that the search's own run has not told."""

    def __init__(self, observer: Observer, told: Iterable[str]) -> None:
        self._observer = observer
        self._told = frozenset(told)

    def started(self, step: Step, seconds: float | None) -> None:
        self._observer.started(step, seconds)

    def waiting(self, step: Step) -> None:
        self._observer.waiting(step)

    def noted(self, step: Step, message: str) -> None:
        self._observer.noted(step, message)

    def finished(self, result: StepResult) -> None:
        if result.step not in self._told or result.status != "hit":
            self._observer.finished(result)

    def expected(self, steps: int, seconds: float | None) -> None:
        self._observer.expected(steps, seconds)

    def searched(self, progress: Progress) -> None:
        """A winner's plan has no search."""
