"""Plans of small steps that do what a test tells them (tests/probes/), and runs of them."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import mlops_compile as mc
from mlops_compile.api.running import execute_lock
from mlops_compile.api.state import State
from mlops_compile.execute.observer import Silent
from mlops_compile.execute.pool import Workers
from mlops_compile.execute.resources import Resources
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Plan, Ref, Step, in_order
from mlops_compile.ir.record import RunRecord, StepResult
from mlops_compile.ir.value import Map, freeze

PROBES = Path(__file__).resolve().parent / "probes"
if str(PROBES) not in sys.path:
    sys.path.append(str(PROBES))

SOURCE = "source"
TEXT = "a,target\n1,x\n2,y\n3,x\n"
_PORTS = {"probe_pair": ("one", "two")}
CSV = (
    *("data=csv", "data.name=rows", "data.source.path=rows.csv", "data.target=target"),
    *("data.task=binary", "data.split.kind=random"),
)


def probe(name: str, *inputs: str, kind: str = "probe", **asked: Any) -> Step:
    """A step that takes these steps' outputs (one, or two with the kind `probe_pair`)."""
    ports = _PORTS.get(kind, ("it",))
    params = freeze({"probe": asked} if asked else {})
    assert isinstance(params, Map)
    return Step(
        name=name,
        kind=kind,
        version=1,
        params=params,
        inputs=tuple((port, _ref(step)) for port, step in zip(ports, inputs, strict=True)),
        outputs=("out",),
    )


def _ref(step: str) -> Ref:
    return Ref(step=step, output="table" if step == SOURCE else "out")


class Heard(Silent):
    """Remembers what a run tells."""

    def __init__(self) -> None:
        self.started_steps: list[str] = []
        self.waited: list[str] = []
        self.notes: list[str] = []
        self.ended: list[StepResult] = []

    def started(self, step: Step, seconds: float | None) -> None:
        self.started_steps.append(step.name)

    def waiting(self, step: Step) -> None:
        self.waited.append(step.name)

    def noted(self, step: Step, message: str) -> None:
        self.notes.append(f"{step.name}: {message}")

    def finished(self, result: StepResult) -> None:
        self.ended.append(result)


@functools.cache
def compiled(project: Path) -> Lock:
    """The lock of a project's file, compiled once."""
    return mc.compile(list(CSV), project=project)


@dataclass
class Probes:
    """A project whose plans are probes behind one csv file, which the step `source` acquires."""

    root: Path
    workers: Workers
    resources: Resources = field(default_factory=lambda: Resources(cores=2, workers=2))
    make: bool = True
    hears: Callable[[], Heard] = Heard

    def __post_init__(self) -> None:
        if self.make:
            (self.root / "rows.csv").write_text(TEXT)
        self.heard = self.hears()

    @property
    def state(self) -> State:
        return State(root=self.root / ".mlops")

    def lock(self, *steps: Step) -> Lock:
        """The lock of these steps behind the source."""
        whole = compiled(self.root)
        acquire = replace(whole.plan["acquire"], name=SOURCE)
        return replace(whole, plan=Plan(steps=in_order((acquire, *steps))))

    def run(self, *steps: Step, **limits: Any) -> RunRecord:
        """Execute the plan of these steps."""
        return self.execute(self.lock(*steps), **limits)

    def execute(self, lock: Lock, **limits: Any) -> RunRecord:
        self.heard = self.hears()
        return execute_lock(
            lock,
            self.state,
            self.root,
            self.heard,
            replace(self.resources, **limits),
            logs=self.root / "logs",
            workers=self.workers,
        )


def statuses(record: RunRecord) -> Mapping[str, str]:
    """How each step ended, without the source."""
    return {r.step: r.status for r in record.results if r.step != SOURCE}


def eventually(true: Any, seconds: float = 20.0) -> None:
    """Wait until something holds; AssertionError if it does not in time."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never became true"
        time.sleep(0.005)
