"""The command that scores files: the evaluated bits from each sort of file, nothing half-done."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_compile.emit import package
from mlops_compile.emit.render import render
from mlops_compile.ir.problem import StepError
from tests.bundles import CLASSES, FLAG, LEVEL, NUMBER, TIME, Made, cell, csv_text, make
from tests.works import work_of

NAMES = [NUMBER, LEVEL, FLAG, TIME]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("batch"), target="batch")


class Command:
    """A bundle's command, run in a directory of its own."""

    def __init__(self, made: Made, place: Path) -> None:
        self.made, self.place = made, place
        self.files = sorted(os.listdir(made.bundle))

    def words(self, *words: str) -> list[str]:
        return [sys.executable, str(self.made.bundle / "batch.py"), *words]

    def environment(self) -> dict[str, str]:
        known = {n: v for n, v in os.environ.items() if n != "PYTHONDONTWRITEBYTECODE"}
        return {**known, "XDG_CACHE_HOME": str(self.made.project / "cache")}

    def __call__(self, *words: str, exit_code: int = 0, **more: Any) -> str:
        """Its standard error. The bundle stays as it is, and nothing of its own is left."""
        done = subprocess.run(
            self.words(*words),
            cwd=self.place,
            env=self.environment(),
            capture_output=True,
            **more,
        )
        said = done.stderr.decode()
        assert done.returncode == exit_code, said
        assert "Traceback" not in said and done.stdout == b""
        assert sorted(os.listdir(self.made.bundle)) == self.files
        assert not [name for name in os.listdir(self.place) if name.startswith(".")]
        return said

    def answers(self, name: str) -> list[list[str]]:
        """The rows of a csv file of answers, its names first."""
        with (self.place / name).open(newline="", encoding="utf-8") as lines:
            return list(csv.reader(lines))


@pytest.fixture
def command(made: Made, tmp_path: Path) -> Command:
    return Command(made, tmp_path)


def _rows(made: Made) -> list[dict[str, Any]]:
    return made.held_out()[0]


def _jsonl(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


VALIDATION = "data.split.validation_size=0.3"
FAMILIES = [
    ("lightgbm", "binary", ()),
    ("random_forest", "multiclass", ()),
    ("hist_gradient_boosting", "regression", ("deploy.name=null",)),
    ("logistic_regression", "multiclass", (VALIDATION, "model.calibration={method: isotonic}")),
    ("ridge", "regression", ()),
    (
        "extra_trees",
        "binary",
        (
            VALIDATION,
            "model.calibration={method: platt}",
            "model.threshold={rule: fixed, value: 0.3}",
        ),
    ),
    (
        "lightgbm",
        "regression",
        (
            f"prepare.derive={{d: {{ratio: ['{NUMBER.replace(chr(39), chr(92) + chr(39))}'"
            f", '{FLAG}']}}, e: {{product: [d, d]}}}}",
        ),
    ),
]


@pytest.mark.parametrize(("family", "task", "words"), FAMILIES[:2])
def test_answers_are_the_evaluated_bits(
    tmp_path: Path, family: str, task: str, words: tuple[str, ...]
) -> None:
    _check_bits(tmp_path, family, task, words)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "task", "words"), FAMILIES[2:6])
def test_answers_of_every_form_are_the_evaluated_bits(
    tmp_path: Path, family: str, task: str, words: tuple[str, ...]
) -> None:
    _check_bits(tmp_path, family, task, words)


def _check_bits(tmp_path: Path, family: str, task: str, words: tuple[str, ...]) -> None:
    if "calibration" in "".join(words):
        words = (*words, "data.split.validation_size=0.2")
    made = make(tmp_path / "project", *words, family=family, task=task, target="batch")
    (tmp_path / "work").mkdir()
    run = Command(made, tmp_path / "work")
    rows, predictions = made.held_out()
    (run.place / "in.csv").write_text(csv_text(rows, NAMES), "utf-8")
    (run.place / "in.jsonl").write_text(_jsonl(rows), "utf-8")
    outputs = [name for name in predictions if name not in ("row", "truth", "decision")]
    right = list(zip(*(predictions[name] for name in outputs), strict=True))
    for source in ("in.csv", "in.jsonl"):
        for target in ("out.csv", "out.jsonl", "out.parquet"):
            run(source, "-o", target)
        names, *found = run.answers("out.csv")
        lines = [
            json.loads(line)
            for line in (run.place / "out.jsonl").read_text().strip().split("\n")
            if line
        ]
        table = pq.read_table(run.place / "out.parquet").to_pydict()
        assert [line["row"] for line in lines] == [*range(1, len(rows) + 1)] == table["row"]
        assert list(table) == names
        if task == "regression":
            assert [float(row[1]) for row in found] == [one for (one,) in right]
            assert [line["prediction"] for line in lines] == table["prediction"]
            assert table["prediction"] == [one for (one,) in right]
            continue
        assert [row[1] for row in found] == [line["prediction"] for line in lines]
        assert table["prediction"] == [line["prediction"] for line in lines]
        assert [tuple(line["probabilities"].values()) for line in lines] == right
        wanted = [row[1:] for row in right] if task == "binary" else right
        assert [tuple(map(float, row[2:])) for row in found] == wanted


def test_rows_come_in_any_number(command: Command) -> None:
    """None, one, and more than are read at once: the answers are those of the same rows alone."""
    (row, *others), _ = command.made.held_out()
    for count in (0, 1, 12_000):
        rows = (
            [row, *others][: count % 4_000] * max(1, count // 100) if count > 1 else [row] * count
        )
        (command.place / "in.csv").write_text(csv_text(rows, NAMES), "utf-8")
        (command.place / "in.jsonl").write_text(_jsonl(rows), "utf-8")
        for name in ("in.csv", "in.jsonl"):
            said = command(name, "-o", "out.csv")
            assert said.endswith(f"{len(rows):,} rows scored in out.csv\n")
            names, *found = command.answers("out.csv")
            assert names == ["row", "prediction", "probability"]
            assert [int(line[0]) for line in found] == [*range(1, len(rows) + 1)]
            alone = {}
            for sent, line in zip(rows, found, strict=True):
                assert alone.setdefault(json.dumps(sent), line[1:]) == line[1:]


def test_every_reading_of_csv_gives_the_same(command: Command) -> None:
    """Quotes or none, either end of lines, a mark in front, columns in any order and others among
    them, texts that say missing, another delimiter, standard input."""
    rows = [
        {**row, LEVEL: "x"} if number else row for number, row in enumerate(_rows(command.made))
    ]
    plain = csv_text(rows, NAMES)
    command.place.joinpath("plain.csv").write_text(plain, "utf-8")
    command("plain.csv", "-o", "right.csv")
    right = command.answers("right.csv")
    order = [TIME, "other", LEVEL, NUMBER, FLAG]
    marked = [{**row, "other": 'x\n"y"', NUMBER: row.get(NUMBER, "NA")} for row in rows]
    bare = plain.split("\n", 1)
    forms = {
        "quoted": plain.replace("x,", '"x",'),
        "windows": plain.replace("\n", "\r\n"),
        "mark": "\ufeff" + plain,
        "order": csv_text(marked, order),
        "blank": bare[0] + "\n\n" + bare[1] + "\n",
        "cut": plain.removesuffix("\n"),
    }
    for name, text in forms.items():
        (command.place / f"{name}.csv").write_bytes(text.encode())
        said = command(f"{name}.csv", "-o", "out.csv", "--missing", "NA")
        assert ("'other'" in said) == (name == "order")
        assert command.answers("out.csv") == right, name
    command("-", "-o", "out.csv", "--from", "csv", input=plain.encode())
    assert command.answers("out.csv") == right
    (command.place / "tabs.csv").write_text(
        "\n".join("\t".join(map(cell, line)) for line in csv.reader(plain.split("\n"))) + "\n"
    )
    command("tabs.csv", "-o", "out.csv", "--delimiter", r"\t")
    assert command.answers("out.csv") == right


@pytest.mark.parametrize("odd", [False, True])
def test_cells_are_read_as_those_of_the_data_were(command: Command, odd: bool) -> None:
    """White space around them, and how accents are written, say nothing; column by column, or where
    a row has to be looked at, row by row."""
    rows = _rows(command.made)
    (command.place / "plain.csv").write_text(csv_text(rows, NAMES), "utf-8")
    command("plain.csv", "-o", "right.csv")
    padded = [[f" {cell(row.get(name))}\t\u00a0" for name in NAMES] for row in rows]
    if odd:
        padded.append(["no number", *padded[0][1:]])
    with (command.place / "in.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows(
            [normalize("NFD", text) for text in line]
            for line in ([f"{name} " for name in NAMES], *padded)
        )
    words = ("in.csv", "-o", "out.csv", *(("--aside", "aside.jsonl") if odd else ()))
    said = command(*words, exit_code=4 if odd else 0)
    assert "that the data had not" not in said
    assert command.answers("out.csv") == command.answers("right.csv")


ODD = {
    NUMBER: ["old", "nan", "inf", "1e999", "1_0", "1 2", "0x1", "1,5"],
    FLAG: ["yes", "1", ""],
    TIME: ["yesterday", "", "2024-01-01T00:00:00Z"],
}


def test_rows_that_do_not_fit_are_told_with_their_lines(command: Command) -> None:
    rows = [*_rows(command.made)[:30]]
    wrong = [(name, text) for name, texts in ODD.items() for text in texts]
    places = {3 + 2 * number: pair for number, pair in enumerate(wrong[:13])}
    for place, (name, text) in places.items():
        rows[place] = {**rows[place], name: text}
    (command.place / "in.csv").write_text(csv_text(rows, NAMES), "utf-8")
    said = command("in.csv", "-o", "out.csv", exit_code=3)
    told = said.splitlines()
    for line, (place, (name, _)) in zip(told, [*places.items()][:10], strict=False):
        assert line.startswith(f"in.csv:{place + 2}: ") and name in line
    assert told[-1] == "nothing is written; --aside FILE takes such rows, and goes on"
    assert os.listdir(command.place) == ["in.csv"]
    said = command("in.csv", "-o", "out.csv", "--aside", "odd.jsonl", exit_code=4)
    assert said.endswith(
        f"{30 - len(places)} rows scored in out.csv, {len(places)} set aside in odd.jsonl\n"
    )
    aside = [
        json.loads(line)
        for line in (command.place / "odd.jsonl").read_text().strip().split("\n")
        if line
    ]
    assert [item["line"] for item in aside] == [place + 2 for place in places]
    assert [item["row"][name] for item, (name, _) in zip(aside, places.values(), strict=True)] == [
        text for _, text in places.values()
    ]
    _, *found = command.answers("out.csv")
    assert [int(row[0]) for row in found] == [n + 1 for n in range(30) if n not in places]


@pytest.mark.parametrize("odd", [False, True])
def test_texts_that_the_data_had_not_are_answered_and_told(command: Command, odd: bool) -> None:
    """They may be what another file says where a value is missing; column by column, or where a row
    has to be looked at, row by row."""
    rows = [dict(row) for row in _rows(command.made)[:40]]
    for row in rows[:3]:
        row[LEVEL] = "?"
    rows[5][LEVEL] = "n/a"
    if odd:
        rows[9] = {**rows[9], NUMBER: "no number"}
    (command.place / "in.jsonl").write_text(_jsonl(rows), "utf-8")
    words = ("in.jsonl", "-o", "out.csv", *(("--aside", "aside.jsonl") if odd else ()))
    said = command(*words, exit_code=4 if odd else 0)
    assert f"{LEVEL!r} has texts that the data had not: '?' (3), 'n/a' (1)\n" in said
    assert len(command.answers("out.csv")) == 41 - odd
    assert "had not" not in command(*words, "--quiet", exit_code=4 if odd else 0)


def test_rows_of_another_form_are_told_too(command: Command) -> None:
    good = csv_text(_rows(command.made)[:3], NAMES).encode().splitlines(keepends=True)
    lines = [*good, b"1,2\n", b'"a"b,x,true,2020-01-01\n', b"\xff,x,true,2020-01-01\n", good[1]]
    lines = [*lines, b'"1\n', b'2",x,true,2020-01-01\n', good[2]]
    (command.place / "in.csv").write_bytes(b"".join(lines))
    command("in.csv", "-o", "out.csv", "--aside", "odd.jsonl", exit_code=4)
    aside = [
        json.loads(line)
        for line in (command.place / "odd.jsonl").read_text().strip().split("\n")
        if line
    ]
    assert [item["line"] for item in aside] == [5, 6, 7, 9]
    assert ["fields" in aside[0]["problem"], "not csv" in aside[1]["problem"]] == [True, True]
    assert "UTF-8" in aside[2]["problem"] and "must be a number" in aside[3]["problem"]
    assert [row[0] for row in command.answers("out.csv")[1:]] == ["1", "2", "3", "7", "9"]
    bad = ['{"a": 1}', "{", "[]", '{"x": "\xff"}', json.dumps({**_rows(command.made)[0], FLAG: 1})]
    text = _jsonl(_rows(command.made)[:2]) + "\n" + "\n".join(bad) + "\n"
    (command.place / "in.jsonl").write_bytes(text.encode("latin-1", "replace"))
    command("in.jsonl", "-o", "out.jsonl", "--aside", "odd.jsonl", exit_code=4)
    aside = [
        json.loads(line)
        for line in (command.place / "odd.jsonl").read_text().strip().split("\n")
        if line
    ]
    assert [item["line"] for item in aside] == [4, 5, 6, 7, 8]


def test_parquet_of_other_types_is_read_or_refused(command: Command) -> None:
    rows = _rows(command.made)
    (command.place / "in.jsonl").write_text(_jsonl(rows), "utf-8")
    command("in.jsonl", "-o", "right.csv")
    right = command.answers("right.csv")
    columns = {name: [row.get(name) for row in rows] for name in NAMES}
    times = pa.array(columns[TIME], pa.string()).cast(pa.timestamp("ns"))
    usual = {
        NUMBER: pa.array(columns[NUMBER], pa.float64()),
        LEVEL: pa.array(columns[LEVEL], pa.string()).dictionary_encode(),
        FLAG: pa.array(columns[FLAG], pa.bool_()),
        TIME: times,
        "other": pa.array(range(len(rows))),
    }
    pq.write_table(pa.table(usual), command.place / "in.parquet", row_group_size=17)
    assert "'other'" in command("in.parquet", "-o", "out.csv")
    assert command.answers("out.csv") == right
    whole = {**usual, NUMBER: pa.array([None if x is None else int(x) for x in columns[NUMBER]])}
    pq.write_table(pa.table(whole), command.place / "in.parquet")
    command("in.parquet", "-o", "out.csv")
    for name, array in (
        (NUMBER, pa.array(["1"] * len(rows))),
        (FLAG, pa.array([1] * len(rows))),
        (TIME, times.cast(pa.timestamp("us", "UTC"))),
        (LEVEL, pa.array([1] * len(rows))),
    ):
        pq.write_table(pa.table({**usual, name: array}), command.place / "bad.parquet")
        assert f"column {name!r} is" in command("bad.parquet", "-o", "new.csv", exit_code=3)
    gaps = {**usual, FLAG: pa.array([None, *columns[FLAG][1:]], pa.bool_())}
    gaps[NUMBER] = pa.array([1.0, float("inf"), *[2.0] * (len(rows) - 2)])
    pq.write_table(pa.table(gaps), command.place / "gaps.parquet")
    command("gaps.parquet", "-o", "new.csv", "--aside", "odd.jsonl", exit_code=4)
    aside = [
        json.loads(line)
        for line in (command.place / "odd.jsonl").read_text().strip().split("\n")
        if line
    ]
    assert [item["line"] for item in aside] == [1, 2]
    (command.place / "no.parquet").write_bytes(b"PAR1 no")
    command("no.parquet", "-o", "x.csv", exit_code=3)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "its first line has to name the columns"),
        (b"a,b\n1,2\n", "there is no column"),
        (b"a,a\n", "two columns are called 'a'"),
        (b'"a\n', "line 1"),
        (b"a;b\n", "is the delimiter ','?"),
    ],
)
def test_a_file_that_is_none_is_refused(command: Command, text: bytes, says: str) -> None:
    (command.place / "in.csv").write_bytes(text)
    assert says in command("in.csv", "-o", "out.csv", exit_code=3)
    assert os.listdir(command.place) == ["in.csv"]


@pytest.mark.parametrize(
    ("words", "exit_code", "says"),
    [
        (("no.csv", "-o", "out.csv"), 3, "No such file"),
        (("in.csv", "-o", "no/out.csv"), 5, "no/out.csv cannot be written"),
        (("in.csv",), 2, "-o"),
        (("in.txt", "-o", "out.csv"), 2, "--from"),
        (("in.csv", "-o", "out"), 2, "--to"),
        (("in.csv", "-o", "in.csv"), 2, "different files"),
        (("in.csv", "-o", "o.csv", "--delimiter", "ab"), 2, "one character"),
        (("-", "-o", "o.csv", "--from", "parquet"), 2, "standard input"),
    ],
)
def test_what_cannot_be_done_is_told(
    command: Command, words: tuple[str, ...], exit_code: int, says: str
) -> None:
    (command.place / "in.csv").write_text(csv_text(_rows(command.made), NAMES), "utf-8")
    assert says in command(*words, exit_code=exit_code)
    assert os.listdir(command.place) == ["in.csv"]


def test_what_was_there_stands_until_all_is_written(command: Command) -> None:
    (command.place / "out.csv").write_text("before")
    (command.place / "in.csv").write_text(csv_text([{FLAG: "?"}], NAMES), "utf-8")
    command("in.csv", "-o", "out.csv", exit_code=3)
    assert (command.place / "out.csv").read_text() == "before"
    (command.place / "link.csv").symlink_to("out.csv")
    (command.place / "in.csv").write_text(csv_text(_rows(command.made), NAMES), "utf-8")
    command("in.csv", "-o", "link.csv")
    assert (command.place / "link.csv").is_symlink()
    assert len(command.answers("out.csv")) == len(_rows(command.made)) + 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing(command: Command, number: signal.Signals) -> None:
    words = command.words("-", "--from", "csv", "-o", "out.csv")
    process = subprocess.Popen(
        words,
        cwd=command.place,
        env=command.environment(),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None and process.stderr is not None
    process.stdin.write(csv_text(_rows(command.made) * 300, NAMES).encode())
    process.stdin.flush()
    for _ in range(1200):
        if os.listdir(command.place):
            break
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(timeout=60) == 128 + number
    assert process.stderr.read().endswith(b"interrupted; nothing is written\n")
    assert os.listdir(command.place) == []


def test_no_room_is_told(command: Command) -> None:
    (command.place / "in.csv").write_text(csv_text(_rows(command.made) * 300, NAMES), "utf-8")
    limit = (20_000, 20_000)
    said = command(
        *("in.csv", "-o", "out.csv"),
        exit_code=5,
        preexec_fn=lambda: (
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
            resource.setrlimit(resource.RLIMIT_FSIZE, limit),
        ),
    )
    assert "out.csv cannot be written" in said and "nothing is written" in said
    assert os.listdir(command.place) == ["in.csv"]


def test_a_quote_that_does_not_end_takes_no_more_memory_than_is_said(command: Command) -> None:
    row = csv_text(_rows(command.made)[:1], NAMES).split("\n")
    with (command.place / "in.csv").open("w") as file:
        file.write(f"{row[0]}\n{row[1]}\n" + '"' + "x,\n" * (7 << 20))
    said = command("in.csv", "-o", "out.csv", exit_code=3)
    assert "line 3 opens a quote that is not closed within 16 MiB" in said


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(command: Command) -> None:
    """Ten times the rows take no more memory than half as much again."""
    peaks = []
    for times in (400, 4000):
        (command.place / "in.csv").write_text(csv_text(_rows(command.made) * times, NAMES), "utf-8")
        code = (
            "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        words = command.words("in.csv", "-o", "out.csv")
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            cwd=command.place,
            env=command.environment(),
            capture_output=True,
            check=True,
        )
        peaks.append(int(done.stdout))
    assert peaks[1] < 1.5 * peaks[0]


def test_a_progress_bar_on_a_terminal(command: Command) -> None:
    import pty

    (command.place / "in.csv").write_text(csv_text(_rows(command.made) * 1500, NAMES), "utf-8")
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        command.words("in.csv", "-o", "out.csv"),
        cwd=command.place,
        env=command.environment(),
        stderr=follower,
    )
    os.close(follower)
    said = b""
    while True:
        try:
            more = os.read(leader, 4096)
        except OSError:  # the terminal is closed
            break
        if not more:
            break
        said += more
    os.close(leader)
    assert process.wait() == 0
    assert b"rows scored in out.csv" in said
    assert b"%" in said and b"[#" in said


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("columns.py", "float(c1.year)", "float(c1.day)", "rows of csv otherwise"),
        ("from_jsonl.py", "decode_lines(data)", "decode_lines(data)[::-1]", "rows of jsonl other"),
        ("from_parquet.py", "(0.0, 1.0, NAN)[", "(1.0, 0.0, NAN)[", "rows of parquet otherwise"),
        ("writing.py", "classes[n] for n in best", "classes[0] for n in best", "of csv otherwise"),
        ("batch.py", "def main(", "def main((", "the command fails on csv"),
    ],
)
def test_a_command_that_differs_is_refused(
    made: Made,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    old: str,
    new: str,
    says: str,
) -> None:
    def broken(spec: Any) -> dict[str, str]:
        files = render(spec)
        assert old in files[file]
        return {**files, file: files[file].replace(old, new)}

    monkeypatch.setattr(package, "render", broken)
    with pytest.raises(StepError, match=says):
        package.run(work_of(made, tmp_path))


def test_classes_come_as_they_are(command: Command) -> None:
    (command.place / "in.jsonl").write_text(_jsonl(_rows(command.made)), "utf-8")
    command("in.jsonl", "-o", "out.csv")
    assert {row[1] for row in command.answers("out.csv")[1:]} == {*CLASSES[:2]}
