"""What a preparation declares: how a column's values become features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.value import Map

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Sort: TypeAlias = Literal["numeric", "boolean", "categorical", "datetime", "code"]
SORTS: tuple[Sort, ...] = ("numeric", "boolean", "categorical", "datetime", "code")
Values: TypeAlias = "np.ndarray[Any, Any] | pd.Categorical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """Values under way: float64 (numeric, boolean, code; NaN is missing), datetime64[us] or
    pandas categories (categorical; code -1 is missing), one a row."""

    name: str
    sort: Sort
    values: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A feature as the compiler knows it: its sort, and whether a value can be missing."""

    sort: Sort
    missing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """An option that cannot be done to a sort of feature: which, why, and what to write."""

    option: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The target of some rows: class positions (int64) with the classes' names, or numbers and
    none. `seed` is for what is drawn at random."""

    values: np.ndarray[Any, Any]
    classes: tuple[str, ...]
    seed: int


def fits_any(spec: Any, sort: Sort) -> Unfit | None:
    """Nothing: every option goes with every sort that is accepted."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """A preparation of one column.

    `spec` is the dataclass of its options, `accepts` the sorts of feature it takes, and `unfit`
    what of its options does not go with one of them. `shapes` says what comes out of a shape that
    goes in (for the compiler), one each, unless their number is not `counted` before the rows are
    seen; `fit` learns a state from the
    training rows: plain values, and only what `apply` needs, so that another way to the same state
    is the same state; `outputs` names the features that come out; `apply` makes them. `code` is
    straight-line Python that does the same for one row: from the variable `x` (None or NaN where
    missing) to the given variables. It may call the functions of rows.py that `calls` names.

    A preparation with `cross_fit` learns from the target too: it gives the state, and features for
    the training rows that were not learned from the rows themselves. `platform` says whether the
    bits of its results depend on the C library; `distributions` what it needs beside numpy, pandas
    and pyarrow.
    """

    name: str
    spec: type[Any]
    accepts: tuple[Sort, ...]
    shapes: Callable[[Any, Shape], tuple[Shape, ...]]
    fit: Callable[[Any, Feature], Map]
    outputs: Callable[[str, Map], tuple[str, ...]]
    apply: Callable[[Map, Feature], tuple[Feature, ...]]
    code: Callable[[Map, Sort, str, tuple[str, ...]], tuple[str, ...]]
    unfit: Callable[[Any, Sort], Unfit | None] = fits_any
    counted: bool = True
    calls: tuple[str, ...] = ()
    cross_fit: Callable[[Any, Feature, Target], tuple[Map, tuple[Feature, ...]]] | None = None
    platform: Callable[[Any], bool] = lambda spec: False
    distributions: tuple[str, ...] = ()


def known_numbers(code: str, feature: Feature, purpose: str) -> np.ndarray[Any, Any]:
    """The values of the training rows that are not missing; StepError where there is none."""
    import numpy as np

    values = np.asarray(feature.values)
    known: np.ndarray[Any, Any] = values[~np.isnan(values)]
    if not len(known):
        message = f"all values of the training part are missing, so there is nothing to {purpose}"
        hint = "leave the column out with the preparation drop, or give it the role ignore"
        raise StepError([problem(code, message, ("data", "columns", feature.name), hint)])
    return known
