"""Ended at each of their steps: those who remove lose and leave nothing, those who work neither."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from mlops_compile.ir.digest import Digest, digest_of
from mlops_compile.ir.key import key_of
from mlops_compile.ir.problem import StoreError
from mlops_compile.ir.value import Map
from mlops_compile.store.actions import Action
from mlops_compile.store.begun import FILE as BEGUN
from mlops_compile.store.collect import collect
from mlops_compile.store.commit import Staged
from mlops_compile.store.forget import Beside, forget
from mlops_compile.store.fsck import Checked, check
from mlops_compile.store.garbage import Limits
from mlops_compile.store.reach import Marks
from mlops_compile.store.store import Store
from tests.faults.hooks import die_at, interrupt_at

ONE, OTHER = b"the rows of one\n", b"the rows of another\n"
STEPS = ("read", "clean", "fit", "score")
SHARED = b"what every step gives beside"
LOCK = f"a lock of {digest_of(ONE).sha256}"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


def results(content: bytes) -> dict[str, bytes]:
    """What each step gives; every text holds that of its source."""
    return {step: step.encode() + b" of " + content for step in STEPS}


def actions(content: bytes) -> dict[str, Action]:
    """Actions by key, each made of the one before."""
    found, before = {}, ""
    for step, data in results(content).items():
        source = Map({"source": Map({"digest": digest_of(content).sha256})})
        causes = Map({"kind": step, **(Map({"inputs": Map({"it": before})}) if before else source)})
        digest, extra = digest_of(data), digest_of(SHARED)
        found[key_of(causes)] = Action(
            step=step,
            kind=step,
            preimage=causes,
            outputs=(("extra", extra), ("out", digest)),
            blobs=(digest, extra),
            seconds=1.0,
            plan=digest_of(b"plan of " + data).sha256,
            made=1.0,
            about=Map({} if before else {"location": f"{content.split()[-1].decode()}.csv"}),
        )
        before = digest.sha256
    return found


def fill(state: Path, content: bytes) -> None:
    """Store all that is made of a source."""
    store = Store(state / "store")
    with store.scratch() as scratch:
        (scratch / "source").write_bytes(content)
        assert store.blobs.import_file(scratch / "source", scratch / "via", digest_of(content))
        batch = []
        for (key, action), data in zip(
            actions(content).items(), results(content).values(), strict=True
        ):
            files: list[tuple[Path, Digest]] = []
            for name, part in (("out", data), ("extra", SHARED)):
                place = scratch / f"{action.step}-{name}"
                place.write_bytes(part)
                files.append((place, digest_of(part)))
            batch.append(Staged(key=key, action=action, files=tuple(files)))
        store.commit(batch)
    store.close()


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory, where there is one: a killed process does not lose what it wrote, so
    that nothing here depends on a disk, and there is much to wait for."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as place:
        yield Path(place)


@pytest.fixture
def states(directory: Path) -> Iterator[Callable[[], Path]]:
    """Gives a copy of a state with all of two sources, and with what died writing of the first."""
    whole = directory / "whole"
    for content in (ONE, OTHER):
        fill(whole, content)
    store = whole / "store"
    for place in (
        store / "quarantine" / "x",
        store / "scratch" / "dead" / "1" / "out",
        store / "scratch" / "cut off while it was removed" / "out",
        store / "blobs" / digest_of(ONE).sha256[:2] / ".new-1",
        store / ".new-9-index.sqlite",
        whole / "cache" / ".new-1",
        whole / "logs" / "abc" / "fit.log",
    ):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(ONE)
    (store / "scratch" / "dead" / ".lock").touch()
    (store / "claims").mkdir(exist_ok=True)
    (store / "claims" / next(iter(actions(ONE)))).touch()
    (whole / "cache" / "seen.json").write_text(f'"{digest_of(ONE).sha256}"')
    numbers = count()

    def copy() -> Path:
        return Path(shutil.copytree(whole, directory / str(next(numbers))))

    yield copy


def killed_at(number: int, work: Callable[[], object]) -> bool:
    """Do work in a process that is killed right before it changes files for the so-manieth time;
    whether it came to that."""
    pid = os.fork()
    if not pid:
        die_at(number)
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the work itself failed"
    return os.WIFSIGNALED(status)


def beside(state: Path) -> Beside:
    return Beside(cache=state / "cache", logs=state / "logs")


def forget_one(state: Path) -> None:
    store = Store(state / "store")
    what = {"reason": "asked to", "when": "2026-01-01"}
    forget(store, "one.csv", frozenset({digest_of(ONE).sha256}), beside(state), **what)  # type: ignore[arg-type]
    store.close()


def checked(state: Path, finishing: bool = True) -> Checked:
    store = Store(state / "store")
    found = check(store, lambda text: True, beside=beside(state) if finishing else None)
    store.close()
    return found


def there(state: Path, content: bytes) -> list[str]:
    """The steps of a source whose results are there and right."""
    store, found = Store(state / "store"), []
    for (key, action), data in zip(
        actions(content).items(), results(content).values(), strict=True
    ):
        if store.find(key) is not None:
            assert store.find(key) == action
            assert store.blobs.read(action.blobs[0]).read_bytes() == data
            assert store.blobs.read(action.blobs[1]).read_bytes() == SHARED
            found.append(action.step)
    store.close()
    return found


def traces(state: Path) -> list[str]:
    """What still tells of the first source: its bytes, or its digests and keys."""
    names = {digest_of(ONE).sha256, *actions(ONE), *(a.plan for a in actions(ONE).values())}
    names |= {digest_of(data).sha256 for data in results(ONE).values()}
    found = []
    for path in state.rglob("*"):
        if path.name == "forgotten.jsonl" or path.name.startswith("index.sqlite"):
            continue  # the line of what was forgotten, and pages with keys of rows that are gone
        data = path.read_bytes() if path.is_file() else b""
        told = path.name in names or ONE in data or any(name.encode() in data for name in names)
        if told or path.name.startswith(".new-"):
            found.append(str(path.relative_to(state)))
    return found


def by_check(state: Path) -> None:
    """A check finishes what was begun; where nothing was, all is there as before."""
    begun = (state / "store" / BEGUN).exists()
    told = [fault.matter for fault in checked(state).faults if fault.name == BEGUN]
    assert told == (["a `store forget` was cut off"] if begun else [])
    if not begun and there(state, ONE):
        assert there(state, ONE) == list(STEPS)
        forget_one(state)


def mended_before(state: Path) -> None:
    """A check that cannot finish it takes away the records that had lost their blobs."""
    checked(state, finishing=False)
    forget_again(state)


def forget_again(state: Path) -> None:
    if traces(state):
        forget_one(state)


def made_again(state: Path) -> None:
    """The source is read again, and what is made of it stored, before it is forgotten for good."""
    fill(state, ONE)
    forget_one(state)


def killed_again(state: Path) -> None:
    killed_at(12, lambda: forget_one(state))
    forget_again(state)


@pytest.mark.parametrize("then", [forget_again, by_check, mended_before, made_again, killed_again])
def test_forgetting_that_is_killed_can_be_finished(
    states: Callable[[], Path], then: Callable[[Path], None]
) -> None:
    for number in count(1):
        state = states()
        killed = killed_at(number, lambda state=state: forget_one(state))  # type: ignore[misc]
        assert there(state, OTHER) == list(STEPS)
        if killed:
            then(state)
        assert traces(state) == [], number
        assert there(state, OTHER) == list(STEPS) and not there(state, ONE)
        assert checked(state).faults == ()
        shutil.rmtree(state)
        if not killed:
            break
    assert number > 30, "it was hardly killed in the middle"


def test_a_check_leaves_what_a_run_uses(states: Callable[[], Path]) -> None:
    state = states()
    killed_at(25, lambda: forget_one(state))
    assert (state / "store" / BEGUN).exists()
    store = Store(state / "store")
    with store.scratch(LOCK):
        (fault,) = (f for f in checked(state).faults if f.name == BEGUN)
        assert fault.fate == "not finished: a run goes on that uses this source"
        with pytest.raises(StoreError):
            forget_one(state)
    (fault,) = (f for f in checked(state).faults if f.name == BEGUN)
    assert fault.fate == "finished" and traces(state) == []


def test_what_was_begun_is_named_where_it_is_damaged(states: Callable[[], Path]) -> None:
    state = states()
    place = state / "store" / BEGUN
    killed_at(25, lambda: forget_one(state))
    text = bytearray(place.read_bytes())
    text[len(text) // 2] ^= 1
    place.write_bytes(text)
    (fault,) = (f for f in checked(state).faults if f.name == BEGUN)
    assert "is damaged" in fault.matter and fault.fate == "set aside: forget again"
    assert not place.exists()


def test_a_collection_that_is_killed_loses_nothing_that_is_needed(
    states: Callable[[], Path],
) -> None:
    marks = Marks(keys=frozenset(actions(OTHER)), blobs=frozenset({digest_of(OTHER).sha256}))

    def clean(state: Path) -> None:
        store = Store(state / "store")
        collect(store, lambda text: Marks(), marks, Limits())
        store.close()

    for number in count(1):
        state = states()
        checked(state)
        killed = killed_at(number, lambda state=state: clean(state))  # type: ignore[misc]
        assert there(state, OTHER) == list(STEPS)
        assert checked(state).faults == (), number
        clean(state)
        assert there(state, OTHER) == list(STEPS) and not there(state, ONE)
        blobs = {place.name for place in (state / "store" / "blobs").glob("*/*")}
        needed = {sha.sha256 for action in actions(OTHER).values() for sha in action.blobs}
        assert blobs == {*needed, digest_of(OTHER).sha256}
        shutil.rmtree(state)
        if not killed:
            break
    assert number > 10, "it was hardly killed in the middle"


def test_an_interrupt_at_any_time_leaves_neither_room_nor_claim(directory: Path) -> None:
    key = next(iter(actions(ONE)))

    def work(root: Path, number: int) -> int:
        """In a process of its own; 0 once it ends without an interrupt."""
        store = Store(root)
        was_interrupted = interrupt_at(number)
        try:
            with store.scratch(LOCK) as scratch:
                (scratch / "1").mkdir()
                (scratch / "1" / "out").write_bytes(ONE)
                claim = store.claim(key)
                assert claim is not None
                claim.release()
        except KeyboardInterrupt:
            assert was_interrupted()
        assert not [*root.glob("scratch/*"), *root.glob("claims/*")]
        if not was_interrupted():
            return 0
        assert Store(root).claim(key) is not None
        return 1

    for number in count(1):
        root = directory / str(number)
        pid = os.fork()
        if not pid:
            code = 2
            with contextlib.suppress(BaseException):
                code = work(root, number)
            os._exit(code)
        _, status = os.waitpid(pid, 0)
        assert os.WEXITSTATUS(status) < 2, f"at change {number}"
        if not os.WEXITSTATUS(status):
            break
    assert number > 10
