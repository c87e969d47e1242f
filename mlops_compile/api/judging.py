"""Effects of a review: those found in the store, or those that follow from the old plan alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mlops_compile.compiler.compare.plans import Side, as_if_made
from mlops_compile.ir.change import Effect, StepChange
from mlops_compile.ir.plan import Step
from mlops_compile.ir.review import Basis, Behaviour, GateState, Moved

# The least and the most seconds of work of steps with these effects, as earlier runs needed.
Work = Callable[[Sequence[tuple[Step, Effect]]], tuple[float | None, float | None]]


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known here of two plans beside their locks. `found` are the effects of the new plan's
    steps in the store; nothing where the store has no result of either, or is not to count."""

    found: tuple[tuple[Step, Effect, str], ...] = ()
    work: Work = lambda effects: (None, None)
    metrics: tuple[Moved, ...] = ()
    costs: tuple[Moved, ...] = ()
    behaviour: Behaviour | None = None
    unmet: tuple[GateState, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The effects of a new plan's steps by name, with reasons; what they start from, and the work
    they are."""

    basis: Basis
    effects: Mapping[str, tuple[Effect, str]] = field(default_factory=dict)
    seconds: tuple[float | None, float | None] = (None, None)


def judged(steps: tuple[StepChange, ...], old: Side, new: Side, known: Known) -> Judged:
    """The effects of the new plan's steps."""
    if known.found:
        return Judged(
            basis="store",
            effects={step.name: (effect, reason) for step, effect, reason in known.found},
            seconds=known.work([(step, effect) for step, effect, _ in known.found]),
        )
    assumed = as_if_made(steps, old, new)
    work = known.work([(new.steps[name], effect) for name, (effect, _) in assumed.items()])
    return Judged(basis="old", effects=assumed, seconds=work)
