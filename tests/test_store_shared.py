"""A store that several use: read-only ones, two users, copies, damaged indexes, killed cleaners."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which

import pytest

from mlops_compile.ir.digest import digest_of
from mlops_compile.ir.key import key_of
from mlops_compile.ir.value import Map
from mlops_compile.store.actions import Action
from mlops_compile.store.blobs import stage
from mlops_compile.store.commit import Staged
from mlops_compile.store.fsck import Checked, check
from mlops_compile.store.store import Store

Start = Callable[..., "subprocess.Popen[str]"]
NOBODY = 65534
# The names of a program that works as another user; whatever is imported is imported before.
AS_ANOTHER = """
import os, sqlite3, sys
from pathlib import Path
from shutil import which
from mlops_compile.ir.problem import StoreError
from mlops_compile.store.fsck import check
from mlops_compile.store.store import Store
from tests.test_store_shared import fill, key_at
root, user = Path(sys.argv[1]), int(sys.argv[2])
os.setgroups([])
os.setgid(int(sys.argv[3]))
os.setuid(user)
os.umask(0o077)
"""


def key_at(number: int) -> str:
    return key_of(Map({"n": number}))


def fill(store: Store, numbers: range) -> None:
    """Commit small results, a blob each."""
    with store.scratch() as scratch:
        batch = []
        for number in numbers:
            place = scratch / str(number)
            place.write_bytes(b"%d\n" % number * 50)
            digest, files = stage(place, False, place)
            action = Action(
                step=f"s{number % 3}",
                kind="k",
                preimage=Map({"n": number}),
                outputs=(("out", digest),),
                blobs=(digest,),
                seconds=1.0,
                plan=f"p{number}",
                made=float(number),
            )
            batch.append(Staged(key=key_at(number), action=action, files=files))
        store.commit(batch)
    store.close()


def checked(root: Path) -> Checked:
    """Check and mend a store; a second check finds nothing."""
    store = Store(root)
    found = check(store, lambda text: True)
    second = check(store, lambda text: True)
    store.close()
    assert second.faults == () == second.behind and second.swept == 0
    return found


def hits(root: Path, numbers: range) -> list[int]:
    """Those that are found, with the right bytes."""
    store, found = Store(root), []
    for number in numbers:
        action = store.find(key_at(number), f"p{number}")
        if action is not None:
            (digest,) = action.blobs
            assert store.blobs.read(digest).read_bytes() == b"%d\n" % number * 50
            found.append(number)
    store.close()
    return found


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user can reach."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


def ended(process: subprocess.Popen[str]) -> None:
    _, error = process.communicate(timeout=60)
    assert process.returncode == 0, error


def told(process: subprocess.Popen[str]) -> str:
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    return out.strip()


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can work as another user")


@root_only
def test_a_store_that_may_only_be_read_gives_hits(open_directory: Path, start: Start) -> None:
    root = open_directory / "store"
    fill(Store(root), range(5))
    before = {path: path.lstat().st_mtime_ns for path in root.rglob("*")}
    program = """
store = Store(root)
for number in range(5):
    action = store.find(key_at(number), f"p{number}")
    assert store.blobs.read(action.blobs[0]).read_bytes() == b"%d\\n" % number * 50
assert store.find(key_at(9), "p9") is None
assert store.plans(["p3"]) == {"p3": (key_at(3),)}
assert store.durations({("k", "s1")}) and store.nearest("k", "s1")[0].made == 4.0
try:
    with store.scratch():
        raise AssertionError("it could be written")
except StoreError as error:
    assert "cannot be written: Permission denied" in str(error)
try:
    store.claim(key_at(9))
    raise AssertionError("it could be claimed")
except StoreError:
    pass
store.close()
assert check(store, lambda text: True, mend=False).faults == ()
"""
    ended(start(AS_ANOTHER + program, root, NOBODY, NOBODY))
    assert {path: path.lstat().st_mtime_ns for path in root.rglob("*")} == before


@root_only
def test_two_users_share_a_store(open_directory: Path, start: Start) -> None:
    """Both with umask 077, in a directory of their group."""
    root, group = open_directory / "store", 7777
    root.mkdir()
    os.chown(root, -1, group)
    root.chmod(0o2775)
    for turn, user in enumerate((NOBODY, 4321, NOBODY, 0)):
        numbers = f"range({turn * 3}, {turn * 3 + 5})"  # some are there already
        program = f"""
store = Store(root, lambda: 1e6 + {turn})
claim = store.claim(key_at({turn}))
fill(store, {numbers})
claim.release()
store.pins.put("p{turn}", "text")
assert all(store.find(key_at(n), f"p{{n}}") for n in range({turn * 3 + 5}))
store.flush()
store.claims.sweep()
found = check(store, lambda text: True)
assert found.faults == () == found.behind, found
store.index.drop([key_at(99)])
"""
        ended(start(AS_ANOTHER + program, root, user, group))
    store = Store(root)
    assert set(store.index.uses().values()) >= {1e6, 1e6 + 1, 1e6 + 2, 1e6 + 3}
    for path in root.rglob("*"):
        mode = path.stat()
        assert mode.st_gid == group, path
        wanted = stat.S_IRWXG | stat.S_ISGID if path.is_dir() else stat.S_IRGRP
        assert mode.st_mode & wanted == wanted, path
    assert hits(root, range(14)) == list(range(14))


@root_only
def test_a_claim_of_another_user_is_waited_for(open_directory: Path, start: Start) -> None:
    """Its file, and maybe the directory, can only be read: that is enough to see that it is held,
    and to take it once it is not."""
    root, key = open_directory / "store", key_at(1)
    fill(Store(root), range(1))
    store = Store(root)
    claim = store.claim(key)
    assert claim is not None
    look = f"""
store = Store(root)
claim = store.claim({key!r})
print("held" if claim is None else "free")
assert not store.waiting({key!r}, 0), "by whichever of the two, it is held"
if claim is not None:
    claim.release()
"""
    for closed in (False, True):  # to those who would make or remove files there
        (root / "claims").chmod(0o755 if closed else 0o777)
        assert told(start(AS_ANOTHER + look, root, NOBODY, NOBODY)) == "held"
    (root / "claims" / key_at(2)).touch(0o644)
    theirs = look.replace(key, key_at(2))
    assert told(start(AS_ANOTHER + theirs, root, NOBODY, NOBODY)) == "free"
    assert (root / "claims" / key_at(2)).exists(), "it cannot be removed there"
    again = store.claim(key_at(2))
    assert again is not None
    again.release()
    claim.release()


@root_only
def test_a_run_of_another_user_is_seen_with_its_lock(open_directory: Path, start: Start) -> None:
    """Whatever its umask: what it uses stays, and is not forgotten."""
    root, group = open_directory / "store", 7777
    root.mkdir()
    os.chown(root, -1, group)
    root.chmod(0o2775)
    fill(Store(root), range(2))
    mode = """
with Store(root).scratch("a lock"):
    print("ready", flush=True)
    sys.stdin.readline()
"""
    runs = start(AS_ANOTHER + mode, root, NOBODY, group)
    assert runs.stdout is not None and runs.stdout.readline() == "ready\n"
    look = """
(run,) = Store(root).rooms.live()
print(run.lock)
"""
    assert told(start(AS_ANOTHER + look, root, 4321, group)) == "a lock"
    (plan,) = root.glob("scratch/*/plan.lock.json")
    plan.chmod(0o600)  # as an earlier version left it
    refused = """
try:
    Store(root).rooms.live()
except StoreError as error:
    print("cannot be read" in str(error))
"""
    assert told(start(AS_ANOTHER + refused, root, 4321, group)) == "True"
    runs.communicate("\n", timeout=60)


def test_a_store_of_one_user_stays_private(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        fill(Store(tmp_path / "store"), range(3))
    finally:
        os.umask(before)
    for path in (tmp_path / "store").rglob("*"):
        if path.is_dir():
            assert not path.stat().st_mode & 0o077, path


def test_a_store_may_be_moved_and_copied(tmp_path: Path) -> None:
    fill(Store(tmp_path / "a"), range(6))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "a").rename(tmp_path / "c")
    for root in (tmp_path / "b", tmp_path / "c"):
        assert hits(root, range(6)) == list(range(6))
        found = checked(root)
        assert found.faults == () == found.behind
        assert str(tmp_path).encode() not in b"".join(
            path.read_bytes() for path in root.rglob("*") if path.is_file()
        )
    fill(Store(tmp_path / "b"), range(6, 8))
    assert hits(tmp_path / "b", range(9)) == list(range(8))


def answers(root: Path) -> object:
    """What a store tells, however it knows it."""
    store = Store(root)
    told = (
        store.plans([f"p{n}" for n in range(12)]),
        store.durations({("k", f"s{n}") for n in range(12)}),
        [action.made for action in store.nearest("k", "s1")],
        [action.made for action in store.of_kind("k")],
    )
    store.close()
    return told


@pytest.mark.parametrize("seed", range(12))
def test_flipped_bits_in_the_index_change_no_answer_for_a_wrong_one(
    tmp_path: Path, seed: int
) -> None:
    """Rows that are hurt count as missing; what is found is what was stored."""
    root = tmp_path / "store"
    fill(Store(root), range(12))
    whole = Store(root).plans([f"p{n}" for n in range(12)])
    draw, place = random.Random(seed), root / "index.sqlite"
    text = bytearray(place.read_bytes())
    for _ in range(draw.choice([1, 30])):
        text[draw.randrange(len(text))] ^= 1 << draw.randrange(8)
    place.write_bytes(text)
    told = Store(root).plans(list(whole))
    assert all(keys == whole[plan] for plan, keys in told.items())
    assert hits(root, range(13)) == list(range(12))
    fill(Store(root), range(12, 14))
    checked(root)
    assert hits(root, range(14)) == list(range(14))


@pytest.mark.parametrize("how", ["gone", "empty", "noise", "cut", "other"])
def test_a_lost_index_is_made_again(tmp_path: Path, how: str) -> None:
    root = tmp_path / "store"
    fill(Store(root), range(12))
    whole, place = answers(root), root / "index.sqlite"
    text = place.read_bytes()
    place.unlink()
    if how != "gone":
        texts = {"empty": b"", "noise": b"x" * 9000, "cut": text[:9000], "other": b"{}"}
        place.write_bytes(texts[how])
    assert answers(root) == whole, "the files of actions know it all"
    found = checked(root)
    assert (found.faults == ()) == (how == "gone") and bool(found.behind) == (how == "gone")
    assert answers(root) == whole


def test_the_index_is_filled_again_by_those_who_look(tmp_path: Path) -> None:
    """As after a commit for which the disk had no room left for the index."""
    root = tmp_path / "store"
    fill(Store(root), range(12))
    whole = answers(root)
    store = Store(root)
    store.index.drop([key_at(n) for n in range(12)])
    store.close()
    assert answers(root) != whole
    seen = check(Store(root), lambda text: True, mend=False)
    assert seen.faults == () and seen.behind == ("it lacks 12 of the actions",)
    assert hits(root, range(12)) == list(range(12))
    assert answers(root) == whole
    assert checked(root).behind == ()


@pytest.mark.parametrize("what", ["record", "blob"])
def test_a_flipped_bit_is_named_mended_and_made_again(tmp_path: Path, what: str) -> None:
    root, draw = tmp_path / "store", random.Random(what)
    fill(Store(root), range(6))
    for turn in range(10):
        number = draw.randrange(6)
        digest = digest_of(b"%d\n" % number * 50).sha256
        store = Store(root)
        place = store.blobs.place(digest)
        if what == "record":
            place = store.records.place(key_at(number))
        text = bytearray(place.read_bytes())
        text[draw.randrange(len(text))] ^= 1 << draw.randrange(8)
        place.unlink()
        place.write_bytes(text)
        found = checked(root)
        assert what in {fault.what for fault in found.faults}, turn
        assert {fault.steps for fault in found.faults if fault.what == "blob"} <= {
            (f"s{number % 3}",)
        }
        assert hits(root, range(6)) == [n for n in range(6) if n != number]
        fill(Store(root), range(number, number + 1))
        assert hits(root, range(6)) == list(range(6))


def test_a_check_names_nothing_that_others_end_meanwhile(tmp_path: Path) -> None:
    """A writer gives a file its name, and a collection removes what is damaged."""
    root = tmp_path / "store"
    fill(Store(root), range(3))
    store = Store(root)
    new = root / "blobs" / "ab" / ".new-x"
    new.parent.mkdir(exist_ok=True)
    new.touch()
    damaged = [store.blobs.place(digest_of(b"%d\n" % n * 50).sha256) for n in range(3)]
    for place in damaged:
        place.chmod(0o644)
        place.write_bytes(b"wrong")
    seen: list[int] = []

    def meanwhile(done: int, total: int) -> None:
        seen.append(done)
        if len(seen) == 3:
            new.unlink()
            for number in range(3):
                store.records.place(key_at(number)).unlink()
            for place in damaged:
                place.unlink()

    for mend in (False, True):
        assert check(store, lambda text: True, meanwhile, mend=mend).faults == ()
    assert len(seen) == 3


def test_a_forked_process_keeps_nobody_out(tmp_path: Path) -> None:
    root = tmp_path / "store"
    fill(Store(root), range(1))
    guard, (read, write) = Store(root).guard, os.pipe()
    for inside in (guard.shared, guard.alone):
        with inside():
            pid = os.fork()
            if not pid:  # lives on, with every file that is open
                os.close(write)
                os.read(read, 1)
                os._exit(0)
        lock = os.open(root / "gc.lock", os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(lock)
        os.write(write, b".")
        assert os.waitpid(pid, 0)[1] == 0


def test_new_directories_are_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their names are, too: a blob in a directory that is lost is lost."""
    synced: set[str] = set()
    sync = os.fsync

    def told(handle: int) -> None:
        synced.add(os.readlink(f"/proc/self/fd/{handle}"))
        sync(handle)

    monkeypatch.setattr(os, "fsync", told)
    fill(Store(tmp_path / "store"), range(1))
    assert {str(tmp_path / "store" / name) for name in ("", "blobs", "actions")} <= {
        *synced,
        *(f"{name}/" for name in synced),
    }


CLEAN = """
import sys
from pathlib import Path
from shutil import which
from mlops_compile.store.collect import collect
from mlops_compile.store.forget import forget
from mlops_compile.store.garbage import Limits
from mlops_compile.store.reach import Marks
from mlops_compile.store.store import Store
from tests.test_store_shared import key_at

store = Store(Path(sys.argv[1]))
marks = Marks(keys=frozenset(key_at(n) for n in range(0, 200, 4)))
print("ready", flush=True)
collect(store, lambda text: Marks(), marks, Limits())
print("done", flush=True)
"""


def test_a_killed_collection_leaves_nothing_wrong(tmp_path: Path, start: Start) -> None:
    root = tmp_path / "store"
    kept = list(range(0, 200, 4))
    for turn in range(6):
        fill(Store(root), range(200))
        cleaner = start(CLEAN, root)
        assert cleaner.stdout is not None and cleaner.stdout.readline() == "ready\n"
        time.sleep(0.03 * turn)
        cleaner.kill()
        cleaner.communicate()
        assert {*kept} <= {*hits(root, range(200))}
        assert checked(root).faults == ()
    ended(start(CLEAN, root))
    assert hits(root, range(200)) == kept
    assert len(list((root / "blobs").glob("*/*"))) == len(kept)


# What root may that others may not: to go where no permission leads.
CAPS = ("inh-caps", "bounding-set")
PLAIN = ("setpriv", *(f"--{caps}=-dac_override,-dac_read_search" for caps in CAPS))


@pytest.mark.skipif(os.geteuid() == 0 and not which("setpriv"), reason="root may enter everything")
@pytest.mark.parametrize("closed", [".mlops", ".mlops/store"])
def test_a_store_that_may_not_be_entered_is_told(closed: str, tmp_path: Path) -> None:
    (tmp_path / ".mlops" / "store").mkdir(parents=True)
    (tmp_path / closed).chmod(0)
    as_others = PLAIN if os.geteuid() == 0 else ()
    words = [*as_others, sys.executable, "-m", "mlops_compile", "store", "du"]
    told = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    (tmp_path / closed).chmod(0o700)
    assert told.returncode == 7
    assert f"the store {closed} cannot be entered: Permission denied" in told.stderr
