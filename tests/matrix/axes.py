"""The axes of the matrix: each value is a part of a config; and what may not stand together."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.foldings import FOLDS
from mlops_compile.steps.splits import SPLITS
from tests.matrix.covering import Case
from tests.matrix.table import COLUMNS, MORE, ROWS, SKLEARN, WRITERS, table, write_joined

Config = dict[str, Any]

SPLIT_KEYS: Mapping[str, Config] = {
    "random": {"validation_size": 0.2},
    "stratified": {"validation_size": 0.2},
    "group": {"column": "who", "validation_size": 0.2},
    "hash": {"columns": ["id"], "validation_size": 0.2},
    "time": {"column": "day", "validation_size": 0.2, "gap": "3h"},
    "column": {
        "column": "part",
        "parts": {"train": "train", "validation": "validation", "test": "test"},
    },
    "file": {"validation_size": 0.2, "take": "stratified"},
}
FOLD_KEYS: Mapping[str, Config] = {
    "random": {},
    "stratified": {},
    "group": {"column": "who"},
    "hash": {"columns": ["id"]},
    "time": {"column": "day", "gap": "3h"},
    "column": {"column": "fold"},
}
_TIMES = [{"date_parts": {}}, {"impute": {"strategy": "median"}}]
_BOOLEANS = [{"impute": {"strategy": "most_frequent"}}]
PREPARE: Mapping[str, Config] = {
    "auto": {},
    "scaled": {
        "numeric": [{"impute": {"strategy": "mean", "indicator": True}}, {"scale": {}}],
        "boolean": [*_BOOLEANS, "scale"],
        "categorical": ["one_hot"],
        "datetime": [*_TIMES, {"scale": {"kind": "minmax"}}],
    },
    "bounded": {
        "numeric": [
            {"clip": {"quantiles": [0.02, 0.98]}},
            {"log": {"outside": "clip"}},
            {"impute": {"strategy": "median"}},
            {"bins": {"bins": 6}},
        ],
        "boolean": _BOOLEANS,
        "categorical": [{"group_rare": {"min_count": 5}}, {"one_hot": {"drop": "first"}}],
        "datetime": ["cycles", "impute"],
    },
    "normal": {
        "numeric": ["impute", {"scale": {"kind": "quantile", "output": "normal"}}],
        "boolean": _BOOLEANS,
        "categorical": ["frequency"],
        "datetime": [{"since": {"date": "2020-01-01"}}, "impute", {"scale": {"kind": "robust"}}],
    },
    "ordinal": {
        "numeric": ["impute", {"bins": {"bins": 4, "result": "category"}}, "one_hot"],
        "boolean": _BOOLEANS,
        "categorical": [{"impute": {"strategy": "most_frequent"}}, "ordinal", "impute"],
        "datetime": ["drop"],
    },
    "target": {
        "numeric": ["impute", {"scale": {"kind": "robust"}}],
        "boolean": _BOOLEANS,
        "categorical": ["target_encoding"],
        "datetime": [*_TIMES, "scale"],
    },
    "hashed": {
        "numeric": ["impute"],
        "boolean": _BOOLEANS,
        "categorical": [{"hashed": {"buckets": 8}}, "one_hot"],
        "datetime": ["drop"],
    },
    "native": {"numeric": [], "boolean": [], "categorical": ["category"], "datetime": _TIMES},
    "derived": {
        "numeric": ["impute", "scale"],
        "boolean": _BOOLEANS,
        "categorical": ["one_hot"],
        "datetime": ["drop"],
        "columns": {
            "city": ["text_length", "impute"],
            "plan": [{"is_in": {"values": ["plus"]}}, "impute"],
        },
        "derive": {
            "lasted": {"difference": ["since", "since"], "unit": "hours"},
            "share": {"ratio": ["amount", "age"]},
            "both": {"product": ["amount", "member"]},
            "more": {"sum": ["share", "both"]},
        },
        "rows": ["amount > 20", "plan in ['basic', 'plus']"],
    },
    "function": {
        "numeric": ["impute"],
        "boolean": _BOOLEANS,
        "categorical": ["one_hot"],
        "datetime": _TIMES,
        "derive": {
            "worth": {
                "function": "shop.rates.worth",
                "inputs": ["amount", "city", "member", "since"],
                "type": "numeric",
            }
        },
    },
}
FUNCTION = """\
from math import log1p


def worth(amount, city, member, since):
    if amount is None or since is None:
        return None
    return log1p(amount) + len(city or "") + (1 if member else 0) + since.month / 12
"""
QUICK: Mapping[str, Config] = {
    "elastic_net": {"alpha": 0.01},
    "extra_trees": {"n_estimators": 5},
    "hist_gradient_boosting": {"max_iter": 5, "max_leaf_nodes": 6},
    "lightgbm": {"num_iterations": 5, "num_leaves": 6},
    "logistic_regression": {"max_iter": 1000},
    "random_forest": {"n_estimators": 5},
    "ridge": {},
}
EARLY: Mapping[str, Config] = {
    "hist_gradient_boosting": {"early_stopping": True, "n_iter_no_change": 2},
}
OPTIONS: Mapping[str, Config] = {
    "plain": {},
    "weighted": {},
    "balanced": {"class_weight": "balanced"},
    "early": {},
    "monotone": {"monotone": {"age": 1, "amount": -1}},
    "platt": {"calibration": {"method": "platt"}},
    "isotonic, metric": {
        "calibration": {"method": "isotonic"},
        "threshold": {"rule": "metric", "metric": "f1"},
    },
    "constraint": {
        "threshold": {
            "rule": "constraint",
            "metric": "recall",
            "at_least": 0.5,
            "maximise": "precision",
        }
    },
    "costs": {"threshold": {"rule": "costs", "false_positive": 1, "false_negative": 4}},
    "fixed": {"threshold": {"rule": "fixed", "value": 0.3}},
}
AXES: Mapping[str, tuple[str, ...]] = {
    "source": (*WRITERS, "sklearn"),
    "split": tuple(SPLITS),
    "folds": ("none", *FOLDS),
    "prepare": tuple(PREPARE),
    "model": tuple(FAMILIES),
    "option": tuple(OPTIONS),
    "task": ("binary", "multiclass", "regression"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Values that may not stand together: the code of the problem, words of its sentence, and the
    exit code: 5 where only running can tell."""

    when: Mapping[str, tuple[str, ...]]
    code: str
    says: str
    exit_code: int = 3

    def meets(self, case: Case) -> bool:
        """Whether a case, or a part of one, is of this sort."""
        return all(case.get(name) in values for name, values in self.when.items())


_LINEAR = ("elastic_net", "logistic_regression", "ridge")
_FORESTS = ("extra_trees", "random_forest")
_NO_FOLDS = ("group", "hash", "time", "column")
REFUSALS = (
    Refusal(
        when={"model": ("elastic_net", "ridge"), "task": ("binary", "multiclass")},
        code="impossible",
        says="is for regression, and the task is",
    ),
    Refusal(
        when={"model": ("logistic_regression",), "task": ("regression",)},
        code="impossible",
        says="is for binary and multiclass, and the task is regression",
    ),
    Refusal(
        when={"model": _LINEAR, "prepare": ("native",)},
        code="impossible",
        says="may leave missing values, which",
    ),
    Refusal(
        when={"model": (*_LINEAR, *_FORESTS), "prepare": ("native",)},
        code="impossible",
        says="ends in native category values, which",
    ),
    Refusal(
        when={"model": (*_LINEAR, *_FORESTS), "option": ("early",)},
        code="unknown-key",
        says="has no such parameter",
    ),
    Refusal(
        when={"model": (*_LINEAR, *_FORESTS), "option": ("monotone",)},
        code="impossible",
        says="cannot keep predictions from rising or falling",
    ),
    Refusal(
        when={"option": ("monotone",), "task": ("multiclass",)},
        code="impossible",
        says="with more than two classes there is no one prediction that rises or falls",
    ),
    Refusal(
        when={"option": ("balanced",), "task": ("regression",)},
        code="impossible",
        says="a regression has no classes to weigh",
    ),
    Refusal(
        when={"option": ("platt", "isotonic, metric"), "task": ("regression",)},
        code="impossible",
        says="a regression has no probabilities to calibrate",
    ),
    Refusal(
        when={
            "option": ("isotonic, metric", "constraint", "costs", "fixed"),
            "task": ("multiclass", "regression"),
        },
        code="impossible",
        says="a threshold is for a binary task",
    ),
    # No number is left that is called by the column's name.
    Refusal(
        when={"option": ("monotone",), "prepare": ("ordinal",)},
        code="monotone",
        says="there is no such feature after preparation",
        exit_code=5,
    ),
    # The bundled sets have numbers alone, and other names.
    Refusal(
        when={"source": ("sklearn",), "split": _NO_FOLDS},
        code="no-column",
        says="the data has no column",
    ),
    Refusal(
        when={"source": ("sklearn",), "folds": _NO_FOLDS},
        code="no-column",
        says="the data has no column",
    ),
    Refusal(
        when={"source": ("sklearn",), "prepare": ("derived", "function")},
        code="no-column",
        says="there is no column",
    ),
    Refusal(
        when={"source": ("sklearn",), "option": ("weighted",)},
        code="no-column",
        says="the data has no column 'weight'",
    ),
    Refusal(
        when={"source": ("sklearn",), "option": ("monotone",)},
        code="no-column",
        says="the data has no feature",
    ),
)


def allowed(case: Case) -> bool:
    """Whether no refusal meets a case, or a part of one."""
    return not any(refusal.meets(case) for refusal in REFUSALS)


def refused() -> Iterator[tuple[Refusal, Case]]:
    """Every refusal with each part of a case that meets it."""
    for refusal in REFUSALS:
        for values in itertools.product(*refusal.when.values()):
            yield refusal, dict(zip(refusal.when, values, strict=True))


def config_of(case: Case, sources: Path) -> Config:
    """The whole config of a case; its sources are written below a directory, once each."""
    task = case["task"]
    data: Config = {"name": "matrix", "task": task, "target": "target"}
    place = sources / f"{case['source']}-{task}"
    if case["source"] == "sklearn":
        data["source"] = {"kind": "sklearn", "options": {"name": SKLEARN[task]}}
        data |= {"test": data["source"], "columns": {}}
    else:
        data |= written(case["source"], task, place)
        data["columns"] = {name: dict(column) for name, column in COLUMNS.items()}
    if case["option"] == "weighted":
        data["columns"]["weight"] = {"role": "weight"}
    if case["split"] != "file":
        data.pop("test")
    strata = {"bins": 4} if task == "regression" else {}
    data["split"] = {"kind": case["split"], **SPLIT_KEYS[case["split"]]}
    if case["split"] == "stratified":
        data["split"] |= strata
    if case["split"] == "file" and task == "regression":
        data["split"]["take"] = "random"
    model: Config = {"family": case["model"], **OPTIONS[case["option"]]}
    model["params"] = dict(QUICK[case["model"]])
    if case["option"] == "early":
        model["params"] |= EARLY.get(case["model"], {"early_stopping_round": 2})
    evaluate: Config = {
        "allow_worse_than_baseline": True,
        "bootstrap": {"resamples": 20},
    }
    if case["folds"] != "none":
        kind = {"kind": case["folds"], "folds": 3, **FOLD_KEYS[case["folds"]]}
        evaluate["cross_validation"] = kind | (strata if case["folds"] == "stratified" else {})
    return {
        "defaults": [{"prepare": "auto"}, {"deploy": "http"}, {"store": "local"}, "_self_"],
        "data": data,
        "prepare": dict(PREPARE[case["prepare"]]),
        "model": model,
        "evaluate": evaluate,
        "code": {"roots": ["src"]},
        "execution": {"workers": 1, "threads": 1},
    }


def written(source: str, task: str, place: Path) -> Config:
    """The keys `source`, `test` and `join` of rows that are written to a place, or are there."""
    kept = _WRITTEN.get((source, task, place))
    if kept is None:
        (place / "more").mkdir(parents=True)
        kept = {
            "source": WRITERS[source](table(task), place),
            "test": WRITERS[source](table(task, ROWS, MORE), place / "more"),
        }
        if source == "join":
            kept["join"] = write_joined(place, task)
        _WRITTEN[source, task, place] = kept
    return dict(kept)


_WRITTEN: dict[tuple[str, str, Path], Config] = {}
