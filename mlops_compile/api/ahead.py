"""Ahead: workers that import what a plan needs while its data is looked at for the first time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable

from mlops_compile.execute.interrupts import Interrupts
from mlops_compile.execute.pool import Workers
from mlops_compile.execute.resources import Resources
from mlops_compile.ir.plan import Plan, Step
from mlops_compile.steps.kinds import KINDS


class Ahead:
    """Called with a plan that will surely run, because its data was never seen: `workers` import
    then. They are those of the caller, who keeps them, or else new ones that end with the `with`
    block; without a call there are none."""

    def __init__(self, resources: Callable[[], Resources], kept: Workers | None = None) -> None:
        self._resources = resources
        self._own: Workers | None = None
        self.workers = kept

    def __call__(self, plan: Plan) -> None:
        first = [step for step in plan.steps if not step.inputs]
        with Interrupts():  # a worker that is started has to be known
            if self.workers is None:
                self.workers = self._own = Workers(self._resources().workers)
            # The first steps need little, and must not wait until another worker has all.
            for steps in (first, plan.steps):
                modules = _imports(steps)
                with contextlib.suppress(OSError):  # the run itself says that no process starts
                    if worker := self.workers.idle(modules):
                        worker.import_ahead(modules)

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *error: object) -> None:
        if self._own is not None:
            self._own.close()


def _imports(steps: Iterable[Step]) -> tuple[str, ...]:
    found = (module for step in steps for module in KINDS[step.kind].imports(step.params))
    return tuple(dict.fromkeys(found))
