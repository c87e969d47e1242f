"""Settings and fixtures that all tests share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings

import mlops_compile
from mlops_compile.api import ahead, running
from tests.warm import Warm

# Two workers on two cores: threads that spin while they wait take the time of those that work.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# What a shell starts in the background ignores SIGINT, and so does all that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "always",
    derandomize=True,
    deadline=None,
    max_examples=60,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("always")


@pytest.fixture(scope="session", autouse=True)
def warm_workers() -> Iterator[None]:
    """Runs in this process find their workers' libraries imported, as in a notebook that keeps
    them; those that are commands of their own start workers as ever."""
    with (
        mock.patch.object(running, "Workers", Warm.of),
        mock.patch.object(ahead, "Workers", Warm.of),
    ):
        yield
    Warm.end()


@pytest.fixture
def environment() -> Mapping[str, str]:
    """The environment of another process that imports the same mlops_compile as this one."""
    package = str(Path(mlops_compile.__file__).resolve().parents[1])
    known = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([package, *([known] if known else [])])}


@pytest.fixture
def start(environment: Mapping[str, str]) -> Callable[..., subprocess.Popen[str]]:
    """Starts a Python program (its text and arguments) in a process of its own."""

    def start(program: str, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(environment),
        )

    return start
