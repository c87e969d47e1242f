"""Effects: what running a lock would do with each step, and why; from keys alone, no data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mlops_compile.compiler.explain import Change, Earlier, causes, explained
from mlops_compile.ir.digest import Digest
from mlops_compile.ir.key import Needs, action_preimage, key_of, plan_preimages
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Step, own_name
from mlops_compile.ir.value import Map, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What would happen to a step: `hit` never runs, `run` never hits, `maybe` waits for another.

    `key` is the step's plan key.
    """

    step: Step
    key: str
    effect: Literal["run", "hit", "maybe"]
    reason: str


def effects(
    lock: Lock,
    needs: Mapping[str, Needs],
    platform: Map,
    made: Callable[[str], Mapping[str, Digest] | None],
    nearest: Callable[[str, str], Sequence[Earlier]],
    latest: Mapping[str, Value],
) -> tuple[Effect, ...]:
    """The effect of every step of a lock.

    `made(action key)` gives the outputs that are in the store; `nearest(kind, step name)` earlier
    results to explain against, those of that name first, the latest first; `latest` is the action
    key that each step had in the last run.
    """
    known: dict[str, Mapping[str, Digest]] = {}
    to_run: dict[str, str] = {}  # action key -> the first step that would make it
    found = []
    for name, preimage in plan_preimages(lock, needs).items():
        step = lock.plan[name]
        waits = sorted({ref.step for _, ref in step.inputs if ref.step not in known})
        earlier = nearest(step.kind, name)
        effect: Literal["run", "hit", "maybe"] = "maybe"
        if waits:
            own = causes(lock, step, preimage, earlier, inputs=False)
            reason = "; ".join([*explained(own), f"waits for {', '.join(waits)}"])
        else:
            inputs = {port: known[ref.step][ref.output] for port, ref in step.inputs}
            action = action_preimage(lock, step, needs[name], inputs, platform)
            key = key_of(action)
            outputs = made(key)
            if outputs is not None:
                effect, known[name] = "hit", outputs
                reason = "unchanged" if latest.get(name, key) == key else "made before"
            elif key in to_run:
                reason = f"the same as {to_run[key]}"
            else:
                effect, to_run[key] = "run", name
                reason = _why(causes(lock, step, action, earlier, inputs=True), earlier)
        found.append(Effect(step=step, key=key_of(preimage), effect=effect, reason=reason))
    return tuple(found)


def _why(found: tuple[Change, ...], earlier: Sequence[Earlier]) -> str:
    if not earlier:
        return "new"
    return "; ".join(explained(found)) or "its result is no longer in the store"


def sweep_effects(
    lock: Lock,
    needs: Mapping[str, Needs],
    keys: Mapping[str, str],
    platform: Map,
    made: Callable[[str], Mapping[str, Digest] | None],
    latest: Mapping[str, Value],
) -> tuple[Effect, ...]:
    """The effects of the distinct steps of many plans, whose plan keys are known. Why a step is to
    be run is not explained: there is no one earlier result that each could be compared with."""
    known: dict[str, Mapping[str, Digest]] = {}
    to_run: dict[str, str] = {}
    found = []
    for step in lock.plan.steps:
        name, effect, reason = step.name, "maybe", ""
        waits = sorted({ref.step for _, ref in step.inputs if ref.step not in known})
        if waits:
            reason = f"waits for {', '.join(waits)}"
        else:
            inputs = {port: known[ref.step][ref.output] for port, ref in step.inputs}
            key = key_of(action_preimage(lock, step, needs[name], inputs, platform))
            if (outputs := made(key)) is not None:
                effect, known[name] = "hit", outputs
                reason = "unchanged" if latest.get(own_name(name)) == key else "made before"
            elif key in to_run:
                reason = f"the same as {to_run[key]}"
            else:
                effect, to_run[key], reason = "run", name, "not made yet"
        found.append(Effect(step=step, key=keys[name], effect=effect, reason=reason))  # type: ignore[arg-type]
    return tuple(found)
