"""The steps of one trial of a search, lowered as those of any config."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_compile.compiler.lower import (
    SEARCH_FOLDS,
    Piece,
    causes_in,
    fold_parts,
    has_weights,
    prepared,
    step_of,
    taken,
)
from mlops_compile.compiler.spec import Spec
from mlops_compile.ir.plan import Ref, Step
from mlops_compile.ir.value import Map
from mlops_compile.steps.kinds import slice_of
from mlops_compile.steps.metrics import METRICS
from mlops_compile.steps.searching import Search


def trial_steps(spec: Spec, search: Search, under: str) -> tuple[Step, ...]:
    """The steps of a trial of a search, whose config is that of `spec`: for each fold how its rows
    are prepared, what a model trained on them answers, and what these answers are worth together.

    Their keys follow from the values of the trial alone, not from its number.
    """
    assert search.metric is not None
    found: list[Piece] = []
    tested: dict[str, Ref] = {}
    table = taken(validate="table") if has_weights(spec) else {}
    for number, parts in enumerate(_tried(search), start=1):
        fold = f"{under}fold/{number}/" if search.cv else under
        prepare, takes = prepared(spec, parts, fold)
        found.append(prepare)
        found.append(
            Piece(name=f"{fold}answer", kind="trial", takes={**takes, "test": parts["test"]})
        )
        tested[f"predictions_{number}"] = Ref(step=f"{fold}answer", output="predictions")
        tested[f"test_{number}"] = parts["test"]
    options = tuple(("evaluate", "options", name) for name in METRICS[search.metric].takes)
    config = causes_in(spec, ("prepare", "model", "evaluate"))
    scored = Map({**slice_of(config, options), "search": Map({"metric": search.metric})})
    takes = {**taken(validate="target"), **table, **tested}
    found.append(Piece(name=f"{under}score", kind="score", takes=takes, params=scored))
    return tuple(step_of(piece, spec, config) for piece in found)


def _tried(search: Search) -> Iterator[dict[str, Ref]]:
    """The rows that a trial trains, stops and is judged on, fold by fold."""
    if not search.cv:
        yield {**taken(split="train validation"), "test": Ref(step="split", output="validation")}
        return
    for number in range(1, search.cv.folds + 1):
        yield fold_parts(SEARCH_FOLDS, number)
