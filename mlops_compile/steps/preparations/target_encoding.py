"""Target encoding: levels become the mean of the target in the training rows that have them."""

# numpy and scikit-learn are imported inside the functions that need them: compiling reads only the
# declaration.

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.schema import key
from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.preparations.columns import number, numbers, of_levels, texts
from mlops_compile.steps.preparations.kind import Feature, Preparation, Shape, Sort, Target
from mlops_compile.steps.preparations.levels import state_levels, values_code


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetEncoding:
    """The mean of the target among the training rows with the level, pulled to the mean of all;
    one feature a class in a multiclass task.

    An unseen level is the mean of all; missing is a level of its own. Training rows get means of
    the other folds' rows alone, so that a row does not see its own target; all other rows get those
    of all training rows.
    """

    smooth: float | None = key(
        "how many rows the mean of all counts for; left out: by the variances (empirical Bayes)",
        default=None,
        low=0,
    )
    folds: int = key("parts of the training rows for their own values", default=5, low=2)


def shapes(spec: TargetEncoding, shape: Shape) -> tuple[Shape, ...]:
    """Numbers, never missing (how many is known with the classes)."""
    return (Shape(sort="numeric", missing=False),)


def fit(spec: TargetEncoding, feature: Feature) -> Map:
    """Not without a target."""
    raise ValueError("a target encoding is fitted with the target")


def cross_fit(
    spec: TargetEncoding, feature: Feature, target: Target
) -> tuple[Map, tuple[Feature, ...]]:
    """The means of all training rows, and the training rows' own features, as scikit-learn's
    TargetEncoder makes them. StepError for fewer rows, of any or of each class, than folds."""
    import numpy as np
    from sklearn.model_selection import KFold, StratifiedKFold
    from sklearn.preprocessing import TargetEncoder

    _check_rows(spec, feature, target)
    kinds = {0: "continuous", 2: "binary"}
    splitter = StratifiedKFold if target.classes else KFold
    encoder = TargetEncoder(
        target_type=kinds.get(len(target.classes), "multiclass"),
        smooth="auto" if spec.smooth is None else spec.smooth,
        cv=splitter(spec.folds, shuffle=True, random_state=target.seed),
    )
    codes = texts(feature).codes.astype("int64").reshape(-1, 1)
    made = encoder.fit_transform(codes, target.values)
    seen = [int(code) for code in encoder.categories_[0]]
    names = texts(feature).categories
    order = sorted((str(names[code]), n) for n, code in enumerate(seen) if code >= 0)
    means = np.atleast_1d(encoder.target_mean_)
    values = [np.asarray(found) for found in encoder.encodings_]
    gaps = [float(table[seen.index(-1)]) for table in values] if -1 in seen else means.tolist()
    several = len(values) > 1
    state: dict[str, Value] = {
        "levels": tuple(level for level, _ in order),
        "values": tuple(tuple(float(table[n]) for _, n in order) for table in values),
        "missing": tuple(gaps),
        "mean": tuple(means.tolist()),
        "classes": tuple(target.classes[code] for code in encoder.classes_) if several else (),
    }
    features = tuple(
        Feature(name=name, sort="numeric", values=made[:, n])
        for n, name in enumerate(outputs(feature.name, Map(state)))
    )
    return Map(state), features


def _check_rows(spec: TargetEncoding, feature: Feature, target: Target) -> None:
    import numpy as np

    where = ("data", "columns", feature.name)
    hint = "give more rows, fewer folds, or another preparation, for example frequency"
    if len(target.values) < spec.folds:
        message = f"{len(target.values)} training rows are fewer than {spec.folds} folds"
        raise StepError([problem("preparation", message, where, hint)])
    if target.classes:
        counts = np.bincount(target.values, minlength=len(target.classes))
        for name, count in zip(target.classes, counts, strict=True):
            if count < spec.folds:
                rows = "1 training row" if count == 1 else f"{count} training rows"
                message = f"the class {name!r} has {rows}, fewer than {spec.folds} folds"
                raise StepError([problem("preparation", message, where, hint)])


def outputs(name: str, state: Map) -> tuple[str, ...]:
    """The feature, or one a class."""
    classes = state["classes"]
    assert isinstance(classes, tuple)
    return tuple(f"{name}:{label}" for label in classes) or (name,)


def apply(state: Map, feature: Feature) -> tuple[Feature, ...]:
    """Look up."""
    made = []
    for name, table, missing, mean in _tables(state, outputs(feature.name, state)):
        values = of_levels(_lookup(table, mean), feature, missing)
        made.append(Feature(name=name, sort="numeric", values=values))
    return tuple(made)


def _lookup(table: dict[str, float], mean: float) -> Any:
    return lambda level: table.get(level, mean)


def _tables(state: Map, names: tuple[str, ...]) -> list[tuple[str, dict[str, float], float, float]]:
    """For each name its table of levels, and the values of missing and unseen ones."""
    values, levels = state["values"], state_levels(state)
    assert isinstance(values, tuple)
    return [
        (name, dict(zip(levels, numbers(table), strict=True)), missing, mean)
        for name, table, missing, mean in zip(
            names, values, numbers(state["missing"]), numbers(state["mean"]), strict=True
        )
    ]


def code(state: Map, sort: Sort, x: str, to: tuple[str, ...]) -> tuple[str, ...]:
    """One row's."""
    lines = []
    for name, table, missing, mean in _tables(state, to):
        source = values_code(tuple(table), tuple(table.values()))
        lines.append(
            f"{name} = {number(missing)} if {x} is None else {source}.get({x}, {number(mean)})"
        )
    return tuple(lines)


PREPARATION = Preparation(
    name="target_encoding",
    spec=TargetEncoding,
    accepts=("categorical",),
    shapes=shapes,
    fit=fit,
    outputs=outputs,
    apply=apply,
    code=code,
    counted=False,
    cross_fit=cross_fit,
    platform=lambda spec: True,
    distributions=("joblib", "narwhals", "scikit-learn", "scipy", "threadpoolctl"),
)
