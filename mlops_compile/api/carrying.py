"""Versions in one file each: to another machine, or into the archive and back.

The file is a tar whose members stand in order and bear no time: the version as JSON, the records
of everything that its lock reaches, and the bytes that those are made of. The same version from the
same store is the same file.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mlops_compile.api.registering import FOLDER, Place, check_held, opened
from mlops_compile.api.roots import reached_by
from mlops_compile.api.state import State
from mlops_compile.api.versions import find_version, lock_of_version
from mlops_compile.ir.digest import Digest, digest_of, digest_of_stream
from mlops_compile.ir.problem import CompileError, StoreError, UsageError, problem
from mlops_compile.ir.value import Map, parse, pretty
from mlops_compile.ir.version import Version, from_value, to_value
from mlops_compile.store.actions import decode_action, encode_action
from mlops_compile.store.commit import Staged
from mlops_compile.store.store import Store

FORMAT = 1
_TAR = tarfile.USTAR_FORMAT
_ABOUT, _RECORDS, _BLOBS = "version.json", "actions/", "blobs/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """A version in a file of so many bytes; `new` where it was not registered here before."""

    version: Version
    file: Path
    size: int
    new: bool = True


def export_version(place: Place, words: str, file: Path) -> Carried:
    """Write a version into a new file. UsageError where there is no such version, or the file is
    there; StoreError where the store has not all of it."""
    with opened(place) as registry:
        version = find_version(words, registry)
    if file.exists():
        raise UsageError([problem("exists", f"{file} is there already", hint="name a new file")])
    check_held(version)
    return Carried(version=version, file=file, size=_write(version, place.state.store, file))


def import_version(place: Place, file: Path) -> Carried:
    """Bring the version of a file into the store and the registry, under the next number of its
    name unless its plan and bundle are there. StoreError where the file is not whole: then nothing
    of it is."""
    store = place.state.store
    version = _read(file, store)
    with opened(place) as registry:
        found, is_new = registry.register(version, "imported")
    return Carried(version=found, file=file, size=file.stat().st_size, new=is_new)


def archive(place: Place, words: str) -> Carried:
    """Put a version into a file of the archive, so that collection may take its results. UsageError
    for one that an alias means, and where there is none."""
    with opened(place) as registry:
        version = find_version(words, registry)
        aliases = registry.aliases(version.name).items()
        if meant := [alias for (_, alias), number in aliases if number == version.number]:
            message = f"{version} is what {version.name}@{meant[0]} means"
            hint = "let the alias mean another version first"
            raise UsageError([problem("registry", message, hint=hint)])
        file = _archived(place, version)
        if version.archived is not None:
            return Carried(version=version, file=file, size=file.stat().st_size, new=False)
        size = _write(version, place.state.store, file)
        is_new = registry.mark_archived(version.name, version.number, True)
        return Carried(version=version, file=file, size=size, new=is_new)


def archive_old(place: Place, name: str, keep: int) -> tuple[Carried, ...]:
    """Archive the versions of a name but the newest so many, those that an alias means, and those
    whose plan is pinned (`store pin`)."""
    with opened(place) as registry:
        meant = {*registry.aliases(name).values()}
        versions = [v for v in registry.versions(name) if v.archived is None]
    pinned = place.state.store.pins.all().values()
    plans = {digest_of(text.encode("utf-8")).sha256 for text in pinned}
    old = [v for v in versions[keep:] if v.number not in meant and v.lock.sha256 not in plans]
    return tuple(archive(place, str(version)) for version in reversed(old))


def restore(place: Place, words: str) -> Carried:
    """Bring an archived version back into the store. StoreError where its file is not whole."""
    with opened(place) as registry:
        version = find_version(words, registry)
        file = _archived(place, version)
        if version.archived is None:
            message = f"{version} is not archived"
            raise UsageError([problem("registry", message, hint="its results are in the store")])
        _read(file, place.state.store)
        is_new = registry.mark_archived(version.name, version.number, False)
        return Carried(version=version, file=file, size=file.stat().st_size, new=is_new)


def _archived(place: Place, version: Version) -> Path:
    """The file of a version in the archive."""
    return archive_of(place.state) / f"{version.name}-{version.number}.tar"


def archive_of(state: State) -> Path:
    """The directory of archived versions."""
    return state.root / FOLDER / "archive"


def carried_data(file: Path) -> tuple[str, ...]:
    """The digests of the sources that the version in a file was made of; none of a broken file."""
    try:
        with tarfile.open(file, "r:") as tar:
            about = parse(_bytes(tar, _ABOUT))
            assert isinstance(about, Map)
            return tuple(str(digest) for digest in from_value(about["version"]).data.values())
    except (tarfile.TarError, ValueError, KeyError, OSError, AssertionError):
        return ()


def _write(version: Version, store: Store, file: Path) -> int:
    """Write a version by way of a file beside; its size."""
    part = file.with_name(f".{file.name}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as out, tarfile.open(fileobj=out, mode="w", format=_TAR) as tar:
            about = pretty(Map({"format": FORMAT, "version": to_value(version)})).encode("utf-8")
            _add(tar, _ABOUT, io.BytesIO(about), len(about))
            for name, stream, size in _members(version, store):
                with stream:
                    _add(tar, name, stream, size)
        part.replace(file)
    except OSError as error:
        message = f"{file} cannot be written: {error.strerror or error}"
        raise CompileError([problem("output", message)]) from None
    finally:
        part.unlink(missing_ok=True)
        store.close()
    return file.stat().st_size


def _members(version: Version, store: Store) -> Iterator[tuple[str, BinaryIO, int]]:
    """The records of what a version's lock reaches, then the blobs, each in order."""
    marks = reached_by(lock_of_version(version, store), store)
    blobs = {version.lock, version.record, version.bundle}
    blobs |= {part for _, part in store.blobs.tree(version.bundle)}
    for key in sorted(marks.keys):
        if (action := store.records.read(key)) is None:
            continue  # what is lost is made again
        text = encode_action(key, action)
        blobs |= {*action.blobs, *(digest for _, digest in action.outputs)}
        yield f"{_RECORDS}{key}.json", io.BytesIO(text), len(text)
    for digest in sorted(blobs):
        yield f"{_BLOBS}{digest.sha256}", store.blobs.read(digest).open("rb"), digest.size


def _add(tar: tarfile.TarFile, name: str, stream: BinaryIO, size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    tar.addfile(member, stream)


def _read(file: Path, store: Store) -> Version:
    """The version of a file, once all of it is in the store."""
    try:
        with tarfile.open(file, "r:") as tar, store.scratch() as room:
            about = parse(_bytes(tar, _ABOUT))
            if not isinstance(about, Map) or about.get("format") != FORMAT:
                raise ValueError("it is of another format")
            version = from_value(about["version"])
            blobs: dict[Digest, Path] = {}
            batch = []
            for member in tar:
                if member.name.startswith(_BLOBS):
                    path = room / member.name.removeprefix(_BLOBS)
                    digest = _extracted(tar, member, path)
                    if digest.sha256 != path.name:
                        raise ValueError(f"the bytes of {member.name} are wrong")
                    blobs[digest] = path
                elif member.name.startswith(_RECORDS):
                    key = member.name.removeprefix(_RECORDS).removesuffix(".json")
                    batch.append((key, decode_action(key, _bytes(tar, member.name))))
            own = {version.lock, version.record, version.bundle}
            needed = own | {blob for _, action in batch for blob in action.blobs}
            if missing := needed - blobs.keys():
                raise ValueError(f"{len(missing)} of its blobs are not in it")
            for digest in own:
                store.blobs.put(blobs[digest].read_bytes())
            staged = [
                Staged(
                    key=key,
                    action=action,
                    files=tuple((blobs[digest], digest) for digest in action.blobs),
                )
                for key, action in batch
            ]
            store.commit(staged, room)
            return version
    except (tarfile.TarError, ValueError, KeyError, EOFError) as error:
        why = f"{error} is missing" if isinstance(error, KeyError) else error
        hint = "take a whole copy of it; nothing of it was kept"
        raise StoreError([problem("registry", f"{file} is broken: {why}", hint=hint)]) from None
    except OSError as error:
        message = f"{file} cannot be taken in: {error.strerror or error}"
        raise StoreError([problem("registry", message)]) from None
    finally:
        store.close()


def _bytes(tar: tarfile.TarFile, name: str) -> bytes:
    stream = tar.extractfile(tar.getmember(name))
    if stream is None:
        raise ValueError(f"{name} is no file")
    return stream.read()


def _extracted(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> Digest:
    """The digest of a member that is written to a file of scratch space."""
    stream = tar.extractfile(member)
    if stream is None or "/" in path.name or not path.name.isalnum():
        raise ValueError(f"{member.name} is no file")
    with path.open("wb") as out:
        while chunk := stream.read(1 << 20):
            out.write(chunk)
    with path.open("rb") as written:
        return digest_of_stream(written)
