"""Claims: which action is being made, so that two runs at once make it once."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from pathlib import Path

from mlops_compile.store.files import make_directory, share

_POLL = 0.03  # seconds


class Claim:
    """A held claim; it ends with `release`, with this process, or when nobody has it any more: an
    interrupt may come before whoever took it has put it anywhere."""

    def __init__(self, place: Path, handle: int) -> None:
        self._place = place
        self._handle: int | None = handle

    def release(self) -> None:
        """Let others make it."""
        handle, self._handle = self._handle, None
        if handle is None:
            return
        try:
            with contextlib.suppress(OSError):
                self._place.unlink()
        finally:
            _let_go(self._place, handle)  # once more where an interrupt came before

    def __del__(self) -> None:
        self.release()


class Claims:
    """A locked file for each key that is being made, by whatever process."""

    def __init__(self, root: Path) -> None:
        self._store = root
        self._root = root / "claims"

    def take(self, key: str) -> Claim | None:
        """The claim of a key; None while another holds it. OSError where there can be none."""
        make_directory(self._root, self._store)
        place = self._root / key
        while True:
            handle = self._opened(place)
            if handle is None:
                continue
            try:
                with contextlib.suppress(OSError):  # another user's file
                    share(place, self._store)
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is(place, handle):
                    return Claim(place, handle)
            except BlockingIOError:
                os.close(handle)
                return None
            except BaseException:  # an interrupt, maybe before it was locked
                _let_go(place, handle)
                raise
            os.close(handle)  # whoever held it has removed it meanwhile

    def _opened(self, place: Path) -> int | None:
        """A claim's open file: made where there is none, else only read where it cannot be written
        (another user's), which is enough to lock it. None if it went meanwhile."""
        try:
            return os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            try:
                return os.open(place, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                if not os.access(self._root, os.W_OK):
                    raise error from None
                return None

    def wait(self, key: str, seconds: float) -> bool:
        """Wait until a claim may be free, at most so long; whether it may be."""
        place = self._root / key
        end = time.monotonic() + seconds
        while _held(place):
            left = end - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(_POLL, left))
        return True

    def sweep(self) -> tuple[str, ...]:
        """Remove the files that dead processes left; their keys."""
        if not self._root.is_dir():
            return ()
        dead = [key for key in sorted(os.listdir(self._root)) if not _held(self._root / key)]
        for key in dead:
            with contextlib.suppress(OSError):
                claim = self.take(key)
                if claim is not None:
                    claim.release()
        return tuple(dead)

    def dead(self) -> tuple[str, ...]:
        """The keys whose files dead processes left."""
        if not self._root.is_dir():
            return ()
        return tuple(key for key in sorted(os.listdir(self._root)) if not _held(self._root / key))


def _let_go(place: Path, handle: int) -> None:
    """Remove a claim's open file, unless another holds it or has taken its name."""
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is(place, handle):
                place.unlink()
    finally:
        os.close(handle)


def _is(place: Path, handle: int) -> bool:
    """Whether a name still is that of an open file."""
    try:
        return os.path.samestat(place.stat(), os.fstat(handle))
    except OSError:
        return False


def _held(place: Path) -> bool:
    """Whether some process holds a claim's file. It is looked at by a shared lock, which those who
    wait do not take from each other."""
    try:
        handle = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
