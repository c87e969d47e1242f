"""Operands of `diff`: what is named becomes plans, with the configs and files behind them."""

from __future__ import annotations

import hashlib
import re
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from mlops_compile.api.git import files_at, has_git, is_at, names_at
from mlops_compile.api.operand import (
    CONF,
    GIT,
    Composer,
    Operand,
    refused,
    texts_of,
)
from mlops_compile.ir.config import LOCK_FILE
from mlops_compile.ir.lock import Lock, parse_document, read_value
from mlops_compile.ir.memo import Memo
from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.sweep import Sweep, SweepPoint, decode_sweep, is_sweep
from mlops_compile.ir.value import Interned

_POINT = re.compile(r"(.+)#(\d+)\Z", re.DOTALL)
_RECORD = "record.json"


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
        if name.startswith(CONF):
            from mlops_compile.api.compiled import of_conf  # Hydra, once there is a conf/ to read

            return of_conf(name, self._project, self._composer)
        if name.startswith(GIT):
            return self._at_revision(name, other)
        return self._of_path(name)

    # A revision

    def _at_revision(self, name: str, other: Lock | None) -> Operand:
        text, number = _numbered(name.removeprefix(GIT))
        ref, _, path = text.partition(":")
        self._check(name, ref)
        file = path or LOCK_FILE
        names = names_at(self._project, ref)
        if path and path.rstrip("/") not in names:
            below = f"{path.rstrip('/')}/{LOCK_FILE}"
            if below not in names:
                raise refused(
                    name, f"{ref} has no file {path}", "paths are relative to the project"
                )
            file = below
        content = files_at(self._project, [ref], file)[ref] if file in names else None
        if content is None:
            from mlops_compile.api.compiled import of_revision  # as above

            return of_revision(name, ref, names, self._project, self._held, other)
        points, digest, swept = self._decoded(content, f"{file} at {ref}")
        return _numbered_point(
            Operand(
                name=name,
                what=f"{file} at {ref}",
                points=points,
                swept=swept,
                digest=digest,
                texts=texts_of(self._project, ref, names, points),
            ),
            number,
        )

    def _check(self, name: str, ref: str) -> None:
        if not has_git(self._project):
            hint = f"git init, or name a lock file ({LOCK_FILE}) or conf:"
            raise refused(name, "the project is in no git repository", hint)
        if not ref or not is_at(self._project, ref):
            commits = is_at(self._project, "HEAD")
            hint = "`git log --all` lists the commits that there are"
            message = f"there is no commit {ref!r}" if commits else "there is no commit yet"
            raise refused(name, message, hint if commits else "commit first, or name a lock file")

    # A file or directory

    def _of_path(self, name: str) -> Operand:
        path, number = Path(name), None
        if not path.exists():
            text, number = _numbered(name)
            path = Path(text)
        run = path if path.is_dir() else None
        file = path / LOCK_FILE if run else path
        if run is not None and not file.is_file():
            hint = "name a lock file, or a directory below outputs/ or multirun/"
            raise refused(name, f"{path} holds no {LOCK_FILE}", hint)
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            hint = "PATH of a lock or run directory, git:REV, or conf:OVERRIDES"
            raise refused(name, f"there is no file {file}", hint) from None
        except OSError as error:
            raise refused(name, f"{file} cannot be read: {error.strerror}", "") from None
        points, digest, swept = self._decoded(content, str(file))
        what = f"the run in {path}" if run else f"the lock {file}"
        return _numbered_point(
            Operand(
                name=name,
                what=what,
                points=points,
                swept=swept,
                digest=digest,
                run=run if run and (run / _RECORD).is_file() else None,
            ),
            number,
        )

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
        run=None,
    )


def sweep_of(operand: Operand) -> Sweep:
    """The points of an operand as a sweep."""
    return Sweep(points=operand.points)
