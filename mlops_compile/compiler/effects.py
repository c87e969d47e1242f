"""Effects: what running a lock would do with each step, and why; from keys alone, no data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from mlops_compile.ir.digest import Digest
from mlops_compile.ir.key import Needs, action_preimage, key_of, plan_preimages
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Step
from mlops_compile.ir.value import Map, Value, canonical, dotted, leaves, same

_MOST_CAUSES = 3


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
    earlier: Callable[[str], Value],
) -> tuple[Effect, ...]:
    """The effect of every step of a lock.

    `made(action key)` gives the outputs that are in the store; `earlier(step name)` what the step's
    plan key was made of when it last ran or hit, or None.
    """
    known: dict[str, Mapping[str, Digest]] = {}
    found = []
    for name, preimage in plan_preimages(lock, needs).items():
        step = lock.plan[name]
        waits = sorted({ref.step for _, ref in step.inputs if ref.step not in known})
        causes = changes(earlier(name), preimage)
        effect: Literal["run", "hit", "maybe"]
        if waits:
            effect, reason = "maybe", "; ".join([*causes, f"waits for {', '.join(waits)}"])
        else:
            inputs = {port: known[ref.step][ref.output] for port, ref in step.inputs}
            outputs = made(key_of(action_preimage(lock, step, needs[name], inputs, platform)))
            if outputs is None:
                effect, reason = "run", "; ".join(causes) or _without_cause(step, earlier(name))
            else:
                effect, reason = "hit", "unchanged" if not causes else "made before"
                known[name] = outputs
        found.append(Effect(step=step, key=key_of(preimage), effect=effect, reason=reason))
    return tuple(found)


def _without_cause(step: Step, before: Value) -> str:
    if before is None:
        return "new"
    return "an input is another" if step.inputs else "its result is no longer in the store"


def changes(before: Value, after: Map) -> list[str]:
    """What of a step's own causes differs from before: `model.params.num_leaves 31 -> 63`."""
    if not isinstance(before, Map):
        return []
    old, new = _causes(before), _causes(after)
    found = []
    for path in sorted({*old, *new}):
        if path not in new:
            found.append(f"{dotted(path)} {_shown(old[path])} left out")
        elif path not in old:
            found.append(f"{dotted(path)} {_shown(new[path])} added")
        elif not same(old[path], new[path]):
            found.append(f"{dotted(path)} {_shown(old[path])} -> {_shown(new[path])}")
    more = len(found) - _MOST_CAUSES
    return [*found[:_MOST_CAUSES], f"and {more} more"] if more > 0 else found


def _causes(preimage: Map) -> dict[tuple[str, ...], Value]:
    """Leaves of a preimage under the names that people know; other steps' keys left out."""
    found: dict[tuple[str, ...], Value] = {}
    for path, value in leaves(preimage):
        head = path[0]
        if head in ("inputs", "level", "outputs"):
            continue
        if head == "params":
            if path[1:]:
                found[path[1:]] = value
        elif head == "source":
            found[("data", "content") if path[1] == "digest" else ("data", *path[1:])] = value
        elif head == "environment":
            if path[1:]:
                found[path[1:]] = value
        else:
            found[path] = value
    return found


def _shown(value: Value) -> str:
    text = canonical(value).decode("utf-8")
    return text if len(text) <= 24 else f"{text[:12]}..."
