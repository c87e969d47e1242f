"""Defaults that reviews tell: of a key that another kind, family or entry has, there is none."""

from __future__ import annotations

import pytest

from mlops_compile.compiler.compare.defaults import Default, default_of
from mlops_compile.ir.value import KeyPath, Map, freeze

NO_KEY = None
LIGHTGBM = {"model": {"family": "lightgbm"}}


@pytest.mark.parametrize(
    ("stated", "path", "default"),
    [
        (LIGHTGBM, "model.params.num_leaves", (31,)),
        (LIGHTGBM, "model.params.num_leaf", (31,)),
        (LIGHTGBM, "model.params.no_such", NO_KEY),
        ({"model": {"family": "ridge"}}, "model.params.num_leaves", NO_KEY),
        ({}, "model.params.num_leaves", NO_KEY),
        (LIGHTGBM, "model.class_weight", ()),
        (LIGHTGBM, "model.monotone.age", NO_KEY),
        (LIGHTGBM, "model.calibration.method", NO_KEY),
        ({}, "data.columns.age.role", ("feature",)),
        (
            {"data": {"columns": {"age": {"type": "numeric"}}}},
            "data.columns.age.role",
            ("feature",),
        ),
        ({}, "data.columns.age.type", ()),
        ({}, "data.missing_target", ("fail",)),
        ({}, "data.target", NO_KEY),
        ({"data": {"split": {"kind": "random"}}}, "data.split.column", NO_KEY),
        ({"data": {"split": {"kind": "no such"}}}, "data.split.test_size", NO_KEY),
        ({}, "prepare.numeric", ("auto",)),
        ({}, "prepare.derive.far.type", NO_KEY),
        ({}, "search.kind", ("none",)),
        ({}, "search.cv.folds", NO_KEY),
        ({}, "search.space.model.params.num_leaves", NO_KEY),
        ({}, "evaluate.gates.roc_auc", NO_KEY),
        ({}, "deploy.max_records", (1000,)),
        ({}, "no.such.group", NO_KEY),
        ({"data": "a text"}, "data.columns.age.role", NO_KEY),
    ],
)
def test_the_default_of_a_key(
    stated: dict[str, object], path: str, default: Default | None
) -> None:
    known = freeze(stated)
    assert isinstance(known, Map)
    keys: KeyPath = tuple(path.split("."))
    assert default_of(keys, known) == default
