"""What differs between two plans: causes, what they do to each step, and to the service."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from mlops_compile.ir.difference import Sort
from mlops_compile.ir.origin import Origin
from mlops_compile.ir.value import KeyPath, Value

Category: TypeAlias = Literal[
    "data",
    "prepare",
    "space",
    "training",
    "evaluation",
    "serving",
    "monitoring",
    "environment",
    "code",
    "cosmetic",
]
# In the order in which they are told.
CATEGORIES: tuple[Category, ...] = (
    "data",
    "prepare",
    "space",
    "training",
    "evaluation",
    "serving",
    "monitoring",
    "environment",
    "code",
    "cosmetic",
)
Effect: TypeAlias = Literal["run", "hit", "maybe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One thing that differs: its path, and its value before and after (None where there was none,
    as `sort` says). Where there was none, `default` is the value that a key of the config has
    without being stated; () where that is not declared, None where there is no such key. `text`
    says it in words where values alone say little; `origin` is where the new value was set, or
    else the old one."""

    path: KeyPath
    category: Category
    sort: Sort = "changed"
    old: Value = None
    new: Value = None
    default: tuple[Value, ...] | None = field(default=None, compare=False)
    text: str = ""
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepChange:
    """What becomes of a step. `same`: its result is the same, whatever makes it. `causes` are its
    own; `upstream` are the steps that it takes from and that differ. `effect` is what running the
    new plan would do with it (None of a step that is removed), and `reason` why."""

    name: str
    kind: str
    change: Literal["same", "changed", "added", "removed"]
    causes: tuple[Cause, ...] = ()
    upstream: tuple[str, ...] = ()
    effect: Effect | None = None
    reason: str = ""

    @property
    def only_upstream(self) -> bool:
        """Whether it differs for what it takes alone."""
        return self.change == "changed" and not self.causes

    @property
    def categories(self) -> tuple[Category, ...]:
        """Those of its own causes."""
        found = {cause.category for cause in self.causes}
        return tuple(name for name in CATEGORIES if name in found)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceChange:
    """What of a service's requests or answers differs; `breaking` where a client that worked
    before may not work any more."""

    path: KeyPath
    text: str
    breaking: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PointChange:
    """What becomes of a point of a sweep, by its overrides; its numbers among the old points and
    the new ones. A new point is `like` the old one that it is compared with."""

    overrides: tuple[str, ...]
    change: Literal["same", "changed", "added", "removed"]
    old: int | None = None
    new: int | None = None
    like: int | None = None
    causes: tuple[Cause, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanChange:
    """All that differs between two plans, or two sweeps: the steps of the new plan in its order,
    those that are removed behind them; the points where one of the two is a sweep."""

    steps: tuple[StepChange, ...]
    service: tuple[ServiceChange, ...] = ()
    cosmetic: tuple[Cause, ...] = ()
    points: tuple[PointChange, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether anything but what is cosmetic differs."""
        changes = {step.change for step in self.steps} | {point.change for point in self.points}
        return bool(self.service) or not changes <= {"same"}

    @property
    def breaking(self) -> tuple[ServiceChange, ...]:
        """The changes of the service that may break a client."""
        return tuple(change for change in self.service if change.breaking)
