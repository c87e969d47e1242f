"""Steps that are to be made, with the keys of what they would make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlops_compile.execute.platform import this_platform
from mlops_compile.ir.digest import Digest
from mlops_compile.ir.key import Needs, action_preimage, key_of, plan_preimages
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Step
from mlops_compile.ir.record import StepResult
from mlops_compile.ir.value import Map

Outputs = tuple[tuple[str, Digest], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A step that is not made yet, with its inputs known. `before`: its outputs, if it was made in
    this run already, and steps behind it may have used them."""

    step: Step
    key: str
    plan: str
    preimage: Map
    inputs: Mapping[str, Digest]
    before: Outputs | None = None


class Wishes:
    """What the steps of a lock are called, here and now."""

    def __init__(self, lock: Lock, needs: Mapping[str, Needs]) -> None:
        self._lock = lock
        self._needs = needs
        self._platform = this_platform()
        preimages = plan_preimages(lock, needs)
        self._plan_keys = {name: key_of(preimage) for name, preimage in preimages.items()}

    def of(self, step: Step, results: Mapping[str, StepResult]) -> Wanted:
        """A step whose inputs have results."""
        inputs = {port: results[ref.step].output(ref.output) for port, ref in step.inputs}
        needs = self._needs[step.name]
        preimage = action_preimage(self._lock, step, needs, inputs, self._platform)
        before = results.get(step.name)
        return Wanted(
            step=step,
            key=key_of(preimage),
            plan=self._plan_keys[step.name],
            preimage=preimage,
            inputs=inputs,
            before=before.outputs if before is not None and before.outputs else None,
        )
