"""Real git, in repositories that hold a small project."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.project import Answer, good, make, package_environment

LOCK = "plan.lock.json"
GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_EDITOR": "true",
    "GIT_PAGER": "cat",
}


def called(directory: Path, *words: str, env: Mapping[str, str] | None = None) -> Answer:
    """A command in a directory, for which no setting of this machine's git counts."""
    done = subprocess.run(
        words,
        cwd=directory,
        env={**package_environment(GIT), **(env or {})},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return Answer(code=done.returncode, out=done.stdout, err=done.stderr)


def git(directory: Path, *words: str, env: Mapping[str, str] | None = None) -> Answer:
    return called(directory, shutil.which("git") or "", *words, env=env)


def done(directory: Path, *words: str) -> str:
    answer = git(directory, *words)
    assert answer.code == 0, answer.err + answer.out
    return answer.out


def repository(top: Path, below: str = ".") -> Path:
    """A project with its lock, committed on the branch `main`; its drivers are set up."""
    top.mkdir()
    done(top, "init", "-q", "-b", "main")
    project = make(top / below)
    (project / ".gitattributes").write_text(f"{LOCK} diff=mlops-lock merge=mlops-lock\n", "utf-8")
    (project / ".gitignore").write_text(".mlops/\n", "utf-8")
    good(project, "git", "install")
    commit(project, "the project")
    return project


def commit(project: Path, message: str) -> None:
    """Compile, and commit all."""
    good(project, "compile")
    done(project, "add", "-A")
    done(project, "commit", "-q", "-m", message)


def edit(project: Path, old: str, new: str, file: str = "data/shop.yaml") -> None:
    path = project / "conf" / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def split(project: Path) -> None:
    edit(project, "test_size: 0.25", "test_size: 0.3")


def deploy(project: Path, records: int = 7) -> None:
    edit(project, "seed: 0\n", f"seed: 0\ndeploy: {{max_records: {records}}}\n", "config.yaml")


def branch(project: Path, name: str, change: object) -> None:
    """A branch of main with one commit."""
    done(project, "checkout", "-q", "-b", name, "main")
    assert callable(change)
    change(project)
    commit(project, name)
