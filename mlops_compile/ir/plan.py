"""A plan: named steps, the slices of config that they read, and what they take from each other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

from mlops_compile.ir.problem import Problem, problem
from mlops_compile.ir.value import Map

_POINT = re.compile(r"\Apoint/\d+/")
_NAME = re.compile(r"[a-z][a-z0-9_]*(/[a-z0-9_]+)*\Z")
_MOST_NAMES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Ref:
    """An output of another step, written `step.output`."""

    step: str
    output: str

    def __str__(self) -> str:
        return f"{self.step}.{self.output}"

    @classmethod
    def parse(cls, text: str) -> Ref:
        step, dot, output = text.rpartition(".")
        if not dot or not is_name(step) or not is_name(output):
            raise ValueError(f"{text!r} does not name an output; write `step.output`")
        return cls(step=step, output=output)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One piece of work.

    `params` is a sub-tree of the config under the config's own key paths; `seed` is the plan's
    seed for a step that draws random numbers, else None; `source` names the source it reads.
    """

    name: str
    kind: str
    version: int
    params: Map
    inputs: tuple[tuple[str, Ref], ...] = ()
    outputs: tuple[str, ...]
    seed: int | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        for name in (self.name, *(port for port, _ in self.inputs), *self.outputs):
            if not is_name(name):
                raise ValueError(f"{name!r} is not a name (lower-case letters, digits, `_`)")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Steps in an order in which they can run."""

    steps: tuple[Step, ...]

    def __getitem__(self, name: str) -> Step:
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Step]:
        """Of steps of one name, the first."""
        return {step.name: step for step in reversed(self.steps)}


def own_name(name: str) -> str:
    """What a step is called in its own plan: in a run of many points, `point/3/train` is one's
    `train`."""
    return _POINT.sub("", name)


@lru_cache(_MOST_NAMES)
def is_name(text: str) -> bool:
    """Whether a text may name a step or a port: it can also stand in a file name."""
    return bool(_NAME.match(text))


def in_order(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Steps sorted so that each stands after its inputs, by name among equals.

    Steps in a cycle, or behind one, come last; `violations` names them.
    """
    waiting = {step.name: step for step in sorted(steps, key=lambda step: step.name)}
    behind: dict[str, list[str]] = {}
    left: dict[str, int] = {}  # inputs that are not there yet
    for step in waiting.values():
        makers = {ref.step for _, ref in step.inputs if ref.step in waiting}
        left[step.name] = len(makers)
        for name in makers:
            behind.setdefault(name, []).append(step.name)
    done: list[Step] = []
    ready = [name for name, count in left.items() if not count]
    while ready:
        done += [waiting.pop(name) for name in ready]
        freed = []
        for name in (other for maker in ready for other in behind.get(maker, ())):
            left[name] -= 1
            if not left[name]:
                freed.append(name)
        ready = sorted(freed)
    return (*done, *waiting.values())


def violations(plan: Plan) -> tuple[Problem, ...]:
    """All that makes a plan impossible: repeated names, inputs that no earlier step makes."""
    found: list[Problem] = []
    made: dict[str, Step] = {}
    names = {step.name for step in plan.steps}
    for step in plan.steps:
        where = ("steps", step.name)
        if step.name in made:
            found.append(problem("repeated-step", "two steps have this name", where))
        for port, ref in step.inputs:
            where_input = (*where, "inputs", port)
            if ref.step not in names:
                found.append(problem("no-such-step", f"there is no step {ref.step!r}", where_input))
            elif ref.step not in made:
                found.append(
                    problem("cycle", f"{ref.step!r} does not come before this step", where_input)
                )
            elif ref.output not in made[ref.step].outputs:
                found.append(
                    problem(
                        "no-such-output",
                        f"the step {ref.step!r} has no output {ref.output!r}",
                        where_input,
                        hint=f"it has {', '.join(made[ref.step].outputs)}",
                    )
                )
        made[step.name] = step
    return tuple(found)
