"""A short cut of tests/faults: each fault once or more; `nox -s faults` has them by the hundred."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.faults import FAULTS, Impossible
from tests.faults.plan import Truth
from tests.faults.victim import Victim, seconds_of_a_run

TIMES = {"killed": 3}


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return Truth.of(tmp_path_factory.mktemp("truth") / "project")


@pytest.fixture
def victim(tmp_path: Path, truth: Truth) -> Iterator[Victim]:
    yield Victim(tmp_path / "victim", truth)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("name", FAULTS)
def test_after_a_fault_everything_is_right(name: str, victim: Victim) -> None:
    seconds = seconds_of_a_run(victim)
    for number in range(TIMES.get(name, 1)):
        victim.what = f"{name} {number}"
        try:
            FAULTS[name](victim, random.Random(f"{name} {number}"), seconds)
        except Impossible as error:
            pytest.skip(str(error))
