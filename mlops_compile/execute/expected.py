"""How long a run will take, from what earlier runs of its steps took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlops_compile.ir.plan import Plan, Step, own_name

_UNKNOWN = 1.0  # seconds that a step is taken to need where no earlier one tells


class Expectation:
    """The work that is left, counted down as steps end.

    `durations` holds seconds by kind and step name; those of a kind alone stand under an empty
    name.
    """

    def __init__(self, plan: Plan, durations: Mapping[tuple[str, str], float]) -> None:
        self._known = {step.name: _before(step, durations) for step in plan.steps}
        self._work = sum(seconds or 0.0 for seconds in self._known.values())
        self._unknown = sum(seconds is None for seconds in self._known.values())
        self._ended: set[str] = set()

    def known(self, step: Step) -> float | None:
        """What a step needed before; None where no earlier run tells."""
        return self._known[step.name]

    def seconds(self, step: Step) -> float:
        """What a step is taken to need, to put steps in order by."""
        return self._known[step.name] or _UNKNOWN

    def ended(self, name: str) -> None:
        """A step is no longer left; one that is made again is not expected."""
        if name in self._ended:
            return
        self._ended.add(name)
        seconds = self._known[name]
        if seconds is None:
            self._unknown -= 1
        else:
            self._work -= seconds

    def left(self, longest: float, workers: int) -> float | None:
        """The seconds that are left: no less than the longest way through the steps, nor than all
        work over all workers. None while a step is left that no earlier run knows."""
        return None if self._unknown else max(self._work / workers, longest)


def work_of(steps: Iterable[Step], durations: Mapping[tuple[str, str], float]) -> float | None:
    """The seconds that steps need one after the other; None where no earlier run tells of one."""
    found = [_before(step, durations) for step in steps]
    known = [seconds for seconds in found if seconds is not None]
    return sum(known) if len(known) == len(found) else None


def _before(step: Step, durations: Mapping[tuple[str, str], float]) -> float | None:
    """What a step needed before, or steps of its kind did."""
    usual = durations.get((step.kind, ""))
    return durations.get((step.kind, own_name(step.name)), usual)
