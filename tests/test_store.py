"""The store: what is read is what was written, whatever happens to the disk or the writer."""

from __future__ import annotations

import hashlib
import json
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
from mlops_compile.ir.problem import StoreError
from mlops_compile.ir.value import Map, freeze, pretty
from mlops_compile.store.actions import Action
from mlops_compile.store.blobs import MissingBlob, tree_digest
from mlops_compile.store.cache import FileCache
from mlops_compile.store.files import copy_file, write_atomic
from mlops_compile.store.store import Store
from tests.strategies import digests, maps, values

Start = Callable[..., "subprocess.Popen[str]"]
DATA = b"some bytes\n" * 100
KEY = "ab" * 32


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def again(store: Store) -> Store:
    """The same store in a process that has verified nothing yet."""
    return Store(store.root)


def blob_files(root: Path) -> Iterator[Path]:
    """Every file that a reader could find by its name."""
    return (path for path in (root / "blobs").glob("*/*") if len(path.name) == 64)


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


def test_a_file_is_moved_into_the_store(store: Store, tmp_path: Path) -> None:
    for _ in range(2):
        file = tmp_path / "file"
        file.write_bytes(DATA)
        assert store.blobs.adopt(file) == digest_of(DATA)
        assert not file.exists()
    assert store.blobs.read(digest_of(DATA)).read_bytes() == DATA


def test_blobs_are_named_by_sha256_and_read_only(store: Store, tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        (tmp_path / "file").write_bytes(b"file")
        digests = [store.blobs.put(DATA), store.blobs.adopt(tmp_path / "file")]
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
@pytest.mark.parametrize("way", ["put", "adopt"])
def test_writing_again_mends(store: Store, tmp_path: Path, how: str, way: str) -> None:
    digest = store.blobs.put(DATA)
    damage(store, digest, how)
    fresh = again(store)
    if way == "put":
        fresh.blobs.put(DATA)
    else:
        (tmp_path / "file").write_bytes(DATA)
        fresh.blobs.adopt(tmp_path / "file")
    assert again(store).blobs.read(digest).read_bytes() == DATA


@given(st.dictionaries(st.sampled_from(["a", "b/c", "b/d", "e f", "ü"]), st.binary(max_size=9)))
def test_trees_come_back(tmp_path_factory: Any, files: dict[str, bytes]) -> None:
    folder = tmp_path_factory.mktemp("tree")
    store = Store(folder / "store")
    for name, data in files.items():
        (folder / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "in" / name).write_bytes(data)
    expected = tree_digest(folder / "in")
    digest, parts = store.blobs.adopt_tree(folder / "in")
    assert digest == expected
    assert sorted(set(parts)) == sorted({digest_of(data) for data in files.values()})
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
    digest, (part,) = store.blobs.adopt_tree(tmp_path / "in")
    damage(store, part, "flipped")
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
        "preimage": Map({"a": 1}),
        "seconds": 0.5,
        "outputs": tuple((f"out{n}", digest) for n, digest in enumerate(blobs)),
        **fields,
    }
    return Action(blobs=blobs, **given)


@given(st.lists(digests, max_size=3), maps)
def test_actions_come_back(tmp_path_factory: Any, blobs: list[Digest], preimage: Map) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    made = action(*blobs, preimage=preimage)
    store.actions.put(KEY, made)
    assert again(store).actions.get(KEY) == made
    assert store.find(KEY) == (None if blobs else made)  # their blobs are not there


def test_an_action_is_found_while_its_blobs_are_there(store: Store) -> None:
    digest = store.blobs.put(DATA)
    store.actions.put(KEY, action(digest))
    assert store.find(KEY) == action(digest)
    assert store.outputs(KEY) == {"out0": digest}
    damage(store, digest, "cut")
    assert again(store).find(KEY) is None
    assert again(store).outputs(KEY) is None


def test_a_broken_record_is_no_record(store: Store) -> None:
    store.actions.put(KEY, action(store.blobs.put(DATA)))
    place = store.root / "actions" / KEY[:2] / f"{KEY}.json"
    text = place.read_text()
    for end in range(len(text) - 1):
        place.write_text(text[:end])
        assert store.actions.get(KEY) is None
    place.write_bytes(b"\xff\xfe")
    assert store.actions.get(KEY) is None
    place.write_text("[" * 100_000)
    assert store.actions.get(KEY) is None


@given(
    st.sampled_from(["format", "step", "kind", "preimage", "outputs", "blobs", "seconds"]), values
)
def test_an_edited_record_is_no_other_exception(
    tmp_path_factory: Any, name: str, value: Any
) -> None:
    from mlops_compile.ir.value import thaw

    store = Store(tmp_path_factory.mktemp("store"))
    store.actions.put(KEY, action())
    place = store.root / "actions" / KEY[:2] / f"{KEY}.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), name: thaw(value)}))
    store.find(KEY)


def test_the_latest_action_of_a_kind_comes_first(store: Store) -> None:
    for number, kind in enumerate(["a", "b", "a"]):
        key = f"{number:064x}"
        store.actions.put(key, action(kind=kind, step=f"s{number}"))
        place = store.root / "actions" / key[:2] / f"{key}.json"
        os.utime(place, (number, number))
    assert [found.step for found in store.actions.of_kind("a")] == ["s2", "s0"]
    assert store.actions.of_kind("c") == ()


# Writers that die, meet, or find no room

WRITE = """
import random, sys
from pathlib import Path
from mlops_compile.ir.value import Map
from mlops_compile.store.actions import Action
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
        tree.mkdir()
        for name in "ab":
            (tree / name).write_bytes(random.randbytes(5000))
        one = store.blobs.adopt(file)
        two, parts = store.blobs.adopt_tree(tree)
        tree.rmdir()
        three = store.blobs.put(random.randbytes(50_000))
        action = Action(step="s", kind="k", preimage=Map({"n": random.random()}), seconds=0.1,
            outputs=(("one", one), ("two", two)), blobs=(one, two, three, *parts))
        store.actions.put(f"{random.getrandbits(256):064x}", action)
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
    with Store(root).scratch() as scratch:
        assert [path.name for path in scratch.parent.iterdir()] == [scratch.name]


MEET = """
import sys, time
from pathlib import Path
from mlops_compile.store.store import Store

store = Store(Path(sys.argv[1]))
with store.scratch() as scratch:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(60):
        data = str(number).encode() * 20_000
        if number % 2:
            (scratch / "file").write_bytes(data)
            digest = store.blobs.adopt(scratch / "file")
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
            store.actions.put(KEY, action(preimage=Map({"long": "x" * 5000})))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert store.actions.get(KEY) is None
    assert [path.name for path in store.root.rglob("*") if path.is_file()] == [
        digest_of(b"before").sha256
    ]


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
    first = store.blobs.put(DATA)
    store.actions.put(KEY, action(first))
    with store.scratch() as scratch:
        with pytest.raises(OSError):
            (scratch / "large").write_bytes(os.urandom(2_000_000))
        (scratch / "large").unlink()
        with pytest.raises(OSError):
            store.blobs.put(os.urandom(2_000_000))
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
    with store.scratch():
        assert (theirs / "file").read_text() == "mine"
    other.kill()
    other.communicate()
    with store.scratch():
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
