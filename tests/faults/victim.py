"""A project that faults are done to, and what must hold of it after each of them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mlops_compile.store.forget import Beside
from mlops_compile.store.fsck import Checked, check
from mlops_compile.store.store import Store
from tests.faults.plan import Truth
from tests.probe import TEXT, eventually
from tests.project import package_environment

_TESTS = str(Path(__file__).resolve().parent.parent.parent)
_MARK = "MLOPS_FAULTS"
_DIGEST = re.compile(r"\b[0-9a-f]{12}\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run ended: its exit code, each step's status and digests, the codes of problems."""

    code: int
    statuses: Mapping[str, str]
    digests: Mapping[str, tuple[str, ...]]
    problems: tuple[str, ...]


@dataclass(slots=True)
class Victim:
    """A project with one store. `what` names the fault that is being done, for messages;
    `other` is the truth of another source, where one is needed."""

    root: Path
    truth: Truth
    what: str = ""
    faults_named: list[str] = field(default_factory=list)
    other: Truth | None = None

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self.put_source_back()

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The store, looked at once: no connection is left whose files a fault could cut off."""
        store = Store(self.root / ".mlops" / "store")
        try:
            yield store
        finally:
            store.close()

    def put_source_back(self) -> None:
        (self.root / "rows.csv").write_text(TEXT)

    def empty(self) -> None:
        """Begin with an empty store."""
        shutil.rmtree(self.root / ".mlops", ignore_errors=True)

    def start(
        self, program: str = "plan", *words: str, **environment: str
    ) -> subprocess.Popen[str]:
        """A run of the plan, or of another program of this package, in a session of its own."""
        env = package_environment({_MARK: str(self.root), **environment})
        env["PYTHONPATH"] = os.pathsep.join([env["PYTHONPATH"], _TESTS])
        return subprocess.Popen(
            [sys.executable, "-m", f"tests.faults.{program}", str(self.root), *words],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self, process: subprocess.Popen[str]) -> Ended:
        """How a run ended; AssertionError for a traceback."""
        out, err = process.communicate(timeout=300)
        assert process.returncode < 0 or "Traceback" not in err, f"{self.what}: {err}"
        rows = [line.split() for line in out.splitlines()]
        steps = [row for row in rows if row and row[0] in self.truth.by_step]
        return Ended(
            code=process.returncode,
            statuses={row[0]: row[1] for row in steps},
            digests={row[0]: tuple(row[2:]) for row in steps},
            problems=tuple(row[1] for row in rows if row and row[0] == "problem"),
        )

    def kill(self, process: subprocess.Popen[str]) -> None:
        """End a run with SIGKILL; none of its processes lives on."""
        process.send_signal(signal.SIGKILL)
        process.communicate()
        eventually(lambda: not self.processes())

    def processes(self) -> list[int]:
        """The processes of runs of this project, workers included."""
        wanted = f"{_MARK}={self.root}".encode()
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                if wanted in (place / "environ").read_bytes().split(b"\0"):
                    found.append(int(place.name))
            except OSError:
                continue
        return found

    def fsck(self) -> Checked:
        """Check and mend; a second check must find nothing."""
        beside = Beside(cache=self.root / ".mlops" / "cache", logs=self.root / ".mlops" / "logs")
        with self.store() as store:
            found = check(store, lambda text: True, beside=beside)
        with self.store() as store:
            again = check(store, lambda text: True, beside=beside)
        assert not again.faults, f"{self.what}: a second check finds {again.faults}"
        self.faults_named += [
            f"{fault.what}: {_DIGEST.sub('X', fault.matter)}" for fault in found.faults
        ]
        return found

    def nothing_wrong_is_readable(self) -> int:
        """Whatever the store gives is right; how many results it has."""
        return self.right(self.truth)

    def right(self, truth: Truth) -> int:
        """How many of these results the store has, which must be right."""
        with self.store() as store:
            found = [store.find(key) for key in truth.by_key]
        for action, outputs in zip(found, truth.by_key.values(), strict=True):
            if action is not None:
                assert action.outputs == outputs, f"{self.what}: {action.step} has wrong outputs"
        return sum(action is not None for action in found)

    def recovers(self, *, clean: bool) -> Ended:
        """Nothing wrong can be read, a check is clean (or names what is wrong, and mends it), and
        the next run ends with the digests of an undisturbed one."""
        self.nothing_wrong_is_readable()
        checked = self.fsck()
        assert not (clean and checked.faults), f"{self.what}: {checked.faults}"
        ended = self.runs_well()
        assert self.nothing_wrong_is_readable() == len(self.truth.by_key)
        return ended

    def runs_well(self) -> Ended:
        """A run now ends well, with the digests of an undisturbed one."""
        ended = self.end(self.start())
        assert ended.code == 0, f"{self.what}: {ended}"
        self.is_true(ended)
        return ended

    def is_true(self, ended: Ended) -> None:
        """What a run says that it has is right."""
        for step, digests in ended.digests.items():
            true = tuple(digest.sha256 for _, digest in self.truth.by_step[step])
            assert digests in ((), true), f"{self.what}: {step} gave {digests}, not {true}"


def seconds_of_a_run(victim: Victim) -> float:
    """How long a whole run takes from an empty store, the process's start included."""
    victim.empty()
    start = time.monotonic()
    victim.runs_well()
    return time.monotonic() - start
