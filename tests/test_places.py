"""Where configs come from: what is not there, or no config, is told; what is not chosen is not
read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.catalogue import answer_of
from tests.project import make

CONFIG = Path("conf/config.yaml")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make(tmp_path / "project")


def _renamed(name: str) -> Callable[[Path], object]:
    return lambda project: (project / CONFIG).rename(project / "conf" / name)


def _replaced(make_it: Callable[[Path], object]) -> Callable[[Path], None]:
    def replace(project: Path) -> None:
        (project / CONFIG).unlink()
        make_it(project / CONFIG)

    return replace


def _conf_a_file(project: Path) -> None:
    shutil.rmtree(project / "conf")
    (project / "conf").touch()


def _empty_conf(project: Path) -> None:
    _conf_a_file(project)
    (project / "conf").unlink()
    (project / "conf").mkdir()


def _large(project: Path) -> None:
    (project / "conf/data/large.yaml").write_text("a: 1\n" * 400_000, "utf-8")


def _fifo(project: Path) -> None:
    os.mkfifo(project / "conf/data/pipe.yaml")


def _nothing(project: Path) -> None:
    pass


REFUSED: dict[str, tuple[Callable[[Path], object], list[str], list[str]]] = {
    "a folder": (_replaced(Path.mkdir), [], ["conf/config.yaml is a folder"]),
    "a link to nothing": (
        _replaced(lambda file: file.symlink_to("nowhere")),
        [],
        ["conf/config.yaml is a link to nothing"],
    ),
    "a link to itself": (
        _replaced(lambda file: file.symlink_to(file)),
        [],
        ["conf/config.yaml is a link to nothing"],
    ),
    "yml": (_renamed("config.yml"), [], ["conf/config.yml is there", "rename it"]),
    "another name": (_renamed("main.yaml"), [], ["no config 'config'", "--config-name main"]),
    "an empty conf": (_empty_conf, [], ["no config 'config'", "init"]),
    "conf is a file": (_conf_a_file, [], ["conf is a file"]),
    "an option is a folder": (
        lambda project: (project / "conf/model/ridge.yaml").mkdir(parents=True),
        ["model=ridge"],
        ["this is a folder", "conf/model/ridge.yaml"],
    ),
    "an option is a fifo": (_fifo, ["data=pipe"], ["no regular file", "conf/data/pipe.yaml"]),
    "a large option": (_large, ["data=large"], ["2.0 MB is no config"]),
    "no scheme": (_nothing, ["--config-path", "http://x"], ["http://", "pkg://PACKAGE"]),
    "no folder": (_nothing, ["--config-path", "/nope"], ["no directory /nope"]),
    "no package": (_nothing, ["--config-path", "pkg://nope"], ["no package 'nope'"]),
    "a file": (_nothing, ["--config-path", str(CONFIG)], ["is a file", "--config-name"]),
    "a long key": (_nothing, ["k" * 600 + "=1"], ["a name of 600 characters"]),
    "a long option": (_nothing, ["model=" + "k" * 600], ["a name of 600 characters"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(project: Path, name: str) -> None:
    before, words, says = REFUSED[name]
    before(project)
    answer = answer_of(project, ("compile", *words))
    assert answer.code == 3 and answer.out == "", answer.err
    assert "bug" not in answer.err
    for text in says:
        assert text in answer.err


@pytest.mark.parametrize("before", [_large, _fifo], ids=["large", "fifo"])
def test_what_is_not_chosen_stops_nothing(project: Path, before: Callable[[Path], object]) -> None:
    before(project)
    answer = answer_of(project, ("config",))
    assert answer.code == 0, answer.err


def test_a_project_without_conf_has_the_built_in_config(tmp_path: Path) -> None:
    answer = answer_of(tmp_path, ("config",))
    assert answer.code == 0 and "breast_cancer" in answer.out


def test_inside_of_conf(project: Path) -> None:
    answer = answer_of(project / "conf" / "data", ("compile",))
    assert answer.code == 3
    assert "inside of a conf/ folder" in answer.err and "cd ../.." in answer.err
