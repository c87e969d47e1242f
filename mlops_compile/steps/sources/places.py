"""Where the files of a source are: on this machine, or behind a URI that fsspec knows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.value import KeyPath
from mlops_compile.steps.sources.kind import Files, Stamp, where_is
from mlops_compile.steps.sources.patterns import fixed_part, is_hidden, is_pattern

_PATH: KeyPath = ("data", "source", "path")
_SECRET = re.compile(r"[?&][^=&]*(?:key|pass|pwd|secret|sig|token|credential)[^=&]*=", re.I)


def is_uri(path: str) -> bool:
    """Whether a path names another place than this machine's disk."""
    return "://" in path and not path.startswith("file://")


def path_problems(path: str) -> Iterator[Problem]:
    """What a URI may not hold: secrets, which would stand in the lock, and chains."""
    if "://" not in path:
        return
    parts = urlsplit(path.partition("#")[0])
    if "@" in parts.netloc and ":" in parts.netloc.rpartition("@")[0]:
        yield _refused("holds a password, which would stand in the lock")
    elif _SECRET.search(path):
        yield _refused("holds a signature or a key, which would stand in the lock")
    if "::" in path:
        yield problem("source", "is a chain of URIs", _PATH, "name the one that holds the data")


def _refused(what: str) -> Problem:
    hint = (
        "leave it out: credentials are taken from the environment or the files of the service's"
        " own client (for S3, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws)"
    )
    # Without its place: the line of the config would show the secret.
    return problem("secret", f"data.source.path {what}", hint=hint)


def one_file(path: str, project: Path) -> Files:
    """The one file of a path or URI."""
    if is_uri(path):
        from mlops_compile.steps.sources.remote import one_object  # imports fsspec

        return one_object(path)
    return Files(places=(LocalFile(name="", shown=path, path=local(path, project)),))


def many_files(path: str, project: Path, endings: tuple[str, ...]) -> Files:
    """The file of a path or URI; or all files with these endings in a folder, at any depth; or
    those that a pattern fits (`*`, `?`, `[...]`, `**` for folders)."""
    if is_uri(path):
        from mlops_compile.steps.sources.remote import objects  # imports fsspec

        return objects(path, endings)
    place = local(path, project)
    if place.is_dir():
        found = [item for item in place.rglob("*") if item.name.endswith(endings)]
        return _tree(found, place, path, f"the folder {path} has no file that ends in {endings[0]}")
    if is_pattern(path) and not place.exists():
        root = fixed_part(place.as_posix())
        pattern = place.as_posix()[len(root) :].lstrip("/")
        found = [item for item in Path(root).glob(pattern) if item.is_file()]
        return _tree(found, Path(root), path, f"no file is called {path}")
    return Files(places=(LocalFile(name="", shown=path, path=place),))


def _tree(found: list[Path], root: Path, shown: str, nothing: str) -> Files:
    names = {item.relative_to(root).as_posix(): item for item in found if item.is_file()}
    places = tuple(
        LocalFile(name=name, shown=f"{shown}: {name}", path=names[name])
        for name in sorted(names)
        if not is_hidden(name)
    )
    if not places:
        raise CompileError([problem("no-file", nothing, _PATH)])
    return Files(places=places, tree=True)


def local(path: str, project: Path) -> Path:
    """A path of this machine, as a project names it."""
    if path.startswith("file://"):
        return Path(unquote(urlsplit(path).path))
    return project / path


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFile:
    """A file of this machine. `shown` is what sentences call it."""

    name: str
    shown: str
    path: Path

    @property
    def identity(self) -> str:
        return str(self.path.absolute())

    @property
    def is_gone(self) -> bool:
        try:
            self.path.stat()
        except OSError as error:  # of others `stamp` says that the file cannot be read
            return isinstance(error, FileNotFoundError | NotADirectoryError)
        return False

    def stamp(self) -> Stamp:
        """Device, inode, size and times."""
        try:
            stat = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            message = f"there is no file {self.shown}"
            raise CompileError([problem("no-file", message, _PATH, where_is(self.path))]) from None
        except OSError as error:
            message = f"{self.shown} cannot be read: {error.strerror or error}"
            raise CompileError([problem("source", message, _PATH)]) from None
        if not self.path.is_file():
            raise CompileError([problem("no-file", f"{self.shown} is not a file", _PATH)])
        value = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        return Stamp(value=value, changed=stat.st_mtime_ns)

    def fetch(self, room: Path) -> Path:
        """The file itself."""
        return self.path
