"""Versions of models by the command line: registered by runs, promoted when not worse, rolled back,
served by name, and kept from collection."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.project import SMALL, apart, good, make, mlops

FEW = (*SMALL, "model.params.min_data_in_leaf=100000")  # no tree finds anything to divide
OTHER = (*SMALL, "seed=5")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three versions: a good one, one that says the same of all rows, one of another split."""
    project = make(tmp_path_factory.mktemp("versions") / "project")
    config = project / "conf" / "config.yaml"
    text = config.read_text("utf-8").replace("register: false", "register: true")
    config.write_text(text, "utf-8")
    runs = [good(project, "run", "--json", *words).document for words in (SMALL, FEW, OTHER)]
    names = [one["registered"] for one in runs]
    assert names == [{"name": names[0]["name"], "version": n} for n in (1, 2, 3)]
    return project


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    """A copy of it: moving a state keeps it valid."""
    return Path(shutil.copytree(made, tmp_path / "copy"))


def name_of(project: Path) -> str:
    (name,) = {one["name"] for one in versions(project)}
    return str(name)


def told(project: Path, *words: str) -> dict[str, Any]:
    """The document of an action of `registry`."""
    document: dict[str, Any] = good(project, "registry", *words, "--json").document
    return document


def versions(project: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = told(project, "list")["versions"]
    return found


def events(project: Path) -> list[tuple[object, ...]]:
    found = told(project, "history")["events"]
    return [(e["what"], e["alias"], e["before"], e["version"], e["reason"]) for e in found]


def test_a_run_of_nothing_new_is_the_version_that_is_there(project: Path) -> None:
    again = good(project, "run", "--json", *SMALL).document
    assert again["registered"]["version"] == 1
    shutil.rmtree(project / ".mlops" / "cache")
    assert good(project, "run", "--json", *SMALL).document["registered"]["version"] == 1
    assert [one["version"] for one in versions(project)] == [3, 2, 1]
    apart = good(project, "run", "--json", *SMALL, "registry.register=false").document
    assert apart["registered"] is None
    named = good(project, "run", "--json", *SMALL, "registry.name=other").document
    assert named["registered"] == {"name": "other", "version": 1}


def test_a_worse_version_is_refused_unless_there_is_a_reason(project: Path) -> None:
    name = name_of(project)
    first = told(project, "promote", f"{name}:1")
    assert (first["before"], first["changed"], first["compared"]) == (None, True, None)
    refused = mlops(project, "registry", "promote", f"{name}:2")
    assert refused.code == 6 and "it is worse" in refused.err and "--force REASON" in refused.err
    forced = good(
        project, "registry", "promote", f"{name}:2", "--force", "to see", "--json"
    ).document
    assert forced["before"] == 1 and forced["compared"]["high"] < 0
    assert forced["costs"]["bundle_bytes"][0] > forced["costs"]["bundle_bytes"][1] > 0
    back = told(project, "rollback", name, "--reason", "worse")
    assert (back["before"], back["version"]) == (2, 1)
    assert mlops(project, "registry", "rollback", name).code == 2
    again = good(project, "registry", "promote", f"{name}:1").out
    assert again == f"{name}@champion is {name}:1 already\n"
    assert events(project)[:3] == [
        ("rolled back", "champion", 2, 1, "worse"),
        ("promoted", "champion", 1, 2, "to see"),
        ("promoted", "champion", None, 1, ""),
    ]


def test_of_other_test_rows_those_count_that_both_have_not_learned_from(project: Path) -> None:
    name = name_of(project)
    good(project, "registry", "promote", f"{name}:1")
    answer = mlops(project, "registry", "promote", f"{name}:3", "--json")
    if answer.code == 6:  # too few of these rows are new to the champion
        assert "cannot be compared" in answer.err
    else:
        rows = answer.document["compared"]["rows"]
        assert 0 < rows < good(project, "run", "--json", *OTHER).document["evaluation"]["rows"]


def test_of_two_promotions_at_once_one_is_told(project: Path) -> None:
    name = name_of(project)
    together = threading.Barrier(2)

    def come(number: int) -> int:
        together.wait()
        return apart(project, "registry", "promote", f"{name}:{number}", "--force", "race").code

    with ThreadPoolExecutor(2) as pool:
        codes = [*pool.map(come, (1, 2))]
    promoted = [event for event in events(project) if event[0] == "promoted"]
    assert codes.count(0) == len(promoted) and set(codes) <= {0, 6} and promoted


def test_a_version_is_served_by_its_names_and_never_collected(project: Path) -> None:
    name = name_of(project)
    good(project, "registry", "promote", f"{name}:1")
    shutil.rmtree(project / "outputs")
    good(project, "store", "gc")
    bundles = {}
    for words in (name, f"{name}:1", f"{name}@champion", f"{name}:2"):
        good(project, "bundle", words, "-o", f"out/{words}")
        bundles[words] = (project / "out" / words / "bundle.json").read_text("utf-8")
    assert (
        bundles[name] == bundles[f"{name}:1"] == bundles[f"{name}@champion"] != bundles[f"{name}:2"]
    )
    for place in (name, "more"):  # where its bundle lies by now
        good(project, "bundle", name, "-o", place)
    assert (project / "more" / "bundle.json").read_text("utf-8") == bundles[name]
    again = good(project, "run", "--json", *SMALL).document
    assert {step["status"] for step in again["steps"]} == {"hit"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "nope"), "there is no version nope"),
        (("show", "a b"), "write NAME, NAME:NUMBER or NAME@ALIAS"),
        (("promote", "nope:1", "not an alias"), "cannot be an alias"),
        (("rollback", "nope"), "nope@champion means nothing"),
    ],
)
def test_what_names_no_version_is_told(words: tuple[str, ...], said: str, project: Path) -> None:
    answer = mlops(project, "registry", *words)
    assert answer.code == 2 and said in answer.err


def test_a_registry_that_cannot_be_used_leaves_the_run_whole(project: Path) -> None:
    (project / ".mlops" / "registry" / "registry.sqlite").write_bytes(b"no database" * 1000)
    shutil.rmtree(project / ".mlops" / "cache")
    answer = mlops(project, "run", *SMALL)
    assert answer.code == 7 and "the registry cannot be used" in answer.err
    assert "unchanged; model" in answer.out
    assert mlops(project, "store", "gc").code == 7  # what versions need cannot be told


def test_a_version_is_one_file_that_serves_and_reruns_elsewhere(
    project: Path, tmp_path: Path
) -> None:
    name = name_of(project)
    files = [tmp_path / "one.tar", tmp_path / "two.tar"]
    for file in files:
        good(project, "registry", "export", f"{name}:1", "-o", str(file))
    assert files[0].read_bytes() == files[1].read_bytes()
    assert mlops(project, "registry", "export", f"{name}:1", "-o", str(files[0])).code == 2
    away = tmp_path / "away"
    shutil.copytree(project, away, ignore=shutil.ignore_patterns(".mlops", "outputs"))
    (away / "people.csv").unlink(missing_ok=True)
    assert told(away, "import", str(files[0]))["versions"][0]["new"] is True
    assert told(away, "import", str(files[0]))["versions"][0]["new"] is False
    good(away, "bundle", name, "-o", "out")
    good(project, "bundle", f"{name}:1", "-o", "out")
    there, here = ((place / "out" / "bundle.json").read_bytes() for place in (away, project))
    assert there == here
    lock = told(away, "show", name)["lock"]["digest"]
    shutil.copy(away / ".mlops/store/blobs" / lock[:2] / lock, away / "version.json")
    again = good(away, "run", "--json", "--plan", "version.json").document
    assert {step["status"] for step in again["steps"]} == {"hit"}
    assert good(away, "store", "fsck").code == 0


def test_a_file_that_is_not_whole_leaves_nothing(project: Path, tmp_path: Path) -> None:
    name = name_of(project)
    good(project, "registry", "export", f"{name}:1", "-o", str(tmp_path / "whole.tar"))
    data = (tmp_path / "whole.tar").read_bytes()
    place = data.index(b"roc_auc", len(data) // 2)
    away = tmp_path / "away"
    away.mkdir()
    for broken in (
        b"",
        b"no tar",
        data[: len(data) // 2],
        data[:place] + b"ROC" + data[place + 3 :],
    ):
        (tmp_path / "broken.tar").write_bytes(broken)
        answer = mlops(away, "registry", "import", str(tmp_path / "broken.tar"))
        assert answer.code == 7 and "is broken: " in answer.err
        assert told(away, "list")["versions"] == []
        assert not [*(away / ".mlops" / "store").glob("actions/*/*")]


def test_what_is_archived_may_go_and_comes_back(project: Path) -> None:
    name = name_of(project)
    good(project, "registry", "promote", f"{name}:1")
    assert mlops(project, "registry", "archive", f"{name}:1").code == 2
    archived = told(project, "archive", name, "--keep", "1")["versions"]
    assert [one["version"] for one in archived] == [2]
    shutil.rmtree(project / "outputs")
    freed = good(project, "store", "gc", "--json").document
    for words in (
        ("bundle", f"{name}:2", "-o", "gone"),
        ("registry", "promote", f"{name}:2", "--force", "back"),
        ("registry", "export", f"{name}:2", "-o", "gone.tar"),
    ):
        gone = mlops(project, *words)
        assert gone.code == 2 and f"registry restore {name}:2" in gone.err
    assert freed["freed"]["blob_count"]
    good(project, "bundle", f"{name}:1", "-o", "kept")
    assert told(project, "restore", f"{name}:2")["versions"][0]["new"] is True
    good(project, "bundle", f"{name}:2", "-o", "back")
    again = good(project, "run", "--json", *FEW).document
    assert {step["status"] for step in again["steps"]} == {"hit"}
    assert [event[0] for event in events(project)][:2] == ["restored", "archived"]


def test_an_alias_goes_not_back_to_what_is_archived(project: Path) -> None:
    """What an alias means is there: neither promotion nor rollback lets it mean an archived one."""
    name = name_of(project)
    good(project, "registry", "promote", f"{name}:2")
    good(project, "registry", "promote", f"{name}:1")
    good(project, "registry", "archive", f"{name}:2")
    refused = mlops(project, "registry", "rollback", name)
    assert refused.code == 2 and f"{name}:2 is archived" in refused.err
    good(project, "registry", "restore", f"{name}:2")
    assert told(project, "rollback", name)["version"] == 2
    again = mlops(project, "registry", "rollback", name)
    assert again.code == 2 and f"registry history --name {name}" in again.err


def test_a_name_without_versions_is_told_as_that(project: Path) -> None:
    listed = good(project, "registry", "list", "--name", "nope").out
    assert listed.startswith("nothing is registered as nope")
    assert good(project, "registry", "history", "--name", "nope").out == (
        "nothing has happened to nope\n"
    )


def test_what_is_pinned_is_not_archived_with_the_old(project: Path) -> None:
    name = name_of(project)
    second = good(project, "run", "--json", *FEW).document["directory"]
    good(project, "store", "pin", "liked", f"{second}/plan.lock.json")
    archived = told(project, "archive", name, "--keep", "1")["versions"]
    assert [one["version"] for one in archived] == [1]


def test_two_versions_are_compared_as_plans_and_as_models(project: Path) -> None:
    name = name_of(project)
    found = told(project, "compare", f"{name}:1", f"{name}:2")
    causes = {cause["path"] for step in found["steps"] for cause in step["causes"]}
    assert causes == {"model.params.min_data_in_leaf"}
    assert found["metrics"]["roc_auc"]["better"] is False and found["behaviour"]["rows"] > 0
    assert f"version {name}:1" in good(project, "registry", "compare", f"{name}:1", f"{name}:2").out
