"""Options of delimited text: every usual dialect and packing is the same table."""

from __future__ import annotations

import bz2
import csv
import io
import lzma
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_compile.ir.digest import digest_of
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.source import ColumnFact, Source
from mlops_compile.ir.value import Map, freeze
from mlops_compile.steps.sources.csv import KIND
from tests.test_sources_csv import load, refused, scan, spec, table, write


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def zst(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


PLAIN = b"a,b\n1,x\n2,y z\n"
NAMED: dict[str, Any] = {"header": False, "columns": ("a", "b")}


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (bz2.compress(PLAIN), {}),
        (lzma.compress(PLAIN), {}),
        (zst(PLAIN), {}),
        (zst(PLAIN[:9]) + zst(PLAIN[9:]), {}),
        (zipped(**{"d/t.csv": PLAIN}), {}),
        (zipped(**{"t.csv": PLAIN, "__MACOSX/._t": b"x", "d/": b""}), {}),
        ("made by me\n\na,b\n1,x\n2,y z\n", {"skip": 2}),
        ("made by me\n1,x\n2,y z\n", {"skip": 1, **NAMED}),
        ("# x\na,b\n#,\n1,x\n2,y z\n# end", {"comment": "#"}),
        ("# x\n1,x\n#,\n2,y z\n", {"comment": "#", **NAMED}),
        (
            "// x\na;b\n1;x\n//;;\n2;y z\n".encode("utf-16"),
            {"comment": "//", "separator": ";", "encoding": "utf-16"},
        ),
        ("top\n#c\na,b\n1,x\n2,y z\n", {"comment": "#", "skip": 1}),
    ],
)
def test_one_table_in_many_forms(tmp_path: Path, data: Any, options: Any) -> None:
    assert table(tmp_path, data, **options) == {"a": [1, 2], "b": ["x", "y z"]}


@pytest.mark.parametrize(
    ("cells", "options", "expected"),
    [
        ("1.234,5|12|-1.234.567", {"decimal": ",", "thousands": "."}, [1234.5, 12.0, -1234567.0]),
        ("1.234|12", {"decimal": ",", "thousands": "."}, [1234, 12]),
        ("1,234|12", {"thousands": ","}, [1234, 12]),
        ("1'234.25|12", {"thousands": "'"}, [1234.25, 12.0]),
        ("1\u202f234|12", {"thousands": "\u202f"}, [1234, 12]),
        ("1 234|12", {"thousands": " "}, [1234, 12]),
        ("1,5|,5|1e3|2,", {"decimal": ","}, [1.5, 0.5, 1000.0, 2.0]),
        ("1.5|2", {"decimal": ","}, ["1.5", "2"]),
        ("1,23|2", {"thousands": ","}, ["1,23", "2"]),
        ("12,34,567|2", {"thousands": ","}, ["12,34,567", "2"]),
        ("1,5|NA", {"decimal": ","}, [1.5, None]),
    ],
)
def test_marks_in_numbers(tmp_path: Path, cells: str, options: Any, expected: Any) -> None:
    data = "a;b\n" + "".join(f"{cell};z\n" for cell in cells.split("|"))
    assert table(tmp_path, data, separator=";", **options)["a"] == expected


def test_ways_to_quote(tmp_path: Path) -> None:
    assert table(tmp_path, 'a,b\n"x,y\n', quote=None) == {"a": ['"x'], "b": ["y"]}
    assert table(tmp_path, 'a,b\n"x\\"y",z\\,\n', escape="\\") == {"a": ['x"y'], "b": ["z,"]}
    found = table(tmp_path, 'a,b\n"x\\"",z\n', escape="\\", double_quote=False)
    assert found == {"a": ['x"'], "b": ["z"]}


def test_a_comment_within_a_quoted_cell_is_none(tmp_path: Path) -> None:
    data = 'a,b\n"x\n# y",1\n# z\n5" wide,2\n#,3\n'
    assert table(tmp_path, data, comment="#") == {"a": ["x\n# y", '5" wide'], "b": [1, 2]}


def test_missing_marks_of_single_columns(tmp_path: Path) -> None:
    data = "a,b\n-1,-1\n?,?\n2,NA\n"
    found = table(tmp_path, data, missing_in={"a": ("-1", "?"), "b": ("?",)})
    assert found == {"a": [None, None, 2], "b": [-1, None, None]}
    assert refused(tmp_path, data, missing_in={"c": ("x",)}).code == "no-column"
    with pytest.raises(CompileError, match="must be a list of texts"):
        scan(tmp_path / "t.csv", missing_in={"a": (-1,)})


@pytest.mark.parametrize("rows", [3, 60_000])
def test_the_line_of_an_open_quote_in_a_file_of_any_size(tmp_path: Path, rows: int) -> None:
    """Where it opens, though cells in front of it hold quotes and line breaks, and though the rest
    of the file is one cell then."""
    data = 'a,b\n"x\ny",1\n"""",2\n3,"4\n' + "5,6\n" * rows
    problem = refused(tmp_path, data)
    assert problem.message == "t.csv, line 5: a quote opens here and is never closed"


@pytest.mark.parametrize("times", [1, 400])
def test_texts_that_stand_for_others(tmp_path: Path, times: int) -> None:
    """Once, before missing marks and types are looked for; 400 times, each text is told once."""
    data = "a,b,c\n" + " one ,yes.,yes.\n2,no.,x\\y\nnone,no,NA\n" * times
    replace = {
        "a": {"one": "1", "none": "NA"},
        "b": {"yes.": "yes", "no.": "no", "no": "yes."},
        "c": {"x\\y": "\\0 $1", "NA": "known"},
    }
    found = table(tmp_path, data, replace=Map({k: Map(v) for k, v in replace.items()}))
    expected = {"a": [1, 2, None], "b": ["yes", "no", "yes."], "c": ["yes.", "\\0 $1", "known"]}
    assert found == {name: values * times for name, values in expected.items()}


@pytest.mark.parametrize(
    ("replace", "code", "said"),
    [
        ({"aa": {"x": "y"}}, "no-column", "no column 'aa'"),
        ({"a": ["x"]}, "wrong-type", "must be a map of texts"),
        ({"a": {"x": 1}}, "wrong-type", "must be a text, and YAML reads 1 as no text"),
        ({"a": {"x": True}}, "wrong-type", "must be a text, and YAML reads True as no text"),
        ({"a": {" x": "y"}}, "option", "cells are trimmed"),
        ({"a": {"x": "y "}}, "option", "cells are trimmed"),
    ],
)
def test_replacements_that_cannot_be(tmp_path: Path, replace: Any, code: str, said: str) -> None:
    problem = refused(tmp_path, "a,b\n1,x\n", replace=freeze(replace))
    assert problem.code == code and said in problem.message
    assert problem.where[:4] == ("data", "source", "options", "replace")


@pytest.mark.parametrize("comment", ["#", None])
@pytest.mark.parametrize("skip", [0, 3])
def test_lines_keep_their_numbers(tmp_path: Path, comment: Any, skip: int) -> None:
    """Whatever is left out, a fault is named with the line that an editor shows."""
    options: dict[str, Any] = {"comment": comment, "skip": skip}
    top = "top\n" * skip + ("# c\n" if comment else "")
    data = top + 'a,b\n"1\n1",7\n\n' + ("# c\n" if comment else "") + "2,8\n"
    line = data.count("\n") + 1
    assert f"line {line}:" in refused(tmp_path, data + "3\n", **options).message
    assert f"line {line}:" in refused(tmp_path, data + '3,"\n4,z\n', **options).message
    bad = (data + "3,").encode() + b"\xe9\n"
    assert f"line {line}:" in refused(tmp_path, bad, **options).message
    columns = (ColumnFact(name="a", type="string"), ColumnFact(name="b", type="int64"))
    source = Source(kind="csv", location="t", digest=digest_of(b""), rows=3, columns=columns)
    path = write(tmp_path, data + "3,z\n")
    with pytest.raises(CompileError, match=f"line {line}: 'z' is not a whole number"):
        KIND.read((path,), spec(path, **options), source, tmp_path / "out")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (zipped(a=b"a\n1\n", b=b"a\n1\n"), "is a zip of 2 files: a, b"),
        (zipped(), "is a zip that holds no file"),
        (zipped(**{"[Content_Types].xml": b"x", "xl/a.xml": b"x"}), "is a spreadsheet"),
    ],
)
def test_a_zip_holds_one_file(tmp_path: Path, data: bytes, said: str) -> None:
    problem = refused(tmp_path, data)
    assert problem.code == "packed" and said in problem.message


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress, lambda data: zipped(a=data), zst])
def test_what_is_cut_off_or_damaged_is_refused(tmp_path: Path, pack: Any) -> None:
    whole = pack(("a,b\n" + "".join(f"{n},{n * 7919}\n" for n in range(9000))).encode())
    path = write(tmp_path, whole)
    expected = load(path)[1]
    for end in (12, len(whole) // 2, len(whole) - 4):
        assert refused(tmp_path, whole[:end]).message
    for place in range(20, len(whole) - 30, len(whole) // 10):
        data = bytearray(whole)
        data[place] ^= 0xFF
        path.write_bytes(data)
        try:
            found = load(path)[1]
        except CompileError as error:
            assert error.problems
        else:  # pa.compress writes no checksum
            assert pack is zst or found.equals(expected)


def test_whole_numbers_beyond_64_bits_are_refused_not_rounded(tmp_path: Path) -> None:
    problem = refused(tmp_path, "a,b\n1,x\n\n9223372036854775808,y\n")
    assert problem.code == "too-long" and "line 4: 9223372036854775808" in problem.message
    found = load(tmp_path / "t.csv", {"a": "string"})[1]
    assert found["a"].to_pylist() == ["1", "9223372036854775808"]


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"escape": ","}, "separator"),
        ({"escape": "ab"}, "escape"),
        ({"decimal": ""}, "decimal"),
        ({"decimal": "5"}, "decimal"),
        ({"thousands": "."}, "decimal"),
        ({"thousands": ""}, "thousands"),
        ({"comment": " "}, "comment"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path: Path, options: Any, where: str) -> None:
    assert refused(tmp_path, "a,b\n1,2\n", **options).where[-1] == where


@st.composite
def dialects(draw: st.DrawFn) -> tuple[bytes, list[list[str]], dict[str, Any]]:
    """A file in some dialect as Python's own writer writes it, its rows, and how to read it."""
    columns = draw(st.integers(2, 4))
    alphabet = st.sampled_from("abc ,;|\"'\\#\n.1é€")
    text = st.text(alphabet, max_size=6).map(lambda cell: f"x{cell}x")
    rows = draw(st.lists(st.lists(text, min_size=columns, max_size=columns), min_size=1))
    double = draw(st.booleans())
    options: dict[str, Any] = {
        "separator": draw(st.sampled_from(",;\t|:")),
        "quote": draw(st.sampled_from("\"'~")),
        "double_quote": double,
        "escape": draw(st.sampled_from([None, "^"] if double else ["\\", "^"])),
        "encoding": draw(st.sampled_from(["utf-8", "utf-16", "utf-8-sig", "gb18030", "utf-32"])),
        "skip": draw(st.integers(0, 3)),
        "comment": draw(st.sampled_from([None, "#", "%%"])),
    }
    buffer = io.StringIO()
    buffer.write("top\n" * options["skip"])
    writer = csv.writer(
        buffer,
        delimiter=options["separator"],
        quotechar=options["quote"],
        doublequote=double,
        escapechar=options["escape"],
        lineterminator=draw(st.sampled_from(["\n", "\r\n"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
    )
    for row in [[f"c{n}" for n in range(columns)], *rows]:
        if options["comment"] and draw(st.booleans()):
            buffer.write(f"{options['comment']} no row{options['quote']}\n")
        writer.writerow(row)
    return buffer.getvalue().encode(options["encoding"]), rows, options


@given(dialects())
def test_any_dialect_is_read_back(tmp_path_factory: Any, written: Any) -> None:
    data, rows, options = written
    found = table(tmp_path_factory.mktemp("any"), data, **options)
    columns = zip(*rows, strict=True)
    assert found == {
        f"c{n}": [unicodedata.normalize("NFC", cell) for cell in cells]
        for n, cells in enumerate(columns)
    }
