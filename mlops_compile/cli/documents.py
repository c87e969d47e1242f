"""The JSON documents that scripts read (docs/cli.md)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlops_compile.compiler.effects import Effect
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.record import RunRecord, results_value
from mlops_compile.ir.value import Map, Value, freeze, pretty

FORMAT = 1


def compile_document(lock: Lock, file: Path, effects: tuple[Effect, ...]) -> str:
    """What `compile --json` prints."""
    steps = tuple(
        Map(
            {
                "name": effect.step.name,
                "kind": effect.step.kind,
                "key": effect.key,
                "effect": effect.effect,
                "reason": effect.reason,
                "inputs": tuple(str(ref) for _, ref in effect.step.inputs),
            }
        )
        for effect in effects
    )
    return pretty(
        Map(
            {
                "format": FORMAT,
                "plan": lock.digest,
                "lock": str(file),
                "point_count": 1,
                "step_count": len(steps),
                "steps": steps,
            }
        )
    )


def run_value(record: RunRecord, directory: Path, bundle: Path | None) -> Map:
    """One run."""
    parts: Mapping[str, Value] = record.metrics
    digest = record.bundle
    value: dict[str, Value] = {
        "format": FORMAT,
        "plan": record.lock.digest,
        "status": "ok" if record.ok else "failed",
        "directory": str(directory),
        "steps": results_value(record),
        "metrics": Map(parts),
        "evaluation": record.evaluation,
        "model": record.model,
        "bundle": Map({"digest": digest, "path": str(bundle)}) if digest else None,
        "registered": None,
    }
    if record.trials:
        value |= {"trials": record.trials, "best": record.best}
    return Map(value)


def points_document(jobs: list[tuple[tuple[str, ...], Map]]) -> str:
    """A multirun: the points in order, each with its overrides."""
    points = [
        {
            "overrides": list(overrides),
            **{name: value for name, value in run.items() if name != "format"},
        }
        for overrides, run in jobs
    ]
    ok = all(run["status"] == "ok" for _, run in jobs)
    value = {"format": FORMAT, "status": "ok" if ok else "failed", "points": points}
    return pretty(freeze(value))
