"""The directories of runs: reserved by making them, given back where nothing came of it."""

from __future__ import annotations

import contextlib
import re
import time
from itertools import chain, count
from pathlib import Path
from typing import NoReturn

from mlops_compile.ir.problem import StoreError, problem

_HYDRAS = re.compile(r"\.hydra/(config|hydra|overrides)\.yaml|mlops_compile\.log|multirun\.yaml")


class Reserver:
    """Gives PARENT/DATE/TIME of this run, TIME-02 to the second in that second; reserved by making
    the directory, so that they never share one. `refused` is why a directory could not be made.

    With `nowhere`, a directory that is thrown away, it makes none, and `${mlops_run:}` is that.
    """

    def __init__(self, nowhere: str | None) -> None:
        self._nowhere = nowhere
        self._own: list[Path] = []
        self._chosen: dict[str, str] = {}
        self.refused: StoreError | None = None

    def __call__(self, parent: str = "") -> str:
        if self._nowhere is not None and not parent:
            return self._nowhere
        if parent not in self._chosen:
            stamp = f"{parent}/{time.strftime('%Y-%m-%d/%H-%M-%S')}"
            # Later runs of the same second are sorted behind the first.
            names = chain([stamp], (f"{stamp}-{number:02}" for number in count(2)))
            self._chosen[parent] = next(
                name for name in names if self._nowhere is not None or self._made(name)
            )
        return self._chosen[parent]

    def _made(self, name: str) -> bool:
        """Whether this call made the directory; False if it was there."""
        place = Path(name).absolute()
        missing = [above for above in (place.parent, place.parent.parent) if not above.exists()]
        try:
            _make(place)
        except FileExistsError:
            if place.is_dir():
                return False
            self._refuse(name, "a file is in the way")
        except OSError as error:
            self._refuse(name, error.strerror or str(error))
        self._own += [place, *missing]
        return True

    def give_back(self) -> None:
        """Remove the directories that were made, where nothing is in them but Hydra's own files."""
        for place in self._own:
            files = [path for path in place.rglob("*") if not path.is_dir()]
            if not all(_HYDRAS.fullmatch(path.relative_to(place).as_posix()) for path in files):
                return
            with contextlib.suppress(OSError):  # one that is not empty has become another's, too
                for path in files:
                    path.unlink()
                for empty in (place / ".hydra", place):
                    if empty.is_dir():
                        empty.rmdir()

    def _refuse(self, name: str, why: str) -> NoReturn:
        """Hydra puts what is raised here into a sentence of its own: it is kept."""
        hint = "let this user write there, or name another place: hydra.run.dir=PATH"
        message = f"the run's directory {name} cannot be made: {why}"
        self.refused = StoreError([problem("disk", message, hint=hint)])
        raise self.refused


def _make(place: Path) -> None:
    """Make a new directory; what is above may be given back by another run meanwhile."""
    for last in (False, False, True):
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.mkdir()
            return
        except FileNotFoundError:
            if last:
                raise
