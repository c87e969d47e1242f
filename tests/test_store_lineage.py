"""What derives from what, where several sources give the same bytes, and where nothing tells."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from mlops_compile.api.compiling import Kept
from mlops_compile.ir.digest import Digest, digest_of
from mlops_compile.ir.key import key_of
from mlops_compile.ir.problem import CompileError, StoreError
from mlops_compile.ir.value import Map, Value
from mlops_compile.store.actions import Action
from mlops_compile.store.blobs import stage, tree_digest
from mlops_compile.store.census import take_census
from mlops_compile.store.collect import collect
from mlops_compile.store.commit import Staged
from mlops_compile.store.forget import Beside, Forgotten, forget
from mlops_compile.store.fsck import check
from mlops_compile.store.garbage import Limits
from mlops_compile.store.reach import Marks
from mlops_compile.store.store import Store
from mlops_compile.store.usage import usage
from tests.faults.hooks import die_at

ONE, OTHER = b"the rows of one\n", b"the rows of another\n"
EMPTY = bytes(128)  # a vector of no rows, which every source gives
FOUR = ["read", "split", "fit", "score"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "state" / "store")
    yield made
    made.close()


def sha(data: bytes) -> str:
    return digest_of(data).sha256


def commit(
    store: Store, step: str, causes: dict[str, Value], *made: bytes, **about: Value
) -> tuple[str, list[str]]:
    """Record a step of these causes that made these bytes; its key, and their digests."""
    preimage = Map({"kind": step, **causes})
    with store.scratch() as room:
        files: list[tuple[Path, Digest]] = []
        for number, data in enumerate(made):
            (room / str(number)).write_bytes(data)
            files.append((room / str(number), digest_of(data)))
        action = Action(
            step=step,
            kind=step,
            preimage=preimage,
            outputs=tuple((f"{number}", digest) for number, (_, digest) in enumerate(files)),
            blobs=tuple(sorted({digest for _, digest in files})),
            seconds=1.0,
            made=1.0,
            about=Map(about),
        )
        key = key_of(preimage)
        store.commit([Staged(key=key, action=action, files=tuple(files))])
    return key, [digest.sha256 for _, digest in files]


def read(store: Store, content: bytes, location: str = "", table: bytes = b"") -> tuple[str, str]:
    """Copy a source and record that it was read; the key, and the table's digest."""
    store.blobs.put(content)
    name = location or f"{content.split()[-1].decode()}.csv"
    source = Map({"digest": sha(content)})
    key, (made,) = commit(
        store, "read", {"source": source}, table or b"table of " + content, location=name
    )
    return key, made


def fill(store: Store, content: bytes, table: bytes = b"") -> list[str]:
    """The keys of four steps: what is split off for validation is empty."""
    rows = table or b"table of " + content
    first, made = read(store, content, table=table)
    split, (train, empty) = commit(
        store, "split", {"inputs": Map({"it": made})}, b"train " + rows, EMPTY
    )
    took = Map({"train": train, "validation": empty})
    fit, (model,) = commit(store, "fit", {"inputs": took}, b"model " + rows)
    both = Map({"model": model, "validation": empty})
    score, _ = commit(store, "score", {"inputs": both}, b"score " + rows)
    return [first, split, fit, score]


def forgotten(store: Store, what: str, *contents: str, **options: Any) -> Forgotten:
    beside = Beside(cache=store.root.parent / "cache", logs=store.root.parent / "logs")
    told: dict[str, Any] = {"reason": "asked to", "when": "2026-01-01", **options}
    return forget(store, what, frozenset(contents), beside, **told)


def there(store: Store) -> set[str]:
    return set(store.records.every_key())


def holders(store: Store, text: bytes) -> list[Path]:
    """The files of a state that hold some bytes."""
    files = (path for path in store.root.parent.rglob("*") if path.is_file())
    return [path for path in files if text in path.read_bytes()]


def flip(place: Path) -> None:
    text = bytearray(place.read_bytes())
    text[len(text) // 2] ^= 1
    place.unlink()
    place.write_bytes(text)


# Equal bytes


def test_forgetting_leaves_others_who_made_the_same_bytes(store: Store) -> None:
    one, other = fill(store, ONE), fill(store, OTHER)
    would = forgotten(store, sha(ONE), dry_run=True)
    assert would.actions == len(one) and would.unknown == would.loose == 0
    assert would.kept == 1  # the empty vector
    assert forgotten(store, sha(ONE)) == would
    assert there(store) == {*other} and not holders(store, ONE)
    forgotten(store, sha(OTHER))
    assert not there(store) and not list(store.root.glob("blobs/*/*"))


def test_what_two_sources_gave_alike_goes_with_the_last_of_them(store: Store) -> None:
    one = fill(store, ONE, table=b"the same")
    other = fill(store, OTHER, table=b"the same")
    assert one[1:] == other[1:]  # the second run found them
    assert forgotten(store, sha(ONE)).actions == 1
    assert there(store) == {*other}
    assert forgotten(store, sha(OTHER)).actions == len(other)
    assert not there(store)


def test_data_sets_are_told_apart(store: Store) -> None:
    fill(store, ONE)
    fill(store, OTHER)
    shares = {share.name: share.actions for share in usage(store, 1.0).data}
    assert {name: count for name, count in shares.items() if count} == {
        "one.csv": 4,
        "another.csv": 4,
    }


@pytest.mark.parametrize("table", [b"", b"the same"])
def test_a_collection_keeps_none_for_equal_bytes_alone(store: Store, table: bytes) -> None:
    fill(store, ONE, table)
    other = fill(store, OTHER, table)
    collect(store, lambda text: Marks(), Marks(keys=frozenset(other)), Limits())
    assert there(store) == {*other}


def test_a_collection_keeps_one_maker_of_all_that_stays(store: Store) -> None:
    fill(store, ONE, b"the same")
    *_, last = fill(store, OTHER, b"the same")
    collect(store, lambda text: Marks(), Marks(keys=frozenset({last})), Limits())
    steps = [store.records.examine(key).step for key in there(store)]
    assert sorted(steps) == sorted(FOUR)
    assert not take_census(store).lineage.unknown


def test_what_a_run_was_made_of_since_the_census_stays(store: Store) -> None:
    """The run began after it, found what was to go, and ended before that went."""
    one = fill(store, ONE)
    new: list[str] = []

    def mark(text: str) -> Marks:  # called first between the census and what it finds to remove
        if not new:
            run = Store(store.root)
            action = run.find(one[2])
            assert action is not None
            took = Map({"it": action.outputs[0][1].sha256})
            new.append(commit(run, "report", {"inputs": took}, b"report")[0])
        return Marks()

    with store.scratch("a lock"):
        collect(Store(store.root), mark, Marks(), Limits())
    assert there(store) == {*one[:3], *new}
    assert not take_census(store).lineage.unknown


# Where nothing tells


@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize(("lost", "unknown"), [(0, 3), (1, 2), (2, 0), (3, 0)])
def test_forgetting_is_whole_though_a_record_is_damaged(
    store: Store, lost: int, unknown: int, checked: bool
) -> None:
    """A score whose model's record is lost took the empty vector, which may be of this source."""
    one, other = fill(store, ONE), fill(store, OTHER)
    flip(store.records.place(one[lost]))
    if checked:
        assert check(store, lambda text: True).faults
    would = forgotten(store, "one.csv", sha(ONE), dry_run=True)
    assert would.unknown == unknown and would.actions == 3
    assert forgotten(store, "one.csv", sha(ONE)) == would
    assert there(store) == {*other} and not holders(store, ONE)
    assert check(store, lambda text: True).faults == ()


def test_what_is_damaged_everywhere_is_forgotten_by_its_digest(store: Store) -> None:
    """Neither a record nor a copy is left that would tell of it."""
    one = fill(store, ONE)
    flip(store.records.place(one[0]))
    flip(store.blobs.place(sha(ONE)))
    check(store, lambda text: True)
    assert holders(store, b"table of")
    assert forgotten(store, sha(ONE)).unknown == 3
    assert not there(store) and not list(store.root.glob("blobs/*/*"))
    with pytest.raises(CompileError):
        forgotten(store, sha(ONE))


def test_what_a_killed_run_has_not_recorded_goes(store: Store) -> None:
    other = fill(store, OTHER)
    store.blobs.put(ONE)
    store.blobs.put(b"table of " + ONE)
    told = forgotten(store, sha(ONE), dry_run=True)
    assert told.actions == 0 and told.loose == 1 and told.blobs == 2
    forgotten(store, sha(ONE))
    assert not holders(store, ONE) and there(store) == {*other}
    store.blobs.put(b"table of " + ONE)
    collect(store, lambda text: Marks(), Marks(keys=frozenset(other)), Limits())
    assert not holders(store, ONE) and there(store) == {*other}


def test_copies_that_locks_name_are_no_leftovers(store: Store) -> None:
    """What a compile kept, of pins, live runs and the project's locks, stays."""
    fill(store, ONE)
    lock = f'{{"digest": "{sha(OTHER)}"}}'
    store.blobs.put(OTHER)
    store.pins.put("it", lock)
    assert forgotten(store, sha(ONE), dry_run=True).loose == 0
    store.pins.remove("it")
    assert forgotten(store, sha(ONE), dry_run=True).loose == 1
    with store.scratch(lock):
        assert forgotten(store, sha(ONE), dry_run=True).loose == 0
    beside = Beside(cache=store.root / "cache", logs=store.root / "logs", locks=(lock,))
    forget(store, sha(ONE), frozenset(), beside, reason="asked to", when="2026-01-01")
    assert store.blobs.has(digest_of(OTHER)) and not holders(store, ONE)


# Folders and places


def folder(store: Store, tmp_path: Path, name: str, **files: bytes) -> tuple[str, str]:
    """Copy a folder and record that it was read; the key, and the digest of its list."""
    place = tmp_path / name
    place.mkdir()
    for file, data in files.items():
        (place / file).write_bytes(data)
        store.blobs.put(data)
    digest = tree_digest(place)
    with store.scratch() as room:
        _, staged = stage(place, True, room / "list")
        listing = staged[-1][0].read_bytes()
    store.blobs.put(listing)
    parts = tuple(sorted(map(sha, files.values())))
    source = Map({"digest": digest.sha256})
    key, _ = commit(
        store, "read", {"source": source}, b"".join(files.values()), location=name, parts=parts
    )
    return key, digest.sha256


def test_a_file_of_a_folder_is_forgotten_with_all_that_was_made_of_the_folder(
    store: Store, tmp_path: Path
) -> None:
    _, digest = folder(store, tmp_path, "pq", a=ONE, b=OTHER)
    kept, _ = folder(store, tmp_path, "other", b=OTHER)
    told = forgotten(store, "pq/a", sha(ONE))
    assert {*told.sources} == {digest, sha(ONE)} and told.actions == 1
    assert there(store) == {kept} and not holders(store, ONE)
    assert store.blobs.has(digest_of(OTHER))


def test_a_run_that_reads_a_folder_keeps_its_files(store: Store, tmp_path: Path) -> None:
    _, digest = folder(store, tmp_path, "pq", a=ONE, b=OTHER)
    with store.scratch(f'"{digest}"'), pytest.raises(StoreError, match="a run goes on"):
        forgotten(store, "pq/a", sha(ONE))


def test_a_location_that_may_be_of_another_project_is_asked_for(store: Store) -> None:
    read(store, ONE, "p.csv")
    read(store, OTHER, "p.csv")
    for contents in ([], [sha(ONE)]):
        with pytest.raises(CompileError) as error:
            forgotten(store, "p.csv", *contents)
        (found,) = error.value.problems
        assert sha(ONE)[:12] in found.hint and sha(OTHER)[:12] in found.hint
        assert f"{sha(ONE)[:12]} (of this project)" in found.hint or not contents
    assert len(there(store)) == 2
    assert forgotten(store, "./p.csv", sha(ONE), sha(OTHER)).actions == 2


# Killed on the way in


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


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_copy_that_a_killed_compile_began_is_forgotten(store: Store, tmp_path: Path) -> None:
    (tmp_path / "asked").write_bytes(ONE)
    other = fill(store, OTHER)
    store.close()
    for number in count(1):
        killed = killed_at(
            number, lambda: Kept(Store(store.root)).keep(tmp_path / "asked", digest_of(ONE))
        )
        if holders(store, ONE):
            forgotten(store, sha(ONE))
            assert not list(store.root.glob("scratch/*"))
        assert not holders(store, ONE), number
        assert there(store) == {*other}
        if not killed:
            break
    assert number > 3
