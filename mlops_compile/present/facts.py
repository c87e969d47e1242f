"""What a page is made of: what was read of a run or a sweep, before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlops_compile.ir.problem import Problem
from mlops_compile.ir.record import RunRecord, StepResult
from mlops_compile.ir.value import Map, Value
from mlops_compile.present.board import Entry
from mlops_compile.present.secret import Secret
from mlops_compile.present.words import at
from mlops_compile.steps.spaces import Space


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run: its record and what was measured (empty where it did not come so far). `began` is
    when, as its directory says; `unmet` are the gates that are not met; `space` and `config` are of
    its search, if there was one."""

    record: RunRecord
    evaluation: Map = field(default_factory=Map)
    began: str = ""
    unmet: tuple[Problem, ...] = ()
    space: Space | None = None
    config: Map = field(default_factory=Map)
    secret: Secret = field(default_factory=Secret)

    def param(self, *path: str) -> Value:
        """A value of the config, as the steps of the plan hold it."""
        for step in self.record.lock.plan.steps:
            found = at(step.params, *path) if step.kind in _TOLD else None
            if found is not None:
                return found
        return None

    @property
    def primary(self) -> str:
        """The metric that the model is judged by; empty where it is not known."""
        return str(self.param("evaluate", "primary") or "")


# Kinds of step whose params say what a plan is about.
_TOLD = ("package", "evaluate", "train", "search")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A point of a sweep, as the board has it, and how its steps ended."""

    entry: Entry
    results: tuple[StepResult, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A sweep: its points in order, and the run of the best, `best_point`. `links` leads from the
    page to the directory of a point."""

    plan: str
    began: str
    points: tuple[Point, ...]
    best_point: int | None
    best: Run | None
    links: Mapping[int, str]
    secret: Secret = field(default_factory=Secret)
