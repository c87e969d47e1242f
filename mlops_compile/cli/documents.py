"""The JSON documents that scripts read (docs/cli.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mlops_compile.cli.leaderboard import leaderboard_value
from mlops_compile.compiler.effects import Effect
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.record import RunRecord, results_value
from mlops_compile.ir.sweep import Sweep
from mlops_compile.ir.value import Map, Value, freeze, pretty
from mlops_compile.ir.version import Registered
from mlops_compile.present.board import Entry

FORMAT = 1


def compile_document(lock: Lock, file: Path, effects: tuple[Effect, ...]) -> str:
    """What `compile --json` prints."""
    return pretty(Map({**_compiled(lock.digest, file, effects), "point_count": 1}))


def sweep_document(
    sweep: Sweep,
    file: Path,
    effects: tuple[Effect, ...],
    expected: tuple[float | None, float | None],
) -> str:
    """What `compile -m --json` prints; `expected` are the least and the most seconds of work."""
    points = tuple(Map({"overrides": point.overrides}) for point in sweep.points)
    value = {
        **_compiled(sweep.digest, file, effects),
        "point_count": len(points),
        "points": points,
        "seconds_expected": expected,
    }
    return pretty(Map(value))


def _compiled(digest: str, file: Path, effects: tuple[Effect, ...]) -> dict[str, Value]:
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
    return {
        "format": FORMAT,
        "plan": digest,
        "lock": str(file),
        "step_count": len(steps),
        "steps": steps,
    }


def run_value(
    record: RunRecord, directory: Path, bundle: Path | None, registered: Registered | None = None
) -> Map:
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
        "registered": _registered(registered),
    }
    if record.trials:
        value |= {"trials": record.trials, "best": record.best}
    return Map(value)


def _registered(found: Registered | None) -> Value:
    return Map({"name": found.name, "version": found.number}) if found else None


def points_document(jobs: list[tuple[tuple[str, ...], Map]]) -> str:
    """A multirun of another launcher: the points in order, each with its overrides."""
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


def multirun_document(
    plan: str | None, directory: Path, entries: Sequence[Entry], points: Sequence[Map]
) -> str:
    """A multirun that was run as one plan: its points in order, and the leaderboard."""
    ok = all(entry.status == "ok" for entry in entries)
    return pretty(
        Map(
            {
                "format": FORMAT,
                "plan": plan,
                "status": "ok" if ok else "failed",
                "directory": str(directory),
                "point_count": len(points),
                "points": tuple(points),
                "leaderboard": leaderboard_value(entries),
            }
        )
    )
