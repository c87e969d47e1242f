"""What is known of each step of a run so far, and told as it comes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlops_compile.execute.expected import Expectation
from mlops_compile.execute.observer import Observer
from mlops_compile.execute.results import skipped
from mlops_compile.execute.schedule import Schedule
from mlops_compile.ir.plan import Plan, Step
from mlops_compile.ir.record import StepResult


class Account:
    """The results of a run, by step name, with the schedule and the observer that go by them."""

    def __init__(
        self,
        plan: Plan,
        observer: Observer,
        durations: Mapping[tuple[str, str], float],
        workers: int,
    ) -> None:
        self._plan = plan
        self._observer = observer
        self._expectation = Expectation(plan, durations)
        self._workers = workers
        self.schedule = Schedule(plan, self._expectation.seconds)
        self.results: dict[str, StepResult] = {}

    def in_order(self) -> tuple[StepResult, ...]:
        """Every result, once nothing is left."""
        return tuple(self.results[step.name] for step in self._plan.steps)

    def has_outputs(self, name: str) -> bool:
        """Whether a step was made or taken."""
        return name in self.results and self.results[name].status in ("ran", "hit")

    def begun(self, step: Step) -> None:
        """Work on a step begins."""
        self._observer.started(step, self._expectation.known(step))

    def noted(self, step: Step, message: str) -> None:
        """A step says something."""
        self._observer.noted(step, message)

    def waiting(self, step: Step) -> None:
        """Another run makes it."""
        self._observer.waiting(step)

    def finish(self, result: StepResult) -> None:
        """A step has its outputs."""
        self.schedule.done(result.step)
        self._tell([result])

    def fail(self, result: StepResult) -> list[str]:
        """A step has none, so that those behind it are skipped; the names of all of these."""
        behind = self.schedule.failed(result.step)
        self._tell([result])
        self._tell(self._skipped(step) for step in behind)
        return [result.step, *(step.name for step in behind)]

    def skip(self, step: Step) -> list[str]:
        """The same for a step that can run no more: what it needs was lost, and could not be made
        again."""
        return self.fail(self._skipped(step))

    def leave(self, step: Step, why: str) -> list[str]:
        """The same for a step that is not wanted any more."""
        return self.fail(StepResult(step=step.name, kind=step.kind, status="skipped", error=why))

    def _skipped(self, step: Step) -> StepResult:
        return skipped(step, [ref.step for _, ref in step.inputs], self.results)

    def _tell(self, results: Iterable[StepResult]) -> None:
        """Say so, and what is left."""
        for result in results:
            self.results[result.step] = result
            self._observer.finished(result)
            self._expectation.ended(result.step)
        seconds = self._expectation.left(self.schedule.longest(), self._workers)
        self._observer.expected(self.schedule.left, seconds)
