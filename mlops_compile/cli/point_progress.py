"""Progress of a sweep: what each step's end means for the points that it belongs to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from mlops_compile.cli.show import Lines, Live, number
from mlops_compile.execute.observer import Progress
from mlops_compile.ir.plan import Step
from mlops_compile.ir.record import StepResult
from mlops_compile.present.board import better

_LOG = logging.getLogger("mlops_compile")


class PointProgress:
    """Tells of steps as `told` does, and besides of each point as it ends, with the best so far.

    `names` holds, by the number of each point, the names of its steps; `texts` what to call it;
    `objective` reads a point's metric and its name from the result of its evaluate step.
    """

    def __init__(
        self,
        told: Lines | Live,
        names: Mapping[int, Sequence[str]],
        texts: Mapping[int, str],
        objective: Callable[[int, StepResult], tuple[str, float] | None],
    ) -> None:
        self._told = told
        self._left = {point: set(steps) for point, steps in names.items()}
        self._texts = texts
        self._objective = objective
        self._points: dict[str, list[int]] = {}
        for point, steps in names.items():
            for step in steps:
                self._points.setdefault(step, []).append(point)
        self._worked: set[int] = set()
        self._failed: set[int] = set()
        self._values: dict[int, tuple[str, float]] = {}
        self._best: tuple[str, float] | None = None
        self._done = 0

    def __enter__(self) -> PointProgress:
        self._told.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._told.__exit__(*error)

    def started(self, step: Step, seconds: float | None) -> None:
        self._told.started(step, seconds)

    def waiting(self, step: Step) -> None:
        self._told.waiting(step)

    def noted(self, step: Step, message: str) -> None:
        self._told.noted(step, message)

    def expected(self, steps: int, seconds: float | None) -> None:
        self._told.expected(steps, seconds)

    def searched(self, progress: Progress) -> None:
        self._told.searched(progress)

    def finished(self, result: StepResult) -> None:
        self._told.finished(result)
        points = self._points.get(result.step, ())
        if result.kind == "evaluate" and result.outputs:
            for point in points:
                if found := self._objective(point, result):
                    self._values[point] = found
        for point in points:
            if result.status in ("failed", "skipped"):
                self._failed.add(point)
            if result.status in ("ran", "failed") and len(points) < len(self._left):
                self._worked.add(point)
            if result.step in self._left[point]:
                self._left[point].remove(result.step)
                if not self._left[point]:
                    self._end(point)

    def _end(self, point: int) -> None:
        self._done += 1
        value = self._values.get(point)
        if value and (self._best is None or better(*value, self._best[1])):
            self._best = value
        best = f", best {self._best[0]} {number(self._best[1])}" if self._best else ""
        counted = f"{self._done}/{len(self._left)} points{best}"
        self._told.aside(counted)
        if point in self._worked:  # what was there already is told at the end
            how = "failed" if point in self._failed else "done"
            score = f"{value[0]} {number(value[1])}" if value else how
            line = f"point {point}: {score}  {self._texts[point]}  ({counted})"
            _LOG.info(line)
            self._told.said(line)
