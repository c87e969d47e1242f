"""The steps of one trial of a search, lowered as those of any config."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from mlops_compile.compiler.lower import (
    Piece,
    causes,
    fold_parts,
    forming,
    has_weights,
    prepared,
    step_of,
    taken,
)
from mlops_compile.compiler.spec import Spec
from mlops_compile.ir.memo import Memo
from mlops_compile.ir.plan import Ref, Step
from mlops_compile.ir.value import Map
from mlops_compile.steps.foldings import SEARCH_FOLDS
from mlops_compile.steps.kinds import slice_of
from mlops_compile.steps.metrics import METRICS
from mlops_compile.steps.searching import Search


def trial_steps(spec: Spec, search: Search, under: str, memo: Memo) -> tuple[Step, ...]:
    """The steps of a trial of a search, whose config is that of `spec`: for each fold how its rows
    are prepared, what a model trained on them answers, and what these answers are worth together.
    Their names begin with `under`; trials of one memo share the rest.

    Their keys follow from the values of the trial alone, not from its number.
    """
    config = causes(spec, memo)
    found = memo.of("trial", (*forming(spec), search), lambda: _pieces(spec, search, config))
    names = frozenset(piece.name for piece in found)
    return tuple(_under(under, step_of(piece, spec, config, memo), names) for piece in found)


def _pieces(spec: Spec, search: Search, config: Map) -> tuple[Piece, ...]:
    assert search.metric is not None
    found: list[Piece] = []
    tested: dict[str, Ref] = {}
    table = taken(validate="table") if has_weights(spec) else {}
    for number, parts in enumerate(_tried(search), start=1):
        fold = f"fold/{number}/" if search.cv else ""
        prepare, takes = prepared(spec, parts, fold)
        found.append(prepare)
        found.append(
            Piece(name=f"{fold}answer", kind="trial", takes={**takes, "test": parts["test"]})
        )
        tested[f"predictions_{number}"] = Ref(step=f"{fold}answer", output="predictions")
        tested[f"test_{number}"] = parts["test"]
    options = tuple(("evaluate", "options", name) for name in METRICS[search.metric].takes)
    scored = Map({**slice_of(config, options), "search": Map({"metric": search.metric})})
    takes = {**taken(validate="target"), **table, **tested}
    found.append(Piece(name="score", kind="score", takes=takes, params=scored))
    return tuple(found)


def _under(under: str, step: Step, names: Collection[str]) -> Step:
    """A step of a trial under the trial's name, as are those that it takes from."""
    inputs = tuple(
        (port, Ref(step=f"{under}{ref.step}", output=ref.output) if ref.step in names else ref)
        for port, ref in step.inputs
    )
    return replace(step, name=f"{under}{step.name}", inputs=inputs)


def _tried(search: Search) -> Iterator[dict[str, Ref]]:
    """The rows that a trial trains, stops and is judged on, fold by fold."""
    if not search.cv:
        yield {**taken(split="train validation"), "test": Ref(step="split", output="validation")}
        return
    for number in range(1, search.cv.folds + 1):
        yield fold_parts(SEARCH_FOLDS, number)
