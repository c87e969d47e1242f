"""What a reviewer is told of a change: its category, cause, place and effect, of any two plans."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.project import good, mlops
from tests.sets import adult

QUICK = """\
model:
  params: {num_iterations: 5}
evaluate:
  bootstrap: {resamples: 20}
  segments: [sex]
prepare:
  derive:
    busy:
      function: features.work.busy
      inputs: [hours-per-week]
      type: numeric
  numeric: [{impute: {strategy: median}}]
code:
  roots: [src]
"""
FUNCTION = '''\
"""Features of work."""


def busy(hours):
    """Whether somebody works a lot."""
    return None if hours is None else float(hours > 45)
'''


def git(project: Path, *words: str) -> str:
    own = ("-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false")
    told = subprocess.run(["git", *own, *words], cwd=project, check=True, capture_output=True)
    return told.stdout.decode()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of a project by `init` on adult, run once and committed with its lock."""
    place = tmp_path_factory.mktemp("review")
    found = adult()
    table = found.files["adult-train.csv"]
    (place / "adult.csv").write_bytes(table.data)
    columns = found.config.split("columns: [")[1].split("]")[0]
    words = ["--target", "income", "--columns", columns.replace('"', "").replace(" ", "")]
    good(place, "init", "shop", "--data", "adult.csv", *words)
    project = place / "shop"
    shutil.move(place / "adult.csv", project / "adult.csv")
    data = project / "conf" / "data" / "adult.yaml"
    data.write_text(data.read_text("utf-8").replace("../adult.csv", "adult.csv"), "utf-8")
    config = project / "conf" / "config.yaml"
    text = config.read_text("utf-8").replace("  - _self_\n", "")
    text = text.replace("  - experiment: null\n", "  - experiment: null\n  - _self_\n")
    config.write_text(f"{text.rstrip()}\n{QUICK}", "utf-8")
    source = project / "src" / "features"
    source.mkdir(parents=True)
    (source / "__init__.py").write_text("", "utf-8")
    (source / "work.py").write_text(FUNCTION, "utf-8")
    git(project, "init", "-q", "-b", "main")
    good(project, "compile")
    good(project, "run")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "one")
    return project


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    """A copy of it, with the store."""
    place = tmp_path / "shop"
    shutil.copytree(made, place, symlinks=True)
    return place


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")


def parameter(project: Path) -> None:
    replace(project / "conf" / "config.yaml", "num_iterations: 5", "num_iterations: 6")


def preparation(project: Path) -> None:
    replace(project / "conf" / "config.yaml", "strategy: median", "strategy: mean")


def column(project: Path) -> None:
    replace(
        project / "conf" / "data" / "adult.yaml",
        '"age": {type: numeric',
        '"age": {type: categorical',
    )


def package(project: Path) -> None:
    """The committed lock is of another version: it was compiled with that."""
    lock = project / "plan.lock.json"
    value = json.loads(lock.read_text("utf-8"))
    value["environment"]["pyarrow"] = "1.2.3"
    lock.write_text(json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n", "utf-8")
    git(project, "commit", "-qam", "an older pyarrow")


def row(project: Path) -> None:
    file = project / "adult.csv"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines, lines[3]]))


def comment(project: Path) -> None:
    file = project / "conf" / "data" / "adult.yaml"
    file.write_text("# A word on the data.\n" + file.read_text("utf-8"), "utf-8")


def function(project: Path) -> None:
    replace(project / "src" / "features" / "work.py", "> 45", "> 40")


def document(project: Path, *words: str) -> dict[str, Any]:
    return good(project, "diff", *words, "--format", "json").document


def told(found: dict[str, Any]) -> dict[str, tuple[str, str | None, list[str], list[str]]]:
    """By step: what becomes of it, its effect, categories, and paths of causes."""
    return {
        step["name"]: (
            step["change"],
            step["effect"],
            step["categories"],
            [cause["path"] for cause in step["causes"]],
        )
        for step in found["steps"]
    }


SAME = ("same", "hit", [], [])
UPSTREAM = ("changed", "maybe", [], [])


def test_a_parameter(project: Path) -> None:
    parameter(project)
    found = document(project)
    steps = told(found)
    assert steps["train"] == ("changed", "run", ["training"], ["model.params.num_iterations"])
    assert all(steps[name] == SAME for name in ("acquire", "validate", "split", "prepare"))
    assert steps["evaluate"] == UPSTREAM and steps["package"] == UPSTREAM
    (cause,) = next(s for s in found["steps"] if s["name"] == "train")["causes"]
    assert (cause["old"], cause["new"]) == (5, 6)
    assert cause["origin"].startswith("conf/config.yaml:")
    assert found["api"] == {"compatible": True, "changes": []}
    assert found["summary"]["run"] == 1 and found["summary"]["maybe"] == 2
    least, most = found["summary"]["seconds_estimated"]
    assert 0 < least < most


def test_a_preparation(project: Path) -> None:
    preparation(project)
    steps = told(document(project))
    assert steps["prepare"] == ("changed", "run", ["prepare"], ["prepare.numeric"])
    assert steps["train"] == UPSTREAM and steps["split"] == SAME


def test_the_type_of_a_column(project: Path) -> None:
    column(project)
    found = document(project)
    steps = told(found)
    change, effect, categories, paths = steps["validate"]
    assert (change, effect, categories) == ("changed", "maybe", ["data"])
    assert "data.columns.age.type" in paths
    assert steps["acquire"][1:3] == ("run", ["data"])
    assert found["api"]["compatible"] is False
    assert found["api"]["changes"][0]["text"] == "age must be categorical, and was numeric"
    cause = next(
        cause
        for step in found["steps"]
        for cause in step["causes"]
        if cause["path"] == "data.columns.age.type"
    )
    assert cause["origin"].startswith("conf/data/adult.yaml:")


def test_the_version_of_a_package(project: Path) -> None:
    package(project)
    found = document(project, "--assume-made")
    steps = told(found)
    assert found["basis"] == "old"
    for name in ("acquire", "validate", "split", "prepare"):
        assert steps[name][2:] == (["environment"], ["environment.pyarrow"]), name
    assert steps["acquire"][1] == "run" and steps["split"][1] == "maybe"
    here = told(document(project))  # what is installed here is what was run here
    assert {effect for _, effect, _, _ in here.values()} == {"hit"}


def test_a_row_of_the_data(project: Path) -> None:
    row(project)
    found = document(project)
    steps = told(found)
    change, effect, categories, paths = steps["acquire"]
    assert (change, effect, categories) == ("changed", "run", ["data"])
    assert paths == ["sources.data.rows", "sources.data.size", "sources.data.digest"]
    causes = found["steps"][0]["causes"]
    assert causes[0]["new"] - causes[0]["old"] == 1
    assert all(steps[name] == UPSTREAM for name in steps if name != "acquire")
    column(project)
    good(project, "run")
    # Rows of two tables are known by what they hold in the columns that both read alike.
    behaviour = document(project)["behaviour"]
    assert behaviour["rows"] > 0 and behaviour["only_new"] <= 40 >= behaviour["only_old"]


def test_a_comment_and_another_name_of_a_file_are_cosmetic(project: Path) -> None:
    comment(project)
    folder = project / "conf" / "data"
    (folder / "adult.yaml").rename(folder / "census.yaml")
    replace(project / "conf" / "config.yaml", "- data: adult", "- data: census")
    found = document(project, "--exit-code")
    assert all(step == SAME for step in told(found).values()) and found["differs"] is False
    listed = {item["path"]: item["text"] for item in found["cosmetic"]}
    assert listed["conf/data/adult.yaml"] == "renamed to conf/data/census.yaml"
    assert {item["category"] for item in found["cosmetic"]} == {"cosmetic"}
    text = good(project, "diff").out
    assert "The plans are the same; what differs is cosmetic, and runs nothing." in text


def test_a_comment_alone(project: Path) -> None:
    comment(project)
    (found,) = document(project)["cosmetic"]
    assert (found["path"], found["text"]) == ("conf/data/adult.yaml", "comments or layout")


def test_a_function_of_the_user(project: Path) -> None:
    function(project)
    steps = told(document(project))
    assert steps["prepare"] == ("changed", "run", ["code"], ["code.features.work.busy"])
    assert steps["train"] == UPSTREAM and steps["split"] == SAME
    (cause,) = next(s for s in document(project)["steps"] if s["name"] == "prepare")["causes"]
    assert cause["origin"] == "src/features/work.py:4"
    assert "function features.work.busy" in good(project, "diff").out


def test_words_in_a_function_are_cosmetic(project: Path) -> None:
    replace(project / "src" / "features" / "work.py", "somebody works a lot", "it is too much")
    (found,) = document(project)["cosmetic"]
    assert found["text"] == "comments, docstrings or layout"


def test_all_together(project: Path) -> None:
    for change in (package, parameter, preparation, column, row, comment, function):
        change(project)
    found = document(project)
    causes = {cause["path"]: cause for step in found["steps"] for cause in step["causes"]}
    assert {
        "model.params.num_iterations",
        "prepare.numeric",
        "data.columns.age.type",
        "environment.pyarrow",
        "sources.data.rows",
        "code.features.work.busy",
    } <= set(causes)
    assert {cause["category"] for cause in causes.values()} == {
        "training",
        "prepare",
        "data",
        "environment",
        "code",
        "serving",
    }
    assert all(step["change"] == "changed" for step in found["steps"])
    assert good(project, "diff", "--exit-code", "git:HEAD", "git:HEAD").code == 0
    assert mlops(project, "diff", "--exit-code").code == 4


def test_a_revision_without_a_lock_is_compiled_from_its_own_conf_and_data(project: Path) -> None:
    git(project, "rm", "-q", "--cached", "plan.lock.json")
    git(project, "commit", "-qm", "no lock")
    (project / "plan.lock.json").unlink()
    parameter(project)
    row(project)
    steps = told(document(project, "git:HEAD"))
    assert steps["train"][3] == ["model.params.num_iterations"]
    assert "sources.data.rows" in steps["acquire"][3]
    notes = document(project)["notes"]
    assert notes == ["git:HEAD has no lock: it was compiled with the packages installed here"]
    git(project, "commit", "-qam", "two")
    assert document(project, "git:HEAD")["differs"] is False
    origin = next(
        cause["origin"]
        for step in document(project, "git:HEAD~1", "git:HEAD")["steps"]
        for cause in step["causes"]
        if cause["path"] == "model.params.num_iterations"
    )
    assert origin.startswith("HEAD:conf/config.yaml:")


def test_data_that_no_revision_holds_is_unknown_and_never_todays(project: Path) -> None:
    git(project, "rm", "-q", "--cached", "plan.lock.json", "adult.csv")
    git(project, "commit", "-qm", "neither lock nor data")
    parameter(project)
    found = document(project, "git:HEAD")
    assert "the data of git:HEAD is not known (data): that of conf: stands for it" in found["notes"]
    assert told(found)["acquire"] == SAME
    turned = document(project, "conf:seed=4", "git:HEAD")  # whichever of the two it is
    assert (
        "the data of git:HEAD is not known (data): that of conf:seed=4 stands for it"
        in (turned["notes"])
    )
    (project / "plan.lock.json").unlink()
    refused = mlops(project, "diff", "git:HEAD", "git:HEAD")
    assert refused.code == 3
    assert "what adult.csv held then is not known: it is not in that revision" in refused.err


def test_runs_points_and_lock_files(project: Path) -> None:
    good(project, "run", "-m", "seed=0,3", "model.params.num_leaves=3,5")
    (run,) = (project / "outputs").glob("*/*")
    (sweep,) = (project / "multirun").glob("*/*")
    names = [str(path.relative_to(project)) for path in (run, sweep)]
    found = document(project, f"{names[1]}#0", f"{names[1]}#3")
    causes = {cause["path"] for step in found["steps"] for cause in step["causes"]}
    assert causes == {"seed", "model.params.num_leaves"}
    assert found["metrics"]["roc_auc"]["old"] and found["metrics"]["roc_auc"]["new"]
    same = document(project, f"{names[1]}/3", f"{names[1]}#3")
    assert same["differs"] is False
    shutil.copytree(sweep, project.parent / "copied")
    away = good(project.parent, "diff", "copied#0", "copied#3", "--format", "json").document
    assert away["metrics"] == found["metrics"] and not (project.parent / ".mlops").exists()
    for cost in ("model_bytes", "bundle_bytes", "answer_seconds"):
        assert away["costs"][cost] == found["costs"][cost], cost
    assert away["costs"]["training_seconds"]["old"] > 0
    assert found["behaviour"] and away["behaviour"] is None
    assert any("answers to test rows are compared where" in note for note in away["notes"])
    one = document(project, names[0], f"{names[1]}/0")
    assert one["behaviour"]["rows"] > 0
    assert {level["column"] for level in one["behaviour"]["segments"]} <= {"sex"}
    assert one["costs"]["model_bytes"]["old"] and one["costs"]["answer_seconds"]["old"]
    points = document(project, names[1], "conf: -m seed=0,3 model.params.num_leaves=3,7")
    assert [point["change"] for point in points["points"]] == [
        "same",
        "added",
        "same",
        "added",
        "removed",
        "removed",
    ]
    added = points["points"][1]
    assert added["like"] == 0
    assert [cause["path"] for cause in added["causes"]] == ["model.params.num_leaves"]
    kinds = {(step["kind"], step["change"]) for step in points["steps"]}
    assert ("split", "same") in kinds and ("train", "changed") in kinds


def test_a_lock_that_this_version_cannot_run_is_told(project: Path) -> None:
    value = json.loads((project / "plan.lock.json").read_text("utf-8"))
    value["steps"]["train"]["version"] = 99
    text = json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    (project / "newer.json").write_text(text, "utf-8")
    notes = document(project, "plan.lock.json", "newer.json")["notes"]
    assert notes[0].startswith(
        "newer.json cannot be run by this version: the lock has version 99 of the step kind 'train'"
    )
    back = document(project, "newer.json", "plan.lock.json")["notes"]
    assert not any("cannot be run" in note for note in back)


def refusal(project: Path, *words: str) -> str:
    answer = mlops(project, "diff", *words)
    assert answer.code == 3 and not answer.out
    return answer.err


def test_operands_that_name_no_plan(project: Path) -> None:
    lock = "plan.lock.json"
    for operand, said in {
        "git:nope": "git:nope: there is no commit 'nope'",
        "git:HEAD:nope.json": "HEAD has no file nope.json",
        "nope.json": "nope.json: there is no file nope.json",
        "conf": "conf holds no plan.lock.json",
        f"{lock}#1": "is no sweep, and has no points",
        "conf:seed=1 'x": "its overrides cannot be split",
        "conf:model.params.num_leavs=3": "num_leaves",
        "conf/config.yaml": "is not whole JSON",
        "seed=3": "overrides stand behind conf: as in conf:seed=3",
        "": "an operand is empty",
        "git:HEAD#0": "is no sweep, and has no points",
    }.items():
        assert said in refusal(project, operand, lock), operand
    good(project, "diff", "git:HEAD:./plan.lock.json", lock)
    git_less = project / "away"
    git_less.mkdir()
    shutil.copy(project / lock, git_less / lock)
    shutil.rmtree(project / ".git")
    assert "the project is in no git repository" in refusal(project, "git:HEAD", lock)
    assert good(git_less, "diff", lock, lock).out.splitlines()[-1].startswith("The plans are the")
    assert not (git_less / ".mlops").exists()


def test_what_a_clone_lacks_is_told_with_the_way_to_it(project: Path) -> None:
    git(project, "branch", "side")
    git(project, "commit", "-qm", "two", "--allow-empty")
    clone = project.parent / "clone"
    git(project.parent, "clone", "-q", "--depth=1", "--no-single-branch", project.as_uri(), "clone")
    assert "git fetch --unshallow" in refusal(clone, "git:HEAD~1", "plan.lock.json")
    assert "git:origin/side is what was fetched of it" in refusal(clone, "git:side")
    assert document(clone, "git:origin/side", "git:HEAD")["differs"] is False
