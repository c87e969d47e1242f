"""Derived columns and conditions on rows: what they give, and the code that gives the same."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_compile.emit.preparation import carried
from mlops_compile.ir.problem import StepError
from mlops_compile.ir.value import Map
from mlops_compile.steps.conditions import condition, meets, unfit_constant
from mlops_compile.steps.derive import Derived, in_order
from mlops_compile.steps.derived import derive, derived_code
from mlops_compile.steps.prepare import _entry
from tests.row_by_row import feature, same
from tests.test_preparation_code import VALUES


def spec_of(kind: str, names: tuple[str, ...], **more: Any) -> Derived:
    return Derived(**{kind: names}, **more)  # type: ignore[arg-type]


def by_code(spec: Derived, sort: str, rows: list[tuple[Any, ...]], function: Any = None) -> list:
    """What the generated code gives, row by row."""
    names = [f"c{n}" for n in range(len(spec.columns))]
    taken = tuple((name, sort) for name in names)
    state = _entry("new", spec)
    line = derived_code(Map(state), taken, "FUNCTION_0", "d0")
    imports, functions = carried((line,))
    space: dict[str, Any] = {"NAN": math.nan, "FUNCTION_0": function}
    exec("\n".join(("from __future__ import annotations", *imports, functions)), space)
    code, found = compile(line, "generated", "exec"), []
    for row in rows:
        numeric = sort in ("numeric", "boolean")
        space |= {
            n: math.nan if numeric and v is None else v for n, v in zip(names, row, strict=True)
        }
        exec(code, space)
        found.append(space["d0"])
    return found


@pytest.mark.parametrize("kind", ["difference", "ratio", "product", "sum"])
@settings(max_examples=50)
@given(data=st.data())
def test_numbers(kind: str, data: st.DataObject) -> None:
    count = 2 if kind in ("difference", "ratio") else data.draw(st.integers(2, 4))
    row = st.tuples(*[VALUES["numeric"]] * count)
    rows = data.draw(st.lists(row, min_size=1, max_size=20))
    names = tuple(f"x{n}" for n in range(count))
    columns = {
        n: feature("numeric", list(v)) for n, v in zip(names, zip(*rows, strict=True), strict=True)
    }
    spec = spec_of(kind, names)
    made = np.asarray(derive("new", spec, columns, None).values)
    assert not np.isinf(made).any()
    found = by_code(spec, "numeric", rows)
    assert all(map(same, found, made.tolist()))


@pytest.mark.parametrize("unit", ["days", "hours", "minutes", "seconds"])
@settings(max_examples=50)
@given(rows=st.lists(st.tuples(VALUES["datetime"], VALUES["datetime"]), min_size=1, max_size=20))
def test_differences_of_times(unit: str, rows: list[tuple[Any, Any]]) -> None:
    spec = spec_of("difference", ("a", "b"), unit=unit)
    columns = {
        n: feature("datetime", list(v)) for n, v in zip("ab", zip(*rows, strict=True), strict=True)
    }
    made = np.asarray(derive("new", spec, columns, None).values)
    assert all(map(same, by_code(spec, "datetime", rows), made.tolist()))


def test_what_has_no_value_is_missing() -> None:
    rows = [(1.0, 0.0), (0.0, 0.0), (None, 2.0), (1e308, 1e-308), (3.0, 2.0), (1.0, -0.0)]
    columns = {
        n: feature("numeric", list(v)) for n, v in zip("ab", zip(*rows, strict=True), strict=True)
    }
    made = derive("new", spec_of("ratio", ("a", "b")), columns, None).values
    assert np.isnan(made[[0, 1, 2, 3, 5]]).all() and made[4] == 1.5


def test_a_difference_of_days_has_fractions() -> None:
    times = {
        "a": feature("datetime", [datetime(2024, 3, 1, 12)]),
        "b": feature("datetime", [datetime(2024, 2, 28)]),
    }
    assert derive("new", spec_of("difference", ("a", "b")), times, None).values[0] == 2.5


FUNCTIONS: dict[str, tuple[Any, Any]] = {
    "numeric": (lambda x: None if x is None else np.float64(x) / 3, lambda x: x / 3),
    "boolean": (lambda x: None if x is None else x > 3, lambda x: float(x > 3)),
    "categorical": (lambda x: None if x is None else f"{x:g}"[:3], None),
    "datetime": (lambda x: datetime(2020, 1, 1) if x else None, None),
}


@pytest.mark.parametrize("sort", FUNCTIONS)
@given(values=st.lists(VALUES["numeric"], min_size=1, max_size=15))
def test_functions(sort: str, values: list[Any]) -> None:
    function, _ = FUNCTIONS[sort]
    spec = Derived(function="a.b", inputs=("x",), type=sort)
    made = derive("new", spec, {"x": feature("numeric", values)}, function)
    found = by_code(spec, "numeric", [(value,) for value in values], function)
    expected = np.asarray(made.values).tolist()
    assert made.sort == sort
    for one, other in zip(found, expected, strict=True):
        missing = one is None or one != one
        assert (other is None or other != other) if missing else one == other


@pytest.mark.parametrize(
    ("sort", "values"),
    [("numeric", [None, 2.5]), ("boolean", [None, 1.0]), ("categorical", [None, "x"])],
)
def test_functions_are_called_with_plain_values(sort: str, values: list[Any]) -> None:
    seen: list[Any] = []
    spec = Derived(function="a.b", inputs=("x",), type="numeric")
    derive("new", spec, {"x": feature(sort, values)}, seen.append)
    assert seen == [None, True if sort == "boolean" else values[1]]
    assert [type(value) for value in seen[1:]] == [bool if sort == "boolean" else type(values[1])]


@pytest.mark.parametrize(
    ("function", "type_", "says"),
    [
        (lambda x: 1 / 0, "numeric", "row 1 of the validated table: ZeroDivisionError"),
        (lambda x: "text", "numeric", "gives str, not a number"),
        (lambda x: True, "numeric", "gives bool, not a number"),
        (lambda x: 1, "boolean", "gives int, not True, False"),
        (lambda x: 1.0, "categorical", "gives float, not a text"),
        (lambda x: "2020-01-01", "datetime", "gives str, not a datetime"),
    ],
)
def test_a_function_that_fails_is_a_sentence(function: Any, type_: str, says: str) -> None:
    spec = Derived(function="a.b", inputs=("x",), type=type_)
    with pytest.raises(StepError) as caught:
        derive("new", spec, {"x": feature("numeric", [1.0])}, function)
    assert says in str(caught.value)
    assert caught.value.problems[0].where == ("prepare", "derive", "new", "function")


def test_values_of_sensitive_columns_are_not_told() -> None:
    def fails(x: Any) -> None:
        raise ValueError(f"cannot take {x}")

    spec = Derived(function="a.b", inputs=("x",), type="numeric")
    with pytest.raises(StepError) as caught:
        derive("new", spec, {"x": feature("categorical", ["secret"])}, fails, True)
    assert "ValueError" in str(caught.value) and "secret" not in str(caught.value)


def test_order() -> None:
    columns = {"a": ("b", "x"), "b": ("c",), "c": ("x",), "d": ("d",), "e": ("f",), "f": ("e",)}
    assert in_order(columns) == ("c", "b", "a")


@pytest.mark.parametrize(
    ("text", "sort", "values", "met"),
    [
        ("x > 1", "numeric", [0.0, 1.0, 2.0, None], [0, 0, 1, 0]),
        ("x>=-1.5e0", "numeric", [-2.0, -1.5, None], [0, 1, 0]),
        ("x != 1", "numeric", [1.0, 2.0, None], [0, 1, 0]),
        ("x in [1, 3]", "numeric", [1.0, 2.0, 3.0, None], [1, 0, 1, 0]),
        ("x not in [1, 3]", "numeric", [1.0, 2.0, None], [0, 1, 0]),
        ("x is missing", "numeric", [1.0, None], [0, 1]),
        ("x is not  missing", "categorical", ["a", None], [1, 0]),
        ("x == 'a'", "categorical", ["a", "b", None], [1, 0, 0]),
        ('x != "zz"', "categorical", ["a", None], [1, 0]),
        ("x in ['b', 'zz']", "categorical", ["a", "b", None], [0, 1, 0]),
        ("x == true", "boolean", [1.0, 0.0, None], [1, 0, 0]),
        ("x < '2024-02-01'", "datetime", [datetime(2024, 1, 31), datetime(2024, 2, 1)], [1, 0]),
        ("'x' == '2024-02-01T10:00'", "datetime", [datetime(2024, 2, 1, 10), None], [1, 0]),
    ],
)
def test_conditions(text: str, sort: str, values: list[Any], met: list[int]) -> None:
    wanted = condition(text)
    assert wanted is not None and wanted.column == "x" and unfit_constant(wanted, sort) == ""
    assert meets(wanted, feature(sort, values)).tolist() == [bool(item) for item in met]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "x =1",
        "x > ",
        "x > a",
        "x > 1 and y < 2",
        "x in 1",
        "x in []",
        "x in [1,]",
        "x > 1 2",
        "1 > x",
        "x is gone",
        "x == [1]",
        "x > 1; import os",
        "f(x) > 1",
        "x > 'a",
        "x xin [1]",
    ],
)
def test_no_conditions(text: str) -> None:
    assert condition(text) is None


@pytest.mark.parametrize(
    ("text", "sort"),
    [
        ("x > 'a'", "categorical"),
        ("x == 1", "categorical"),
        ("x == 'a'", "numeric"),
        ("x == 1", "boolean"),
        ("x < true", "boolean"),
        ("x > 5", "datetime"),
        ("x > 'soon'", "datetime"),
    ],
)
def test_conditions_that_do_not_fit(text: str, sort: str) -> None:
    wanted = condition(text)
    assert wanted is not None and unfit_constant(wanted, sort)
