"""What is known here of two plans: effects and work by the store, and how their models compare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlops_compile.api.behaving import behaviour_of, costs_of, metrics_of
from mlops_compile.api.compiling import effects_of
from mlops_compile.api.judging import Known
from mlops_compile.api.measured import measured, unmet_gates
from mlops_compile.api.operand import Operand
from mlops_compile.api.searching import search_step
from mlops_compile.api.state import State, state_with
from mlops_compile.api.sweeping import effects_of_sweep
from mlops_compile.compiler.effects import Effect as Found
from mlops_compile.execute.expected import work_of
from mlops_compile.ir.change import Effect
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.merging import Merged
from mlops_compile.ir.plan import Step, own_name
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.review import GateState
from mlops_compile.ir.sweep import SweepPoint
from mlops_compile.ir.value import dotted

_NOT_COMPARED = "answers to test rows are compared where the store has those of both runs"


def state_here(old: Operand, new: Operand, project: Path) -> State | None:
    """Where the project keeps what it made; None where its config is broken."""
    for operand in (new, old):
        if operand.state is not None:
            return operand.state
    try:
        return state_with((), project)
    except CompileError:
        return None


def of_plans(old: Operand, new: Operand, state: State | None, *, assume_made: bool) -> Known:
    """What is known of two plans."""
    store = state.store if state is not None and state.store.root.is_dir() else None
    try:
        both = (measured(old, store), measured(new, store))
        is_made = store is not None and any(one.made for one in both) and not assume_made
        found = _effects(new.lock, state) if is_made and state is not None else ()
        behaviour = behaviour_of(*both, store)
        return Known(
            found=tuple((item.step, item.effect, item.reason) for item in found),
            work=lambda effects: _work(effects, state),
            metrics=metrics_of(*both),
            costs=tuple(costs_of(*both)),
            behaviour=behaviour,
            unmet=tuple(
                GateState(path=dotted(gate.where), text=gate.message)
                for gate in unmet_gates(new.lock, both[1].metrics, both[1].evaluation)
            ),
            notes=(_NOT_COMPARED,) if behaviour is None and old.run and new.run else (),
        )
    finally:
        if store is not None:
            store.close()


def of_sweeps(
    merged: Merged, points: Sequence[SweepPoint], state: State | None, *, assume_made: bool
) -> Known:
    """What is known of a sweep, as one plan."""
    found: Sequence[Found] = ()
    if state is not None and state.store.root.is_dir() and not assume_made:
        found = _effects_of_sweep(merged, points, state)
    is_made = any(item.effect == "hit" for item in found)
    return Known(
        found=tuple((item.step, item.effect, item.reason) for item in found) if is_made else (),
        work=lambda effects: _work(effects, state),
    )


def _effects(lock: Lock, state: State) -> Sequence[Found]:
    """What running a lock here would do; nothing of one that cannot be run here: it is of another
    version of this tool."""
    try:
        return effects_of(lock, state)
    except CompileError:
        return ()


def _effects_of_sweep(
    merged: Merged, points: Sequence[SweepPoint], state: State
) -> Sequence[Found]:
    """The same of a sweep."""
    searches = {n: point.lock for n, point in enumerate(points) if search_step(point.lock)}
    try:
        return effects_of_sweep(merged, state, searches)
    except CompileError:
        return ()


def _work(
    effects: Sequence[tuple[Step, Effect]], state: State | None
) -> tuple[float | None, float | None]:
    """The seconds of what runs, and with what may; None where no earlier run tells."""
    if state is None or not state.store.root.is_dir():
        return None, None
    store = state.store
    try:
        names = {(step.kind, own_name(step.name)) for step, effect in effects if effect != "hit"}
        durations = store.durations(names)
    finally:
        store.close()
    least = work_of((step for step, effect in effects if effect == "run"), durations)
    return least, work_of((step for step, effect in effects if effect != "hit"), durations)
