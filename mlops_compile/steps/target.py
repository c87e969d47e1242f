"""The target of validated rows: class positions or numbers, or a sentence why there is none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlops_compile.ir.problem import Problem, problem
from mlops_compile.ir.value import Value
from mlops_compile.steps.columns import class_order

_WHERE = ("data", "target")
_FEWEST = 2  # rows of a class: one to learn from, one to test on
_MEND = "bring more rows, or leave it out with choices and violation=drop of the column"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the config says of the target."""

    name: str
    task: str
    positive: Value
    sensitive: bool


def target_of(values: pa.ChunkedArray, target: Target) -> pa.Array:
    """Class positions over the classes' names (the positive one last), or float64 numbers."""
    column = values.combine_chunks()
    if target.task == "regression":
        return pc.cast(column, pa.float64(), safe=False)
    texts = pc.cast(column, pa.string())
    levels = class_order(tuple(pc.unique(texts).to_pylist()), target.task, target.positive)
    names = pa.array(levels, pa.string())
    return pa.DictionaryArray.from_arrays(pc.index_in(texts, names), names)


def target_problems(
    values: pa.Array, target: Target, before: tuple[str, ...]
) -> tuple[Problem, ...]:
    """What keeps a target without gaps from being learned; `before` are the classes that there were
    before rows were dropped."""
    if pa.types.is_dictionary(values.type):
        return tuple(_of_classes(values, target, before))
    numbers = values.to_numpy()
    if len(numbers) and bool(np.all(numbers == numbers[0])):
        value = "the same" if target.sensitive else f"{numbers[0]:g}"
        message = f"{target.name!r} is always {value}: there is nothing to learn"
        return (problem("target", message, _WHERE, "look at the data, or take another target"),)
    return ()


def _of_classes(
    values: pa.DictionaryArray, target: Target, before: tuple[str, ...]
) -> list[Problem]:
    names = values.dictionary.to_pylist()
    counts = np.bincount(values.indices.to_numpy(), minlength=len(names))
    if gone := sorted(set(before) - set(names)):
        message = f"no row of the class {_listed(gone)} is left once rows are dropped"
        hint = "say which classes there are: choices and violation=drop of the column"
        return [problem("target", message, _WHERE, hint)]
    if len(names) == 1:
        message = (
            f"{target.name!r} has one class only, {names[0]!r}: there is nothing to tell apart"
        )
        return [problem("target", message, _WHERE, "look at the data, or take another target")]
    if len(names) == len(values):
        message = f"each of the {len(values)} rows has a class of its own: {target.name!r} is an id"
        return [problem("target", message, _WHERE, "take another target, or bring more rows")]
    rare = [name for name, count in zip(names, counts, strict=True) if count < _FEWEST]
    if rare:
        one = len(rare) == 1
        message = (
            f"the {'class' if one else 'classes'} {_listed(rare)} {'has' if one else 'have'} 1 row"
            f"{'' if one else ' each'}, too few to learn from and to test on"
        )
        return [problem("classes", message, _WHERE, _MEND)]
    return []


def _listed(names: list[str]) -> str:
    more = f" (and {len(names) - 5} more)" if len(names) > 5 else ""
    return ", ".join(map(repr, names[:5])) + more
