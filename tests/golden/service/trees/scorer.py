"""How this service answers: its preparation as straight-line code, and its model."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from struct import Struct

NAN = float("nan")
CLASSES = ["no", "yes"]
FEATURES = 4
# The column that each feature is made of.
ORIGINS = ["age", "from", "job", "paid"]
LEVELS_C2_0 = {
    "cook": 0.0,
    "smith": 1.0,
}


def features(record: object) -> tuple[float, ...]:
    """The model's features of one record, in the model's order."""
    # "age"
    c0 = record.c0
    c0_0 = (c0 - 40.5) / 12.0
    # "from"
    c1 = record.c1
    c1_0 = NAN if c1 is None else float(c1.hour)
    # "job"
    c2 = record.c2
    c2_0 = LEVELS_C2_0.get(c2, NAN)
    # "paid"
    c3 = float(record.c3)
    return (
        c0_0,
        c1_0,
        c2_0,
        c3,
    )


# How the trees are compiled: other flags give other bits.
FLAGS = ("-O2", "-fPIC", "-shared", "-ffp-contract=off", "-fno-fast-math", "-fno-strict-aliasing")
OUTPUTS = 2
# So many seconds a library is kept that nobody starts with.
KEPT = 90 * 24 * 3600
ROW = Struct(f"{FEATURES}d")


class Scorer:
    """The model, loaded once: in C where it is or can be compiled, else in Python."""

    def __init__(
        self, directory: Path, native: bool = True, places: list[Path] | None = None
    ) -> None:
        """`places` are the directories to keep what is compiled in; the first that serves does."""
        self._directory = directory
        self._contributions = self._c = self._python = None
        self._rooms: list[Room] = []
        if native:
            try:
                self._c = compiled(directory / "scorer.c", usual_places() if places is None else places)
            except Uncompiled as error:
                print(f"the scorer runs in Python, which is slower: {error}", file=sys.stderr)
        if self._c is None:
            path, space = directory / "trees.py", {"__name__": "trees"}
            exec(compile(path.read_text("ascii"), str(path), "exec"), space)
            self._python = space["load"](directory)
        self.language = "Python" if self._c is None else "C"

    def scores(self, records: list[object]) -> list[list[float]]:
        """Probabilities in the order of CLASSES, or one number, for each record."""
        return self.answers([features(record) for record in records])

    def answers(self, rows: list[tuple[float, ...]]) -> list[list[float]]:
        """The same for rows of features."""
        if self._c is None:
            return [self._python(row) for row in rows]
        if len(rows) == 1:
            return [self._alone(rows[0])]
        taken = b"".join([ROW.pack(*row) for row in rows])
        given = (ctypes.c_double * (OUTPUTS * len(rows)))()
        self._c(taken, given, len(rows))
        found = given[:]
        return [found[first : first + OUTPUTS] for first in range(0, len(found), OUTPUTS)]

    def flat(self, taken: array, count: int) -> list[float]:
        """The answers of so many rows of features, which lie one behind the other, as they do."""
        if self._c is None:
            return [value for row in ROW.iter_unpack(taken) for value in self._python(row)]
        given = (ctypes.c_double * (OUTPUTS * count))()
        self._c(taken.buffer_info()[0], given, count)
        return given[:]

    def _alone(self, row: tuple[float, ...]) -> list[float]:
        """The answers for a row, in a room that no other thread has."""
        try:
            room = self._rooms.pop()
        except IndexError:
            room = Room()
        ROW.pack_into(room.taken, 0, *row)
        self._c(room.taken_at, room.given_at, 1)
        found = room.given[:]
        self._rooms.append(room)
        return found

    def contributions(self, records: list[object], reference: object) -> list[list[list[float]]]:
        """For each record and score (the positive class's alone, of two), what each feature adds to
        the score, and then the score of the reference record that they start from."""
        if self._contributions is None:
            path, space = self._directory / "contributions.py", {"__name__": "contributions"}
            exec(compile(path.read_text("ascii"), str(path), "exec"), space)
            self._contributions = space["Contributions"](self._directory)
        start = features(reference)
        found = [self._contributions(features(record), start) for record in records]
        return [scores[-1:] if OUTPUTS == 2 else scores for scores in found]


class Room:
    """Where one row goes in and its answers come out."""

    def __init__(self) -> None:
        self.taken = (ctypes.c_double * FEATURES)()
        self.given = (ctypes.c_double * OUTPUTS)()
        self.taken_at = ctypes.addressof(self.taken)
        self.given_at = ctypes.addressof(self.given)


class Uncompiled(Exception):
    """Why there is no C."""


def compiled(source: Path, places: list[Path]) -> Callable[[int, int, int], None]:
    """The C function that scores rows, compiled now or before; Uncompiled where it cannot be.

    A library is named by the digests of its source and of itself: one that is not whole is none.
    """
    if os.name != "posix":
        raise Uncompiled("only POSIX systems have what it takes")
    text = source.read_bytes()
    causes = (text, " ".join(FLAGS).encode(), platform.machine().encode())
    name = hashlib.sha256(b"\0".join(causes)).hexdigest()
    for path in kept(name, places):
        try:
            return function(path)
        except OSError:
            continue
    command, reasons = compiler(), []
    for place in places:
        try:
            return function(build(command, text, name, place))
        except OSError as error:
            reasons.append(f"{place}: {error}")
    raise Uncompiled(f"no directory can keep what is compiled: {'; '.join(reasons)}")


def function(library: Path) -> Callable[[int, int, int], None]:
    """The function of a library; OSError for one that cannot be loaded here."""
    found = ctypes.CDLL(str(library)).score_rows
    found.argtypes, found.restype = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t), None
    return found


def kept(name: str, places: list[Path]) -> Iterator[Path]:
    """The whole libraries of this name."""
    for place in places:
        try:
            check(place)
            for path in sorted(place.glob(f"{name}-*.so")):
                if path.stem.rpartition("-")[2] == hashlib.sha256(path.read_bytes()).hexdigest():
                    with contextlib.suppress(OSError):  # of an image that is read-only
                        os.utime(path)
                    yield path
        except OSError:
            continue


def compiler() -> str:
    """The compiler's path; Uncompiled where there is none."""
    for name in ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            return path
    raise Uncompiled("there is no C compiler (cc, gcc or clang)")


def build(command: str, text: bytes, name: str, place: Path) -> Path:
    """A library, compiled into a directory; OSError where that cannot be written. Others may do the
    same at the same time: a library gets its name when it is whole."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    check(place)
    with tempfile.TemporaryDirectory(dir=place) as scratch:
        library = Path(scratch) / "scorer.so"
        words = [command, *FLAGS, "-x", "c", "-", "-o", str(library), "-lm"]
        try:
            done = subprocess.run(words, input=text, capture_output=True, timeout=600)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Uncompiled(f"{command} does not work: {error}") from None
        if done.returncode or not library.exists():
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise Uncompiled(f"{command} fails: {said[-1] if said else done.returncode}")
        digest = hashlib.sha256(library.read_bytes()).hexdigest()
        path = place / f"{name}-{digest}.so"
        os.replace(library, path)
    forget(place)
    return path


def forget(place: Path) -> None:
    """Remove the libraries that nobody has started with for long."""
    for path in place.glob("*-*.so"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > KEPT:
                path.unlink()


def check(place: Path) -> None:
    """OSError for a directory into which another user may have put something."""
    about = place.stat()
    if about.st_uid != os.geteuid() or about.st_mode & 0o022:
        raise PermissionError("others can write there")


def usual_places() -> list[Path]:
    """The user's cache; else a directory of the user's among temporary files."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    found = [cache / "mlops_compile" / "scorers"] if cache.is_absolute() else []
    return [*found, Path(tempfile.gettempdir()) / f"mlops_compile-{os.geteuid()}"]


def answer(scores: list[float]) -> dict[str, object]:
    """The answer for one record: the most probable class (the first among equals), or the number."""
    best = max(range(len(scores)), key=scores.__getitem__)
    found = {"prediction": CLASSES[best], "probabilities": dict(zip(CLASSES, scores))}
    found["probability"] = scores[1]
    return found
