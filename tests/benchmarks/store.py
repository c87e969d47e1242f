"""Rows of the store: ten thousand small outputs, and the time of an operation as it grows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from mlops_compile.ir.digest import digest_of
from mlops_compile.ir.key import key_of
from mlops_compile.ir.value import Map
from mlops_compile.store.actions import Action, encode_action
from mlops_compile.store.blobs import stage
from mlops_compile.store.commit import Staged
from mlops_compile.store.files import make_directory
from mlops_compile.store.store import Store
from tests.benchmarks.pairs import Row

_SIZES = (1_000, 10_000, 100_000, 1_000_000)
_OUTPUTS = 10_000
_TIMES = 300  # operations of each sort, at each size
_CHUNK = 10_000


def result(number: int, data: bytes) -> tuple[str, Action]:
    """The key and the action of a step with one small output."""
    digest = digest_of(data)
    causes = Map({"kind": "trial", "number": number, "params": Map({"rate": number / 7})})
    action = Action(
        step=f"trial{number % 100}",
        kind="trial",
        preimage=causes,
        outputs=(("out", digest),),
        blobs=(digest,),
        seconds=0.5,
        plan=key_of(Map({"plan": number})),
        made=float(number),
    )
    return key_of(causes), action


def bytes_of(number: int) -> bytes:
    """A small output."""
    return f"output {number}\n".encode() * 20


def committed(directory: Path, outputs: int, batches: int) -> float:
    """Seconds from files in scratch space, written by steps, until all are durable and found."""
    store = Store(directory / f"in{batches}", time.time)
    with store.scratch() as scratch:
        for number in range(outputs):
            (scratch / str(number)).write_bytes(bytes_of(number))
        os.sync()
        start = time.perf_counter()
        size = -(-outputs // batches)
        for first in range(0, outputs, size):
            batch = []
            for number in range(first, min(first + size, outputs)):
                key, action = result(number, bytes_of(number))
                _, files = stage(scratch / str(number), False, scratch / str(number))
                batch.append(Staged(key=key, action=action, files=files))
            store.commit(batch)
        seconds = time.perf_counter() - start
        assert all(store.find(result(n, bytes_of(n))[0]) for n in range(outputs))
    store.close()
    return seconds


def grow(store: Store, start: int, stop: int) -> None:
    """Write results as `commit` would leave them, but without waiting for the disk."""
    for first in range(start, stop, _CHUNK):
        actions = []
        for number in range(first, min(first + _CHUNK, stop)):
            data = bytes_of(number)
            key, action = result(number, data)
            record = store.records.place(key)
            make_directory(record.parent, store.root)
            _write(record, encode_action(key, action))
            _write(store.blobs.home(action.blobs[0].sha256), data)
            actions.append((key, action))
        pairs = [(action.plan, key) for key, action in actions]
        store.index.add(actions, pairs, time.time())
    os.sync()


def _write(place: Path, data: bytes) -> None:
    handle = os.open(place, os.O_CREAT | os.O_WRONLY, 0o444)
    os.write(handle, data)
    os.close(handle)


def operations(root: Path, size: int) -> Sequence[float]:
    """Milliseconds, by the median, in a store of so many results: of a look-up of what is there and
    of what is not, of a claim with its release, of the commit of one result, and of a question how
    long a step takes."""
    store = Store(root, time.time)
    step = max(1, size // _TIMES)
    there = [result(n, bytes_of(n)) for n in range(0, size, step)][:_TIMES]
    news = [result(-n, bytes_of(-n)) for n in range(size + 1, size + 1 + _TIMES)]
    with store.scratch() as scratch:
        staged = []
        for number, (key, action) in enumerate(news):
            place = scratch / str(number)
            place.write_bytes(bytes_of(-(size + 1 + number)))
            staged.append(Staged(key=key, action=action, files=((place, action.blobs[0]),)))

        def found(number: int) -> None:
            key, action = there[number % len(there)]
            assert store.find(key, action.plan) is not None

        def missed(number: int) -> None:
            assert store.find(news[number][0], news[number][1].plan) is None

        def claimed(number: int) -> None:
            claim = store.claim(news[number][0])
            assert claim is not None
            claim.release()

        def added(number: int) -> None:
            store.commit([staged[number]])

        def estimated(number: int) -> None:
            assert store.durations({("trial", f"trial{number % 100}")})

        took = [_each(work) for work in (found, missed, claimed, added, estimated)]
    store.close()
    return took


def _each(work: Callable[[int], None]) -> float:
    times = []
    for number in range(_TIMES):
        start = time.perf_counter()
        work(number)
        times.append(time.perf_counter() - start)
    return median(times) * 1000


def small_outputs(directory: Path, runs: int) -> str:
    """Ten thousand results of one small output each, in one batch and in a hundred."""
    one, many = committed(directory, _OUTPUTS, 1), committed(directory, _OUTPUTS, 100)
    return f"{one:.2f} s in one batch, {many:.2f} s in 100"


def growing(directory: Path, runs: int, *, sizes: Sequence[int] = _SIZES) -> str:
    """The time of each operation in stores of more and more results: 9 GB at the last size."""
    store, before, found = Store(directory / "grown"), 0, []
    for size in sizes:
        grow(store, before, size)
        store.close()
        before = size
        took = operations(store.root, size)
        found.append(f"{size:,}: {' / '.join(f'{ms:.2f}' for ms in took)} ms")
    return "<br>".join(found)


_GROWING = "find / miss / claim / commit of one / expected time, by results in the store"
ROWS = (
    Row("store-10000", "10,000 small outputs made durable", "-", "<= 10 s", small_outputs),
    Row("store-growing", _GROWING, "-", "flat", growing),
)
