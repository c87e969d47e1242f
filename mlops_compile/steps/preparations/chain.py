"""A list of preparations, fitted on the training rows of a column and applied to all rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from mlops_compile.ir.problem import Problem, StepError, problem
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.value import KeyPath, Map, Value, freeze
from mlops_compile.steps.preparations import PREPARATIONS
from mlops_compile.steps.preparations.kind import Feature, Preparation, Sort, Target

_ENDS: tuple[Sort, ...] = ("numeric", "boolean", "code")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What preparations learn from: the training rows, with their target where one asks for it."""

    train: np.ndarray[Any, Any]
    target: Target | None = None


def fit_chain(
    chain: tuple[Value, ...], column: Feature, rows: Rows, where: KeyPath
) -> tuple[list[Feature], tuple[Value, ...]]:
    """The features that a column becomes, and the stages that made them.

    A stage is a preparation with what it learned of each feature that the stage before it made:
    `{"op": NAME, "fits": [{"takes": SORT, "state": {...}}, ...]}`, which emit/preparation.py turns
    into code. StepError, at `where`, for values that a preparation cannot be learned from.
    """
    under_way = [column]
    stages: list[Value] = []
    for entry in chain:
        assert isinstance(entry, Map)
        ((name, options),) = entry.items()
        preparation = PREPARATIONS[name]
        spec = from_value(preparation.spec, options)
        made: list[Feature] = []
        fits: list[Value] = []
        for feature in under_way:
            if feature.sort not in preparation.accepts:
                raise StepError([_unaccepted(preparation, feature, where)])
            state, features = _fit(preparation, spec, feature, rows, where)
            fits.append(Map({"takes": feature.sort, "state": state}))
            made += features
        stages.append(Map({"op": name, "fits": tuple(fits)}))
        under_way = made
    for feature in under_way:
        _check_end(feature, column, rows, where)
    return under_way, tuple(stages)


def apply_chain(
    stages: tuple[Value, ...], column: Feature
) -> Iterator[tuple[str, tuple[Feature, ...]]]:
    """What stages that `fit_chain` made, or that were read from its file, make of any rows of the
    column: the name of each one's preparation, and the features that it leaves."""
    under_way: tuple[Feature, ...] = (column,)
    for stage in stages:
        assert isinstance(stage, Map) and isinstance(stage["fits"], tuple)
        preparation = PREPARATIONS[str(stage["op"])]
        made: list[Feature] = []
        for feature, fit in zip(under_way, cast(tuple[Map, ...], stage["fits"]), strict=True):
            state = fit["state"]
            assert isinstance(state, Map)
            with np.errstate(all="ignore"):
                made += preparation.apply(state, feature)
        under_way = (*made,)
        yield preparation.name, under_way


def _fit(
    preparation: Preparation, spec: Any, feature: Feature, rows: Rows, where: KeyPath
) -> tuple[Map, tuple[Feature, ...]]:
    part = Feature(name=feature.name, sort=feature.sort, values=feature.values[rows.train])
    own: tuple[Feature, ...] = ()
    try:
        with np.errstate(all="ignore"):
            if preparation.cross_fit is None:
                learned = preparation.fit(spec, part)
            else:
                assert rows.target is not None  # the kind asks for it
                learned, own = preparation.cross_fit(spec, part, rows.target)
            made = preparation.apply(learned, feature)
    except StepError as error:
        raise StepError(replace(found, where=where) for found in error.problems) from None
    try:
        state = freeze(learned)
    except ValueError:
        message = f"{preparation.name} learns no finite number: the values are too large"
        hint = "divide them before, or clip them: {clip: {low: ..., high: ...}}"
        raise StepError([problem("preparation", message, where, hint)]) from None
    assert isinstance(state, Map)
    for whole, training in zip(made, own, strict=False):
        np.asarray(whole.values)[rows.train] = training.values
    return state, made


def _check_end(feature: Feature, column: Feature, rows: Rows, where: KeyPath) -> None:
    """StepError for a feature that is no number, or that is infinite in a training row."""
    if feature.sort not in _ENDS:
        message = f"the {feature.sort} column is not turned into numbers"
        hint = f"add a preparation, for example prepare.columns.{column.name}"
        raise StepError([problem("preparation", message, where, hint)])
    infinite = np.flatnonzero(np.isinf(np.asarray(feature.values)[rows.train]))
    if len(infinite):
        row = int(rows.train[infinite[0]]) + 1
        message = f"row {row} of the validated table becomes infinite: its value is too large"
        hint = "clip the column before: {clip: {low: ..., high: ...}}"
        raise StepError([problem("infinite", message, where, hint)])


def _unaccepted(preparation: Preparation, feature: Feature, where: KeyPath) -> Problem:
    message = f"{preparation.name} cannot take a {feature.sort} column"
    hint = f"it takes {', '.join(preparation.accepts)}"
    return problem("preparation", message, where, hint)
