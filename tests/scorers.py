"""Models of trees to score, and the scorers that are generated for them, loaded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from mlops_compile.emit.render import environment
from mlops_compile.emit.scorers.render import scorer_files
from mlops_compile.ir.trees import Trees
from mlops_compile.ir.value import freeze
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.families.kind import Part, Training

CLASSES = {"binary": 2, "multiclass": 4, "regression": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A family, a task and parameters; `codes` are the columns of native categories."""

    family: str
    task: str
    params: dict[str, Any] = field(default_factory=dict)
    codes: tuple[int, ...] = ()

    def __str__(self) -> str:
        said = "-".join(f"{name}={value}" for name, value in self.params.items())
        return "-".join(filter(None, (self.family, self.task, said, "codes" * bool(self.codes))))


def _lightgbm() -> list[Case]:
    quick = {"num_iterations": 12, "num_leaves": 9, "min_data_in_leaf": 5}
    objectives = {
        "binary": ("binary", "cross_entropy"),
        "multiclass": ("multiclass", "multiclassova"),
        "regression": (
            *("regression", "regression_l1", "huber", "fair", "poisson", "quantile", "mape"),
            *("gamma", "tweedie"),
        ),
    }
    found = [
        Case(family="lightgbm", task=task, params={**quick, "objective": name}, codes=(3, 4))
        for task, names in objectives.items()
        for name in names
    ]
    options: list[dict[str, Any]] = [
        {"zero_as_missing": True},
        {"use_missing": False},
        {"linear_tree": True, "linear_lambda": 0.1},
        {"linear_tree": True, "use_missing": False},
        {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6},
        {"boosting": "dart"},
        {"sigmoid": 0.7},
        {"num_iterations": 130, "num_leaves": 31},
    ]
    found += [
        Case(family="lightgbm", task=task, params={**quick, **more}, codes=(3, 4))
        for more in options
        for task in CLASSES
    ]
    found += [
        Case(
            family="lightgbm",
            task="regression",
            params={**quick, "objective": name, "reg_sqrt": True},
        )
        for name in ("regression", "regression_l1", "huber", "fair", "quantile", "mape", "poisson")
    ]
    return found


def _forests() -> list[Case]:
    return [
        Case(family=name, task=task, params=params)
        for name in ("random_forest", "extra_trees")
        for task in CLASSES
        for params in ({"n_estimators": 7}, {"n_estimators": 3, "max_leaf_nodes": 8})
    ]


def _histograms() -> list[Case]:
    found = [
        Case(family="hist_gradient_boosting", task=task, params=params, codes=codes)
        for task in CLASSES
        for params in ({"max_iter": 12}, {"max_iter": 160, "min_samples_leaf": 2})
        for codes in ((), (3, 4))
    ]
    losses = ({"loss": name} for name in ("absolute_error", "poisson", "gamma"))
    for loss in (*losses, {"loss": "quantile", "quantile": 0.7}):
        params = {"max_iter": 9, **loss}
        found.append(
            Case(family="hist_gradient_boosting", task="regression", params=params, codes=(3,))
        )
    return found


CASES = {str(case): case for case in (*_lightgbm(), *_forests(), *_histograms())}


def fit(case: Case, folder: Path, rows: int = 700) -> Trees:
    """A model of this case, written to a folder, as trees; three columns are numbers with gaps,
    zeros and very small ones among them, two are levels."""
    draw = np.random.RandomState(5)
    features = np.column_stack(
        [
            np.where(draw.uniform(size=rows) < 0.1, np.nan, draw.normal(size=rows)),
            np.where(draw.uniform(size=rows) < 0.4, 0.0, draw.normal(size=rows) * 1e-3),
            draw.choice([-1e-35, 0.0, 1e-36, 2e-35, 1.0, -3.0], size=rows),
            draw.randint(0, 40, size=rows).astype("float64"),
            np.where(draw.uniform(size=rows) < 0.1, np.nan, draw.randint(0, 5, size=rows)),
        ]
    )
    score = np.nan_to_num(features[:, 0]) + (features[:, 1] == 0) + features[:, 3] % 3
    score += np.nan_to_num(features[:, 4]) * 0.3 + draw.normal(size=rows) * 0.1
    cuts = np.quantile(score, {"binary": [0.6], "multiclass": [0.25, 0.5, 0.75]}.get(case.task, []))
    target = np.digitize(score, cuts) if len(cuts) else score - score.min() + 0.1
    params: Any = freeze(case.params)
    training = Training(
        params=params,
        train=Part(features=features, target=target),
        validation=None,
        codes=case.codes,
        classes=CLASSES[case.task],
        seed=3,
        threads=1,
        names=tuple("abcde"),
    )
    family = FAMILIES[case.family]
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in family.fit(training).items():
        (folder / name).write_bytes(data)
    assert family.trees is not None
    return family.trees(folder, CLASSES[case.task])


def write(model: Trees, folder: Path) -> None:
    """The files of the model's scorers."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in scorer_files(model, environment()).items():
        (folder / name).write_text(text, "ascii")


def loader(classes: int, features: int) -> dict[str, Any]:
    """The names of the generated code that compiles and loads scorers of so many classes and
    features."""
    contract = SimpleNamespace(classes=("a",) * classes)
    trees = SimpleNamespace(linear=False)
    spec = SimpleNamespace(model_class="Scorer", contract=contract, trees=trees)
    text: Any = environment().get_template("scorers/trees.py.jinja").make_module({"spec": spec})
    space: dict[str, Any] = {"__name__": "loader", "FEATURES": features}
    source = f"from __future__ import annotations\n{text.imports()}\n{text.code()}"
    exec(compile(source, "loader", "exec"), space)
    return space
