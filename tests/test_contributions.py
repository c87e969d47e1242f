"""Contributions of features are Shapley values: compared with all mixtures of two rows."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from math import factorial, fsum
from pathlib import Path

import pytest

from mlops_compile.emit.hostile import hostile_rows
from mlops_compile.emit.render import environment
from mlops_compile.emit.scorers.render import python_text
from mlops_compile.ir.trees import Trees
from tests.scorers import CASES, fit, write
from tests.test_scorers import QUICK

ROWS = int(os.environ.get("EXACT_ROWS", "300")) // 15
Row = tuple[float, ...]
PLAIN = [name for name, case in CASES.items() if not case.params.get("linear_tree")]


def raw(model: Trees, folder: Path) -> Callable[[Row], list[float]]:
    """The scores of a row before they become answers, by the generated scorer in Python."""
    bare = replace(model, link="identity", classes=len(model.base) if len(model.base) > 1 else 0)
    space: dict[str, object] = {"__name__": "trees"}
    exec(compile(python_text(bare, environment()), "trees.py", "exec"), space)
    load: Callable[[Path], Callable[[Row], list[float]]] = space["load"]  # type: ignore[assignment]
    return load(folder)


def shapley(score: Callable[[Row], list[float]], row: Row, reference: Row) -> list[list[float]]:
    """For each score the value of each feature, by its definition, and the reference's score."""
    count = len(row)
    mixed = [
        score(tuple(row[i] if held >> i & 1 else reference[i] for i in range(count)))
        for held in range(1 << count)
    ]
    weights = [factorial(n) * factorial(count - n - 1) / factorial(count) for n in range(count)]
    return [
        [
            fsum(
                weights[held.bit_count()] * (mixed[held | 1 << i][output] - mixed[held][output])
                for held in range(1 << count)
                if not held >> i & 1
            )
            for i in range(count)
        ]
        + [mixed[0][output]]
        for output in range(len(mixed[0]))
    ]


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in PLAIN]
)
def test_they_are_shapley_values(name: str, tmp_path: Path) -> None:
    model = fit(CASES[name], tmp_path)
    write(model, tmp_path)
    space: dict[str, object] = {"__name__": "contributions"}
    exec((tmp_path / "contributions.py").read_text("ascii"), space)
    found = space["Contributions"](tmp_path)  # type: ignore[operator]
    score = raw(model, tmp_path)
    moved = 0
    for row, reference in pairwise(hostile_rows(model, ROWS)):
        wanted, told = shapley(score, row, reference), found(row, reference)
        assert len(told) == len(wanted) == len(model.base)
        for right, values in zip(wanted, told, strict=True):
            room = 1e-9 * (1 + sum(map(abs, right)))
            assert values == pytest.approx(right, abs=room)
            assert fsum(values) == pytest.approx(score(row)[told.index(values)], abs=room)
            moved += any(value != 0.0 for value in values[:-1])
        alike = found(row, row)
        assert all(value == 0.0 for values in alike for value in values[:-1])
    assert moved > ROWS / 4


def test_leaves_that_are_sums_have_none(tmp_path: Path) -> None:
    name = next(name for name in QUICK if "linear_tree" in name)
    write(fit(CASES[name], tmp_path), tmp_path)
    assert not (tmp_path / "contributions.py").exists()
