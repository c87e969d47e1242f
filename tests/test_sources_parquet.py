"""Parquet: files, folders, patterns and partitions become one table of the project's types."""

from __future__ import annotations

import datetime
import decimal
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_compile.compiler.look import Look
from mlops_compile.ir.digest import digest_of
from mlops_compile.ir.problem import CompileError, Problem
from mlops_compile.ir.source import Source
from mlops_compile.ir.value import Map
from mlops_compile.steps.sources import parquet
from mlops_compile.steps.sources.kind import Facts
from mlops_compile.steps.sources.parquet import KIND, ParquetOptions, ParquetSource
from mlops_compile.steps.tables import read_table


class NoCache:
    """Remembers nothing."""

    def get(self, key: str) -> None: ...

    def put(self, key: str, value: Any) -> None: ...


def load(
    folder: Path, path: str, types: Any = None, target: str = "", **options: Any
) -> tuple[Facts, pa.Table]:
    """The facts at a path, and the table that is read by them."""
    spec = ParquetSource(kind="parquet", path=path, options=ParquetOptions(**options))
    with Look(KIND.files(spec, folder), NoCache(), False) as look:
        facts = KIND.scan(look.paths(), spec, types or {}, target)
        source = Source(
            kind="parquet", location=path, digest=digest_of(b""), rows=facts.rows,
            columns=facts.columns,
        )  # fmt: skip
        paths = look.paths()
        KIND.read(paths, spec, source, folder / "out.arrow")
    return facts, read_table(folder / "out.arrow")


def write(folder: Path, name: str, **columns: Any) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def refused(folder: Path, path: str, **options: Any) -> list[Problem]:
    with pytest.raises(CompileError) as caught:
        load(folder, path, **options)
    return list(caught.value.problems)


UTC = datetime.UTC
EARLY = datetime.datetime(1970, 1, 1, 0, 0, 0, 1)
NOON = datetime.datetime(2024, 1, 31, 12, 0, 0, 5)


@pytest.mark.parametrize(
    ("values", "expected", "held"),
    [
        (pa.array([True, None]), "bool?", [True, None]),
        (pa.array([1, -2], pa.int8()), "int64", [1, -2]),
        (pa.array([1, 65535], pa.uint16()), "int64", [1, 65535]),
        (pa.array([1, 2**63 - 1], pa.uint64()), "int64", [1, 2**63 - 1]),
        (pa.array([1.5, 2], pa.float32()), "float64", [1.5, 2.0]),
        (pa.array([1.5, float("nan")]), "float64?", [1.5, None]),
        (pa.array([None, None]), "float64?", [None, None]),
        (pa.array([decimal.Decimal("1.25"), None]), "float64?", [1.25, None]),
        (pa.array([decimal.Decimal(7)], pa.decimal128(9)), "int64", [7]),
        (pa.array([decimal.Decimal(7)], pa.decimal128(30)), "float64", [7.0]),
        (pa.array(["b", "a"]).dictionary_encode(), "string", ["b", "a"]),
        (pa.array(["e\u0301", " x "], pa.large_string()), "string", ["é", " x "]),
        (pa.array([datetime.date(2024, 1, 31)]), "timestamp", [datetime.datetime(2024, 1, 31)]),
        (pa.array([NOON], pa.timestamp("us")), "timestamp", [NOON]),
        (pa.array([1_001], pa.timestamp("ns")), "timestamp", [EARLY]),
        (pa.array([NOON], pa.timestamp("ms", "Europe/Rome")), "timestamp_utc", None),
        (pa.array([datetime.time(0, 1, 0, 500_000)]), "float64", [60.5]),
        (pa.array([datetime.timedelta(minutes=2)]), "float64", [120.0]),
    ],
)  # fmt: skip
def test_types_become_those_of_the_project(
    tmp_path: Path, values: Any, expected: str, held: Any
) -> None:
    write(tmp_path, "t.parquet", a=values)
    facts, table = load(tmp_path, "t.parquet")
    (column,) = facts.columns
    assert column.text == expected
    assert held is None or table.column("a").to_pylist() == held


def test_any_column_can_be_had_as_texts(tmp_path: Path) -> None:
    write(tmp_path, "t.parquet", a=[1, 2], b=[True, False])
    facts, table = load(tmp_path, "t.parquet", {"a": "string", "b": "string"}, "a")
    assert table.to_pydict() == {"a": ["1", "2"], "b": ["true", "false"]}
    assert facts.levels == ("1", "2")


def test_a_folder_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b/1.parquet", "a.parquet", "c.parquet", "b/0.parquet"):
        write(tmp_path, f"d/{name}", a=[name])
    write(tmp_path, "d/_SUCCESS.parquet", other=[1])
    write(tmp_path, "d/.c.parquet", other=[1])
    (tmp_path / "d" / "read.me").write_text("no data")
    expected = ["a.parquet", "b/0.parquet", "b/1.parquet", "c.parquet"]
    for path in ("d", "d/", str(tmp_path / "d"), "d/**/*.parquet", f"file://{tmp_path}/d"):
        assert load(tmp_path, path)[1].column("a").to_pylist() == expected
    assert load(tmp_path, "d/[bc]*/*.parquet")[1].num_rows == 2
    assert load(tmp_path, "d/c.parquet")[1].num_rows == 1


def test_partitions_are_columns(tmp_path: Path) -> None:
    for year in (2023, 2024):
        for city in ("Rome", "S%C3%A3o%20Paulo", "__HIVE_DEFAULT_PARTITION__"):
            write(tmp_path, f"d/year={year}/city={city}/0.parquet", a=[1.5, 2.5])
    facts, table = load(tmp_path, "d", {}, "city")
    assert [column.text for column in facts.columns] == ["float64", "string?", "int64"]
    assert facts.levels == ("Rome", "São Paulo")
    assert table.column("year").to_pylist() == [2023] * 6 + [2024] * 6
    assert set(table.column("city").to_pylist()) == {"Rome", "São Paulo", None}
    assert load(tmp_path, "d", hive=False)[1].column_names == ["a"]


def test_a_file_without_any_value_fits_every_type(tmp_path: Path) -> None:
    write(tmp_path, "d/0.parquet", a=pa.array([None]), b=pa.array([1], pa.int32()))
    write(tmp_path, "d/1.parquet", a=["x"], b=pa.array([2], pa.int64()))
    assert load(tmp_path, "d")[1].to_pydict() == {"a": [None, "x"], "b": [1, 2]}


def test_files_that_differ_are_named_with_column_and_types(tmp_path: Path) -> None:
    write(tmp_path, "d/0.parquet", a=[1], b=["x"], c=[1])
    write(tmp_path, "d/1.parquet", a=["1"], b=["x"], d=[1])
    found = refused(tmp_path, "d")
    assert {problem.code for problem in found} == {"unlike-files"}
    said = [problem.message for problem in found]
    assert said == [
        "d: 0.parquet has a column 'c', and 1.parquet has not",
        "d: 1.parquet has a column 'd', and 0.parquet has not",
        "d: 1.parquet: 'a' is string, and int64 in 0.parquet",
    ]
    write(tmp_path, "e/y=1/0.parquet", a=[1])
    write(tmp_path, "e/0.parquet", a=[1])
    assert refused(tmp_path, "e")[0].code == "unlike-files"


@pytest.mark.parametrize(
    ("columns", "code", "said"),
    [
        ({"a": [1], "b": [{"x": 1}]}, "nested", "'b' holds objects"),
        ({"a": [1], "b": [[1]]}, "nested", "'b' holds lists"),
        ({"a": [1], "b": [b"x"]}, "nested", "'b' holds bytes"),
        ({"a": pa.array([1, 2**63], pa.uint64())}, "too-long", "row 2: 9223372036854775808 is"),
        ({"a": [1], " a": [1]}, "columns", "two columns 'a'"),
        ({"a": pa.array([], pa.int64())}, "empty", "no rows"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, columns: Any, code: str, said: str) -> None:
    write(tmp_path, "t.parquet", **columns)
    (problem,) = refused(tmp_path, "t.parquet")
    assert problem.code == code and said in problem.message


def test_a_nested_column_can_be_left_out(tmp_path: Path) -> None:
    write(tmp_path, "t.parquet", **{"a.b": [1], "a": [{"x": 1}], "c": [2]})
    assert load(tmp_path, "t.parquet", exclude=("a",))[1].to_pydict() == {"a.b": [1], "c": [2]}
    assert refused(tmp_path, "t.parquet", exclude=("a", "d"))[0].code == "no-column"


def test_files_that_are_cut_off_or_no_parquet_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "t.parquet", a=list(range(999)))
    whole = path.read_bytes()
    for data in (b"", b"PAR1", whole[:-9], whole[: len(whole) // 2], b"a,b\n1,2\n" * 9):
        path.write_bytes(data)
        (problem,) = refused(tmp_path, "t.parquet")
        assert problem.code == "source" and "\n" not in problem.message
    assert refused(tmp_path, "none.parquet")[0].code == "no-file"
    assert refused(tmp_path, "none*.parquet")[0].code == "no-file"
    (tmp_path / "empty").mkdir()
    assert refused(tmp_path, "empty")[0].code == "no-file"


def test_a_damaged_file_is_refused_or_read(tmp_path: Path) -> None:
    """Whatever byte is wrong, there is a table or a sentence."""
    draw = random.Random(1)
    path = write(tmp_path, "t.parquet", a=list(range(999)), b=[str(n) for n in range(999)])
    whole = path.read_bytes()
    for _ in range(60):
        data = bytearray(whole)
        data[draw.randrange(len(data))] ^= 0xFF
        path.write_bytes(data)
        try:
            load(tmp_path, "t.parquet")
        except CompileError as error:
            assert all(problem.message for problem in error.problems)


def test_row_groups_and_batches_do_not_matter(tmp_path: Path, monkeypatch: Any) -> None:
    table = pa.table({"a": list(range(70_000)), "b": [str(n % 7) for n in range(70_000)]})
    pq.write_table(table, tmp_path / "t.parquet")
    load(tmp_path, "t.parquet")
    whole = (tmp_path / "out.arrow").read_bytes()
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=999, compression="zstd")
    monkeypatch.setattr(parquet, "BATCH_ROWS", 333)
    load(tmp_path, "t.parquet")
    assert (tmp_path / "out.arrow").read_bytes() == whole


def test_texts_that_stand_for_others(tmp_path: Path) -> None:
    write(tmp_path, "t.parquet", a=["yes.", "no", "?", None], n=[1, 2, 3, 4])
    replace = Map({"a": Map({"yes.": "yes", "?": "none"})})
    found = load(tmp_path, "t.parquet", replace=replace, missing=("none",))[1]
    assert found.to_pydict()["a"] == ["yes", "no", None, None]
    (problem,) = refused(tmp_path, "t.parquet", replace=Map({"n": Map({"1": "2"})}))
    assert problem.message == "the column holds int64, and only texts are replaced"
    (problem,) = refused(tmp_path, "t.parquet", replace=Map({"m": Map({"1": "2"})}))
    assert problem.code == "no-column"
