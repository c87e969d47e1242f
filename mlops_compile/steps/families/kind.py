"""What a model family declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_compile.ir.problem import Problem, problem
from mlops_compile.ir.value import Map, Value, freeze
from mlops_compile.steps.preparations.kind import Sort

if TYPE_CHECKING:
    import numpy as np

    from mlops_compile.ir.trees import Trees

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Rows of one part: features as a float64 matrix (rows x features, NaN is missing), the
    target: class positions as int64, or float64 numbers; and the rows' weights, if they differ."""

    features: Array
    target: Array
    weights: Array | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """All that a family sees when it fits.

    `validation` are the rows to stop early by. `codes` are the columns that hold native categories;
    `classes` is the number of classes, 0 in a regression. `names` are those of the features.
    `monotone` says of each feature that predictions rise (1) or fall (-1) with it or may do both
    (0); it is empty where nothing is asked for. `kept` is where a family may leave what it made of
    these rows and targets, whatever the params, for a later fit to the same: it must not change a
    bit.
    """

    params: Map
    train: Part
    validation: Part | None
    codes: tuple[int, ...]
    classes: int
    seed: int
    threads: int
    names: tuple[str, ...] = ()
    monotone: tuple[int, ...] = ()
    kept: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """Params that do not go together: which one, why, and what to do. `unless` names others: set
    in another way, they would leave nothing to complain of."""

    param: str
    message: str
    hint: str = ""
    unless: tuple[str, ...] = ()


def problem_of(complaint: Complaint, code: str = "training") -> Problem:
    """A complaint as a problem of its parameter."""
    where = ("model", "params", complaint.param)
    return problem(code, complaint.message, where, complaint.hint)


def fits_any(
    params: Map, features: tuple[Sort, ...] | None, classes: int | None
) -> tuple[Complaint, ...]:
    """No complaint: the misfits of a family whose params say nothing of features and classes."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A model family.

    `accepts` are the sorts of feature it takes, `missing` whether they may be missing. `chains`
    are its usual preparations by column type. `complaints(params, task, has_validation)` checks
    what a table of parameters cannot, and `misfits(params, features, classes)` what does not fit
    the sorts of the prepared features and the number of classes (None: not known yet). `fit` gives
    the files of a fitted model, by name: text that is equal wherever it is fitted on an equal
    platform, never a pickle. `predict(directory, features, classes)` reads them back:
    probabilities (rows x classes), or numbers (rows). `monotone` says whether it takes constraints
    of direction. `scorer` is the template of its serving code, `serving` the distributions that
    code needs. `imports` are the modules that `fit` and `predict` import. Families of trees may
    tell `importance(directory)`: numbers of each feature, by what they count; and
    `shap(directory, features, classes)`: rows x outputs x features. `trees(directory, classes)` is
    the model as trees, where it is one: its scorers are generated in C and in Python, and the
    model's files are not served.

    A family of another distribution names its files as `package:path`: `scorer`, and `table`, the
    table of its parameters. Its `origin` is that distribution, which it need not state.
    """

    name: str
    tasks: tuple[str, ...]
    accepts: tuple[Sort, ...]
    missing: bool
    chains: Mapping[str, Value]
    distributions: tuple[str, ...]
    seeded: bool
    complaints: Callable[[Map, str, bool], tuple[Complaint, ...]]
    fit: Callable[[Training], Mapping[str, bytes]]
    predict: Callable[[Path, Array, int], Array]
    misfits: Callable[[Map, tuple[Sort, ...] | None, int | None], tuple[Complaint, ...]] = fits_any
    monotone: bool = False
    scorer: str
    serving: tuple[str, ...]
    imports: tuple[str, ...]
    table: str = ""
    origin: str = ""
    importance: Callable[[Path], Mapping[str, Array]] | None = None
    shap: Callable[[Path, Array, int], Array] | None = None
    trees: Callable[[Path, int], Trees] | None = None


def chains(**by_type: list[Any]) -> Mapping[str, Value]:
    """Usual preparations by column type, as frozen values."""
    return {name: freeze(chain) for name, chain in by_type.items()}
