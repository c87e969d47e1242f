"""Checks a store, part against part, and mends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlops_compile.ir.problem import StoreError
from mlops_compile.store.begun import FILE as BEGUN
from mlops_compile.store.census import look_at, take_census
from mlops_compile.store.faults import (
    Fault,
    Progress,
    Wrong,
    closed_directories,
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
    both are mended too."""

    faults: tuple[Fault, ...]
    behind: tuple[str, ...]
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
) -> Checked:
    """Check everything in a store and, with `mend`, mend it, so that a second check finds nothing.

    `sound_lock` tells whether the text of a pin is a lock. With `beside`, a `forget` that was cut
    off is finished. Runs may go on meanwhile. OSError where the store cannot be mended.
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
        _mend(store, found)
    # Only now, when wrong blobs are out of the way, is it known which results are lost.
    lost = list(lost_results(store, census))
    if mend:
        _mend(store, lost)
        if index.damage or index.behind:
            store.index.renew()
    told = [Fault(what="index", name=FILE, matter=m, fate="made again") for m in index.damage]
    return Checked(
        faults=(*begun, *(wrong.fault for wrong in (*found, *lost)), *told),
        behind=index.behind,
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


def _mend(store: Store, found: Sequence[Wrong]) -> None:
    """Mend what nobody else has mended meanwhile."""
    if not found:
        return
    with store.guard.alone():
        still = [wrong for wrong in found if look_at(wrong.place) == wrong.seen]
        store.index.drop([w.fault.name for w in still if w.fault.what == "record"])
        for wrong in still:
            wrong.mend(store, wrong.place)
