"""Keys of steps: pure functions of a lock's causes and of the digests of what went in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from mlops_compile.ir.digest import Digest
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Step
from mlops_compile.ir.value import Map, Value, canonical

_DOMAIN = b"mlops-compile/step/v1\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What of the world outside of its params and inputs a step's result depends on.

    `distributions` are the installed packages with their closure; `functions` those of the user, by
    name, with what they import; `contract`: the service's
    contract; `platform`: OS, architecture, CPU features and C library (see docs/keys-and-store.md).
    """

    distributions: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    contract: bool = False
    platform: bool = False


def key_of(preimage: Map) -> str:
    """The key of a preimage: 64 hex digits."""
    return hashlib.sha256(_DOMAIN + canonical(preimage)).hexdigest()


def plan_preimages(lock: Lock, needs: Mapping[str, Needs]) -> dict[str, Map]:
    """What each step's plan key is made of, by step name: inputs stand as their plan keys.

    `needs` holds the needs of every step of the lock, by step name.
    """
    preimages: dict[str, Map] = {}
    keys: dict[str, str] = {}
    for step in lock.plan.steps:
        inputs = {port: f"{keys[ref.step]}.{ref.output}" for port, ref in step.inputs}
        preimages[step.name] = plan_preimage(lock, step, needs[step.name], inputs)
        keys[step.name] = key_of(preimages[step.name])
    return preimages


def plan_preimage(lock: Lock, step: Step, needs: Needs, inputs: dict[str, str]) -> Map:
    """What a step's plan key is made of; `inputs` are its ports, each `PLAN_KEY.output`."""
    return _preimage(lock, step, needs, "plan", inputs)


def action_preimage(
    lock: Lock, step: Step, needs: Needs, inputs: Mapping[str, Digest], platform: Map
) -> Map:
    """What a step's action key is made of: inputs stand as content digests, by port."""
    digests = {port: digest.sha256 for port, digest in inputs.items()}
    if set(digests) != {port for port, _ in step.inputs}:
        raise ValueError(f"{step.name}: digests of {sorted(digests)} are not those of its inputs")
    preimage = _preimage(lock, step, needs, "action", digests)
    return Map({**preimage, "platform": platform}) if needs.platform else preimage


def _preimage(lock: Lock, step: Step, needs: Needs, level: str, inputs: dict[str, str]) -> Map:
    versions = dict(lock.environment)
    names = {*needs.distributions, *lock.code.distributions(needs.functions)}
    value: dict[str, Value] = {
        "level": level,
        "kind": step.kind,
        "version": step.version,
        "params": step.params,
        "inputs": Map(inputs),
        "outputs": step.outputs,
        "environment": Map({name: versions[name] for name in sorted(names)}),
    }
    if needs.functions:
        value["code"] = lock.code.digests(needs.functions)
    if step.seed is not None:
        value["seed"] = step.seed
    if step.source is not None:
        value["source"] = lock.source(step.source).identity
    if needs.contract:
        value["contract"] = lock.contract_of(step.name).to_dict()
    return Map(value)


def derived_seed(seed: int, *roles: str) -> int:
    """A seed in [0, 2**31) of its own for one use of randomness, from the plan's seed."""
    data = canonical((seed, *roles))
    return int.from_bytes(hashlib.sha256(b"mlops-compile/seed/v1\0" + data).digest()[:4]) >> 1
