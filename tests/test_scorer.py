"""Generated scorers: the same features as the preparation that was fitted, whatever the names."""

from __future__ import annotations

import ast
import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_compile.emit.preparation import column_codes
from mlops_compile.emit.render import literal, render
from mlops_compile.emit.targets.http import modules
from mlops_compile.ir.contract import Contract, RequestField
from mlops_compile.ir.serving import LevelTable, Served, ServedColumn, ServingSpec
from mlops_compile.ir.trees import Tree, Trees
from mlops_compile.ir.value import Map, freeze
from tests.row_by_row import check
from tests.serving import BINS

GOLDEN = Path(__file__).parent / "golden" / "service"
NUMBERS = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))
LEVELS = st.one_of(st.none(), st.sampled_from(["a", "b", "'", '"', "\\", "\n", "é", "{{ 7*7 }}"]))
TIMES = st.one_of(st.none(), st.datetimes(min_value=datetime(1700, 1, 1)))


@given(st.lists(NUMBERS, min_size=1).filter(lambda v: any(x is not None for x in v)))
@pytest.mark.parametrize(
    "chain",
    [
        [{"impute": {"strategy": "mean"}}, {"scale": {}}],
        [{"impute": {"strategy": "median", "indicator": True}}, {"scale": {}}],
        [{"impute": {"strategy": "most_frequent"}}],
        [{"impute": {"strategy": "constant", "value": -3.5}}],
        [{"scale": {}}],
    ],
)
def test_numbers(chain: list, values: list) -> None:
    # A deviation beyond the range of floats is not a number, and no state can hold it.
    known = [value for value in values if value is not None]
    if max(map(abs, known)) < 1e150:
        check(chain, "numeric", values)


@given(st.lists(LEVELS, min_size=1).filter(lambda v: any(x is not None for x in v)))
@pytest.mark.parametrize(
    "chain",
    [
        [{"category": {}}],
        [{"category": {"min_count": 2}}],
        [{"ordinal": {}}],
        [{"ordinal": {"order": ["b", "a"]}}, {"impute": {"strategy": "constant", "value": 9.0}}],
        [{"one_hot": {}}],
        [{"one_hot": {"min_count": 2}}],
        [{"impute": {"strategy": "constant", "value": "gap", "indicator": False}}, {"one_hot": {}}],
        [{"impute": {"strategy": "most_frequent"}}, {"category": {}}],
    ],
)
def test_levels(chain: list, values: list) -> None:
    check(chain, "categorical", values)


@given(st.lists(TIMES, min_size=1))
def test_times(values: list) -> None:
    parts = [
        "year",
        "quarter",
        "month",
        "day",
        "day_of_year",
        "weekday",
        "hour",
        "minute",
        "second",
    ]
    check([{"date_parts": {"parts": parts}}], "datetime", values)


HOSTILE = [
    "'''; import os; os._exit(3)",
    "{{ 7*7 }}",
    "{% for x in y %}",
    "# x",
    "naïve",
    "class",
    "self",
    "..",
    "a b",
    "\u2028",
    "c0",
]


def _spec(names: list[str]) -> ServingSpec:
    fields = tuple(
        RequestField(name=name, type="categorical", nullable=True) for name in sorted(names)
    )
    columns = tuple(
        ServedColumn(
            name=field.name,
            attribute=f"c{n}",
            kind="categorical",
            nullable=True,
            lines=(f"c{n}_0 = LEVELS_{n}.get(c{n}, NAN)",),
            tables=(LevelTable(name=f"LEVELS_{n}", codes=((field.name, 1.0),)),),
        )
        for n, field in enumerate(fields)
    )
    contract = Contract(
        request=fields, target=names[0], task="binary", classes=("no", '"""; import os')
    )
    return ServingSpec(
        name=names[0],
        model="0" * 64,
        family="logistic_regression",
        scorer="scorers/linear.py.jinja",
        contract=contract,
        columns=columns,
        features=tuple(f"c{n}_0" for n in range(len(names))),
        origins=tuple(field.name for field in fields),
        made=tuple((field.name, "numeric") for field in fields),
        example=Map({field.name: field.name for field in fields}),
        requirements=(("msgspec", "1.0"),),
        max_records=3,
        max_body_bytes=2048,
    )


def test_no_name_of_a_column_becomes_code() -> None:
    files = render(_spec(HOSTILE))
    for name in ("app.py", "schema.py", "scorer.py"):
        compile(files[name], name, "exec")
    space: dict = {"__name__": "generated"}
    exec(compile(files["schema.py"], "schema.py", "exec"), space)
    import msgspec

    record = msgspec.convert({name: name for name in HOSTILE}, space["Record"])
    assert [getattr(record, f"c{n}") for n in range(len(HOSTILE))] == sorted(HOSTILE)
    exec(compile(files["scorer.py"], "scorer.py", "exec"), space)
    assert space["features"](record) == (1.0,) * len(HOSTILE)
    assert space["answer"]([0.25, 0.75])["prediction"] == '"""; import os'


def test_no_name_becomes_markup() -> None:
    name = "`x`\n# <b>y</b> [z](w)"
    spec = replace(_spec(HOSTILE), name=name)
    spec = replace(spec, contract=replace(spec.contract, target=name))
    lines = render(spec)["README.md"].splitlines()
    assert lines[0] == r"# \`x\` \# \<b\>y\</b\> \[z\](w)"
    assert sum(line.startswith("#") for line in lines) == 1


@pytest.mark.parametrize("text", [*HOSTILE, "'", '"', "'\"", "\\", "\n", "\ud800", "😀", ""])
def test_a_literal_is_the_text_in_ascii(text: str) -> None:
    assert literal(text).isascii() and ast.literal_eval(literal(text)) == text
    assert ast.literal_eval(literal((text, "x"))) == [text, "x"]


def test_level_tables_are_constants() -> None:
    """A dict in a line would be built anew for every record."""
    fit = {"takes": "categorical", "state": {"levels": ["a'", '"b"', "é}"]}}
    stage = {"op": "category", "fits": [fit]}
    column = {"name": "x", "sort": "categorical", "stages": [stage]}
    preparation = freeze({"columns": [column], "features": []})
    assert isinstance(preparation, Map)
    code = column_codes(preparation, {"x": "c3"})["x"]
    assert code.lines == ("c3_0 = LEVELS_C3_0.get(c3, NAN)",)
    codes = (("a'", 0.0), ('"b"', 1.0), ("é}", 2.0))
    assert code.tables == (LevelTable(name="LEVELS_C3_0", codes=codes),)


@pytest.mark.parametrize(
    "change",
    [{"model": "x"}, {"features": ()}, {"made": ()}, {"max_records": 0}, {"example": Map()}],
)
def test_a_wrong_spec_is_not_made(change: dict) -> None:
    with pytest.raises(ValueError):
        replace(_spec(HOSTILE), **change)


def test_the_same_spec_gives_the_same_bytes() -> None:
    assert render(_spec(HOSTILE)) == render(_spec(HOSTILE))


STUMP = Tree(
    feature=(0, 2), threshold=(0.5, 0.0), flags=(1, 2), left=(1, ~0), right=(~2, ~1),
    values=(0.25, -1.5, 3.0),
)  # fmt: skip
TREES = Trees(
    features=4, classes=2, base=(0.0,), width=1, trees=(STUMP,), link="logistic", sets=((1,),),
    cut=True,
)  # fmt: skip


@pytest.mark.parametrize("scorer", ["linear", "trees"])
def test_golden_service(scorer: str) -> None:
    """What is generated for a small service, as text; UPDATE_GOLDEN=1 writes it anew."""
    fields = (
        RequestField(name="age", type="numeric", nullable=False),
        RequestField(name="from", type="datetime", nullable=True),
        RequestField(name="job", type="categorical", nullable=True),
        RequestField(name="paid", type="boolean", nullable=False),
    )
    kinds = ("numeric", "datetime", "categorical", "boolean")
    lines = (
        ("c0_0 = (c0 - 40.5) / 12.0",),
        ("c1_0 = NAN if c1 is None else float(c1.hour)",),
        ("c2_0 = LEVELS_C2_0.get(c2, NAN)",),
        (),
    )
    levels = LevelTable(name="LEVELS_C2_0", codes=(("cook", 0.0), ("smith", 1.0)))
    spec = ServingSpec(
        name="people",
        model="ab" * 32,
        family="lightgbm" if scorer == "trees" else "logistic_regression",
        scorer=f"scorers/{scorer}.py.jinja",
        contract=Contract(request=fields, target="y", task="binary", classes=("no", "yes")),
        columns=tuple(
            ServedColumn(
                name=field.name,
                attribute=f"c{n}",
                kind=kinds[n],
                nullable=field.nullable,
                lines=lines[n],
                tables=(levels,) if field.name == "job" else (),
            )
            for n, field in enumerate(fields)
        ),
        features=("c0_0", "c1_0", "c2_0", "c3"),
        origins=("age", "from", "job", "paid"),
        made=(("age", "numeric"), ("from:hour", "numeric"), ("job", "code"), ("paid", "boolean")),
        example=Map({"age": 38.0, "from": "2024-01-31T12:00:00", "job": "cook", "paid": True}),
        requirements=(("msgspec", "0.22.0"), ("uvicorn", "0.54.0")),
        max_records=1000,
        max_body_bytes=10_485_760,
        trees=TREES if scorer == "trees" else None,
        served=Served(bins=BINS),
    )
    generated = {name: text for name, text in render(spec).items() if name not in modules()}
    for name, text in generated.items():
        golden = GOLDEN / scorer / name
        if os.environ.get("UPDATE_GOLDEN"):
            golden.parent.mkdir(parents=True, exist_ok=True)
            golden.write_text(text, "utf-8")
        assert text == golden.read_text("utf-8"), f"{golden} differs; UPDATE_GOLDEN=1 writes it"
