"""Broken copies of data sets: each trap works, or gets its sentence, and none is a bug."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.project import Answer, make, mlops, rows, stored

Table = list[list[str]]  # the first row holds the names
FAST = "model.params.num_iterations=5"


def _with(name: str, values: Callable[[int], str]) -> Callable[[Table], Table]:
    """A column more."""
    return lambda table: [
        [*row, values(number) if number else name] for number, row in enumerate(table)
    ]


def _targets(values: Callable[[int, str], str]) -> Callable[[Table], Table]:
    """Other targets."""
    return lambda table: [
        [*row[:-1], values(number, row[-1])] if number else row for number, row in enumerate(table)
    ]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make(tmp_path / "project")


def broken(project: Path, change: Callable[[Table], Table], task: str = "binary") -> None:
    table = change(list(csv.reader(io.StringIO(rows(task)))))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(table)
    (project / "rows.csv").write_text(text.getvalue(), "utf-8")


def run(project: Path, *words: str) -> Answer:
    answer = mlops(project, "run", "--json", FAST, *words)
    assert "MC0083" not in answer.err, answer.err  # no bug
    return answer


LINEAR = ("model=logistic_regression", "~model.params.num_iterations")
REFUSED = {
    # name: change, words, exit code, what is said
    "all missing, imputed": (
        _with("x", lambda n: ""),
        ("prepare.columns={x: [impute]}",),
        5,
        "missing",
    ),
    "infinite": (
        _with("x", lambda n: "inf" if n == 7 else "1.5"),
        (),
        5,
        "1 value is infinite: row 7",
    ),
    "mixed types, said to be numeric": (
        _with("x", lambda n: "about 3" if n == 9 else str(n)),
        ("data.columns={x: {type: numeric}}",),
        3,
        "data.columns.x.type: rows.csv, line 10: 'about 3' is not a number",
    ),
    "mixed types": (
        _with("x", lambda n: "about 3" if n == 9 else str(n)),
        (),
        3,
        "line 10: 'about 3' is not a number, and nearly all of the column look like numbers",
    ),
    "one class": (_targets(lambda n, old: "yes"), (), 3, "one class only, 'yes'"),
    "a class of one row": (
        _targets(lambda n, old: "maybe" if n == 5 else old),
        ("data.task=multiclass",),
        5,
        "the class 'maybe' has 1 row",
    ),
    "an id as target": (
        _targets(lambda n, old: f"c{n}"),
        ("data.task=multiclass",),
        5,
        "each of the 240 rows has a class of its own",
    ),
    "a constant number as target": (
        _targets(lambda n, old: "5"),
        ("data.task=regression",),
        5,
        "'target' is always 5",
    ),
    "an infinite target": (
        _targets(lambda n, old: "-inf" if n == 3 else str(n)),
        ("data.task=regression",),
        5,
        "1 value is infinite: row 3",
    ),
    "one row": (lambda table: table[:2], (), 3, "one class only"),
    "two rows": (
        lambda table: [table[0], [*table[1][:-1], "no"], [*table[2][:-1], "yes"]],
        (),
        3,
        "2 rows leave none for the test part",
    ),
    "duplicates": (
        lambda table: [*table, *table[1:4]],
        ("data.rows.duplicates=fail",),
        5,
        "3 rows (241, 242, 243) are equal to an earlier row",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(project: Path, name: str) -> None:
    change, words, code, says = REFUSED[name]
    broken(project, change)
    answer = run(project, *words)
    assert answer.code == code, answer.err
    assert says in answer.err
    if code == 3:
        assert not stored(project)


WORKS = {
    "all missing": (_with("x", lambda n: ""), ()),
    "constant": (_with("x", lambda n: "7"), ()),
    "constant, scaled": (_with("x", lambda n: "7"), LINEAR),
    "mixed types, said to be texts": (
        _with("x", lambda n: "about 3" if n == 9 else str(n % 20)),
        ("data.columns={x: {type: categorical}}",),
    ),
    "infinite, set missing": (
        _with("x", lambda n: "inf" if n == 7 else f"{n % 13}.5"),
        ("data.columns={x: {violation: missing}}",),
    ),
    "duplicates, dropped": (
        lambda table: [*table, *table[1:40]],
        ("data.rows.duplicates=drop",),
    ),
    "every row its own text": (_with("x", lambda n: f"text {n}"), ()),
}


@pytest.mark.parametrize("name", WORKS)
def test_what_works(project: Path, name: str) -> None:
    change, words = WORKS[name]
    broken(project, change)
    answer = run(project, *words)
    assert answer.code == 0, answer.err
    assert answer.document["bundle"]["digest"]


def test_a_test_part_without_one_of_the_classes(project: Path) -> None:
    """A class that is not tested, or not learned, is refused."""
    split = "data.split={kind: time, column: day, test_size: 0.25}"
    words = (split, "data.task=multiclass", "data.columns={day: {role: time}}")
    day = _with("day", lambda n: str(n))
    early = _targets(lambda n, old: "c" if n <= 20 else "ab"[n % 2])
    broken(project, lambda table: day(early(table)))
    answer = run(project, *words)
    assert answer.code == 5 and "no row of the test part has the class 'c'" in answer.err
    late = _targets(lambda n, old: "c" if n > 180 else "ab"[n % 2])
    broken(project, lambda table: day(late(table)))
    answer = run(project, *words)
    assert answer.code == 5 and "part has the class 'c'" in answer.err


def test_conditions_that_leave_no_row_of_a_class(project: Path) -> None:
    """Which is no fault of the split."""
    broken(project, _with("x", lambda n: "ab"[n % 2]))
    broken_rows = (project / "rows.csv").read_text().splitlines()
    held = [line for line in broken_rows if not line.endswith(",b") or ",yes," in line]
    (project / "rows.csv").write_text("\n".join(held) + "\n")
    answer = run(project, "prepare.rows=[\"x == 'b'\"]", "data.split.kind=stratified")
    assert answer.code == 5
    assert (
        "error[MC0071]: prepare.rows: no row of the training part has the class 'no'" in answer.err
    )


NAMES = {
    "keywords": ("class", "None", "import", "lambda"),
    "spaces": ("a b", "x  y"),
    "dots": ("a.b", "pm2.5", "."),
    "paths": ("..", "../../etc", "a/b", "/"),
    "templates": ("{{ 7*7 }}", "{% raw %}", "{#", "{x}", "$x", "${y}"),
    "unicode": ("größe", "年齢", "😀", "e\u0301"),
    "quotes": ("it's", "`x`", "%s", "<b>", "a=b", "a;b", "#x", "@", "-", "?"),
    "names of code": ("self", "c0", "c1_0", "NAN", "Record", "Scorer", "__init__", "msgspec"),
    "python": ("__import__('os')", "0x1", "1e5", "None "),
}


@pytest.mark.parametrize(
    "kind",
    [
        kind if kind in ("paths", "quotes") else pytest.param(kind, marks=pytest.mark.slow)
        for kind in NAMES
    ],
)
def test_names_of_columns(project: Path, kind: str) -> None:
    """They go through compile, run, the bundle and its service's own reader and scorer: the proof
    of a bundle replays the test rows by these names."""

    def change(table: Table) -> Table:
        for place, name in enumerate(NAMES[kind]):
            levels = "abc" if place % 2 else "123"
            table = _with(name, lambda n, place=place, levels=levels: levels[(n + place) % 3])(
                table
            )
        return table

    broken(project, change)
    answer = run(project)
    assert answer.code == 0, answer.err
    bundle = project / answer.document["bundle"]["path"]
    example = json.loads((bundle / "example.json").read_text("utf-8"))
    wanted = {unicodedata.normalize("NFC", name.strip()) for name in NAMES[kind]}
    assert wanted <= set(example)
    for file in bundle.glob("*.py"):
        compile(file.read_text("utf-8"), str(file), "exec")
    assert not (project.parent / "etc").exists()


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "a\tb", "\x01"])
def test_names_that_no_field_can_have(project: Path, name: str) -> None:
    broken(project, _with(name, lambda n: str(n % 9)))
    answer = run(project)
    assert answer.code == 3
    assert "a service cannot have a field of this name" in answer.err
    assert not stored(project)


def test_ten_thousand_levels(project: Path) -> None:
    """Native categories take them; a feature for each is refused with a way out."""
    text = "age,zip,target\n" + "".join(
        f"{n % 70},z{n % 10_000},{'yes' if n % 70 > 30 else 'no'}\n" for n in range(20_000)
    )
    (project / "rows.csv").write_text(text)
    assert run(project).code == 0
    answer = run(project, "prepare.columns={zip: [one_hot]}")
    assert answer.code == 5
    assert "one_hot would make" in answer.err and "min_count" in answer.err
