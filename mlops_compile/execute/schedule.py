"""Which steps can run, and in what order: what is done so far, without clock or I/O."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator

from mlops_compile.ir.plan import Plan, Step


class Schedule:
    """The steps of a plan that are left, the most urgent first.

    Urgent is what the longest way to the end of the plan begins with; `seconds` estimates each
    step. A step is ready, then under way, then done, failed or (behind a failed one) skipped.
    """

    def __init__(self, plan: Plan, seconds: Callable[[Step], float]) -> None:
        self._steps = {step.name: step for step in plan.steps}
        self._place = {step.name: place for place, step in enumerate(plan.steps)}
        self._waits = {step.name: {ref.step for _, ref in step.inputs} for step in plan.steps}
        self._behind: dict[str, list[str]] = {name: [] for name in self._steps}
        for name, waits in self._waits.items():
            for maker in waits:
                self._behind[maker].append(name)
        self._way = self._ways(plan, seconds)
        self._left = set(self._steps)
        self._under_way: set[str] = set()
        self._ready: list[tuple[float, int, str]] = []  # kept sorted
        self._fresh: list[str] = []
        for name, waits in self._waits.items():
            if not waits:
                self._make_ready(name)

    def _ways(self, plan: Plan, seconds: Callable[[Step], float]) -> dict[str, float]:
        """The seconds of the longest way from the start of each step to the plan's end."""
        ways: dict[str, float] = {}
        for step in reversed(plan.steps):
            behind = (ways[name] for name in self._behind[step.name])
            ways[step.name] = seconds(step) + max(behind, default=0.0)
        return ways

    @property
    def left(self) -> int:
        """How many steps are not done, failed or skipped."""
        return len(self._left)

    def is_left(self, name: str) -> bool:
        """Whether a step is not done, failed or skipped."""
        return name in self._left

    def longest(self) -> float:
        """The seconds of the longest way that is left."""
        heads = [self._way[name] for name in self._under_way]
        heads += [-self._ready[0][0]] if self._ready else []
        return max(heads, default=0.0)

    def ready(self) -> Iterator[Step]:
        """The steps that can start, the most urgent first, then in the plan's order; what changes
        meanwhile is seen by the next call."""
        return (self._steps[name] for _, _, name in tuple(self._ready))

    def fresh(self) -> list[Step]:
        """The steps that became ready since the last call, and still are."""
        names, self._fresh = self._fresh, []
        return [self._steps[name] for name in names if self._is_ready(name)]

    def started(self, name: str) -> None:
        """A ready step is under way."""
        self._unready(name)
        self._under_way.add(name)

    def done(self, name: str) -> None:
        """A step has its outputs; those that waited for it alone are ready."""
        self._end(name)
        for behind in self._behind[name]:
            waits = self._waits[behind]
            if name in waits:
                waits.remove(name)
                if not waits and behind in self._left:
                    self._make_ready(behind)

    def failed(self, name: str) -> list[Step]:
        """A step has failed: the steps that cannot run any more, in the plan's order. Those that
        are under way have all that they need."""
        self._end(name)
        lost: set[str] = set()
        below = [*self._behind[name]]
        while below:
            behind = below.pop()
            if behind in self._left and behind not in lost | self._under_way:
                lost.add(behind)
                below += self._behind[behind]
        for skipped in lost:
            self._unready(skipped)
        self._left -= lost
        return [self._steps[name] for name in sorted(lost, key=self._place.__getitem__)]

    def again(self, name: str, makers: Iterable[str] = ()) -> None:
        """A ready or started step waits for others that must be made again, or, without any, may
        be tried once more."""
        self._unready(name)
        self._under_way.discard(name)
        for maker in makers:
            self._waits[name].add(maker)
            if maker not in self._left:
                self._left.add(maker)
                self._make_ready(maker)
        if not self._waits[name]:
            self._make_ready(name)

    def _make_ready(self, name: str) -> None:
        insort(self._ready, self._entry(name))
        self._fresh.append(name)

    def _unready(self, name: str) -> None:
        if self._is_ready(name):
            del self._ready[bisect_left(self._ready, self._entry(name))]

    def _is_ready(self, name: str) -> bool:
        entry = self._entry(name)
        place = bisect_left(self._ready, entry)
        return place < len(self._ready) and self._ready[place] == entry

    def _entry(self, name: str) -> tuple[float, int, str]:
        return (-self._way[name], self._place[name], name)

    def _end(self, name: str) -> None:
        self._unready(name)
        self._under_way.discard(name)
        self._left.remove(name)
