"""A review: two plans side by side, with what differs, what that costs, and how models moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from mlops_compile.ir.change import PlanChange
from mlops_compile.ir.plan import Step

FOLDS = "folds."  # before the name of a metric: its mean over folds
# What effects start from: this project's store, or the thought that the old plan was run.
Basis: TypeAlias = Literal["store", "old"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A plan or a sweep of a review: what it was named by, its digest, and how much it holds;
    `what` says what that is (`the lock at v1`)."""

    name: str
    what: str
    digest: str
    steps: int
    points: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A number of both models: a metric of the test part, or its mean over folds (`better`: whether
    the new one is, None where they are equal), a size in bytes, or seconds."""

    name: str
    old: float | None
    new: float | None
    better: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A level of a segment's column: its test rows, and how many are answered otherwise."""

    column: str
    level: str
    rows: int
    changed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How the new model answers the test rows that both have. `changed` are rows of another class;
    of a regression, rows whose prediction differs at all. `shift` is the mean absolute difference
    of the prediction (of the probability of the decided class's scores, in a classification)."""

    rows: int
    changed: int
    shift: float
    regression: bool = False
    segments: tuple[Segment, ...] = ()
    only_old: int = 0
    only_new: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GateState:
    """A gate that the new model does not meet, in words."""

    path: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A reasoned exception of a config for one pair of plans; `used` if it is for this one."""

    what: Literal["contract", "gates"]
    old: str
    new: str
    reason: str
    used: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """All that `diff` tells. `seconds` are the least and the most of work, as earlier runs needed;
    None where none tells. `steps` are those of the new plan, `measured` whether there are results
    of both models."""

    old: Named
    new: Named
    change: PlanChange
    basis: Basis
    steps: tuple[Step, ...] = ()
    seconds: tuple[float | None, float | None] = (None, None)
    metrics: tuple[Moved, ...] = ()
    costs: tuple[Moved, ...] = ()
    behaviour: Behaviour | None = None
    unmet: tuple[GateState, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def waived(self) -> frozenset[str]:
        """What is waived for this pair."""
        return frozenset(waiver.what for waiver in self.waivers if waiver.used)

    def count(self, effect: str) -> int:
        """How many steps of the new plan have an effect."""
        return sum(step.effect == effect for step in self.change.steps)
