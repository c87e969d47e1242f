"""Looking at a file: what `init` assumes of it, and why."""

from __future__ import annotations

import datetime
import gzip
import json
import random
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_compile.api.project import Given, propose
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.proposal import ColumnProposal, Proposal

ROWS = 120


def look(data: Path, target: str, columns: tuple[str, ...] = (), **more: Any) -> Proposal:
    """What `init` proposes for data."""
    return propose(Given(data=str(data), target=target, columns=columns, **more))[1]


def rows(**columns: Any) -> list[dict[str, Any]]:
    """Rows of numbers, texts and an answer, and of more columns (functions of the row's number)."""
    draw = random.Random(0)
    found = []
    for n in range(ROWS):
        row = {
            "age": draw.randrange(18, 80),
            "city": draw.choice(["Rome", "Oslo", "Lima"]),
            "height": round(draw.uniform(1.5, 2.0), 3),
            "answer": draw.choice(["no", "no", "yes"]),
        }
        found.append({**row, **{name: make(n) for name, make in columns.items()}})
    return found


def write(
    path: Path,
    table: list[dict[str, Any]],
    separator: str = ",",
    encoding: str = "utf-8",
    header: bool = True,
) -> Path:
    lines = [separator.join(table[0])] if header else []
    lines += [separator.join(str(value) for value in row.values()) for row in table]
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return path


def seen(path: Path, target: str = "answer", **columns: Any) -> Proposal:
    return look(write(path / "t.csv", rows(**columns)), target)


def column(proposal: Proposal, name: str) -> ColumnProposal:
    (found,) = [item for item in proposal.columns if item.name == name]
    return found


def test_a_plain_file(tmp_path: Path) -> None:
    found = seen(tmp_path)
    table = rows()
    assert (found.rows, found.task, found.positive, found.split) == (
        ROWS,
        "binary",
        "yes",
        "stratified",
    )
    assert (found.options, found.missing_target, found.warnings) == ((), 0, ())
    assert {c.name: (c.type, c.role) for c in found.columns} == {
        "age": ("numeric", "feature"),
        "city": ("categorical", "feature"),
        "height": ("numeric", "feature"),
    }
    share = sum(row["answer"] == "no" for row in table) / ROWS
    assert found.baseline == ("accuracy", pytest.approx(max(share, 1 - share)))


@pytest.mark.parametrize(
    ("name", "make", "type_", "role", "note"),
    [
        ("id", lambda n: 1000 + n, "numeric", "id", "looks like an id"),
        ("customer_id", lambda n: f"C{n}", "categorical", "id", "looks like an id"),
        ("code", lambda n: f"X{n}", "categorical", "id", "looks like an id"),
        ("country", lambda n: "IT", "categorical", "ignore", "the same in every row"),
        ("empty", lambda n: "", "numeric", "ignore", "missing"),
        ("when", lambda n: f"2024-01-{n % 28 + 1:02}", "datetime", "feature", "28 times"),
        ("flag", lambda n: ["true", "false"][n % 2], "boolean", "feature", ""),
        ("gap", lambda n: "" if n % 4 == 0 else n % 7, "numeric", "feature", "30 missing"),
        ("level", lambda n: "abc"[n % 3], "categorical", "feature", "3 levels"),
    ],
)  # fmt: skip
def test_a_column_is_seen_for_what_it_is(
    tmp_path: Path, name: str, make: Any, type_: str, role: str, note: str
) -> None:
    found = column(seen(tmp_path, **{name: make}), name)
    assert (found.type, found.role) == (type_, role)
    assert note in found.note


def test_a_column_that_gives_the_target_away_is_left_out(tmp_path: Path) -> None:
    answers = [row["answer"] for row in rows()]
    found = seen(tmp_path, outcome=lambda n: {"yes": "won", "no": "lost"}[answers[n]])
    assert column(found, "outcome").role == "ignore"
    assert "determines answer" in column(found, "outcome").note
    ordered = seen(tmp_path, score=lambda n: (answers[n] == "yes") * 1000 + n)
    assert column(ordered, "score").role in ("ignore", "id")


def test_a_number_that_gives_the_target_away_is_left_out(tmp_path: Path) -> None:
    ages = [row["age"] for row in rows()]
    found = seen(tmp_path, "age", months=lambda n: ages[n] * 12 + 0.5)
    assert (found.task, column(found, "months").role) == ("regression", "ignore")


def test_a_sum_that_is_the_target_is_a_warning(tmp_path: Path) -> None:
    parts = random.Random(1)
    first, second = ([round(parts.uniform(1, 50), 2) for _ in range(ROWS)] for _ in range(2))
    found = seen(
        tmp_path,
        "total",
        fare=lambda n: first[n],
        tip=lambda n: second[n],
        total=lambda n: round(first[n] + second[n], 2),
    )
    (warning,) = found.warnings
    assert "fare, tip" in warning and "total" in warning


@pytest.mark.parametrize(
    ("make", "task", "positive", "split"),
    [
        (lambda n: n % 2, "binary", "1", "stratified"),
        (lambda n: ["a", "b", "b"][n % 3], "binary", "a", "stratified"),
        (lambda n: ["true", "false"][n % 2], "binary", "true", "stratified"),
        (lambda n: "abc"[n % 3], "multiclass", None, "stratified"),
        (lambda n: n % 5, "multiclass", None, "stratified"),
        (lambda n: n % 50, "regression", None, "random"),
        (lambda n: n / 7, "regression", None, "random"),
        (lambda n: "a" if n < 2 else "bc"[n % 2], "multiclass", None, "random"),
    ],
)
def test_the_task_follows_from_the_target(
    tmp_path: Path, make: Any, task: str, positive: Any, split: str
) -> None:
    found = seen(tmp_path, "goal", goal=make)
    assert (found.task, found.positive, found.split) == (task, positive, split)
    assert found.task_note


def test_a_date_suggests_a_split_by_time(tmp_path: Path) -> None:
    found = seen(tmp_path, when=lambda n: datetime.date(2024, 1, 1) + datetime.timedelta(n))
    assert "column: when" in found.split_note


@pytest.mark.parametrize(
    ("mark", "name"), [("?", "city"), ("?", "age"), ("-", "age"), ("none", "age")]
)
def test_marks_of_missing_values_are_found(tmp_path: Path, mark: str, name: str) -> None:
    found = seen(tmp_path, **{name: lambda n: mark if n % 5 == 0 else n % 3})
    options = dict(found.options)
    assert mark in options["missing"] and "NA" in options["missing"]  # type: ignore[operator]
    assert "24 missing" in column(found, name).note
    assert column(found, name).type == "numeric"


@pytest.mark.parametrize("mark", ["-", "none"])
def test_a_word_among_texts_is_a_level(tmp_path: Path, mark: str) -> None:
    found = seen(tmp_path, kind=lambda n: mark if n % 5 == 0 else "ab"[n % 2])
    assert found.options == ()
    assert "3 levels" in column(found, "kind").note


def test_a_missing_target_is_counted(tmp_path: Path) -> None:
    assert seen(tmp_path, goal=lambda n: "" if n < 7 else n % 2, target="goal").missing_target == 7


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators(tmp_path: Path, separator: str) -> None:
    found = look(write(tmp_path / "t.csv", rows(), separator), "answer")
    assert found.options == (() if separator == "," else (("separator", separator),))
    assert len(found.columns) == 3


def test_decimal_commas_do_not_hide_a_semicolon(tmp_path: Path) -> None:
    table = rows(price=lambda n: f"{n},5")
    found = look(write(tmp_path / "t.csv", table, ";"), "answer")
    assert dict(found.options) == {"separator": ";"}  # heights have a point


@pytest.mark.parametrize(
    ("separator", "prices", "heights", "marks"),
    [
        (";", ["1.234,56", "-7,5", "12"], "1,7", {"decimal": ",", "thousands": "."}),
        (";", ["1234,56", "-7,5", ""], "1,7", {"decimal": ","}),
        (";", ["1,234", "12,345", "-"], "1,7", {"decimal": ","}),
        (",", ['"1,234"', '"12,345"', "7"], "1.7", {"thousands": ","}),
        (",", ['"1,234.5"', '"12,345"', "7"], "1.7", {"thousands": ","}),
        (",", ['"1,5"', '"12,25"', "7"], '"1,7"', {"decimal": ","}),
        (";", ["1,5", "12,25", "7"], "1.7", {}),
        (";", ["1.5,", "1,2,3", "7"], "1.7", {}),
    ],
)
def test_the_marks_of_numbers_are_found(
    tmp_path: Path, separator: str, prices: list[str], heights: str, marks: dict[str, str]
) -> None:
    table = rows(price=lambda n: prices[n % 3])
    for row in table:
        row["height"] = heights
    found = look(write(tmp_path / "t.csv", table, separator), "answer")
    given = {name: value for name, value in found.options if name in ("decimal", "thousands")}
    assert given == marks
    assert column(found, "price").type == ("numeric" if marks else "categorical")


def test_numbers_with_marks_are_looked_at_as_numbers(tmp_path: Path) -> None:
    """By their order and their sums."""
    draw = random.Random(1)
    table = []
    for _ in range(ROWS):
        parts = [round(draw.uniform(1000, 5000), 2) for _ in range(2)]
        values = {"one": parts[0], "two": parts[1], "total": sum(parts)}
        shown = {
            name: f"{value:,.2f}".translate(str.maketrans(",.", ".,"))
            for name, value in values.items()
        }
        table.append({**shown, "city": draw.choice(["Rome", "Oslo"])})
    found = look(write(tmp_path / "t.csv", table, ";"), "total")
    assert found.task == "regression" and column(found, "one").role == "feature"
    assert any("one, two together give total away" in text for text in found.warnings)
    assert 100 < found.baseline[1] < 3000


def test_an_old_encoding_is_found(tmp_path: Path) -> None:
    table = rows(town=lambda n: ["Köln", "Zürich", "10 €"][n % 3])
    found = look(write(tmp_path / "t.csv", table, encoding="cp1252"), "answer")
    assert dict(found.options) == {"encoding": "cp1252"}


def test_a_wide_encoding_is_known_by_its_mark(tmp_path: Path) -> None:
    found = look(write(tmp_path / "t.csv", rows(), encoding="utf-16"), "answer")
    assert dict(found.options) == {"encoding": "utf-16"}


def test_a_file_without_a_header_needs_names(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", rows(), header=False)
    with pytest.raises(CompileError, match="looks like data") as caught:
        look(path, "answer")
    assert "--columns" in caught.value.problems[0].hint
    found = look(path, "answer", ("age", "city", "height", "answer"))
    assert found.rows == ROWS
    options = dict(found.options)
    assert options == {"header": False, "columns": ("age", "city", "height", "answer")}


def test_names_that_are_the_header_are_the_header(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", rows())
    found = look(path, "answer", ("age", "city", "height", "answer"))
    assert found.rows == ROWS
    assert dict(found.options).get("header", True) is True


@pytest.mark.parametrize(
    ("data", "target", "columns", "message"),
    [
        (b"", "y", (), "empty"),
        (b" \n \n", "y", (), "empty"),
        (b"x,y\n", "y", (), "no rows"),
        (b"\x89PNG\x00\x01", "y", (), "binary"),
        (b"x,y\n1,2\n2,2\n", "y", (), "the same in every row"),
        (b"x,y\n1,2\n2,3\n", "z", (), "no column 'z'"),
        (b"a,1\nb,2\n", "y", ("x",), "names 1 columns"),
        (b"x,y\n" + b"".join(b"%d,t%d\n" % (n, n) for n in range(200)), "y", (), "too many"),
    ],
)
def test_a_file_that_cannot_serve_is_a_sentence(
    tmp_path: Path, data: bytes, target: str, columns: Any, message: str
) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(CompileError, match=message):
        look(tmp_path / "t.csv", target, columns)
    with pytest.raises(CompileError, match="no file"):
        look(tmp_path / "none.csv", target)


def test_a_gzip_that_is_cut_off_or_damaged_is_no_bug(tmp_path: Path) -> None:
    packed = gzip.compress(write(tmp_path / "t.csv", rows()).read_bytes())
    (tmp_path / "t.csv").unlink()
    cut, damaged = packed[: len(packed) // 2], bytearray(packed)
    damaged[30] ^= 0xFF
    for data in (cut, bytes(damaged)):
        (tmp_path / "t.csv.gz").write_bytes(data)
        with pytest.raises(CompileError, match=r"t\.csv\.gz cannot be read"):
            look(tmp_path / "t.csv.gz", "answer")


def test_remarks_above_the_header_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", rows(town=lambda n: ["Köln", "#1"][n % 2]), ";", "cp1252")
    text = path.read_text("cp1252").split("\n")
    path.write_text(
        "\n".join(["# made; by hand", "", "#2", *text[:9], "# and", *text[9:]]), "cp1252"
    )
    found = look(path, "answer")
    assert dict(found.options) == {"separator": ";", "encoding": "cp1252", "comment": "#"}
    assert found.rows == ROWS and column(found, "town").note == "2 levels"


def test_a_name_may_begin_with_the_sign_of_a_remark(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", rows())
    path.write_text("#" + path.read_text())
    found = look(path, "answer")
    assert found.options == () and column(found, "#age").type == "numeric"


def test_a_remark_above_the_header_is_refused_without_a_librarys_warning(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    path = write(tmp_path / "t.csv", rows())
    path.write_text("made by hand\n" + path.read_text())
    with pytest.raises(CompileError, match="no column 'answer'"):
        look(path, "answer")
    assert not list(recwarn)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('a,y\n1,no\n2,"yes\n3,no\n', "line 3: a quote opens here and is never closed"),
        ("a,y\n1,no\n2,yes,3\n4,no\n", "line 3: 3 cells, expected 2"),
        ("a,y\n1,no\n2,no\n", "'y' is the same in every row"),
        ("a,y\n1,\n2,\n", "'y' has no value"),
        ("y\nno\nyes\n", "no column is left to learn 'y' from"),
        ("a,y\n7,no\n7,yes\n", "no column is left to learn 'y' from ('a': the same in every row)"),
    ],
)
def test_what_cannot_serve_is_a_sentence(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(CompileError, match=re.escape(says)):
        look(tmp_path / "t.csv", "y")


def test_other_kinds_are_seen_as_the_same_table(tmp_path: Path) -> None:
    """Parquet, a folder of it, JSON lines and a packed csv: the same proposal as of the csv."""
    table = rows(when=lambda n: f"2024-01-{n % 28 + 1:02}")
    expected = look(write(tmp_path / "t.csv", table), "answer")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress((tmp_path / "t.csv").read_bytes()))
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table))
    dates = [{**row, "when": datetime.date.fromisoformat(row["when"])} for row in table]
    (tmp_path / "parts").mkdir()
    pq.write_table(pa.Table.from_pylist(dates), tmp_path / "t.parquet")
    pq.write_table(pa.Table.from_pylist(dates[:50]), tmp_path / "parts" / "0.parquet")
    pq.write_table(pa.Table.from_pylist(dates[50:]), tmp_path / "parts" / "1.parquet")
    kinds = {"t.csv.gz": "csv", "t.jsonl": "jsonl", "t.parquet": "parquet", "parts": "parquet"}
    for name, kind in kinds.items():
        found = look(tmp_path / name, "answer")
        assert found.kind == kind
        assert [(c.name, c.type, c.role) for c in found.columns] == sorted(
            [(c.name, c.type, c.role) for c in expected.columns],
            key=lambda item: [c.name for c in found.columns].index(item[0]),
        )
        assert (found.task, found.positive, found.rows) == ("binary", "yes", ROWS)
        assert found.baseline == expected.baseline


@pytest.mark.parametrize(("value", "like"), [(7, "numbers"), ("2024-01-31", "dates")])
def test_a_column_that_is_texts_because_of_a_cell(tmp_path: Path, value: Any, like: str) -> None:
    """It is stated as what it is read as, so that compiling takes it, with a note."""
    proposal = seen(tmp_path, mixed=lambda n: f"about {n}" if n == 3 else value)
    assert column(proposal, "mixed").type == "categorical"
    (warning,) = proposal.warnings
    assert warning.startswith(f"mixed is read as texts, and nearly all of it look like {like}")


def test_columns_that_no_table_can_hold_are_left_out_by_name(tmp_path: Path) -> None:
    """Of Parquet and JSON lines, and the config says so; of a csv file, roles do it."""
    table = [{**row, "tags": ["a"]} for row in rows()]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table))
    pq.write_table(pa.Table.from_pylist(table), tmp_path / "t.parquet")
    for name in ("t.jsonl", "t.parquet"):
        with pytest.raises(CompileError, match="'tags' holds"):
            look(tmp_path / name, "answer")
        found = look(tmp_path / name, "answer", exclude=("tags",))
        assert found.options == (("exclude", ("tags",)),)
        assert "tags" not in [column.name for column in found.columns]
    with pytest.raises(CompileError, match="--exclude is for Parquet and JSON lines"):
        look(write(tmp_path / "t.csv", rows()), "answer", exclude=("tags",))
