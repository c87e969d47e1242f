"""Logs and feedback as they are: broken lines, other models, repeated ids, late and corrected
truths; each line is counted once, and none is lost."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.reference import ColumnReference, Reference
from mlops_compile.ir.value import Map
from mlops_compile.monitor.log import Log
from mlops_compile.monitor.outcomes import outcomes
from mlops_compile.monitor.windows import Seen, look
from tests.living import START, moment

MODEL = "ab" * 32
DAY = timedelta(days=1)
END = START + 7 * DAY


def column(name: str, kind: str, **more: Any) -> ColumnReference:
    return ColumnReference(name=name, kind=kind, rows=10, missing=1, **more)


REFERENCE = Reference(
    task="binary",
    target="sold",
    classes=("no", "yes"),
    primary="roc_auc",
    columns=(
        column("age", "numeric"),
        column("at", "datetime"),
        column("city", "categorical"),
        column("member", "boolean"),
        column("secret", "numeric", sensitive=True),
    ),
    score=column("score", "numeric"),
    truth=column("sold", "categorical"),
    metrics=Map(),
    segments=Map({"age": Map({"edges": (30.0,), "names": ("young", "old"), "levels": Map()})}),
)
RECORD = {"age": 31.5, "at": "2020-01-02T03:04:05", "city": "Oslo", "member": True}


def line(name: str, time: datetime = START, **more: Any) -> dict[str, Any]:
    share = {"no": 0.25, "yes": 0.75}
    answer = {"prediction": "yes", "probabilities": share, "probability": 0.75}
    head = {"v": 1, "id": name, "time": moment(time), "model": MODEL, "plan": "cd" * 32}
    return {**head, "record": RECORD, "answer": answer, "seconds": 0.001} | more


def truth(name: str, said: Any = "yes", time: datetime = END) -> dict[str, Any]:
    return {"v": 1, "id": name, "time": moment(time), "truth": said}


def write(log: Path, name: str, lines: list[Any], end: str = "\n") -> None:
    log.mkdir(exist_ok=True)
    texts = [one if isinstance(one, str) else json.dumps(one) for one in lines]
    (log / name).write_text("\n".join(texts) + end, "utf-8")


def looked(log: Path, start: datetime = START, end: datetime = END) -> Seen:
    return look(Log(str(log)), REFERENCE, MODEL, start, end)


def test_a_window_has_the_lines_of_its_time_and_model(tmp_path: Path) -> None:
    names = ["a", "b", "c", "d"]
    times = [START - DAY / 2, START, END - DAY / 24, END]
    lines = [line(name, time) for name, time in zip(names, times, strict=True)]
    write(tmp_path, "predictions-1.jsonl", [*lines, line("e", model="ef" * 32)])
    seen = looked(tmp_path)
    assert seen.window.rows == 2 and seen.lines.others == 1
    assert seen.lines.table["id"].to_pylist() == ["b", "c"]
    age, at, city, member, secret = seen.window.columns
    assert age.numbers.tolist() == [31.5, 31.5] and age.missing == 0
    assert at.numbers.tolist() == [datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()] * 2
    assert dict(city.levels) == {"Oslo": 2} and dict(member.levels) == {"true": 2}
    assert (secret.missing, secret.rows) == (2, 2)
    assert seen.window.score.numbers.tolist() == [0.75, 0.75]
    assert seen.window.segments["age"].tolist() == ["old", "old"]


def test_what_is_no_line_is_counted_and_passed_over(tmp_path: Path) -> None:
    broken = ["{", "[]", "null", '{"id": 3}', '{"id": "x", "time": "soon"}', ""]
    write(tmp_path, "predictions-1.jsonl", [line("a"), *broken, line("b")])
    write(tmp_path, "predictions-2.jsonl", [line("c"), '{"v":1,"id":"half'], end="")
    seen = looked(tmp_path)
    assert seen.lines.table["id"].to_pylist() == ["a", "b", "c"]
    assert seen.lines.counts.broken == 5  # an empty line is none; one that is being written is left


def test_values_of_another_type_are_wrong_and_not_missing(tmp_path: Path) -> None:
    odd = [{"age": "old"}, {"age": None}, {"age": True}, {"city": 3}, {"at": "soon"}, {"member": 1}]
    lines = [line(str(n), record={**RECORD, **own}) for n, own in enumerate(odd)]
    write(tmp_path, "predictions-1.jsonl", lines)
    age, at, city, member, _ = looked(tmp_path).window.columns
    assert (age.wrong, age.missing, len(age.numbers)) == (2, 1, 3)
    assert (at.wrong, at.missing, len(at.numbers)) == (1, 0, 5)
    assert (city.wrong, city.missing) == (1, 0) and (member.wrong, member.missing) == (1, 0)


def test_the_last_line_of_an_id_counts(tmp_path: Path) -> None:
    lines = [line("a"), line("a", START + DAY, record={**RECORD, "age": 70.0})]
    write(tmp_path, "predictions-1.jsonl", lines[::-1])
    seen = looked(tmp_path)
    assert seen.lines.repeated == 1 and seen.window.columns[0].numbers.tolist() == [70.0]


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdxy"), st.sampled_from(["yes", "no", "maybe"])), max_size=30
    )
)
def test_every_truth_is_counted_and_the_last_holds(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[str, str]]
) -> None:
    """x and y are of no prediction; maybe is no class."""
    log = tmp_path_factory.mktemp("log")
    write(log, "predictions-1.jsonl", [line(name) for name in "abcd"])
    lines = [truth(name, what, END + DAY * n) for n, (name, what) in enumerate(said)]
    write(log, "feedback-1.jsonl", lines[::2])
    write(log, "feedback-2.jsonl", lines[1::2])
    seen = looked(log)
    told = seen.feedback
    last = {name: what for name, what in said if what != "maybe"}
    found = dict(zip(told.table["id"].to_pylist(), told.table["truth"].to_pylist(), strict=True))
    assert found == last
    assert told.lines == len(said) == len(last) + told.repeated + told.corrected + told.other
    assert told.other == sum(what == "maybe" for _, what in said)
    assert seen.unknown == len({*last} & {*"xy"})
    expected = [["no", "yes"].index(last[name]) if name in last else -1 for name in "abcd"]
    assert seen.window.truth.tolist() == expected


def test_ids_of_other_files_are_known(tmp_path: Path) -> None:
    """Feedback on what was asked before the window is not of an unknown id."""
    write(tmp_path, "predictions-20250101T000000-1-1.jsonl", [line("old", START - 90 * DAY)])
    write(tmp_path, "predictions-20260101T000000-1-2.jsonl", [line("new")])
    write(tmp_path, "predictions-20260901T000000-1-3.jsonl", [line("later", END + DAY)])
    write(tmp_path, "feedback-1.jsonl", [truth(name) for name in ("old", "new", "later", "never")])
    seen = looked(tmp_path)
    assert (seen.unknown, len(seen.window.labelled)) == (1, 1)


def test_a_log_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="cannot be read: it is not there"):
        looked(tmp_path / "none")


def test_a_file_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "predictions-1.jsonl").write_text(json.dumps(line("1")) + "\n", "utf-8")
    with pytest.raises(CompileError, match="it is a file, and no directory"):
        looked(tmp_path / "predictions-1.jsonl")


def test_the_name_of_a_file_need_not_have_a_time(tmp_path: Path) -> None:
    for number, name in enumerate(("mine", "99999999T999999-1", "20260101T000000-1")):
        write(tmp_path, f"predictions-{name}.jsonl", [line(str(number))])
    assert looked(tmp_path).window.rows == 3


def test_an_empty_log_is_a_window_without_rows(tmp_path: Path) -> None:
    seen = looked(tmp_path)
    assert seen.window.rows == 0 and seen.window.predicted.shape == (0, 2)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_outcomes_of_a_file_are_lines_of_feedback(tmp_path: Path, suffix: str) -> None:
    log, file = tmp_path / "log", tmp_path / f"truths{suffix}"
    write(log, "predictions-1.jsonl", [line("1"), line("2")])
    if suffix == ".csv":
        file.write_text("order,sold\n1,yes\n2,no\n", "utf-8")
    else:
        lines = [{"order": "1", "sold": "yes"}, {"order": "2", "sold": "no"}]
        file.write_text("".join(json.dumps(one) + "\n" for one in lines), "utf-8")
    name, text, count = outcomes(file, ("order", "sold", None), REFERENCE, END)
    held = Log(str(log))
    assert (held.add(name, text), held.add(name, text), count) == (True, False, 2)
    assert Log(str(log)).add(name, text) is False
    assert looked(log).window.truth.tolist() == [1, 0]


def test_a_file_with_a_wrong_row_is_refused_whole(tmp_path: Path) -> None:
    file = tmp_path / "truths.csv"
    file.write_text("id,truth\na,yes\n,no\nb,perhaps\nc,\n", "utf-8")
    with pytest.raises(CompileError) as caught:
        outcomes(file, ("id", "truth", None), REFERENCE, END)
    text = str(caught.value)
    assert "row 2 has no id" in text and "row 3 has the truth 'perhaps'" in text
    assert "row 4 has no truth" in text and "a truth is one of no, yes" in text


def test_wrong_numbers_and_times_of_a_file_are_told_as_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "truths.csv"
    file.write_text("id,truth,at\na,dear,2026-01-01\nb,inf,2026-01-01\nc,3,soon\n", "utf-8")
    numbers = replace(REFERENCE, classes=())
    with pytest.raises(CompileError) as caught:
        outcomes(file, ("id", "truth", "at"), numbers, END)
    text = str(caught.value)
    assert "row 1 has the truth 'dear'" in text and "row 2 has the truth 'inf'" in text
    assert "a truth is a finite number" in text
    assert "row 3 has no time that can be read" in text and "2026-11-26T12:00:00Z" in text


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match=r"none\.csv is not there"):
        outcomes(tmp_path / "none.csv", ("id", "truth", None), REFERENCE, END)


def test_fast_and_slow_reading_are_one(tmp_path: Path) -> None:
    """A broken line makes its block be read line by line, with the same result."""
    rows = [line(str(n), START + DAY * (n / 100), seconds=n / 1000) for n in range(300)]
    write(tmp_path / "fast", "predictions-1.jsonl", rows)
    write(tmp_path / "slow", "predictions-1.jsonl", [*rows, "{"])
    fast, slow = looked(tmp_path / "fast"), looked(tmp_path / "slow")
    assert fast.lines.table.equals(slow.lines.table)
    assert np.array_equal(fast.window.seconds, slow.window.seconds)
