"""What a run tells while it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mlops_compile.ir.plan import Step
from mlops_compile.ir.record import StepResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a search is: trials that have ended (and how many of them failed) of all, and those
    that run now; the best so far, by number and objective; and about how many seconds are left, if
    that can be told."""

    ended: int
    failed: int
    trials: int
    running: int = 0
    best: tuple[int, float] | None = None
    seconds: float | None = None


class Observer(Protocol):
    """Hears of each step; it must not raise."""

    def started(self, step: Step, seconds: float | None) -> None:
        """Work on a step begins; earlier runs needed about so many seconds, if there were any."""

    def waiting(self, step: Step) -> None:
        """Another run makes the step right now; this one waits for it."""

    def noted(self, step: Step, message: str) -> None:
        """A step says something that a person should know, such as a library's warning."""

    def finished(self, result: StepResult) -> None:
        """A step has ended, or needed no work."""

    def expected(self, steps: int, seconds: float | None) -> None:
        """So many steps are left, and about so many seconds; None: no earlier run tells."""

    def searched(self, progress: Progress) -> None:
        """A trial of a search has begun or ended. Its steps are not told, unless they fail."""


class Silent:
    """An observer that keeps everything to itself."""

    def started(self, step: Step, seconds: float | None) -> None:
        pass

    def waiting(self, step: Step) -> None:
        pass

    def noted(self, step: Step, message: str) -> None:
        pass

    def finished(self, result: StepResult) -> None:
        pass

    def expected(self, steps: int, seconds: float | None) -> None:
        pass

    def searched(self, progress: Progress) -> None:
        pass
