"""The store of a project: blobs, actions, and scratch space beside them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mlops_compile.ir.digest import Digest
from mlops_compile.ir.problem import StoreError, problem
from mlops_compile.store.actions import Action, Records
from mlops_compile.store.blobs import BlobStore
from mlops_compile.store.claims import Claim, Claims
from mlops_compile.store.commit import Staged, write_batch
from mlops_compile.store.guard import Guard
from mlops_compile.store.index import Index
from mlops_compile.store.pins import Pins
from mlops_compile.store.scratch import Scratch

_OFTEN = 3600  # seconds; a use within this time of the last one is not written down
_PENDING = 500


class Store:
    """All results below one directory; it may be moved or copied as a whole.

    Cheap to make, and safe to use from several threads. `clock` gives the Unix time of a use;
    without it, uses are not written down.
    """

    def __init__(self, root: Path, clock: Callable[[], float] | None = None) -> None:
        self.root = root
        self.guard = Guard(root)
        self.blobs = BlobStore(root, self.guard)
        self.records = Records(root)
        self.index = Index(root, self.records)
        self.claims = Claims(root)
        self.rooms = Scratch(root)
        self.pins = Pins(root, self.guard)
        self._clock = clock
        self._mutex = threading.Lock()
        self._found: dict[tuple[str, str], Action] = {}

    # Looking up

    def find(self, key: str, plan: str = "") -> Action | None:
        """The action of a key whose blobs are all there; None if it is to be made (again).

        With `plan`, the store keeps that this plan key led here, and that it is in use (at the next
        `commit` or `flush`).
        """
        with self.guard.shared():
            action = self.records.read(key)
            if action is None or not all(self.blobs.has(digest) for digest in action.blobs):
                return None
        if plan:
            self._use(key, plan, action)
        return action

    def outputs(self, key: str) -> Mapping[str, Digest] | None:
        """The outputs of a key that is made."""
        action = self.find(key)
        return dict(action.outputs) if action else None

    def plans(self, plan_keys: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """The action keys that each plan key is known to have led to; they may be gone by now."""
        return self.index.plans(plan_keys)

    def nearest(self, kind: str, step: str, limit: int = 20) -> tuple[Action, ...]:
        """Actions of a kind, the latest made first, those of the same step before others."""
        return self._read(self.index.nearest(kind, step, limit))

    def of_kind(self, kind: str) -> tuple[Action, ...]:
        """Every action of a kind, the latest made first."""
        return self._read(self.index.of_kind(kind))

    def durations(self, steps: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], float]:
        """The median seconds of the latest few actions of each of these pairs of a kind and a step
        name, as far as there are any; those of whatever step of a kind under an empty name."""
        return self.index.durations(steps)

    def _read(self, keys: Sequence[str]) -> tuple[Action, ...]:
        found = (self.records.read(key) for key in keys)
        return tuple(action for action in found if action is not None)

    def _use(self, key: str, plan: str, action: Action) -> None:
        used = self.index.known(plan, key)
        if used is not None and (self._clock is None or self._clock() - used < _OFTEN):
            return
        with self._mutex:
            self._found[plan, key] = action
            many = len(self._found) >= _PENDING
        if many:
            self.flush()

    # Adding

    def commit(self, batch: Sequence[Staged], room: Path | None = None) -> None:
        """Add results, durably, at the cost of few waits for the disk however many they are.
        `room` is a directory of the caller's own scratch space, where it has one.

        The bytes of a batch are in the store before its records are: a kill or a full disk at any
        moment leaves no record without its blobs, and no blob with wrong bytes. After an OSError,
        nothing of the batch is recorded.
        """
        if not batch:
            return
        with contextlib.nullcontext(room) if room else self.rooms.room() as place:
            write_batch(batch, place, self.root, self.blobs, self.records, self.guard)
        self.blobs.wrote(digest.sha256 for staged in batch for _, digest in staged.files)
        with self._mutex:
            found, self._found = self._found, {}
        actions = {staged.key: staged.action for staged in batch}
        pairs = {(action.plan, key) for key, action in actions.items() if action.plan}
        actions |= {key: action for (_, key), action in found.items()}
        made = max(staged.action.made for staged in batch)
        now = self._clock() if self._clock else made
        self.index.add(tuple(actions.items()), sorted({*pairs, *found}), now)

    def flush(self) -> None:
        """Write down which plan keys led to what was found, and that it is in use."""
        with self._mutex:
            found, self._found = self._found, {}
        if found:
            now = self._clock() if self._clock else max(action.made for action in found.values())
            actions = {key: action for (_, key), action in found.items()}
            self.index.add(tuple(actions.items()), sorted(found), now)

    def close(self) -> None:
        """Write down what `flush` does, and close the index."""
        self.flush()
        self.index.close()

    # Working

    def claim(self, key: str) -> Claim | None:
        """The right to make an action; None while another run makes it. StoreError where the store
        cannot be written."""
        try:
            return self.claims.take(key)
        except OSError as error:
            raise self._unwritable(error) from None

    def waiting(self, key: str, seconds: float) -> bool:
        """Wait, at most so long, until the claim of a key may be free; whether it may be."""
        return self.claims.wait(key, seconds)

    def sweep(self) -> None:
        """Remove what dead processes left in scratch space: a run does so before it begins."""
        self.rooms.sweep()

    def remove_empty(self) -> None:
        """Remove the store's directories where it holds nothing."""
        with contextlib.suppress(OSError):
            self.rooms.root.rmdir()
            self.root.rmdir()

    @contextmanager
    def listening(self, heard: Callable[[], None]) -> Iterator[None]:
        """Within this, `heard` is called again and again while those who remove are waited for: it
        may raise what ends the wait."""
        before, self.guard.heard = self.guard.heard, heard
        try:
            yield
        finally:
            self.guard.heard = before

    @contextmanager
    def scratch(self, lock_text: str = "") -> Iterator[Path]:
        """A directory of this process on the store's file system, removed at the end.

        `lock_text` is the lock that a run executes: while the directory is there, nothing of its
        plan is collected, so a run enters before it looks up. StoreError, on entering, where the
        store cannot be written: a run may then go on for as long as everything is there.
        """
        with ExitStack() as stack:
            try:
                directory = stack.enter_context(self.rooms.room(lock_text))
            except OSError as error:
                raise self._unwritable(error) from None
            yield directory

    def _unwritable(self, error: OSError) -> StoreError:
        message = f"the store {self.root} cannot be written: {error.strerror or error}"
        hint = "set store.uri to a directory that can be written"
        return StoreError([problem("store", message, ("store", "uri"), hint)])
