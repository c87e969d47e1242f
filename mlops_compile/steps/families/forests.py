"""What random forests and extra trees share: scikit-learn grows them, plain arrays keep them."""

# numpy and scikit-learn are imported inside the functions that need them: compiling reads only the
# declarations.

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.value import Map, thaw
from mlops_compile.steps.families import trees
from mlops_compile.steps.families.kind import Complaint, Part, Training, chains

if TYPE_CHECKING:
    from mlops_compile.steps.families.kind import Array

CRITERIA = {
    "classification": ("gini", "entropy", "log_loss"),
    "regression": ("squared_error", "absolute_error", "poisson"),
}
CHAINS = chains(
    numeric=[],
    boolean=[],
    categorical=[{"ordinal": {}}],
    datetime=[{"date_parts": {}}],
)
DISTRIBUTIONS = (
    *("joblib", "narwhals", "numpy", "pandas", "pyarrow"),
    *("scikit-learn", "scipy", "threadpoolctl"),
)
# A whole number counts rows or features, any other is a share of them, with bounds of its own.
_COUNTS = {"max_features": 1, "min_samples_leaf": 1, "min_samples_split": 2}
# So many times the rows that there are may be drawn for a tree.
_MOST_DRAWN = 10
_BELOW_ONE = ("min_samples_leaf",)


def complaints(params: Map, task: str, bootstrap: bool) -> tuple[Complaint, ...]:
    """What a table of both estimators takes, and one of them, or one of two types, does not.
    `bootstrap` is the estimator's default."""
    return (*_of_task(params, task), *_counts(params), *_drawing(params, bootstrap))


def _of_task(params: Map, task: str) -> Iterator[Complaint]:
    fitting = CRITERIA["regression" if task == "regression" else "classification"]
    criterion = params.get("criterion")
    if criterion is not None and criterion not in fitting:
        message = f"{criterion!r} does not fit a {task} task"
        yield Complaint(param="criterion", message=message, hint=f"one of {', '.join(fitting)}")
    if params.get("class_weight") is not None and task == "regression":
        message = "a regression has no classes to weigh"
        yield Complaint(param="class_weight", message=message, hint="leave it out")


def _counts(params: Map) -> Iterator[Complaint]:
    for name, least in _COUNTS.items():
        value = params.get(name)
        if isinstance(value, int) and value < least:
            message = f"a whole number must be {least} or above, not {value}"
            hint = "a share has a point: 1.0 is all of them"
            yield Complaint(param=name, message=message, hint=hint)
        elif isinstance(value, float) and (value > 1 or (value == 1 and name in _BELOW_ONE)):
            message = f"a share must be {'below 1' if name in _BELOW_ONE else 'at most 1'}"
            hint = f"write {round(value)} for a number of them"
            yield Complaint(param=name, message=f"{message}, not {value!r}", hint=hint)


def _drawing(params: Map, bootstrap: bool) -> Iterator[Complaint]:
    drawn = params.get("bootstrap", bootstrap)
    if params.get("max_samples") is not None and not drawn:
        message = "rows are drawn only with bootstrap"
        hint = "set model.params.bootstrap=true, or leave it out"
        yield Complaint(param="max_samples", message=message, hint=hint, unless=("bootstrap",))


def fit(training: Training, names: tuple[str, str]) -> Mapping[str, bytes]:
    """The trees of scikit-learn's classifier or regressor of these names. Every tree has a seed of
    its own, so that threads change nothing."""
    import numpy as np
    import sklearn.ensemble

    params = {**thaw(training.params), "n_jobs": training.threads}
    estimator = getattr(sklearn.ensemble, names[0] if training.classes else names[1])
    part = training.train
    _check_drawn(part, params.get("max_samples"))
    try:
        model = estimator(**params, random_state=training.seed)
        model.fit(part.features, part.target, sample_weight=part.weights)
    except (TypeError, ValueError) as error:
        message = f"scikit-learn refuses these parameters or rows: {error}"
        raise StepError([problem("training", message, ("model", "params"))]) from None
    width = max(1, training.classes)
    found = []
    for estimated in model.estimators_:
        tree = estimated.tree_
        missing = np.asarray(tree.missing_go_to_left).astype("int64") & trees.MISSING_LEFT
        found.append(
            trees.Tree(
                feature=tree.feature,
                threshold=_as_double(tree.threshold),
                left=tree.children_left,
                right=tree.children_right,
                flags=missing,
                values=tree.value[:, 0, :width],
            )
        )
    known = [None] * part.features.shape[1]
    return trees.encode(found, base=[0.0] * width, link="mean", known=known)


def _check_drawn(part: Part, share: object) -> None:
    """StepError where a share of what rows weigh is far more than there are rows: that many would
    be drawn for each tree, billions where weights are counts of people."""
    if not isinstance(share, float) or part.weights is None:
        return
    drawn, rows = round(share * float(part.weights.sum())), len(part.weights)
    if drawn > _MOST_DRAWN * rows:
        message = (
            f"with weights max_samples is a share of what all rows weigh: {drawn:,} rows would be"
            f" drawn for each tree, from {rows:,}"
        )
        hint = f"state a number of rows: model.params.max_samples={max(1, round(share * rows))}"
        raise StepError([problem("training", message, ("model", "params", "max_samples"), hint)])


def _as_double(thresholds: Array) -> Array:
    """For each threshold t the largest double whose rounding to float32 is at most t.

    scikit-learn rounds features to float32 and compares them with t; comparing a double with this
    number has the same outcome.
    """
    import numpy as np

    below = thresholds.astype("float32")
    too_high = below.astype("float64") > thresholds
    below[too_high] = np.nextafter(below[too_high], np.float32(-np.inf))
    with np.errstate(over="ignore"):
        above = np.nextafter(below, np.float32(np.inf))
    middle = below.astype("float64") / 2 + above.astype("float64") / 2
    with np.errstate(over="ignore"):
        stays = middle.astype("float32") <= below
    found: Array = np.where(stays, middle, np.nextafter(middle, -np.inf))
    return found
