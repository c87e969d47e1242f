"""What a plan's model is judged by: the `evaluate` of its package step."""

from __future__ import annotations

from mlops_compile.ir.lock import Lock
from mlops_compile.ir.value import Map


def criteria_of(lock: Lock) -> Map:
    """`evaluate`, as the package step has it; empty where the plan makes no bundle."""
    for step in lock.plan.steps:
        if step.kind == "package" and isinstance(found := step.params.get("evaluate"), Map):
            return found
    return Map()


def primary_of(lock: Lock) -> str:
    """The metric that decides; empty where the plan makes no bundle."""
    return str(criteria_of(lock).get("primary", ""))
