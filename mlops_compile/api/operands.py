"""Operands of `diff`: what is named becomes plans, with the configs and files behind them."""

from __future__ import annotations

import hashlib
import re
import shlex
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path, PurePosixPath

from mlops_compile.api.git import files_at, has_git, is_at, is_shallow, names_at
from mlops_compile.api.operand import (
    CONF,
    GIT,
    REGISTRY,
    Composer,
    Operand,
    refused,
    texts_of,
)
from mlops_compile.ir.config import LOCK_FILE
from mlops_compile.ir.interned import Interned
from mlops_compile.ir.lock import Lock, parse_document, read_value
from mlops_compile.ir.memo import Memo
from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.record import RECORD_FILE
from mlops_compile.ir.sweep import Sweep, SweepPoint, decode_sweep, is_sweep

_POINT = re.compile(r"(.+)#(\d+)\Z", re.DOTALL)
_SWEEP = "sweep.json"


class Operands:
    """Reads operands against one project. Copies of revisions last as long as its context."""

    def __init__(self, project: Path, composer: Composer | None, held: ExitStack) -> None:
        self._project = project
        self._composer = composer
        self._held = held
        self._memo = Memo()
        self._interned = Interned()

    def read(self, name: str, other: Lock | None = None) -> Operand:
        """What an operand names. `other` is the other operand's lock: where a revision has none,
        and its data lies elsewhere, that one's data stands for its own. CompileError says what is
        wrong with it."""
        if not name:
            hint = "name a lock, a run directory, git:REV or conf:, or leave it out"
            raise refused("diff", "an operand is empty", hint)
        if name.startswith(CONF):
            from mlops_compile.api.compiled import of_conf  # Hydra, once there is a conf/ to read

            return of_conf(name, self._project, self._composer)
        if name.startswith(GIT):
            return self._at_revision(name, other)
        if name.startswith(REGISTRY):
            return self._of_version(name)
        return self._of_path(name)

    def is_unlocked(self, name: str) -> bool:
        """Whether an operand is a revision without a lock, whose data may be unknown."""
        if not name.startswith(GIT):
            return False
        _, file, names, _ = self._found_at(name)
        return file not in names

    # A revision

    def _at_revision(self, name: str, other: Lock | None) -> Operand:
        ref, file, names, number = self._found_at(name)
        if file not in names:
            from mlops_compile.api.compiled import of_revision  # as above

            operand = of_revision(name, ref, names, self._project, self._held, other)
            return _numbered_point(operand, number)
        content = files_at(self._project, [ref], file)[ref]
        assert content is not None
        points, digest, swept = self._decoded(content, f"{file} at {ref}")
        return _numbered_point(
            Operand(
                name=name,
                what=f"{file} at {ref}",
                points=points,
                swept=swept,
                digest=digest,
                texts=texts_of(self._project, ref, names, points),
                at=f"{ref}:",
            ),
            number,
        )

    def _found_at(self, name: str) -> tuple[str, str, tuple[str, ...], int | None]:
        """The revision that an operand names, the lock's file (the revision may have none, where
        none was named), all files of it, and the number of a point."""
        text, number = _numbered(name.removeprefix(GIT))
        ref, _, path = text.partition(":")
        self._check(name, ref)
        file = str(PurePosixPath(path)) if path else LOCK_FILE
        names = names_at(self._project, ref)
        if path and file not in names:
            below = str(PurePosixPath(file, LOCK_FILE))
            if below not in names:
                raise refused(
                    name, f"{ref} has no file {path}", "paths are relative to the project"
                )
            file = below
        return ref, file, names, number

    def _check(self, name: str, ref: str) -> None:
        if not has_git(self._project):
            hint = f"git init, or name a lock file ({LOCK_FILE}) or conf:"
            raise refused(name, "the project is in no git repository", hint)
        if ref and is_at(self._project, ref):
            return
        if not is_at(self._project, "HEAD"):
            raise refused(name, "there is no commit yet", "commit first, or name a lock file")
        hint = "`git log --all` lists the commits that there are"
        if ref and is_at(self._project, f"origin/{ref}"):
            hint = f"there is no such branch here: git:origin/{ref} is what was fetched of it"
        elif is_shallow(self._project):
            hint = "this clone is shallow: `git fetch --unshallow` brings the other commits"
        raise refused(name, f"there is no commit {ref!r}", hint)

    # A version

    def _of_version(self, name: str) -> Operand:
        from mlops_compile.api.registering import opened, place_with  # SQLAlchemy, where asked for
        from mlops_compile.api.versions import find_version

        place = place_with((), self._project)
        with opened(place) as registry:
            version = find_version(name.removeprefix(REGISTRY), registry)
        content = place.state.store.blobs.read(version.lock).read_bytes()
        points, digest, swept = self._decoded(content, f"the lock of {version}")
        return Operand(
            name=name,
            what=f"version {version}",
            points=points,
            swept=swept,
            digest=digest,
            state=place.state,
        )

    # A file or directory

    def _of_path(self, name: str) -> Operand:
        path, number = Path(name), None
        if not path.exists():
            text, number = _numbered(name)
            path = Path(text)
        place = path if path.is_dir() else None
        file = path / LOCK_FILE if place else path
        if place is not None and not file.is_file():
            hint = "name a lock file, or a directory below outputs/ or multirun/"
            raise refused(name, f"{path} holds no {LOCK_FILE}", hint)
        points, digest, swept = self._decoded(_content(name, file), str(file))
        is_run = place is not None and any((place / one).is_file() for one in (RECORD_FILE, _SWEEP))
        found = _numbered_point(
            Operand(
                name=name,
                what=f"the run in {path}" if is_run else f"the lock {file}",
                points=points,
                swept=swept,
                digest=digest,
            ),
            number,
        )
        return replace(found, run=_run_of(found, place, number)) if place else found

    def _decoded(self, content: bytes, name: str) -> tuple[tuple[SweepPoint, ...], str, bool]:
        """The points of a lock's bytes, its digest, and whether it is a sweep's."""
        content = content.replace(b"\r\n", b"\n")  # as git may check it out
        digest = hashlib.sha256(content).hexdigest()
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise CompileError([problem("lock", f"{name} cannot be read: {error}")]) from None
        value = parse_document(text, name, self._interned)
        if is_sweep(value):
            return decode_sweep(value, name).points, digest, True
        lock = read_value(value, name, self._memo)
        return (SweepPoint(overrides=(), lock=lock),), digest, False


def _content(name: str, file: Path) -> bytes:
    """The bytes of an operand's lock."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        hint = "PATH of a lock or run directory, git:REV, or conf:OVERRIDES"
        if "=" in name:
            hint = f"overrides stand behind conf: as in {shlex.quote(CONF + name)}"
        raise refused(name, f"there is no file {file}", hint) from None
    except OSError as error:
        raise refused(name, f"{file} cannot be read: {error.strerror}", "") from None


def _run_of(operand: Operand, place: Path, number: int | None) -> Path | None:
    """The directory of the run that an operand names, if that ended: of a point of a sweep, that
    below the sweep's which holds the same lock."""
    run = place if number is None else place / str(number)
    if not (run / RECORD_FILE).is_file():
        return None
    try:
        content = (run / LOCK_FILE).read_bytes()
    except OSError:
        return None
    return run if hashlib.sha256(content).hexdigest() == operand.digest else None


def _numbered(text: str) -> tuple[str, int | None]:
    """A text without the number of a point, `#3`, and that."""
    found = _POINT.match(text)
    return (found[1], int(found[2])) if found else (text, None)


def _numbered_point(operand: Operand, number: int | None) -> Operand:
    """One point of a sweep; all that there is where no number is given."""
    if number is None:
        return operand
    count = len(operand.points)
    if not operand.swept:
        hint = "leave #N out, or name the lock of a sweep"
        raise refused(operand.name, f"{operand.what} is no sweep, and has no points", hint)
    if number >= count:
        hint = f"points are numbered from 0 to {count - 1}"
        raise refused(operand.name, f"{operand.what} has {count} points", hint)
    point = operand.points[number]
    return replace(
        operand,
        what=f"point {number} ({' '.join(point.overrides)}) of {operand.what}",
        points=(point,),
        swept=False,
        digest=point.lock.digest,
    )


def sweep_of(operand: Operand) -> Sweep:
    """The points of an operand as a sweep."""
    return Sweep(points=operand.points)
