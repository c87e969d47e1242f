"""Every preparation on many hostile values: its generated code gives the bits of `apply` on each.
EXACT_ROWS says on how many."""

from __future__ import annotations

import math
import os
import random
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_compile.ir.problem import StepError
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.value import freeze
from mlops_compile.steps.preparations import PREPARATIONS
from mlops_compile.steps.preparations.kind import Shape, Target
from tests.row_by_row import check
from tests.test_preparation_code import AFTER, EVERY, HOSTILE, OPTIONS

ROWS = int(os.environ.get("EXACT_ROWS", "300"))
LEVELS = ["a", "b", "c d", "'", '"', "\\", "\n", "é", "{{ 7*7 }}", "()", "{}", "*/", "$(x)", "zz"]


def hostile(sort: str, rows: int) -> list[Any]:
    """So many values, the same each time: gaps, ends of what a double holds, numbers and those
    beside them (edges are learned from them), levels that occur once, times of all ages."""
    draw = random.Random(f"{sort} {rows}")
    return [None if draw.random() < 0.05 else _VALUES[sort](draw) for _ in range(rows)]


def _number(draw: random.Random) -> float:
    kind = draw.random()
    if kind < 0.15:
        return draw.choice(HOSTILE)
    value = (
        float(draw.randint(-3, 30)) if kind < 0.6 else draw.gauss(0, 10.0 ** draw.randint(-9, 9))
    )
    return draw.choice((value, math.nextafter(value, math.inf), math.nextafter(value, -math.inf)))


def _level(draw: random.Random) -> str:
    return draw.choice(LEVELS) if draw.random() < 0.9 else f"level {draw.randint(0, 400)}"


def _time(draw: random.Random) -> datetime:
    ends = (datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999))
    if draw.random() < 0.1:
        return draw.choice(ends)
    return datetime(2000, 2, 28) + timedelta(microseconds=draw.randint(-(10**15), 10**15))


_VALUES = {
    "numeric": _number,
    "boolean": lambda draw: draw.choice((0.0, 1.0)),
    "categorical": _level,
    "datetime": _time,
}


@pytest.mark.parametrize(("name", "sort"), EVERY)
@settings(max_examples=3, derandomize=True)
@given(data=st.data())
def test_code_is_exact_on_many_values(name: str, sort: Any, data: st.DataObject) -> None:
    values = hostile(sort, ROWS)
    options = data.draw(OPTIONS[name])
    if name == "is_in":
        options = {"values": [value for value in values[:50] if value is not None][:3]}
    preparation = PREPARATIONS[name]
    spec = from_value(preparation.spec, freeze(options))
    target = None
    if preparation.cross_fit is not None:
        classes = ("no", "yes")
        drawn = np.random.RandomState(3).randint(0, 2, ROWS)
        target = Target(values=drawn.astype("int64"), classes=classes, seed=7)
    made = preparation.shapes(spec, Shape(sort=sort, missing=True))
    after = AFTER.get(made[0].sort, []) if made else []
    try:
        check([{name: options}, *after], sort, values, target)
    except StepError as error:  # what cannot be learned is a sentence
        assert all(found.message and found.hint for found in error.problems)
