"""What a machine does to a run: no process, no room, a file gone, a disk that breaks things."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from mlops_compile.execute.committer import Commit, Committer
from mlops_compile.execute.pool import Workers
from mlops_compile.ir.digest import digest_of
from mlops_compile.ir.key import key_of
from mlops_compile.ir.plan import Step
from mlops_compile.ir.problem import ProblemsError, StepError
from mlops_compile.ir.record import RunRecord, StepResult
from mlops_compile.ir.value import Map
from mlops_compile.store.actions import Action
from mlops_compile.store.commit import Staged
from mlops_compile.store.store import Store
from tests.probe import SOURCE, Heard, Probes, eventually, probe, statuses


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(2) as found:
        yield found


@pytest.fixture
def probes(tmp_path: Path, workers: Workers) -> Probes:
    return Probes(tmp_path, workers)


def nothing_is_held(probes: Probes) -> bool:
    """Whether no claim and no scratch directory is left."""
    store = probes.state.root / "store"
    return not any(list((store / name).glob("*")) for name in ("claims", "scratch"))


# Storing


def test_what_no_one_expects_of_storing_fails_the_step(
    probes: Probes, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Store.commit

    def broken(store: Store, batch: Sequence[Staged], room: Path) -> None:
        if any(staged.action.step == "bad" for staged in batch):
            raise RuntimeError("no one expects")
        commit(store, batch, room)

    monkeypatch.setattr(Store, "commit", broken)
    record = probes.run(probe("bad", SOURCE), probe("behind", "bad"), probe("good", SOURCE, cut=1))
    assert statuses(record) == {"bad": "failed", "behind": "skipped", "good": "ran"}
    (found,) = record["bad"].problems
    assert found.code == "bug" and "RuntimeError: no one expects" in found.message
    assert record["bad"].exit_code == 1
    assert nothing_is_held(probes)


def test_a_run_hears_of_the_end_of_the_thread_that_stores(
    probes: Probes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(committer: Committer, batch: object) -> None:
        raise MemoryError("no more")

    monkeypatch.setattr(Committer, "_store_all", broken)
    with pytest.raises(ProblemsError, match="no more") as caught:
        probes.run(probe("a", SOURCE))
    assert [found.code for found in caught.value.problems] == ["bug"]
    assert caught.value.exit_code == 1
    assert nothing_is_held(probes)


def test_storing_that_takes_long_is_given_up_when_a_run_ends(tmp_path: Path) -> None:
    """The batch finds its files gone, and records nothing."""
    store, go_on = Store(tmp_path / "store"), threading.Event()
    told: list[BaseException] = []
    commit = store.commit

    def slow(batch: Sequence[Staged], room: Path) -> None:
        go_on.wait(20)
        try:
            commit(batch, room)
        except Exception as error:
            told.append(error)
            raise

    store.commit = slow  # type: ignore[method-assign]
    causes = Map({"a": 1})
    with store.scratch() as scratch:
        room = scratch / "1"
        room.mkdir()
        digest = digest_of(b"it")
        (room / "it").write_bytes(b"it")
        action = Action(
            step="a", kind="probe", preimage=causes, outputs=(), blobs=(digest,), seconds=0.0
        )
        staged = Staged(key=key_of(causes), action=action, files=((room / "it", digest),))
        committer = Committer(store)
        committer.put(Commit(step="a", staged=staged, room=room))
        committer.close()
        assert not room.exists()
        go_on.set()
        eventually(lambda: told)
    assert store.find(key_of(causes)) is None


# Reading and writing


def test_what_cannot_be_read_is_told_apart_from_what_cannot_be_written(probes: Probes) -> None:
    missing = str(probes.root / "missing.txt")
    record = probes.run(
        probe("reads", SOURCE, read=missing),
        probe("full", SOURCE, errno=errno.ENOSPC),
        probe("lost", SOURCE, errno=errno.ETIMEDOUT),
        probe("writes", SOURCE, nowhere=True),
    )
    told = {r.step: (r.problems[0].code, r.exit_code) for r in record.results if r.problems}
    assert told == {
        "reads": ("unreadable", 5),
        "full": ("disk", 7),
        "lost": ("unreadable", 5),
        "writes": ("disk", 7),
    }
    assert f"reads cannot read {missing}: No such file" in record["reads"].error
    assert "timed out" in record["lost"].error


class Vanishing(Heard):
    """The source goes away as soon as its step begins."""

    file: Path

    def started(self, step: Step, seconds: float | None) -> None:
        super().started(step, seconds)
        if step.name == SOURCE:
            self.file.unlink()


def test_a_source_that_vanishes_is_named(tmp_path: Path, workers: Workers) -> None:
    class Hears(Vanishing):
        file = tmp_path / "rows.csv"

    probes = Probes(tmp_path, workers, hears=Hears)
    record = probes.run(probe("a", SOURCE))
    source = record[SOURCE]
    assert source.status == "failed" and source.exit_code == 5
    assert f"cannot read {tmp_path / 'rows.csv'}: No such file" in source.error
    assert nothing_is_held(probes)


# Processes


def test_a_machine_that_starts_no_process_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Workers(2) as own:
        probes = Probes(tmp_path, own)
        lock = probes.lock(probe("a", SOURCE))
        monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
        with pytest.raises(StepError, match="cannot start another process") as caught:
            probes.execute(lock)
    assert [found.code for found in caught.value.problems] == ["no-process"]
    assert nothing_is_held(probes)


def test_fewer_workers_do_where_the_machine_starts_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Workers(3) as own:
        probes = Probes(tmp_path, own)
        assert own.started() is not None
        monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
        record = probes.run(*(probe(f"p{n}", SOURCE, text=str(n)) for n in range(4)))
        assert len(list(own)) == 1
    assert set(statuses(record).values()) == {"ran"}


def test_a_worker_that_cannot_begin_says_why_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Workers(1) as own:
        probes = Probes(tmp_path, own)
        lock = probes.lock(probe("a", SOURCE))
        broken = tmp_path / "path" / "mlops_compile" / "__init__.py"
        broken.parent.mkdir(parents=True)
        broken.write_text("raise ImportError('no such library')\n")
        monkeypatch.syspath_prepend(str(broken.parent.parent))
        source = probes.execute(lock)[SOURCE]
    assert source.status == "failed" and "ImportError: no such library" in source.error
    assert "Traceback" in Path(source.log).read_text()


def test_a_run_that_waits_for_another_starts_no_worker(tmp_path: Path) -> None:
    """What it waits for is made meanwhile, and taken."""
    started, gate = tmp_path / "started", tmp_path / "gate"
    slow = probe("slow", SOURCE, started=str(started), meet=[str(tmp_path / "here"), str(gate)])
    with Workers(1) as own, Workers(2) as idle:
        first, second = Probes(tmp_path, own), Probes(tmp_path, idle)
        lock, records = first.lock(slow), dict[str, RunRecord]()

        def run(name: str, probes: Probes) -> threading.Thread:
            def work() -> None:
                records[name] = probes.execute(lock)

            thread = threading.Thread(target=work)
            thread.start()
            return thread

        threads = [run("first", first)]
        eventually(started.exists)
        threads.append(run("second", second))
        eventually(lambda: second.heard.waited == ["slow"])
        assert not list(idle)
        gate.touch()
        for thread in threads:
            thread.join()
        assert not list(idle)
    assert (records["first"]["slow"].status, records["second"]["slow"].status) == ("ran", "hit")


# Disks that break what they keep


def test_an_output_that_is_always_damaged_ends_with_a_sentence(
    probes: Probes, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Store.commit
    made: list[str] = []

    def loses(store: Store, batch: Sequence[Staged], room: Path) -> None:
        commit(store, batch, room)
        for staged in batch:
            made.append(staged.action.step)
            if staged.action.step == "a":
                store.blobs.place(staged.action.blobs[0].sha256).unlink()

    monkeypatch.setattr(Store, "commit", loses)
    record = probes.run(
        probe("a", SOURCE), probe("b", "a"), probe("c", "b"), probe("d", SOURCE, text="d")
    )
    assert {**statuses(record), "a": ""} == {"a": "", "b": "failed", "c": "skipped", "d": "ran"}
    (found,) = record["b"].problems
    assert found.code == "blob" and "a.out" in found.message and record["b"].exit_code == 7
    assert 2 <= made.count("a") <= 5


def test_other_steps_start_while_inputs_are_verified(tmp_path: Path, workers: Workers) -> None:
    """The blob that `b` reads is a pipe, which gives nothing until `c` has ended."""
    ended, in_time = threading.Event(), list[bool]()
    doing: list[Callable[[Step], None]] = []

    class Hears(Heard):
        def started(self, step: Step, seconds: float | None) -> None:
            super().started(step, seconds)
            for do in doing:
                do(step)

        def finished(self, result: StepResult) -> None:
            super().finished(result)
            if result.step == "c":
                ended.set()

    probes = Probes(tmp_path, workers, hears=Hears)
    first = probes.run(probe("a", SOURCE))
    place = probes.state.store.blobs.place(first["a"].output("out").sha256)

    def let_go() -> None:
        in_time.append(ended.wait(30))
        os.close(os.open(place, os.O_WRONLY))

    helper = threading.Thread(target=let_go)

    def hold(step: Step) -> None:
        if step.name == "b" and not in_time and not helper.ident:
            place.unlink()
            os.mkfifo(place)
            helper.start()

    doing.append(hold)
    record = probes.run(probe("a", SOURCE), probe("b", "a"), probe("c", SOURCE, text="c"))
    helper.join()
    assert in_time == [True]
    assert statuses(record) == {"a": "ran", "b": "ran", "c": "ran"}


def test_a_step_that_would_end_its_process_fails_alone(probes: Probes) -> None:
    record = probes.run(probe("p", SOURCE, leave=3), probe("q", SOURCE))
    assert record["q"].status == "ran" and record["p"].status == "failed"
    assert "SystemExit" in record["p"].error and "sys.exit" in Path(record["p"].log).read_text()


def test_workers_outlive_the_thread_that_started_them(tmp_path: Path) -> None:
    """As those of a caller whose threads come and go."""
    pids = []
    with Workers(2) as own:
        for number in range(3):
            step = probe("p", SOURCE, text=str(number))
            thread = threading.Thread(target=lambda step=step: Probes(tmp_path, own).run(step))
            thread.start()
            thread.join()
            time.sleep(0.2)  # the system ends what it ends with a thread
            pids.append({worker.pid for worker in own})
            assert not any(worker.has_ended for worker in own)
    assert pids[0] and pids[0] <= pids[1] <= pids[2]


def test_the_log_of_a_step_that_is_tried_again_holds_every_try(
    tmp_path: Path, probes: Probes
) -> None:
    counted = str(tmp_path / "tries")
    step = probe("p", SOURCE, kind="probe_flaky", fails=[counted, 3], print="a try begins")
    log = Path(probes.run(step)["p"].log).read_text()
    assert log.count("a try begins") == 3 and log.count("Traceback") == 3
