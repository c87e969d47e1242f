"""Group commit: many results become durable together, each with its bytes before its name."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mlops_compile.ir.digest import Digest
from mlops_compile.ir.key import key_of
from mlops_compile.store.actions import Action, Records, encode_action
from mlops_compile.store.blobs import BlobStore
from mlops_compile.store.files import make_directory, sync_directory, sync_file
from mlops_compile.store.guard import Guard

T = TypeVar("T")
# A file system's journal commits what many threads ask of it in one go.
_THREADS = 16
_FEW = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A result that waits to be committed: `files` in scratch space have these digests."""

    key: str
    action: Action
    files: tuple[tuple[Path, Digest], ...] = ()

    def __post_init__(self) -> None:
        if key_of(self.action.preimage) != self.key:
            raise ValueError(f"{self.action.step}: its key is not that of its causes")


def write_batch(
    batch: Sequence[Staged],
    room: Path,
    root: Path,
    blobs: BlobStore,
    records: Records,
    guard: Guard,
) -> None:
    """Write a batch's blobs, then its records, by way of `room` on the same file system.

    The order is what keeps promises: bytes before names, blobs before records, each durable before
    the next. OSError leaves no record of the batch, and blobs of it may have their names by then:
    it, or a part of it, may be written again all the same. MissingBlob where a file is neither
    staged nor in the store.
    """
    files = {digest: path for staged in batch for path, digest in staged.files}
    named = [digest for digest, path in files.items() if not path.exists()]
    for digest in named:
        del files[digest]
        blobs.read(digest)  # may take long: not while others are kept from removing
    actions = {staged.key: staged.action for staged in batch}
    texts = {key: room / key for key in actions}
    for key, action in actions.items():
        texts[key].write_bytes(encode_action(key, action))
    with ThreadPoolExecutor(_THREADS) as pool:  # starts none before there is something to wait for
        _each(pool, sync_file, [*files.values(), *texts.values()])
        with guard.shared():
            blobs.renew(named)
            _rename(pool, {blobs.home(digest.sha256): path for digest, path in files.items()})
            places = {key: records.place(key) for key in texts}
            for directory in {place.parent for place in places.values()}:
                make_directory(directory, root)
            try:
                _rename(pool, {places[key]: text for key, text in texts.items()})
            except BaseException:
                for key, place in places.items():
                    if not texts[key].exists():
                        place.unlink(missing_ok=True)
                raise


def _rename(pool: Executor, files: dict[Path, Path]) -> None:
    """Give files their names, and make these durable. What is there already has equal bytes, or was
    damaged."""
    for place, path in files.items():
        os.rename(path, place)
    _each(pool, sync_directory, sorted({place.parent for place in files}))


def _each(pool: Executor, work: Callable[[T], None], items: Sequence[T]) -> None:
    if len(items) < _FEW:
        for item in items:
            work(item)
        return
    for _ in pool.map(work, items):
        pass
