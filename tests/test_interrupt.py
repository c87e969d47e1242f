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
from omegaconf.errors import ConfigKeyError

from mlops_compile.compiler.compose.refusals import refusals
from mlops_compile.execute.interrupts import Interrupts
from mlops_compile.execute.pool import Workers
from mlops_compile.ir.config import Composition
from mlops_compile.ir.problem import CompileError
from mlops_compile.store.fsck import check
from mlops_compile.store.guard import Guard
from mlops_compile.store.store import Store
from tests.probe import SOURCE, Probes, eventually, probe
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


def buried() -> None:
    """What OmegaConf makes of an interrupt: it fails at cleaning up, and raises without a cause."""
    try:
        try:
            raise KeyboardInterrupt
        finally:
            raise AttributeError("half made")
    except AttributeError as error:
        raise ConfigKeyError(str(error)) from None


def mistaken() -> None:
    raise ConfigKeyError("no such key")


def test_an_interrupt_of_composing_is_no_mistake_in_the_config() -> None:
    composition = Composition(config_name="config", search_path=(), overrides=())
    with pytest.raises(KeyboardInterrupt), refusals(composition):
        buried()
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:  # one of before, after which somebody composes again
        with pytest.raises(CompileError), refusals(composition):
            mistaken()


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


def program(text: str, *words: str) -> subprocess.Popen[str]:
    """A process that runs probes, as PROGRAM does."""
    environment = package_environment()
    root = str(Path(__file__).resolve().parent.parent)
    environment["PYTHONPATH"] = os.pathsep.join([environment["PYTHONPATH"], root])
    return subprocess.Popen(
        [sys.executable, "-c", text, *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ends_by_interrupt(process: subprocess.Popen[str], root: Path, told: str = "") -> None:
    """The process ends, says that it was interrupted, and leaves nothing held; what it has stored
    is whole. `told` is what it said, if that was read already."""
    try:
        told = told or process.communicate(timeout=60)[0]
    finally:
        process.kill()
    assert "KeyboardInterrupt" in told and process.returncode == -signal.SIGINT, told
    store = root / ".mlops" / "store"
    assert not [*(store / "scratch").glob("*"), *(store / "claims").glob("*")]
    assert not check(Store(store), lambda text: True, mend=False).faults


SNAPSHOT = """
import os, sys
from pathlib import Path
from mlops_compile.execute.pool import Workers
from tests.probe import Heard, Probes, SOURCE, probe
root = Path(sys.argv[1])

class Hears(Heard):
    def started(self, step, seconds):
        if step.name == SOURCE:
            (root / "rows.csv").unlink()
            os.mkfifo(root / "rows.csv")

Probes(root, Workers(2), hears=Hears).run(probe("p", SOURCE))
"""


def test_an_interrupt_ends_a_snapshot_that_never_ends(tmp_path: Path) -> None:
    """The source is a pipe, of which there is always more to copy."""
    process = program(SNAPSHOT, str(tmp_path))
    pipe = tmp_path / "rows.csv"
    eventually(lambda: pipe.is_fifo(), 60)
    with pipe.open("wb", buffering=0) as source:
        for _ in range(64):  # so that the copy is under way
            source.write(bytes(1 << 16))
        workers = children(process.pid)
        process.send_signal(signal.SIGINT)
        ends_by_interrupt(process, tmp_path)
    eventually(lambda: not any(map(alive, workers)))


COMMIT = """
import os, signal, sys
from pathlib import Path
from mlops_compile.execute.pool import Workers
from mlops_compile.store.store import Store
from tests.probe import Probes, SOURCE, probe
root, commit = Path(sys.argv[1]), Store.commit

def interrupted(store, batch, room):
    if any(staged.action.step == "many" for staged in batch):
        os.kill(os.getpid(), signal.SIGINT)
    commit(store, batch, room)

with Workers(2) as workers:
    probes = Probes(root, workers)
    Store.commit = interrupted
    probes.run(probe("many", SOURCE, kind="probe_tree", files=int(sys.argv[2])))
"""


@pytest.mark.parametrize("files", [3, 4000])
def test_an_interrupt_while_results_are_stored_leaves_them_whole_or_not_at_all(
    tmp_path: Path, files: int
) -> None:
    ends_by_interrupt(program(COMMIT, str(tmp_path), str(files)), tmp_path)
    many = probe("many", SOURCE, kind="probe_tree", files=files)
    with Workers(2) as workers:
        record = Probes(tmp_path, workers).run(many)
        assert record.ok and Probes(tmp_path, workers).run(many)["many"].status == "hit"


WAIT = """
import sys
from pathlib import Path
from mlops_compile.execute.pool import Workers
from tests.probe import Probes, SOURCE, probe
print("begins", flush=True)
Probes(Path(sys.argv[1]), Workers(2)).run(probe("p", SOURCE))
"""


def test_an_interrupt_ends_the_wait_for_those_who_remove(tmp_path: Path) -> None:
    """As while `store gc` or `store forget` takes long, or was stopped in the middle."""
    with Workers(2) as workers:
        Probes(tmp_path, workers).run(probe("p", SOURCE))
    with Guard(tmp_path / ".mlops" / "store").alone():
        process = program(WAIT, str(tmp_path))
        assert process.stdout is not None and process.stdout.readline() == "begins\n"
        time.sleep(2)  # it waits by now, or is about to
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=60)
    ends_by_interrupt(process, tmp_path, told)


RANDOM = """
import os, random, signal, sys, threading, time
from pathlib import Path
from mlops_compile.execute.pool import Workers
from tests.probe import Probes, SOURCE, probe
root, draw, interrupted = Path(sys.argv[1]), random.Random(7), 0
store = root / ".mlops" / "store"
with Workers(2) as workers:
    probes = Probes(root, workers)
    probes.run(probe("p", SOURCE))
    for number in range(40):
        steps = [probe(f"p{n}", SOURCE, text=f"{number} {n}") for n in range(12)]
        lock = probes.lock(*steps)
        wait = draw.uniform(0, 0.08)
        def interrupt():
            time.sleep(wait)
            os.kill(os.getpid(), signal.SIGINT)
        thread = threading.Thread(target=interrupt)
        try:
            thread.start()
            probes.execute(lock)
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            interrupted += len(probes.heard.ended) < 13
        thread.join()
        left = [*(store / "claims").glob("*"), *(store / "scratch").glob("*")]
        assert not left, (number, left)
        assert probes.execute(lock).ok
assert interrupted, "every run was quicker"
print("held nothing")
"""


def test_an_interrupt_at_any_moment_leaves_no_claim_and_no_scratch(tmp_path: Path) -> None:
    process = program(RANDOM, str(tmp_path))
    told, _ = process.communicate(timeout=240)
    assert process.returncode == 0 and told == "held nothing\n", told


def test_interrupts_are_put_off_until_they_are_asked_for() -> None:
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
        interrupts.check()
        with pytest.raises(KeyboardInterrupt), interrupts.at_once():
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt), interrupts.at_once():
            pytest.fail("it was put off further")
    with pytest.raises(KeyboardInterrupt), Interrupts():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
