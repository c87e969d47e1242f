"""A short cut of tests/faults: each fault once; `nox -s faults` has them by the hundred."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.faults.faults import FAULTS, Impossible
from tests.faults.plan import Truth
from tests.faults.victim import Victim, seconds_of_a_run

QUICK = frozenset({"killed", "full_disk", "read_only", "flipped_bits", "truncated"})


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return Truth.of(tmp_path_factory.mktemp("truth") / "project")


@pytest.fixture(scope="module")
def seconds(tmp_path_factory: pytest.TempPathFactory, truth: Truth) -> float:
    return seconds_of_a_run(Victim(tmp_path_factory.mktemp("seconds"), truth))


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in FAULTS],
)
def test_after_a_fault_everything_is_right(
    name: str, tmp_path: Path, truth: Truth, seconds: float
) -> None:
    victim = Victim(tmp_path / "victim", truth, what=name)
    try:
        FAULTS[name](victim, random.Random(name), seconds)
    except Impossible as error:
        pytest.skip(str(error))
