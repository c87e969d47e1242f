"""A project for each of the data sets, whose store all tests of a process share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import mlops_compile as mc
from tests.libraries.runs import Project, make
from tests.libraries.sets import SETS, place


@pytest.fixture(scope="session")
def workers() -> Iterator[mc.Workers]:
    with mc.Workers(1) as workers:
        yield workers


@pytest.fixture(scope="session")
def project(
    tmp_path_factory: pytest.TempPathFactory, workers: mc.Workers
) -> Callable[[str], Project]:
    """The project of a set, by its name; made when it is asked for first."""
    files = place(tmp_path_factory.mktemp("files"))
    made: dict[str, Project] = {}

    def of(name: str) -> Project:
        if name not in made:
            folder = tmp_path_factory.mktemp(name) / "project"
            made[name] = make(folder, SETS[name], files, workers)
        return made[name]

    return of
