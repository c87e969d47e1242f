"""Checks a store, part against part, and mends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from mlops_compile.ir.problem import StoreError
from mlops_compile.ir.value import Map
from mlops_compile.store.begun import FILE as BEGUN
from mlops_compile.store.census import look_at, take_census
from mlops_compile.store.faults import (
    Fault,
    Progress,
    Wrong,
    closed_directories,
    lost_copies,
    lost_results,
    strange_files,
    wrong_begun,
    wrong_blobs,
    wrong_pins,
    wrong_records,
)
from mlops_compile.store.forget import Beside, finish, is_begun
from mlops_compile.store.index import FILE
from mlops_compile.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check found. `size` is that of all blobs in bytes; `swept` counts what dead processes
    left behind, and `behind` says how the index lags behind the records: neither is a fault, and
    both are mended too. `uncopied` are sources, by digest and data set, of which results are there
    and a copy is not: these stay, and can be made again as long as the source is what it was."""

    faults: tuple[Fault, ...]
    behind: tuple[str, ...]
    uncopied: tuple[tuple[str, str], ...]
    blobs: int
    size: int
    actions: int
    swept: int


def check(
    store: Store,
    sound_lock: Callable[[str], bool],
    progress: Progress = lambda done, total: None,
    *,
    mend: bool = True,
    beside: Beside | None = None,
    copied: Callable[[Map], bool] = lambda params: False,
) -> Checked:
    """Check everything in a store and, with `mend`, mend it, so that a second check finds nothing.

    `sound_lock` tells whether the text of a pin is a lock. With `beside`, a `forget` that was cut
    off is finished. `copied` tells from a step's params whether the source that it reads is copied
    into the store. Runs may go on meanwhile. OSError where the store cannot be mended.
    """
    begun = _cut_off(store, beside if mend else None)
    swept = len(store.rooms.dead()) + len(store.claims.dead())
    index = store.index.examine()
    census = take_census(store)
    found = [
        *wrong_begun(store),
        *strange_files(store),
        *wrong_blobs(store, census, progress),
        *wrong_records(store, census),
        *wrong_pins(store, sound_lock),
        *closed_directories(store),
    ]
    if mend:
        store.rooms.sweep()
        store.claims.sweep()
    found = _settled(store, found, mend)
    # Only now, when wrong blobs are out of the way, is it known which results are lost.
    lost = _settled(store, list(lost_results(store, census)), mend)
    if mend and (index.damage or index.behind):
        store.index.renew()
    told = [Fault(what="index", name=FILE, matter=m, fate="made again") for m in index.damage]
    return Checked(
        faults=(*begun, *(wrong.fault for wrong in (*found, *lost)), *told),
        behind=index.behind,
        uncopied=tuple(sorted({*lost_copies(store, census, copied)})),
        blobs=len(census.blobs),
        size=sum(blob.size for blob in census.blobs.values()),
        actions=len(census.entries),
        swept=swept,
    )


def _cut_off(store: Store, beside: Beside | None) -> list[Fault]:
    """Finish a `forget` that was cut off."""
    if not is_begun(store):
        return []
    fate = "finished"
    try:
        if beside is not None:
            finish(store, beside)
    except StoreError as error:
        fate = f"not finished: {error.problems[0].message}"
    return [Fault(what="file", name=BEGUN, matter="a `store forget` was cut off", fate=fate)]


def _settled(store: Store, found: Sequence[Wrong], mend: bool) -> list[Wrong]:
    """What is wrong still, when nobody writes: not what others have removed, mended or finished
    since. With `mend`, it is mended."""
    if not found:
        return []
    with ExitStack() as stack:
        try:
            stack.enter_context(store.guard.alone())
        except OSError:
            if mend:
                raise  # else nobody who could be waited for writes, or none of this user
        still = [wrong for wrong in found if _is_as_seen(wrong)]
        if mend:
            store.index.drop([w.fault.name for w in still if w.fault.what == "record"])
            for wrong in still:
                wrong.mend(store, wrong.place)
    return still


def _is_as_seen(wrong: Wrong) -> bool:
    """A directory changes with every file that is written there; its rights do not."""
    return look_at(wrong.place) == wrong.seen or wrong.fault.what == "directory"
