"""Pinning: what the data shows, the contract that follows, and every problem with it."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from mlops_compile.compiler.fitting import data_problems
from mlops_compile.compiler.pin import contract_of, pin
from mlops_compile.compiler.sources import Looking, pin_sources
from mlops_compile.ir.lock import Lock, decode, encode
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.source import Pinned
from mlops_compile.ir.value import Value
from mlops_compile.store.cache import FileCache
from tests.strategies import BASE, CSV, lock_of, pinned, plan_of, spec_of, tweak

PEOPLE = {
    "age": "int64",
    "city": "string?",
    "since": "timestamp",
    "member": "bool",
    "answer": "string",
}


def people(levels: tuple[str, ...] = ("no", "yes"), **columns: str) -> Pinned:
    return pinned(levels=levels, location="people.csv", **{**PEOPLE, **columns})


def found(values: Any, facts: Pinned) -> set[tuple[str, str]]:
    return {(p.code, ".".join(p.where)) for p in data_problems(spec_of(values), facts)}


def test_the_contract_is_the_features_and_the_target() -> None:
    values = tweak(
        CSV,
        data__columns={
            "age": {"role": "id"},
            "since": {"role": "time"},
            "member": {"role": "ignore"},
        },
        data__positive="no",
    )
    contract = contract_of(spec_of(values).data, people())
    assert [(field.name, field.text) for field in contract.request] == [("city", "categorical?")]
    assert (contract.target, contract.task, contract.classes) == ("answer", "binary", ("yes", "no"))


def test_a_field_has_the_type_of_its_column() -> None:
    contract = contract_of(spec_of(CSV).data, people(height="float64?", when="timestamp_utc"))
    assert {field.name: field.text for field in contract.request} == {
        "age": "numeric",
        "city": "categorical?",
        "height": "numeric?",
        "member": "boolean",
        "since": "datetime",
        "when": "datetime",
    }


@pytest.mark.parametrize(
    ("positive", "classes"),
    [(None, ("no", "yes")), ("yes", ("no", "yes")), ("no", ("yes", "no"))],
)
def test_the_positive_class_is_last(positive: str | None, classes: tuple[str, ...]) -> None:
    contract = contract_of(spec_of(tweak(CSV, data__positive=positive)).data, people())
    assert contract.classes == classes


@pytest.mark.parametrize("positive", [True, "true"])
def test_true_is_the_text_that_columns_hold(positive: Any) -> None:
    values = tweak(CSV, data__positive=positive)
    assert found(values, people(("false", "true"), answer="bool")) == set()
    contract = contract_of(spec_of(values).data, people(("false", "true"), answer="bool"))
    assert contract.classes == ("false", "true")


@pytest.mark.parametrize("positive", [0, "0"])
def test_a_number_is_the_text_that_columns_hold(positive: Any) -> None:
    values = tweak(CSV, data__positive=positive)
    contract = contract_of(spec_of(values).data, people(("0", "1"), answer="int64"))
    assert contract.classes == ("1", "0")


NUMBER = {"data__task": "regression", "data__target": "age"}


@pytest.mark.parametrize(
    ("change", "facts", "code", "where"),
    [
        ({"data__target": "anwser"}, people(), "no-column", "data.target"),
        ({"data__columns": {"agee": {"role": "id"}}}, people(), "no-column", "data.columns.agee"),
        ({"prepare__columns": {"ctiy": []}}, people(), "no-column", "prepare.columns.ctiy"),
        (
            {"data__split": {"kind": "time", "column": "sinse"}},
            people(),
            "no-column",
            "data.split.column",
        ),
        (
            {"data__split": {"kind": "time", "column": "city"}},
            people(),
            "impossible",
            "data.split.column",
        ),
        (
            {
                "data__split": {"kind": "time", "column": "since"},
                "data__columns": {"since": {"role": "ignore"}},
            },
            people(),
            "impossible",
            "data.split.column",
        ),
        (
            {"data__columns": {"city": {"type": "numeric"}}},
            people(),
            "column-type",
            "data.columns.city.type",
        ),
        (
            {"data__columns": {"age": {"type": "datetime"}}},
            people(),
            "column-type",
            "data.columns.age.type",
        ),
        (
            {"data__split": {"kind": "time", "column": "age"}},
            people(age="int64?"),
            "impossible",
            "data.split.column",
        ),
        ({"prepare__columns": {"city": []}}, people(), "impossible", "prepare.columns.city"),
        (
            {"prepare__columns": {"city": ["scale"]}},
            people(),
            "impossible",
            "prepare.columns.city.0",
        ),
        (
            {"prepare__columns": {"age": ["one_hot"]}},
            people(),
            "impossible",
            "prepare.columns.age.0",
        ),
        (
            {"data__columns": {"city": {"type": "boolean"}}},
            people(),
            "column-type",
            "data.columns.city.type",
        ),
        ({"data__split__test_size": 0.001}, people(), "split", "data.split.test_size"),
        ({"data__split__validation_size": 0.001}, people(), "split", "data.split.validation_size"),
        ({"data__split__test_size": 0.999}, people(), "split", "data.split.test_size"),
        (
            {"model__params": {"monotone_constraints": [1]}},
            people(),
            "impossible",
            "model.params.monotone_constraints",
        ),
        ({}, people(("yes",)), "target", "data.target"),
        ({}, people(()), "target", "data.target"),
        ({}, people(("a", "b", "c")), "target", "data.task"),
        ({"data__task": "multiclass"}, people(), "target", "data.task"),
        ({"data__positive": "yess"}, people(), "target", "data.positive"),
        ({}, people(answer="string?"), "target", "data.target"),
        ({**NUMBER, "data__target": "city"}, people(), "target", "data.target"),
        (
            {"data__columns": {n: {"role": "ignore"} for n in PEOPLE if n != "answer"}},
            people(),
            "no-features",
            "data.columns",
        ),
    ],
    ids=str,
)  # fmt: skip
def test_what_the_data_shows_is_reported_at_its_key(
    change: Any, facts: Pinned, code: str, where: str
) -> None:
    assert found(tweak(CSV, **change), facts) == {(code, where)}


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        ({}, people()),
        (NUMBER, people()),
        ({"data__missing_target": "drop"}, people(answer="string?")),
        ({"data__task": "multiclass"}, people(("a", "b", "c"))),
        ({"data__split": {"kind": "time", "column": "age"}}, people()),
        (
            {"data__columns": {"age": {"type": "numeric"}, "city": {"type": "categorical"}}},
            people(),
        ),
    ],
    ids=str,
)
def test_data_that_fits_is_no_problem(change: Any, facts: Pinned) -> None:
    assert found(tweak(CSV, **change), facts) == set()


def test_all_that_the_data_shows_is_reported_at_once() -> None:
    values = tweak(
        CSV,
        data__target="anwser",
        data__columns={"agee": {"role": "id"}, "city": {"type": "numeric"}},
        prepare__columns={"ctiy": ["one_hot"]},
    )
    with pytest.raises(CompileError) as caught:
        lock_of(values, people())
    assert {".".join(p.where) for p in caught.value.problems} == {
        *("data.target", "data.columns.agee", "data.columns.city.type", "prepare.columns.ctiy"),
    }
    hints = " ".join(p.hint for p in caught.value.problems)
    assert "'answer'" in hints and "'age'" in hints and "'city'" in hints


def test_the_lock_holds_what_was_found() -> None:
    lock = lock_of(CSV, people())
    assert lock.source("data") == people().source
    assert decode(encode(lock)) == lock
    asked: list[str] = []

    def version(name: str) -> str:
        asked.append(name)
        return "1"

    spec = spec_of(CSV)
    again = pin(spec, plan_of(CSV), people(), version)
    assert [name for name, _ in again.environment] == asked == sorted(set(asked))
    assert "scikit-learn" in asked  # evaluate measures with it
    from mlops_compile.steps.kinds import needs_of

    needed = {name for needs in needs_of(again).values() for name in needs.distributions}
    assert set(asked) == needed


# Looking at files

ROWS = "age,answer\n" + "".join(f"{n},{'yes' if n % 3 else 'no'}\n" for n in range(20, 40))


class Counting(FileCache):
    """A cache that says what was looked up in vain."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.missed: list[str] = []

    def get(self, key: str) -> Value:
        value = super().get(key)
        if value is None:
            self.missed.append(key.split("-")[0])
        return value


@pytest.fixture
def project(tmp_path: Path) -> Path:
    file = tmp_path / "people.csv"
    file.write_text(ROWS)
    os.utime(file, (10**9, 10**9))
    return tmp_path


def look(project: Path, committed: Lock | None = None, **change: Any) -> tuple[Pinned, list[str]]:
    cache = Counting(project / "cache")
    data = spec_of(tweak(CSV, **change)).data
    return pin_sources(
        data, Looking(cache=cache, project=project, committed=committed)
    ), cache.missed


def test_a_file_is_pinned_by_content(project: Path) -> None:
    import hashlib

    facts, _ = look(project)
    assert facts.source.digest.sha256 == hashlib.sha256(ROWS.encode()).hexdigest()
    assert facts.source.digest.size == len(ROWS)
    assert (facts.source.rows, facts.levels) == (20, ("no", "yes"))
    assert [c.text for c in facts.source.columns] == ["int64", "string"]
    assert facts.source.location == "people.csv"


def test_a_file_that_stayed_is_not_read_again(project: Path) -> None:
    first, missed = look(project)
    assert missed == ["file", "facts"]
    again, missed = look(project)
    assert (again, missed) == (first, [])


def test_a_touched_file_is_the_same_source(project: Path) -> None:
    first, _ = look(project)
    os.utime(project / "people.csv")
    again, missed = look(project)
    assert (again, missed) == (first, [])  # hashed anew, and its facts are known by its digest


def test_a_changed_file_is_another_source_even_with_its_time_put_back(project: Path) -> None:
    first, _ = look(project)
    file = project / "people.csv"
    file.write_text(
        ROWS.replace("39,no", "39,yes") if "39,no" in ROWS else ROWS.replace("20", "21")
    )
    os.utime(file, (10**9, 10**9))
    again, _ = look(project)
    assert again.source.digest != first.source.digest


def test_a_young_file_is_hashed_every_time(project: Path) -> None:
    file = project / "people.csv"
    file.write_text(ROWS)
    first, _ = look(project)
    stat = file.stat()
    with file.open("r+b") as stream:  # in place: same inode, size and (put back) mtime
        stream.seek(len(ROWS) - 2)
        stream.write(b"x")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    again, _ = look(project)
    assert again.source.digest != first.source.digest


@pytest.mark.parametrize(
    "change",
    [
        {"data__source__options__missing": ["23"]},
        {"data__columns": {"age": {"type": "categorical"}}},
        {"data__source__options__columns": ["years", "answer"], "data__columns": {}},
    ],
    ids=str,
)
def test_facts_are_known_for_one_way_to_read_only(project: Path, change: dict[str, Any]) -> None:
    first, _ = look(project)
    other, missed = look(project, **change)
    assert missed == ["facts"]
    assert other.source.columns != first.source.columns
    assert look(project)[0] == first


def test_a_broken_cache_is_no_cache(project: Path) -> None:
    first, _ = look(project)
    for entry in (project / "cache").iterdir():
        for text in ("", "{", "[]", '{"rows": "x", "columns": {}}', "\udcff"):
            entry.write_bytes(text.encode("utf-8", "surrogateescape"))
            assert look(project)[0] == first


@pytest.mark.parametrize("make", ["nothing", "directory"])
def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path, make: str) -> None:
    if make == "directory":
        (tmp_path / "people.csv").mkdir()
    with pytest.raises(CompileError) as caught:
        look(tmp_path)
    (problem,) = caught.value.problems
    assert problem.where == ("data", "source", "path") and "people.csv" in problem.message


def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path, monkeypatch: Any) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "people.csv")

    (tmp_path / "people.csv").write_text("a,answer\n1,yes\n2,no\n")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", refused)
        with pytest.raises(CompileError, match=r"cannot be read: Permission denied$"):
            look(tmp_path)
    (tmp_path / "people.csv").unlink()
    (tmp_path / "people.csv").symlink_to("people.csv")
    with pytest.raises(CompileError, match=r"cannot be read: Too many levels of symbolic links$"):
        look(tmp_path)


def test_without_the_data_the_committed_pin_stands(project: Path) -> None:
    facts, _ = look(project)
    committed = lock_of(CSV, facts)
    (project / "people.csv").unlink()
    shutil.rmtree(project / "cache")
    again, _ = look(project, committed)
    assert lock_of(CSV, again) == committed


@pytest.mark.parametrize(
    "change",
    [
        {"data__source__options__separator": ";"},
        {"data__source__path": "other.csv"},
        {"data__target": "age"},
        {"data__columns": {"age": {"type": "categorical"}}},
    ],
    ids=str,
)
def test_a_pin_of_something_else_does_not_stand(project: Path, change: dict[str, Any]) -> None:
    committed = lock_of(CSV, look(project)[0])
    (project / "people.csv").unlink()
    with pytest.raises(CompileError, match="there is no file"):
        look(project, committed, **change)


def test_an_installed_set_is_pinned_by_its_files(tmp_path: Path) -> None:
    cache = FileCache(tmp_path)
    one = pin_sources(spec_of(BASE).data, Looking(cache=cache, project=tmp_path))
    assert one.source.location == "sklearn:iris"
    assert one.source.rows == 150 and one.levels == ("setosa", "versicolor", "virginica")


@pytest.mark.parametrize(
    ("stated", "found", "expected"),
    [
        ({}, "float64", False),
        ({}, "float64?", True),
        ({"nullable": True}, "float64", True),
        ({"nullable": False, "violation": "drop"}, "float64?", False),
        ({"low": 0, "violation": "missing"}, "float64", True),  # what is set missing is missing
        ({"low": 0, "violation": "drop"}, "float64", False),
    ],
    ids=str,
)
def test_a_field_may_be_missing_as_its_column_says(
    stated: dict[str, Any], found: str, expected: bool
) -> None:
    facts = pinned(length=found, width="float64", target="string")
    values = tweak(BASE, data__columns={"length": stated})
    request = lock_of(values, facts).contract.request
    assert {field.name: field.nullable for field in request}["length"] is expected


def test_classes_that_are_no_choice_are_not_answered() -> None:
    choices = {"choices": ["setosa", "virginica", "more"], "violation": "drop"}
    values = tweak(BASE, data__task="binary", data__columns={"target": choices})
    assert lock_of(values).contract.classes == ("setosa", "virginica")
    choices["violation"] = "fail"
    with pytest.raises(CompileError, match="3 classes"):
        lock_of(tweak(values, data__columns={"target": choices}))
