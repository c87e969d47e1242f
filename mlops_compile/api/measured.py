"""What both models of a review are known to be: from the store, or from a run's own files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlops_compile.api.operand import Operand
from mlops_compile.api.running import read_run
from mlops_compile.api.searching import Searched, best_of, search_step
from mlops_compile.emit.gates import refusals
from mlops_compile.execute.platform import this_platform
from mlops_compile.ir.criteria import criteria_of
from mlops_compile.ir.digest import content_size
from mlops_compile.ir.key import action_preimage, key_of
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.problem import CompileError, Problem, StoreError
from mlops_compile.ir.record import RunRecord, StepResult
from mlops_compile.ir.value import Map, parse
from mlops_compile.steps.kinds import needs_of
from mlops_compile.store.actions import Action
from mlops_compile.store.blobs import MissingBlob
from mlops_compile.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What is known of a plan's results: its steps' actions, by name, as far as they are made.

    `metrics` is by part; `evaluation` all that was measured; empty where it is not known.
    """

    lock: Lock
    made: Mapping[str, Action]
    metrics: Map = field(default_factory=Map)
    evaluation: Map = field(default_factory=Map)
    record: RunRecord | None = None

    def seconds(self, kind: str) -> float | None:
        """What the plan's own step of a kind took."""
        result = self._result(kind)
        if result is not None and result.seconds:
            return result.seconds
        action = self.own(kind)
        return action.seconds if action else None

    def size(self, kind: str) -> int | None:
        """The bytes of what the plan's own step of a kind made."""
        action, result = self.own(kind), self._result(kind)
        if action is not None:
            return content_size(action.outputs, action.blobs)
        return result.size or None if result else None

    def told(self, kind: str, name: str) -> float | None:
        """A fact that the plan's own step of a kind told of itself."""
        action, result = self.own(kind), self._result(kind)
        about = action.about if action else result.told if result else Map()
        value = about.get(name)
        return float(value) if isinstance(value, int | float) else None

    def own(self, kind: str) -> Action | None:
        """The action of the plan's own step of a kind, where it is made."""
        own = (a for name, a in self.made.items() if a.kind == kind and "/" not in name)
        return next(own, None)

    def _result(self, kind: str) -> StepResult | None:
        results = self.record.results if self.record else ()
        return next((r for r in results if r.kind == kind and "/" not in r.step), None)


def measured(operand: Operand, store: Store | None) -> Measured:
    """What is known of an operand of one plan."""
    lock = operand.lock
    record = read_run(operand.run) if operand.run else None
    evaluation = _evaluation(operand) if operand.run else Map()
    made = made_of(lock, store) if store else {}
    metrics = record.metrics if record else Map()
    folds = metrics.get("folds", Map())
    for action in made.values() if store else ():
        if action.kind == "evaluate" and "/" not in action.step and store is not None:
            metrics = metrics if len(metrics) else _read(store, action, "metrics")
            evaluation = evaluation if len(evaluation) else _read(store, action, "evaluation")
        if action.kind == "summarise" and store is not None:
            folds = folds or _read(store, action, "metrics")
    if folds:
        metrics = Map({**metrics, "folds": folds})
    return Measured(lock=lock, made=made, metrics=metrics, evaluation=evaluation, record=record)


def unmet_gates(lock: Lock, metrics: Map, evaluation: Map) -> tuple[Problem, ...]:
    """The gates that what was measured of a plan does not reach; those of folds that are not there
    yet are not judged."""
    judged = criteria_of(lock)
    if not len(judged) or not len(evaluation):
        return ()
    folds, gates = metrics.get("folds"), judged.get("gates")
    if folds is not None:
        evaluation = Map({**evaluation, "folds": folds})
    elif isinstance(gates, Map):
        kept = Map({name: gate for name, gate in gates.items() if name != "folds"})
        judged = Map({**judged, "gates": kept})
    return tuple(refusals(judged, evaluation))


def _evaluation(operand: Operand) -> Map:
    assert operand.run is not None
    try:
        found = parse((operand.run / "evaluation.json").read_bytes())
    except (OSError, ValueError):
        return Map()  # older runs have none
    return found if isinstance(found, Map) else Map()


def made_of(lock: Lock, store: Store) -> dict[str, Action]:
    """The actions of a lock's steps that are in the store; behind a search, those of its winner."""
    try:
        if search_step(lock) is None:
            return _actions(lock, store)
        found = _actions(lock, store)
        search = next((a for a in found.values() if a.kind == "search"), None)
        best = best_of(store, key_of(search.preimage)) if search else None
        return found if best is None else _actions(Searched.of(lock).winner(best), store)
    except (CompileError, StoreError):
        return {}  # another version's lock, or a damaged store: nothing can be told of it


def _actions(lock: Lock, store: Store) -> dict[str, Action]:
    needs, platform = needs_of(lock), this_platform()
    found: dict[str, Action] = {}
    for step in lock.plan.steps:
        if any(ref.step not in found for _, ref in step.inputs):
            continue
        inputs = {port: dict(found[ref.step].outputs)[ref.output] for port, ref in step.inputs}
        key = key_of(action_preimage(lock, step, needs[step.name], inputs, platform))
        if (action := store.find(key)) is not None:
            found[step.name] = action
    return found


def _read(store: Store, action: Action, port: str) -> Map:
    """A JSON output of an action; nothing where there is none, or it is damaged."""
    digest = dict(action.outputs).get(port)
    if digest is None:
        return Map()
    try:
        value = parse(store.blobs.read(digest).read_bytes())
    except (MissingBlob, StoreError, OSError, ValueError):
        return Map()
    return value if isinstance(value, Map) else Map()
