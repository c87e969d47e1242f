"""What can be wrong in a store: one function a sort of fault, each with the way to mend it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mlops_compile.ir.digest import is_sha256
from mlops_compile.ir.key import key_of
from mlops_compile.ir.value import Map
from mlops_compile.store.begun import FILE as BEGUN
from mlops_compile.store.begun import read_begun
from mlops_compile.store.census import Blob, Census, look_at
from mlops_compile.store.entry import held
from mlops_compile.store.files import digest_file, make_directory, share
from mlops_compile.store.index import FILE
from mlops_compile.store.store import Store

AGAIN = "made again by the next run that needs it"
_COPY = "set aside: what was made of this copy stays; to make that again, the source is read"
_FOLDERS = ("actions", "blobs", "claims", "pins", "scratch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong: what it is (blob, record, index, pin, file, directory), its name,
    what is the matter, the steps and data sets it belongs to, and what becomes of it."""

    what: str
    name: str
    matter: str
    steps: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    fate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """A fault, its file as it was seen, and what mends that file."""

    fault: Fault
    place: Path
    seen: Blob | None
    mend: Callable[[Store, Path], None]


# Hears how many bytes of how many have been read.
Progress = Callable[[int, int], None]


def strange_files(store: Store) -> Iterator[Wrong]:
    """Files whose names are none of the store's: what a kill left of a write, or somebody put."""
    for place in sorted(store.root.glob(".new-*")):
        if FILE not in place.name:  # those who make an index look after their own
            yield _rest(place.name, place)
    for place in sorted(store.root.glob("*/**/*")):
        folder, *inner = place.relative_to(store.root).parts
        name = "/".join((folder, *inner))
        if folder not in ("actions", "blobs", "pins") or _belongs(folder, inner):
            continue
        if not place.is_dir() and place.name.startswith(".new-"):
            yield _rest(name, place)
        elif not place.is_dir():
            fault = Fault(what="file", name=name, matter="does not belong here", fate="set aside")
            yield Wrong(fault=fault, place=place, seen=look_at(place), mend=set_aside)


def wrong_begun(store: Store) -> Iterator[Wrong]:
    """What a `forget` has begun, where that cannot be read any more."""
    place = store.root / BEGUN
    seen = look_at(place)
    try:
        read_begun(store.root)
    except (OSError, ValueError, KeyError) as error:
        matter = f"it says what a `store forget` has begun, and is damaged: {error}"
        fault = Fault(what="file", name=BEGUN, matter=matter, fate="set aside: forget again")
        yield Wrong(fault=fault, place=place, seen=seen, mend=set_aside)


def _rest(name: str, place: Path) -> Wrong:
    fault = Fault(what="file", name=name, matter="is the rest of a write", fate="removed")
    return Wrong(fault=fault, place=place, seen=look_at(place), mend=_remove)


def wrong_blobs(store: Store, census: Census, progress: Progress) -> Iterator[Wrong]:
    """Blobs whose bytes are not those that their names say, or that can be written to."""

    def digest(sha: str) -> str:
        try:
            return digest_file(store.blobs.place(sha)).sha256
        except OSError as error:
            return str(error.strerror)

    needed = _needed(census)
    done, total = 0, sum(blob.size for blob in census.blobs.values())
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for sha, found in zip(census.blobs, pool.map(digest, census.blobs), strict=True):
            place, seen = store.blobs.place(sha), census.blobs[sha]
            done += seen.size
            progress(done, total)
            if look_at(place) != seen:
                continue
            if found != sha:
                keys = needed.get(sha, ())
                matter = "its bytes are not what its name says"
                fate = _fate(census, sha, keys)
                fault = fault_of(census, "blob", sha, matter, keys, fate)
                yield Wrong(fault=fault, place=place, seen=seen, mend=set_aside)
            elif place.stat().st_mode & 0o222:
                matter = "it can be written to"
                fault = Fault(what="blob", name=sha, matter=matter, fate="made read-only")
                yield Wrong(fault=fault, place=place, seen=seen, mend=_make_read_only)


def _fate(census: Census, sha: str, keys: Sequence[str]) -> str:
    if any(sha in census.entries[key].blobs for key in keys):
        return AGAIN
    return _COPY if keys else "set aside; nothing needs it"


def wrong_records(store: Store, census: Census) -> Iterator[Wrong]:
    """Records that are damaged, or not of the causes that they hold."""
    for key in store.records.every_key():
        place = store.records.place(key)
        seen = look_at(place)
        try:
            causes = store.records.examine(key).preimage
            matter = "" if key_of(causes) == key else "it is not the record of its causes"
        except OSError as error:
            matter = f"it cannot be read: {error.strerror}"
        except (ValueError, KeyError, OverflowError) as error:
            matter = f"it is damaged: {error}"
        if matter and seen is not None:
            fault = fault_of(census, "record", key, matter, (key,), AGAIN)
            yield Wrong(fault=fault, place=place, seen=seen, mend=set_aside)


def lost_results(store: Store, census: Census) -> Iterator[Wrong]:
    """Records of results that are not there, or not whole."""
    for key in census.entries:
        place = store.records.place(key)
        seen, action = look_at(place), store.records.read(key)
        lost = [d for d in action.blobs if not store.blobs.has(d)] if action else []
        if lost:
            matter = f"its result {lost[0].sha256[:12]} is not in the store, or not whole"
            fault = fault_of(census, "record", key, matter, (key,), AGAIN)
            yield Wrong(fault=fault, place=place, seen=seen, mend=_remove)


def lost_copies(
    store: Store, census: Census, copied: Callable[[Map], bool]
) -> Iterator[tuple[str, str]]:
    """The copies of sources that results were made of and that are not in the store: digest and
    data set. `copied` tells from the params of a step whether its source is copied at all."""
    for key, entry in census.entries.items():
        lost = [sha for sha in (entry.source, *entry.parts) if sha and not _is_there(store, sha)]
        action = store.records.read(key) if lost else None
        params = action.preimage.get("params") if action is not None else None
        if isinstance(params, Map) and copied(params):
            yield from ((sha, census.named([entry.source])) for sha in lost)


def _is_there(store: Store, sha: str) -> bool:
    return store.blobs.place(sha).exists()


def wrong_pins(store: Store, sound: Callable[[str], bool]) -> Iterator[Wrong]:
    """Pins whose text is no lock, as `sound` tells."""
    for name, text in store.pins.all().items():
        if not sound(text):
            place = store.pins.place(name)
            matter = "it holds no lock that can be read, so it keeps nothing"
            fault = Fault(what="pin", name=name, matter=matter, fate="set aside: pin it again")
            yield Wrong(fault=fault, place=place, seen=look_at(place), mend=set_aside)


def closed_directories(store: Store) -> Iterator[Wrong]:
    """Directories that give the group fewer rights than the store's root does."""
    if not store.root.is_dir():
        return
    wanted = store.root.stat().st_mode & (stat.S_ISGID | stat.S_IRWXG)
    for folder in (store.root / name for name in _FOLDERS):
        for place in (folder, *sorted(folder.glob("??"))):
            if place.is_dir() and wanted & ~place.stat().st_mode:
                name = str(place.relative_to(store.root))
                matter = "the group has fewer rights here than to the store"
                fault = Fault(what="directory", name=name, matter=matter, fate="given to the group")
                yield Wrong(fault=fault, place=place, seen=look_at(place), mend=_give_to_group)


def fault_of(
    census: Census, what: str, name: str, matter: str, keys: Sequence[str], fate: str
) -> Fault:
    """A fault that concerns actions: their steps, and the data that they derive from."""
    known = [key for key in keys if key in census.entries]
    return Fault(
        what=what,
        name=name,
        matter=matter,
        steps=tuple(sorted({census.entries[key].step for key in known})),
        data=tuple(sorted({census.data(key) for key in known})),
        fate=fate,
    )


def set_aside(store: Store, place: Path) -> None:
    """Move a file where nobody reads it."""
    make_directory(store.root / "quarantine", store.root)
    os.replace(place, store.root / "quarantine" / place.name)


def _remove(store: Store, place: Path) -> None:
    place.unlink(missing_ok=True)


def _make_read_only(store: Store, place: Path) -> None:
    place.chmod(0o444)


def _give_to_group(store: Store, place: Path) -> None:
    share(place, store.root)


def _belongs(folder: str, inner: Sequence[str]) -> bool:
    """Whether a file of that path below a folder has a name of the store's."""
    name = inner[-1].removesuffix(".json" if folder != "blobs" else "")
    if folder == "pins":
        return len(inner) == 1 and inner[0].endswith(".json") and not name.startswith(".")
    ending = ".json" if folder == "actions" else ""
    return is_sha256(name) and list(inner) == [name[:2], name + ending]


def _needed(census: Census) -> Mapping[str, tuple[str, ...]]:
    """The keys of the actions that need each blob."""
    found: dict[str, list[str]] = {}
    for entry in census.entries.values():
        for sha in held(entry):
            found.setdefault(sha, []).append(entry.key)
    return {sha: tuple(keys) for sha, keys in found.items()}
