"""Locks in git: what git shows of them and how it merges them, in repositories of real git."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.project import good, make, mlops
from tests.repository import LOCK, branch, commit, deploy, done, edit, git, repository, split


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return repository(tmp_path / "shop")


def is_current(project: Path) -> bool:
    return mlops(project, "compile", "--locked").code == 0


def test_branches_that_touch_different_steps_merge_to_what_compile_writes(project: Path) -> None:
    branch(project, "split", split)
    branch(project, "deploy", deploy)
    done(project, "merge", "-q", "--no-edit", "split")
    assert is_current(project)
    assert '"test_size": 0.3' in (project / LOCK).read_text("utf-8")
    assert '"max_records": 7' in (project / LOCK).read_text("utf-8")


def test_a_rebase_merges_each_commit(project: Path) -> None:
    branch(project, "split", split)
    branch(project, "other", deploy)
    edit(project, "max_records: 7", "max_records: 9", "config.yaml")
    commit(project, "again")
    done(project, "rebase", "-q", "split")
    for _ in range(2):
        assert is_current(project)
        done(project, "checkout", "-q", "HEAD~")
    assert is_current(project)


def test_branches_that_touch_one_step_are_left_to_compile(project: Path) -> None:
    branch(project, "deploy", deploy)
    branch(project, "name", lambda project: edit(project, "name: shop", "name: till"))
    ours = (project / LOCK).read_bytes()
    answer = git(project, "merge", "deploy")
    assert answer.code == 1 and f"CONFLICT (content): Merge conflict in {LOCK}" in answer.out
    assert "package reads what both change: deploy.name in ours, deploy.max_records in theirs" in (
        answer.err
    )
    assert f"`mlops-compile compile` and `git add {LOCK}`" in " ".join(answer.err.split())
    assert (project / LOCK).read_bytes() == ours
    assert done(project, "status", "--short", LOCK) == f"UU {LOCK}\n"
    assert "is in conflict" in done(project, "diff", "--cached")
    good(project, "compile")
    done(project, "commit", "-q", "-a", "--no-edit")
    assert is_current(project)


def test_a_lock_that_both_add_is_left_to_compile(project: Path) -> None:
    done(project, "rm", "-q", LOCK)
    done(project, "commit", "-q", "-m", "no lock")
    branch(project, "deploy", deploy)
    branch(project, "split", split)
    answer = git(project, "merge", "deploy")
    assert answer.code == 1 and "both sides add it" in answer.err


@pytest.mark.parametrize("text", ["{", '{"format": 99}'])
def test_a_lock_that_cannot_be_read_is_not_merged_and_is_shown_as_text(
    project: Path, text: str
) -> None:
    branch(project, "deploy", deploy)
    done(project, "checkout", "-q", "-b", "broken", "main")
    (project / LOCK).write_text(text, "utf-8")
    shown = done(project, "diff")
    assert "shown as text: " in shown and f"+{text}" in shown
    done(project, "commit", "-q", "-a", "-m", "broken")
    answer = git(project, "merge", "deploy")
    assert answer.code == 1 and "the lock of ours" in answer.err
    assert (project / LOCK).read_text("utf-8") == text


def test_a_project_below_the_top_is_named(tmp_path: Path) -> None:
    project = repository(tmp_path / "top", "ml/shop one")
    branch(project, "deploy", deploy)
    branch(project, "name", lambda project: edit(project, "name: shop", "name: till"))
    answer = git(project, "merge", "deploy")
    assert answer.code == 1 and "in 'ml/shop one' `mlops-compile compile`" in answer.err


def test_git_shows_what_changes_in_words(project: Path) -> None:
    deploy(project)
    good(project, "compile")
    for words in (("diff",), ("diff", "--", LOCK)):
        assert "deploy.max_records" in done(project, *words)
    commit(project, "records")
    assert "deploy.max_records" in done(project, "log", "-p", "--ext-diff", "-1")
    assert "deploy.max_records" in done(project, "show", "--ext-diff")
    assert "deploy.max_records" in done(project, "diff", "HEAD~", "HEAD")
    done(project, "mv", LOCK, "other.lock.json")
    (project / ".gitattributes").write_text("*.json diff=mlops-lock\n", "utf-8")
    assert f"{LOCK} -> other.lock.json" in done(project, "diff", "-M", "HEAD")
    done(project, "rm", "-q", "-f", "other.lock.json")
    assert LOCK in done(project, "diff", "--cached")


def test_install_says_what_it_does_and_does_it_once(tmp_path: Path) -> None:
    answer = mlops(tmp_path, "git", "install")
    assert answer.code == 2 and "is in no git repository" in answer.err
    done(tmp_path, "init", "-q")
    assert good(tmp_path, "git", "install").out.count(": set\n") == 3
    told = good(tmp_path, "git", "install").out
    assert told.count(": as it was\n") == 3
    assert f"{LOCK} diff=mlops-lock merge=mlops-lock" in told  # no attributes name them yet
    done(tmp_path, "config", "diff.mlops-lock.command", "other")
    (tmp_path / ".gitattributes").write_text(f"{LOCK} diff=mlops-lock merge=mlops-lock\n")
    told = good(tmp_path, "git", "install").out
    assert told.count(": set anew\n") == 1 and ".gitattributes" not in told


def test_the_drivers_work_whatever_the_path_is(project: Path, tmp_path: Path) -> None:
    """Not even `mlops-compile` has to be on it, and a folder of the package's name is not it."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("git", "sh", "test"):
        (tools / name).symlink_to(shutil.which(name) or "")
    (project / "mlops_compile").mkdir()
    (project / "mlops_compile" / "__init__.py").write_text("raise SystemExit(9)", "utf-8")
    branch(project, "split", split)
    branch(project, "deploy", deploy)
    answer = git(project, "merge", "--no-edit", "split", env={"PATH": str(tools)})
    assert answer.code == 0, answer.err
    assert is_current(project)


def test_where_the_interpreter_is_gone_the_one_on_the_path_is_taken(
    project: Path, tmp_path: Path
) -> None:
    for key in ("diff.mlops-lock.command", "merge.mlops-lock.driver"):
        command = done(project, "config", key).strip()
        assert sys.executable in command
        done(project, "config", key, command.replace(sys.executable, "/gone/python"))
    tools = tmp_path / "tools"
    tools.mkdir()
    script = tools / "mlops-compile"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m mlops_compile "$@"\n', "utf-8")
    script.chmod(0o755)
    branch(project, "split", split)
    branch(project, "deploy", deploy)
    path = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    answer = git(project, "merge", "--no-edit", "split", env=path)
    assert answer.code == 0, answer.err
    assert is_current(project)
    assert "test_size" in git(project, "diff", "HEAD~", "HEAD", env=path).out


def test_init_sets_the_drivers_up_in_a_repository_and_says_how_elsewhere(tmp_path: Path) -> None:
    made = make(tmp_path / "data")
    words = ("--data", str(made / "rows.csv"), "--target", "target")
    told = good(tmp_path, "init", "alone", *words).out
    assert "git init && mlops-compile git install" in told
    done(tmp_path, "init", "-q", "-b", "main")
    told = good(tmp_path, "init", "new", *words).out
    assert "know locks now" in told and "git init" not in told
    new = tmp_path / "new"
    assert "mlops-lock: " not in done(new, "check-attr", "diff", "merge", "--", LOCK)
    attributes = done(new, "check-attr", "diff", "merge", "--", LOCK)
    assert attributes == f"{LOCK}: diff: mlops-lock\n{LOCK}: merge: mlops-lock\n"
    assert "git diff-driver" in done(new, "config", "diff.mlops-lock.command")
