"""The hooks of pre-commit, called by the real one in real commits."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.repository import LOCK, called, deploy, done, git, repository

HOOKS = Path(__file__).resolve().parent.parent / ".pre-commit-hooks.yaml"
pytestmark = pytest.mark.skipif(not HOOKS.is_file(), reason="away from the checkout there are none")


@pytest.fixture
def hooks(tmp_path: Path) -> Path:
    """A repository with the hooks, as users name it."""
    place = tmp_path / "hooks"
    place.mkdir()
    done(place, "init", "-q")
    shutil.copy(HOOKS, place)
    done(place, "add", "-A")
    done(place, "commit", "-q", "-m", "hooks")
    done(place, "tag", "v1")
    return place


@pytest.fixture
def env(tmp_path: Path) -> Mapping[str, str]:
    """An activated environment, and pre-commit's own state."""
    tools = tmp_path / "tools"
    tools.mkdir()
    script = tools / "mlops-compile"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m mlops_compile "$@"\n', "utf-8")
    script.chmod(0o755)
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {"PRE_COMMIT_HOME": str(tmp_path / "state"), "PATH": path}


def with_hook(tmp_path: Path, hooks: Path, name: str, env: Mapping[str, str]) -> Path:
    project = repository(tmp_path / "shop")
    config = f"repos: [{{repo: 'file://{hooks}', rev: v1, hooks: [{{id: {name}}}]}}]\n"
    (project / ".pre-commit-config.yaml").write_text(config, "utf-8")
    done(project, "add", "-A")
    done(project, "commit", "-q", "-m", "hooks")
    answer = called(project, sys.executable, "-m", "pre_commit", "install", env=env)
    assert answer.code == 0, answer.err
    return project


def test_a_stale_lock_is_not_committed(tmp_path: Path, hooks: Path, env: Mapping[str, str]) -> None:
    project = with_hook(tmp_path, hooks, "mlops-lock-current", env)
    assert git(project, "commit", "--allow-empty", "-m", "nothing", env=env).code == 0
    deploy(project)
    lock = (project / LOCK).read_bytes()
    answer = git(project, "commit", "-a", "-m", "records", env=env)
    assert answer.code == 1 and "steps.package.params.deploy.max_records" in answer.err
    assert (project / LOCK).read_bytes() == lock


def test_the_lock_is_written_and_then_committed(
    tmp_path: Path, hooks: Path, env: Mapping[str, str]
) -> None:
    project = with_hook(tmp_path, hooks, "mlops-lock-write", env)
    deploy(project)
    answer = git(project, "commit", "-a", "-m", "records", env=env)
    assert answer.code == 1 and "files were modified by this hook" in answer.err
    assert '"max_records": 7' in (project / LOCK).read_text("utf-8")
    assert git(project, "commit", "-a", "-m", "records", env=env).code == 0
    assert done(project, "status", "--short") == ""
