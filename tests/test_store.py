"""The store: what is read is what was written, whatever happens to the disk or the writer."""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_compile.ir.digest import Digest, digest_of
from mlops_compile.ir.key import key_of
from mlops_compile.ir.problem import StoreError
from mlops_compile.ir.value import Map, freeze, pretty
from mlops_compile.store.actions import Action
from mlops_compile.store.blobs import MissingBlob, stage, tree_digest
from mlops_compile.store.cache import FileCache
from mlops_compile.store.collect import collect
from mlops_compile.store.commit import Staged
from mlops_compile.store.files import copy_file, write_atomic, write_named
from mlops_compile.store.garbage import Limits
from mlops_compile.store.reach import Marks
from mlops_compile.store.store import Store
from tests.strategies import digests, maps, names, values

Start = Callable[..., "subprocess.Popen[str]"]
DATA = b"some bytes\n" * 100
CAUSES = Map({"a": 1})
KEY = key_of(CAUSES)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def again(store: Store) -> Store:
    """The same store in a process that has verified nothing yet."""
    return Store(store.root)


def blob_files(root: Path) -> Iterator[Path]:
    """Every file that a reader could find by its name."""
    return (path for path in (root / "blobs").glob("*/*") if len(path.name) == 64)


def staged(action: Action, *files: tuple[Path, Digest]) -> Staged:
    return Staged(key=key_of(action.preimage), action=action, files=files)


def made(store: Store, data: bytes, **fields: Any) -> Staged:
    """A step's result of one output, in scratch space, ready to be committed."""
    place = store.root.parent / f"{digest_of(data).sha256}.out"
    place.write_bytes(data)
    digest, files = stage(place, False, place)
    return staged(action(digest, **fields), *files)


def record_of(store: Store, key: str) -> Path:
    return store.root / "actions" / key[:2] / f"{key}.json"


def sound(root: Path) -> None:
    """No readable object is wrong: blobs are what they are called, and actions have their blobs."""
    store = Store(root)
    for path in blob_files(root):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    for path in (root / "actions").glob("*/*.json"):
        action = store.find(path.stem)
        assert action is not None
        for digest in action.blobs:
            assert digest_of(store.blobs.read(digest).read_bytes()) == digest


# Blobs


@given(st.binary(max_size=100))
def test_bytes_come_back(tmp_path_factory: Any, data: bytes) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    digest = store.blobs.put(data)
    assert digest == digest_of(data)
    assert again(store).blobs.read(digest).read_bytes() == data
    assert store.blobs.put(data) == digest


def test_a_file_is_moved_into_the_store(store: Store) -> None:
    for _ in range(2):
        one = made(store, DATA)
        store.commit([one])
        assert not one.files[0][0].exists()
    assert store.blobs.read(digest_of(DATA)).read_bytes() == DATA


def test_a_source_is_copied_into_the_store(store: Store, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(DATA)
    store.root.mkdir()
    via = store.root / "via"
    other = digest_of(b"other")
    assert not store.blobs.import_file(tmp_path / "source", via, other)
    assert not store.blobs.has(digest_of(DATA)) and not store.blobs.has(other)
    assert store.blobs.import_file(tmp_path / "source", via, digest_of(DATA))
    assert not via.exists()
    (tmp_path / "source").write_bytes(b"edited")
    assert again(store).blobs.read(digest_of(DATA)).read_bytes() == DATA


def test_blobs_are_named_by_sha256_and_read_only(store: Store, tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        one = made(store, b"file")
        store.commit([one])
        digests = [store.blobs.put(DATA), *one.action.blobs]
    finally:
        os.umask(old)
    for digest in digests:
        place = store.blobs.place(digest.sha256)
        assert place.name == digest.sha256 == hashlib.sha256(place.read_bytes()).hexdigest()
        assert stat.S_IMODE(place.stat().st_mode) == 0o444


def damage(store: Store, digest: Digest, how: str) -> None:
    place = store.blobs.place(digest.sha256)
    data = bytearray(place.read_bytes())
    place.unlink()
    match how:
        case "flipped":
            data[len(data) // 2] ^= 1
        case "cut":
            del data[-1]
        case "longer":
            data += b"x"
        case "empty":
            data.clear()
        case "gone":
            return
    place.write_bytes(data)


HOW = ["flipped", "cut", "longer", "empty", "gone"]


@pytest.mark.parametrize("how", HOW)
def test_wrong_bytes_are_never_returned(store: Store, how: str) -> None:
    digest = store.blobs.put(DATA)
    damage(store, digest, how)
    fresh = again(store)
    with pytest.raises(MissingBlob):
        fresh.blobs.read(digest)
    assert not fresh.blobs.has(digest)
    if how != "gone":
        assert (store.root / "quarantine" / digest.sha256).is_file()
    assert fresh.blobs.put(DATA) == digest
    assert again(store).blobs.read(digest).read_bytes() == DATA


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("way", ["put", "commit", "import"])
def test_writing_again_mends(store: Store, tmp_path: Path, how: str, way: str) -> None:
    digest = store.blobs.put(DATA)
    damage(store, digest, how)
    fresh = again(store)
    match way:
        case "put":
            fresh.blobs.put(DATA)
        case "commit":
            fresh.commit([made(store, DATA)])
        case _:
            (tmp_path / "file").write_bytes(DATA)
            assert fresh.blobs.import_file(tmp_path / "file", store.root / "via", digest)
    assert again(store).blobs.read(digest).read_bytes() == DATA


@given(st.dictionaries(st.sampled_from(["a", "b/c", "b/d", "e f", "ü"]), st.binary(max_size=9)))
def test_trees_come_back(tmp_path_factory: Any, files: dict[str, bytes]) -> None:
    folder = tmp_path_factory.mktemp("tree")
    store = Store(folder / "store")
    for name, data in files.items():
        (folder / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "in" / name).write_bytes(data)
    expected = tree_digest(folder / "in")
    digest, parts = stage(folder / "in", True, folder / "listing")
    assert digest == expected
    found = {digest for _, digest in parts}
    assert found == {digest, *(digest_of(data) for data in files.values())}
    store.commit([staged(action(*found), *parts)])
    for _ in range(2):  # over itself, too
        again(store).blobs.checkout(digest, folder / "out")
    assert {
        path.relative_to(folder / "out").as_posix(): path.read_bytes()
        for path in (folder / "out").rglob("*")
        if path.is_file()
    } == files
    for path in (folder / "out").rglob("*"):  # a copy, not the store's own bytes
        if path.is_file():
            assert not path.samefile(store.blobs.place(digest_of(path.read_bytes()).sha256))


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "..", "", ".", "a/..", "a/./../../x"])
def test_a_tree_never_leaves_its_directory(store: Store, tmp_path: Path, name: str) -> None:
    inner = store.blobs.put(DATA)
    listing = pretty(Map({name: inner.to_dict()})).encode()
    with pytest.raises(StoreError):
        store.blobs.checkout(store.blobs.put(listing), tmp_path / "deep" / "out")
    assert not [path for path in tmp_path.rglob("x") if path.is_file()]


@pytest.mark.parametrize("text", ["[]", "5", "{", "", '{"a": 5}', '{"a": {"digest": "x"}}'])
def test_what_is_no_tree_is_refused(store: Store, tmp_path: Path, text: str) -> None:
    digest = store.blobs.put(text.encode())
    with pytest.raises(StoreError):
        store.blobs.checkout(digest, tmp_path / "out")


def test_a_damaged_file_of_a_tree_is_missed(store: Store, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_bytes(DATA)
    digest, parts = stage(tmp_path / "in", True, tmp_path / "listing")
    store.commit([staged(action(*(part for _, part in parts)), *parts)])
    damage(store, digest_of(DATA), "flipped")
    with pytest.raises(MissingBlob):
        again(store).blobs.checkout(digest, tmp_path / "out")


def test_copies_share_no_place(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(DATA)
    copy_file(tmp_path / "a", tmp_path / "b")
    (tmp_path / "a").write_bytes(b"other")
    assert (tmp_path / "b").read_bytes() == DATA


# Actions


def action(*blobs: Digest, **fields: Any) -> Action:
    given = {
        "step": "s",
        "kind": "k",
        "preimage": CAUSES,
        "seconds": 0.5,
        "blobs": blobs,
        "outputs": tuple((f"out{n}", digest) for n, digest in enumerate(blobs)),
        **fields,
    }
    return Action(**given)


times = st.floats(0, 1e10)


@given(st.lists(digests, max_size=3), maps, maps, names, times, st.integers(0, 10**12))
def test_actions_come_back(
    tmp_path_factory: Any,
    blobs: list[Digest],
    preimage: Map,
    about: Map,
    plan: str,
    at: float,
    memory: int,
) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    one = action(*blobs, preimage=preimage, about=about, plan=plan, made=at, memory=memory)
    store.commit([staged(one)])
    key = key_of(preimage)
    assert again(store).records.read(key) == one
    assert store.find(key) == (None if blobs else one)  # their blobs are not there
    assert store.nearest("k", "s") == (one,)
    assert store.plans([plan]) == {plan: (key,)}


def test_a_key_is_that_of_its_causes() -> None:
    with pytest.raises(ValueError):
        Staged(key="ab" * 32, action=action())


def test_an_action_is_found_while_its_blobs_are_there(store: Store) -> None:
    one = made(store, DATA)
    store.commit([one])
    assert store.find(KEY) == one.action
    assert store.outputs(KEY) == {"out0": digest_of(DATA)}
    damage(store, digest_of(DATA), "cut")
    assert again(store).find(KEY) is None
    assert again(store).outputs(KEY) is None


def test_a_broken_record_is_no_record(store: Store) -> None:
    store.commit([made(store, DATA)])
    place = record_of(store, KEY)
    data = place.read_bytes()
    place.chmod(0o644)
    for end in range(len(data)):
        place.write_bytes(data[:end])
        assert store.find(KEY) is None
    for at in range(len(data)):
        place.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        assert store.find(KEY) is None
    for text in (b"\xff\xfe", b"[" * 100_000, b"", b"{}"):
        place.write_bytes(text)
        assert store.find(KEY) is None
    place.write_bytes(data)
    assert store.find(KEY) is not None


def test_a_record_is_of_the_key_that_names_it(store: Store) -> None:
    store.commit([made(store, DATA)])
    other = key_of(Map({"a": 2}))
    place = record_of(store, other)
    place.parent.mkdir(exist_ok=True)
    shutil.copy(record_of(store, KEY), place)
    assert store.find(other) is None


def number(n: int, **fields: Any) -> Action:
    """One of many actions, made at the second n."""
    return action(preimage=Map({"n": n}), **{"made": float(n), "step": f"s{n}", **fields})


def test_the_nearest_come_first(store: Store) -> None:
    kinds = ["a", "b", "a", "a", "a"]
    steps = ["x", "x", "y", "x", "z"]
    pairs = zip(kinds, steps, strict=True)
    store.commit([staged(number(n, kind=k, step=s)) for n, (k, s) in enumerate(pairs)])
    for fresh in (store, again(store)):
        assert [found.made for found in fresh.nearest("a", "x")] == [3, 0, 4, 2]
        assert [found.made for found in fresh.nearest("a", "x", limit=3)] == [3, 0, 4]
        assert [found.made for found in fresh.nearest("a", "new")] == [4, 3, 2, 0]
        assert [found.made for found in fresh.of_kind("a")] == [4, 3, 2, 0]
        assert fresh.of_kind("c") == fresh.nearest("c", "x") == ()


def test_durations_are_medians_of_the_latest(store: Store) -> None:
    def timed(n: int, step: str, seconds: float) -> Staged:
        return staged(number(n, step=step, seconds=seconds))

    asked = {("k", "x"), ("k", "y"), ("k", "new"), ("other", "x")}
    assert store.durations(asked) == {}
    store.commit([timed(n, "x", float(n)) for n in range(20)])
    store.commit([timed(30, "y", 4.0), timed(31, "y", 2.0)])
    known = {("k", "x"): 17.0, ("k", "y"): 3.0, ("k", ""): 17.0}
    assert again(store).durations(asked) == known and store.durations(()) == {}


def test_a_plan_key_leads_to_every_action_it_led_to(store: Store) -> None:
    store.commit([staged(number(1, plan="p")), staged(number(2, plan="p"))])
    keys = [key_of(Map({"n": n})) for n in (1, 2)]
    assert store.find(keys[0], plan="q") is not None
    store.close()
    fresh = again(store)
    assert {plan: set(found) for plan, found in fresh.plans(["p", "q", "r"]).items()} == {
        "p": set(keys),
        "q": {keys[0]},
    }


# Writers that die, meet, or find no room

WRITE = """
import random, sys
from pathlib import Path
from mlops_compile.ir.key import key_of
from mlops_compile.ir.value import Map
from mlops_compile.store.actions import Action
from mlops_compile.store.blobs import stage
from mlops_compile.store.commit import Staged
from mlops_compile.store.store import Store

root, seed = Path(sys.argv[1]), int(sys.argv[2])
random = random.Random(seed)
store = Store(root)
with store.scratch() as scratch:
    print("ready", flush=True)
    while True:
        data = random.randbytes(random.choice([10, 3000, 2_000_000]))
        file = scratch / "file"
        file.write_bytes(data)
        tree = scratch / "tree"
        tree.mkdir(exist_ok=True)
        for name in "ab":
            (tree / name).write_bytes(random.randbytes(5000))
        one, files = stage(file, False, file)
        two, more = stage(tree, True, scratch / "listing")
        batch = []
        for number in range(random.choice([1, 9])):
            preimage = Map({"n": random.random()})
            action = Action(step="s", kind="k", preimage=preimage, seconds=0.1,
                outputs=(("one", one), ("two", two)),
                blobs=tuple(digest for _, digest in (*files, *more)))
            batch.append(Staged(key=key_of(preimage), action=action, files=(*files, *more)))
        store.commit(batch)
"""


def test_a_killed_writer_leaves_nothing_wrong(tmp_path: Path, start: Start) -> None:
    root = tmp_path / "store"
    for turn in range(10):
        writer = start(WRITE, root, turn)
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
        time.sleep(0.005 + 0.013 * turn)
        writer.kill()
        writer.communicate()
        sound(root)
    assert list(blob_files(root)), "the writers were killed before they wrote anything"
    Store(root).sweep()
    assert not list((root / "scratch").iterdir())


MEET = """
import sys, time
from pathlib import Path
from mlops_compile.ir.digest import digest_of
from mlops_compile.store.store import Store

store = Store(Path(sys.argv[1]))
with store.scratch() as scratch:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(60):
        data = str(number).encode() * 20_000
        if number % 2:
            (scratch / "file").write_bytes(data)
            digest = digest_of(data)
            assert store.blobs.import_file(scratch / "file", scratch / "via", digest)
        else:
            digest = store.blobs.put(data)
        assert Store(store.root).blobs.read(digest).read_bytes() == data
"""


def test_writers_of_the_same_blobs_do_not_disturb_each_other(tmp_path: Path, start: Start) -> None:
    writers = [start(MEET, tmp_path / "store") for _ in range(3)]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        _, error = writer.communicate(timeout=60)
        assert writer.returncode == 0, error
    sound(tmp_path / "store")
    assert len(list(blob_files(tmp_path / "store"))) == 60


def test_a_file_that_cannot_be_written_whole_is_not_there(store: Store) -> None:
    store.blobs.put(b"before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError):
            store.blobs.put(b"x" * 5000)
        with pytest.raises(OSError):
            store.commit([staged(number(1)), staged(number(2, about=Map({"long": "x" * 5000})))])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(store.records.every_key()) == []
    files = {path.name for path in store.root.rglob("*") if path.is_file()}
    assert files - {"gc.lock"} == {digest_of(b"before").sha256}


def blocked(place: Path) -> Path:
    """Let no file take this name."""
    (place / "in the way").mkdir(parents=True)
    return place


@pytest.mark.parametrize("what", ["record", "blob"])
def test_a_batch_that_failed_half_way_can_be_written_again(store: Store, what: str) -> None:
    """Whole or in parts, by which every result but the hindered one gets in."""
    batch = [made(store, b"%d" % n * 100, preimage=Map({"n": n}), step=f"s{n}") for n in range(5)]
    third = batch[2].action.blobs[0].sha256
    places = {"record": record_of(store, batch[2].key), "blob": store.blobs.place(third)}
    hindrance = blocked(places[what])
    for _ in range(2):
        with pytest.raises(OSError):
            store.commit(batch)
        assert not any(again(store).find(one.key) for one in batch)
    assert list(blob_files(store.root)), "it failed before anything had its name"
    with pytest.raises(OSError):
        store.commit([batch[2]])
    for one in (batch[0], batch[1], batch[3]):
        store.commit([one])
    shutil.rmtree(hindrance)
    store.commit(batch)
    sound(store.root)
    assert all(again(store).find(one.key) == one.action for one in batch)


def test_a_file_that_is_neither_staged_nor_stored_is_missed(store: Store) -> None:
    whole, lost, wrong = (
        made(store, b"%d" % n * 100, preimage=Map({"n": n}), step=f"s{n}") for n in range(3)
    )
    hindrance = blocked(record_of(store, whole.key))
    with pytest.raises(OSError):
        store.commit([whole, lost, wrong])
    shutil.rmtree(hindrance)
    store.blobs.place(lost.action.blobs[0].sha256).unlink()
    place = store.blobs.place(wrong.action.blobs[0].sha256)
    place.unlink()
    place.write_bytes(b"x" * 100)
    for one in (lost, wrong):
        with pytest.raises(MissingBlob):
            store.commit([whole, one])
        assert not list(store.records.every_key())
    store.commit([whole])
    sound(store.root)


def test_a_collection_lets_be_what_is_written_again(store: Store) -> None:
    """Its blobs were named by a batch that failed, and counted before a second try."""
    one = made(store, DATA)
    hindrance = blocked(record_of(store, one.key))
    with pytest.raises(OSError):
        store.commit([one])
    shutil.rmtree(hindrance)
    tried: list[str] = []

    def mark(text: str) -> Marks:  # called first between the census and what it finds to remove
        if not tried:
            tried.append(text)
            again(store).commit([one])
        return Marks()

    with store.scratch("a lock"):
        collect(again(store), mark, Marks(), Limits())
    assert tried
    assert again(store).find(one.key) == one.action
    sound(store.root)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no small file system can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_leaves_what_is_there_whole(small_disk: Path) -> None:
    store = Store(small_disk / "store")
    store.commit([made(store, DATA)])
    with store.scratch() as scratch:
        with pytest.raises(OSError):
            (scratch / "large").write_bytes(os.urandom(2_000_000))
        (scratch / "large").unlink()
        with pytest.raises(OSError):
            store.blobs.put(os.urandom(2_000_000))
        large = scratch / "large"
        large.write_bytes(os.urandom(300_000))
        digest, files = stage(large, False, large)
        many = [staged(number(n, about=Map({"long": "x" * 9000}))) for n in range(100)]
        with pytest.raises(OSError):
            store.commit([*many, staged(number(200, blobs=(digest,)), *files)])
    store.close()
    sound(store.root)
    assert again(store).find(KEY) is not None
    assert [path.stem for path in (store.root / "actions").glob("*/*")] == [KEY]
    assert again(store).blobs.put(b"small again")


# Scratch


def test_scratch_is_gone_afterwards_even_after_an_error(store: Store) -> None:
    with store.scratch() as one, store.scratch() as other:
        assert one != other and one.is_dir() and other.is_dir()
        (one / "file").write_text("x")
    with pytest.raises(KeyError), store.scratch() as one:
        raise KeyError
    assert list((store.root / "scratch").iterdir()) == []


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_scratch_after_an_interrupt_is_gone_soon_or_with_the_next_run(
    store: Store, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr("mlops_compile.store.scratch._SOON", seconds)
    with pytest.raises(KeyboardInterrupt), store.scratch("a lock") as one:
        for number in range(3):
            (one / "tree" / str(number)).mkdir(parents=True)
            (one / "tree" / str(number) / "file").write_text("large")
        raise KeyboardInterrupt
    assert one.exists() == (seconds == 0) and not store.rooms.live()
    assert store.rooms.left() == ((one,) if seconds == 0 else ())
    store.sweep()
    assert list((store.root / "scratch").iterdir()) == []


def test_scratch_of_a_living_process_stays(store: Store, start: Start) -> None:
    program = """
import sys
from pathlib import Path
from mlops_compile.store.store import Store
with Store(Path(sys.argv[1])).scratch() as scratch:
    (scratch / "file").write_text("mine")
    print(scratch, flush=True)
    sys.stdin.read()
"""
    other = start(program, store.root)
    assert other.stdout is not None
    theirs = Path(other.stdout.readline().strip())
    store.sweep()
    assert (theirs / "file").read_text() == "mine"
    other.kill()
    other.communicate()
    store.sweep()
    assert not theirs.exists()


def test_a_store_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file stands here")
    with pytest.raises(StoreError) as caught, Store(tmp_path / "store").scratch():
        pass
    assert caught.value.problems[0].where == ("store", "uri")


# The cache


@given(values)
def test_cached_values_come_back(tmp_path_factory: Any, value: Any) -> None:
    cache = FileCache(tmp_path_factory.mktemp("cache"))
    assert cache.get("key") is None
    cache.put("key", value)
    assert pretty(cache.get("key")) == pretty(value)


def test_a_broken_entry_is_no_entry(tmp_path: Path) -> None:
    cache = FileCache(tmp_path)
    cache.put("key", freeze({"a": [1]}))
    (entry,) = tmp_path.iterdir()
    for text in (b"", b"{", b"\xff", b"NaN", b"[" * 100_000):
        entry.write_bytes(text)
        assert cache.get("key") is None


def test_a_cache_that_cannot_be_written_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file stands here")
    cache = FileCache(tmp_path / "cache")
    cache.put("key", 1)
    assert cache.get("key") is None


def test_a_file_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a" / "file", b"old")
    with pytest.raises(TypeError):
        write_atomic(tmp_path / "a" / "file", "text")  # type: ignore[arg-type]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["file"]
    assert (tmp_path / "a" / "file").read_bytes() == b"old"
    write_atomic(tmp_path / "a" / "file", b"new", mode=0o600)
    assert (tmp_path / "a" / "file").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "a" / "file").stat().st_mode) == 0o600


def test_a_named_file_that_is_none_is_written_into(tmp_path: Path) -> None:
    kept, link, pipe = (tmp_path / name for name in ("kept", "link", "pipe"))
    kept.write_bytes(b"old")
    link.symlink_to(kept)
    write_named(link, b"new")
    assert link.is_symlink() and kept.read_bytes() == b"new"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        write_named(pipe, b"text")
        assert reader.communicate()[0] == b"text"
    assert pipe.is_fifo()
    if Path("/dev/full").is_char_device():
        with pytest.raises(OSError, match="No space left"):
            write_named(Path("/dev/full"), b"text")
        assert Path("/dev/full").is_char_device()
    write_named(tmp_path / "more" / "new", b"text")
    assert (tmp_path / "more" / "new").read_bytes() == b"text"
