"""Delimited text files: the same bytes give the same table, and what cannot be read is said."""

from __future__ import annotations

import csv
import gzip
import io
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_compile.ir.digest import digest_of
from mlops_compile.ir.problem import CompileError, Problem
from mlops_compile.ir.source import Source
from mlops_compile.steps.sources.cells import arrow_type
from mlops_compile.steps.sources.csv import KIND
from mlops_compile.steps.sources.delimited import rows as module
from mlops_compile.steps.sources.delimited.options import CsvOptions, CsvSource
from mlops_compile.steps.sources.kind import MOST_LEVELS, Facts
from mlops_compile.steps.sources.marks import MISSING
from mlops_compile.steps.tables import read_table


def spec(path: Path, **options: Any) -> CsvSource:
    return CsvSource(kind="csv", path=path.name, options=CsvOptions(**options))


def write(folder: Path, data: bytes | str, name: str = "t.csv") -> Path:
    path = folder / name
    data = data.encode("utf-8") if isinstance(data, str) else data
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def scan(path: Path, types: Any = None, target: str = "", **options: Any) -> Facts:
    return KIND.scan((path,), spec(path, **options), types or {}, target)


def load(path: Path, types: Any = None, target: str = "", **options: Any) -> tuple[Facts, pa.Table]:
    """The facts of a file, and the table that is read by them."""
    facts = scan(path, types, target, **options)
    source = Source(
        kind="csv",
        location=path.name,
        digest=digest_of(path.read_bytes()),
        rows=facts.rows,
        columns=facts.columns,
    )
    out = path.parent / f"{path.name}.arrow"
    KIND.read((path,), spec(path, **options), source, out)
    return facts, read_table(out)


def table(folder: Path, data: bytes | str, name: str = "t.csv", **options: Any) -> dict[str, Any]:
    return load(write(folder, data, name), **options)[1].to_pydict()


def types(folder: Path, data: bytes | str, **options: Any) -> dict[str, str]:
    return {column.name: column.text for column in scan(write(folder, data), **options).columns}


def refused(folder: Path, data: bytes | str, name: str = "t.csv", **options: Any) -> Problem:
    path = write(folder, data, name)
    with pytest.raises(CompileError) as caught:
        load(path, **options)
    (problem,) = caught.value.problems
    assert "\n" not in problem.message and problem.where[:2] in {
        ("data", "source"),
        ("data", "columns"),
    }
    return problem


EXPECTED = {"a": [1, 2], "b": ["x", "y z"]}


@pytest.mark.parametrize(
    ("data", "name", "options"),
    [
        ("a,b\n1,x\n2,y z\n", "t.csv", {}),
        ("a,b\n1,x\n2,y z", "t.csv", {}),
        ("a,b\r\n1,x\r\n2,y z\r\n", "t.csv", {}),
        ("\na,b\n\n1,x\n\n\n2,y z\n\n", "t.csv", {}),
        ("\ufeffa,b\n1,x\n2,y z\n", "t.csv", {}),
        ("a,b\n1,x\n2,y z\n", "t.csv.gz", {}),
        ("a;b\n1;x\n2;y z\n", "t.txt", {"separator": ";"}),
        ("a\tb\n1\tx\n2\ty z\n", "t.tsv", {"separator": "\t"}),
        ("  \n\na,b\n1,x\n2,y z\n", "t.csv", {}),
        (' a , b \n 1, x \n2 ,"y z"\n', "t.csv", {}),
        ('"a","b"\n"1","x"\n"2","y z"\n', "t.csv", {}),
        ("'a','b'\n'1','x'\n'2','y z'\n", "t.csv", {"quote": "'"}),
        ("1,x\n2,y z\n", "t.csv", {"header": False, "columns": ("a", "b")}),
        ("q,r\n1,x\n2,y z\n", "t.csv", {"columns": ("a", "b")}),
        ("a,b\n1,x\n2,y z\n".encode("utf-16"), "t.csv", {"encoding": "utf-16"}),
    ],
    ids=str,
)  # fmt: skip
def test_one_table_in_many_forms(tmp_path: Path, data: Any, name: str, options: Any) -> None:
    assert table(tmp_path, data, name, **options) == EXPECTED


def test_columns_without_names_are_numbered(tmp_path: Path) -> None:
    assert list(table(tmp_path, "1,x\n", header=False)) == ["column_1", "column_2"]
    assert list(table(tmp_path, "a,,c, \n1,2,3,4\n")) == ["a", "column_2", "c", "column_4"]


def test_a_header_may_hold_a_newline(tmp_path: Path) -> None:
    assert table(tmp_path, 'a,"b\nc"\n1,2\n') == {"a": [1], "b\nc": [2]}


def test_quoted_cells_hold_separators_quotes_and_newlines(tmp_path: Path) -> None:
    data = 'a,b\n"x,y","say ""hi"""\n"two\nlines",z\n'
    assert table(tmp_path, data) == {"a": ["x,y", "two\nlines"], "b": ['say "hi"', "z"]}


@pytest.mark.parametrize(("encoding", "text"), [("latin-1", "é"), ("cp1252", "€"), ("utf-8", "€")])
def test_encodings(tmp_path: Path, encoding: str, text: str) -> None:
    data = f"name,n\n{text},1\n".encode(encoding)
    assert table(tmp_path, data, encoding=encoding) == {"name": [text], "n": [1]}


def test_names_and_texts_are_nfc(tmp_path: Path) -> None:
    data = "gro\u0308\u00dfe\ne\u0301\n"
    assert table(tmp_path, data) == {"größe": ["é"]}


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ("1 2 -3", "int64"),
        ("1 2.5 3", "float64"),
        ("1 1e3 -2E-4", "float64"),
        ("inf 1", "float64"),
        ("9223372036854775807 1", "int64"),
        ("9223372036854775808 1.5", "float64"),
        ("true FALSE True", "bool"),
        ("true 1", "string"),
        ("0 1", "int64"),
        ("yes no", "string"),
        ("2024-01-31 2023-12-01", "timestamp"),
        ("2024-01-31T12:00:00 2023-12-01T01:02:03", "timestamp"),
        ("2024-01-31T12:00:00Z 2023-12-01T01:02:03+02:00", "timestamp_utc"),
        ("2024-01-31T12:00:00Z 2023-12-01", "string"),
        ("31.01.2024 01.02.2024", "string"),
        ("1 NA 2", "int64?"),
        ("x NULL", "string?"),
        ("NA NaN", "float64?"),
        ("true N/A", "bool?"),
        ("1 x", "string"),
        ("1 2024-01-31", "string"),
        ("0x10 1", "string"),
        ("1_000 1", "string"),
        ("1,000 1", "string"),
    ],
)
def test_types_are_those_that_every_cell_has(tmp_path: Path, cells: str, expected: str) -> None:
    data = "a,b\n" + "".join(f'"{cell}",z\n' for cell in cells.split())
    assert types(tmp_path, data) == {"a": expected, "b": "string"}
    load(tmp_path / "t.csv")


def test_times_with_a_zone_are_utc(tmp_path: Path) -> None:
    found = table(tmp_path, "t\n2024-01-31T12:00:00+02:00\n2024-01-31T12:00:00Z\n")["t"]
    assert [time.isoformat() for time in found] == [
        "2024-01-31T10:00:00+00:00",
        "2024-01-31T12:00:00+00:00",
    ]


@pytest.mark.parametrize("mark", MISSING)
def test_missing_marks(tmp_path: Path, mark: str) -> None:
    assert table(tmp_path, f"a,b\n1,x\n{mark},y\n") == {"a": [1, None], "b": ["x", "y"]}


def test_stated_missing_marks_replace_the_usual(tmp_path: Path) -> None:
    data = "a,b\n1,NA\n?,y\n -9 ,\n"
    found = table(tmp_path, data, missing=("?", "-9"))
    assert found == {"a": [1, None, None], "b": ["NA", "y", None]}


def test_stated_types_are_read_or_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b\n01,true\n2,false\n")
    facts, found = load(path, types={"a": "string", "b": "bool"})
    assert [column.type for column in facts.columns] == ["string", "bool"]
    assert found.to_pydict() == {"a": ["01", "2"], "b": [True, False]}


def test_levels_are_texts_of_the_converted_values(tmp_path: Path) -> None:
    data = "a,b,c\n01,x,TRUE\n1,y,false\n2,,true\n"
    path = write(tmp_path, data)
    assert scan(path, target="a").levels == ("1", "2")
    assert scan(path, target="b").levels == ("x", "y")
    assert scan(path, target="c").levels == ("false", "true")
    assert scan(path, {"a": "string"}, target="a").levels == ("01", "1", "2")
    assert scan(path).levels == ()


def test_too_many_levels_are_none(tmp_path: Path) -> None:
    data = "a\n" + "".join(f"{n}\n" for n in range(MOST_LEVELS + 1))
    assert scan(write(tmp_path, data), target="a").levels == ()
    assert len(scan(write(tmp_path, data[:-5]), target="a").levels) == MOST_LEVELS


# What is refused


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("", "empty"),
        ("   \n\n", "empty"),
        ("a,b\n", "empty"),
        ("a,b", "empty"),
        (b"\x89PNG\r\n\x00\x00\x00", "binary"),
        ("a,a\n1,2\n", "columns"),
        ("a, a \n1,2\n", "columns"),
        ("\u00e9,e\u0301\n1,2\n", "columns"),
    ],
)
def test_files_that_hold_no_table_are_refused(tmp_path: Path, data: Any, code: str) -> None:
    problem = refused(tmp_path, data)
    assert problem.code == code and "t.csv" in problem.message


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ("a,b\n1,x\n2\n3,z\n", 3),
        ("a,b\n1,x\n2,y,z\n", 3),
        ("a,b\n\n1,x\n\n2,y,z\n", 5),
        ('a,b\n"1\n1",x\n2,y,z\n', 4),
        ("1,x\n2\n", None),
    ],
)
def test_ragged_rows_are_refused_with_their_line(tmp_path: Path, data: str, line: Any) -> None:
    problem = refused(tmp_path, data)
    assert problem.code == "ragged-row"
    if line:
        assert f"line {line}:" in problem.message


def test_of_ragged_rows_far_apart_the_first_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks are parsed side by side."""
    monkeypatch.setattr(module, "_BLOCK", 1 << 12)
    lines = ["a,b", *(f"{number},{number}" for number in range(20_000))]
    for line in (9_000, 9_600, 18_000):
        lines[line] = f"{line},x,y"
    for _ in range(5):
        problem = refused(tmp_path, "\n".join(lines))
        assert "line 9001" in problem.message and "'9000,x,y'" in str(problem.hint)


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="no file"):
        scan(tmp_path / "none.csv")


def test_bytes_that_are_not_the_encoding_are_refused_with_their_line(tmp_path: Path) -> None:
    data = b"a,b\n1,x\n2,caf\xe9\n3,z\n"
    problem = refused(tmp_path, data)
    assert problem.code == "encoding"
    assert "line 3" in problem.message and "latin-1" in problem.hint
    assert table(tmp_path, data, encoding="latin-1")["b"] == ["x", "café", "z"]


@pytest.mark.parametrize(
    "encoding",
    [
        *("rot13", "base64", "hex", "undefined", "idna", "punycode", "utf-7"),
        *("unicode_escape", "raw_unicode_escape", "mbcs", "a b", "utf\0"),
    ],
)
def test_a_codec_that_is_no_encoding_of_files_is_refused(tmp_path: Path, encoding: str) -> None:
    problem = refused(tmp_path, "a,b\n1,2\n", encoding=encoding)
    assert (problem.code, problem.where[-1]) == ("encoding", "encoding")
    assert repr(encoding) in problem.message


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-16", "begins with a byte order mark"),
        ("utf-32", "byte 1 is not utf-32"),
        ("utf-16-le", "byte 11 is not utf-16-le"),
        ("utf-16-be", "byte 11 is not utf-16-be"),
    ],
)
def test_plain_text_is_not_in_a_wide_encoding(tmp_path: Path, encoding: str, said: str) -> None:
    problem = refused(tmp_path, "abc,d\n11,2\n", encoding=encoding)
    assert problem.code == "encoding" and said in problem.message


@pytest.mark.parametrize(
    ("data", "line"),
    [('a,b\n1,"x\n2,y\n', 2), ('a,b\n1,x\n2,"y\n3,z\n4,u\n', 3), ('a,b\n"1\n2",x\n2,"y\n', 4)],
)
def test_a_quote_that_is_never_closed_is_refused(tmp_path: Path, data: str, line: int) -> None:
    problem = refused(tmp_path, data)
    assert problem.code == "csv" and f"line {line}: a quote opens here" in problem.message


def test_a_last_cell_of_many_lines_is_no_open_quote(tmp_path: Path) -> None:
    assert table(tmp_path, 'a,b\n1,"x\ny"\n') == {"a": [1], "b": ["x\ny"]}


def test_a_stated_type_that_does_not_fit_is_not_claimed(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b,c\n1,x,true\n2,y,false\n")
    asked = dict.fromkeys("abc", "bool")
    found = {column.name: column.type for column in scan(path, asked).columns}
    assert found == {"a": "int64", "b": "string", "c": "bool"}


def test_bytes_far_down_that_are_not_the_encoding_are_refused(tmp_path: Path) -> None:
    data = b"a,b\n" + b"1,x\n" * 300_000 + b"2,caf\xe9\n"
    assert "line 300002" in refused(tmp_path, data).message


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"encoding": "utf-99"}, "encoding"),
        ({"separator": ""}, "separator"),
        ({"separator": ",,"}, "separator"),
        ({"separator": "é"}, "separator"),
        ({"quote": ""}, "quote"),
        ({"columns": ("a",)}, "columns"),
        ({"columns": ("a", "b", "c")}, "columns"),
        ({"separator": "\n"}, "separator"),
        ({"separator": '"'}, "separator"),
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused(tmp_path: Path, options: Any, where: str) -> None:
    assert refused(tmp_path, "a,b\n1,2\n", **options).where[-1] == where


def test_a_gzip_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b\n" + "".join(f"{n},{n * 7919}\n" for n in range(9000)), "t.csv.gz")
    whole = path.read_bytes()
    for end in (5, len(whole) // 2, len(whole) - 4):
        path.write_bytes(whole[:end])
        with pytest.raises(CompileError):
            load(path)


def test_a_damaged_gzip_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b\n" + "".join(f"{n},{n * 7919}\n" for n in range(900)), "t.csv.gz")
    data = bytearray(path.read_bytes())
    for place in range(20, len(data), len(data) // 40):
        broken = data.copy()
        broken[place] ^= 0xFF
        path.write_bytes(broken)
        with pytest.raises(CompileError, match="cannot be read"):
            scan(path)


def test_gzip_is_known_by_its_bytes(tmp_path: Path) -> None:
    """A snapshot in the store has no name that ends in .gz."""
    packed = write(tmp_path, "a,b\n1,2\n", "t.csv.gz")
    named = tmp_path / "t"
    named.write_bytes(packed.read_bytes())
    assert load(named) == load(packed)
    packed.write_bytes(b"a,b\n1,2\n")
    assert load(packed) == load(named)


@pytest.mark.parametrize("rows", [1, 10, 100_000])
def test_a_cell_that_is_not_of_the_locked_type_is_named_with_its_line(
    tmp_path: Path, rows: int
) -> None:
    path = write(tmp_path, "a,b\n" + "1,x\n" * rows)
    facts = scan(path)
    source = Source(
        kind="csv", location="t.csv", digest=digest_of(b""), rows=rows, columns=facts.columns
    )
    write(tmp_path, "a,b\n" + "1,x\n" * (rows - 1) + "many,x\n")
    with pytest.raises(CompileError) as caught:
        KIND.read((path,), spec(path), source, tmp_path / "out")
    (problem,) = caught.value.problems
    assert problem.where == ("data", "columns", "a")
    assert "'many'" in problem.message and f"line {rows + 1}:" in problem.message


def test_other_columns_than_locked_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b\n1,x\n")
    facts = scan(path)
    source = Source(
        kind="csv", location="t.csv", digest=digest_of(b""), rows=1, columns=facts.columns
    )
    write(tmp_path, "a,c\n1,x\n")
    with pytest.raises(CompileError, match="other columns"):
        KIND.read((path,), spec(path), source, tmp_path / "out")


# Always

cells = st.sampled_from(
    ["", "NA", "1", "-2", "01", "2.5", "1e3", "true", "False", "x", "a,b", 'q"q', "two\nlines",
     "2024-01-31", "2024-01-31 10:00:00", "2024-01-31T10:00:00Z", "9223372036854775808", "é", " y ",
     "e\u0301", "inf", "nan", "0x1", "2024-13-01", "1_0"]
)  # fmt: skip


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, dict[str, Any]]:
    """A file as Python's own writer writes it, and how to read it."""
    columns = draw(st.integers(1, 4))
    rows = draw(
        st.lists(st.lists(cells, min_size=columns, max_size=columns), min_size=1, max_size=9)
    )
    separator = draw(st.sampled_from([",", ";", "\t", "|"]))
    buffer = io.StringIO()
    writer = csv.writer(
        buffer,
        delimiter=separator,
        lineterminator=draw(st.sampled_from(["\n", "\r\n"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
    )
    writer.writerow([f"c{n}" for n in range(columns)])
    writer.writerows(rows)
    return buffer.getvalue().encode("utf-8"), {"separator": separator}


@given(files())
def test_what_is_found_can_be_read(tmp_path_factory: Any, file: Any) -> None:
    """Types that scanning finds convert every cell, rows and missing cells are as they were said,
    and the texts are those that Python's own reader gives."""
    data, options = file
    folder = tmp_path_factory.mktemp("any")
    try:
        facts, found = load(write(folder, data), **options)
    except CompileError as error:  # whole numbers that 64 bits do not hold are refused by name
        assert {problem.code for problem in error.problems} == {"too-long"}
        return
    rows = list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=options["separator"]))[
        1:
    ]
    rows = [row for row in rows if row]
    assert facts.rows == found.num_rows == len(rows)
    for fact in facts.columns:
        column = found.column(fact.name)
        assert column.type == arrow_type(fact.type)
        assert fact.missing == (column.null_count > 0)
        position = int(fact.name[1:])
        texts = [row[position].strip() for row in rows]
        if fact.type == "string":
            expected = [None if t in MISSING else unicodedata.normalize("NFC", t) for t in texts]
            assert column.to_pylist() == expected
        if fact.type == "float64":
            expected = [None if t in MISSING else float(t) for t in texts]
            assert column.to_pylist() == expected


@given(files(), st.integers(16, 64))
def test_blocks_do_not_matter(tmp_path_factory: Any, file: Any, block: int) -> None:
    data, options = file
    folder = tmp_path_factory.mktemp("any")
    path = write(folder, data)
    facts, _ = load(path, **options)
    whole = (folder / "t.csv.arrow").read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", max(block, max(map(len, data.split(b"\n"))) * 9 + 99))
        again, _ = load(path, **options)
    assert again == facts
    assert (folder / "t.csv.arrow").read_bytes() == whole


def test_many_blocks_and_batches_do_not_matter(tmp_path: Path, monkeypatch: Any) -> None:
    data = "a,b,t\n" + "".join(
        f"{n},{'x' * (n % 7)},{'NA' if n % 11 == 0 else n / 8}\n" for n in range(70_000)
    )
    path = write(tmp_path, data)
    facts, found = load(path, target="b")
    whole = (tmp_path / "t.csv.arrow").read_bytes()
    assert found.column("a").to_pylist() == list(range(70_000))
    for block in (1 << 10, 1 << 16, 1 << 24):
        monkeypatch.setattr(module, "_BLOCK", block)
        again, _ = load(path, target="b")
        assert again == facts
        assert (tmp_path / "t.csv.arrow").read_bytes() == whole


def test_the_same_rows_are_the_same_bytes_whatever_the_file(tmp_path: Path) -> None:
    rows = "a,b\n1,x\nNA,y\n"
    forms = {
        "one.csv": rows,
        "other.txt": rows,
        "z.csv.gz": rows,
        "crlf.csv": rows.replace("\n", "\r\n"),
        "blank.csv": rows.replace("\n", "\n\n"),
    }
    made = set()
    for name, text in forms.items():
        load(write(tmp_path, text, name))
        made.add((tmp_path / f"{name}.arrow").read_bytes())
    assert len(made) == 1
    assert b"one.csv" not in made.pop()
