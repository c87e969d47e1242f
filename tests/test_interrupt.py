"""A run that is ended from outside: nothing of it lives on, nothing is lost, and it can go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.probe import eventually
from tests.project import good, make, package_environment

LONG = ("model.params.num_iterations=200000", "model.params.num_leaves=200")


def children(pid: int) -> list[int]:
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [int(child) for child in found]


def alive(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def training(project: Path) -> Iterator[subprocess.Popen[str]]:
    """A run of the command line that has come to its training step, which takes minutes."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mlops_compile", "run", *LONG],
        cwd=project,
        env=package_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if line.split()[:1] == ["prepare"]:
                break
        scratch = project / ".mlops" / "store" / "scratch"
        eventually(lambda: list(scratch.glob("*/*/out/model")))
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="processes are read from /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_nothing_and_can_go_on(tmp_path: Path, number: int) -> None:
    project = make(tmp_path)
    with training(project) as process:
        workers = children(process.pid)
        assert workers
        os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
        code = process.wait(timeout=20)
        eventually(lambda: not any(map(alive, workers)))
        assert code == (-signal.SIGKILL if number == signal.SIGKILL else 130)
        if number != signal.SIGKILL:
            assert process.stderr is not None
            told = process.stderr.read()
            assert "interrupted; what is made is kept" in told and "Traceback" not in told
    if number != signal.SIGKILL:
        assert not list((project / ".mlops" / "store" / "scratch").iterdir())
    steps = good(project, "run", "--json", "model.params.num_iterations=5").document["steps"]
    found = {step["name"]: step["status"] for step in steps}
    assert found.pop("inspect") in ("hit", "ran")  # it runs beside training
    assert found == {
        **dict.fromkeys(("acquire", "validate", "split", "prepare"), "hit"),
        **dict.fromkeys(("train", "evaluate", "package"), "ran"),
    }
    assert not list((project / ".mlops" / "store" / "scratch").iterdir())


PROGRAM = """
import sys, threading, time
from pathlib import Path
from mlops_compile.execute.pool import Workers
from tests.probe import Probes, SOURCE, probe
root = Path(sys.argv[1])
Probes(root, Workers(2)).run(probe("p", SOURCE, spin=600, started=str(root / "started")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends workers with their parent")
def test_a_worker_in_the_middle_of_c_code_ends_with_its_killed_parent(tmp_path: Path) -> None:
    environment = package_environment()
    root = str(Path(__file__).resolve().parent.parent)
    environment["PYTHONPATH"] = os.pathsep.join([environment["PYTHONPATH"], root])
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)], env=environment)
    try:
        eventually((tmp_path / "started").exists)
        time.sleep(0.1)
        workers = children(process.pid)
        assert workers and all(map(alive, workers))
    finally:
        process.kill()
        process.wait()
    eventually(lambda: not any(map(alive, workers)))
