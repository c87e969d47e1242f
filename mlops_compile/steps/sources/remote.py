"""Objects behind URIs, through fsspec: listed, stamped and fetched; what fails is a sentence."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec

from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.value import KeyPath
from mlops_compile.steps.sources.kind import Files, Stamp
from mlops_compile.steps.sources.patterns import fixed_part, is_hidden, is_pattern

_PATH: KeyPath = ("data", "source", "path")
# The extra of this distribution that brings the driver of a protocol.
_EXTRAS: Mapping[str, str] = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "abfs": "azure",
    "abfss": "azure",
    "az": "azure",
    "adl": "azure",
}
# What services tell of an object that changes with its bytes; or at least with each writing.
_CERTAIN = ("ETag", "etag", "VersionId", "version_id", "generation", "md5Hash", "content_md5")
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "created", "modified")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """An object. `shown` is its URI; `name` its path below the source's."""

    name: str
    shown: str
    path: str
    files: Any

    @property
    def identity(self) -> str:
        return self.shown

    @property
    def is_gone(self) -> bool:
        """Whether it cannot be looked at from here, for whatever reason."""
        try:
            self.stamp()
        except CompileError:
            return True
        return False

    def stamp(self) -> Stamp:
        """Its size and what the service tells of its version."""
        with _sentences(self.shown):
            self.files.invalidate_cache()
            info = self.files.info(self.path)
        if info.get("type") == "directory":
            raise CompileError([problem("no-file", f"{self.shown} is not a file", _PATH)])
        told = [str(info[key]) for key in (*_CERTAIN, *_TIMES) if info.get(key)]
        return Stamp(value=(str(info.get("size")), *told) if told else ())

    def fetch(self, room: Path) -> Path:
        """A copy of it below `room`."""
        copy = room / (self.name or "object")
        copy.parent.mkdir(parents=True, exist_ok=True)
        with _sentences(self.shown):
            self.files.get_file(self.path, str(copy))
        return copy


def one_object(uri: str) -> Files:
    """The one object of a URI."""
    files, path = _opened(uri)
    return Files(places=(RemoteFile(name="", shown=uri, path=path, files=files),))


def objects(uri: str, endings: tuple[str, ...]) -> Files:
    """The object of a URI, or all below it with these endings, or those that a pattern fits."""
    files, path = _opened(uri)
    with _sentences(uri):
        files.invalidate_cache()
        if is_pattern(uri):
            root = fixed_part(path)
            found = [item for item in files.glob(path) if not files.isdir(item)]
        elif files.isfile(path):
            return one_object(uri)
        else:
            root = path.rstrip("/")
            found = [item for item in files.find(root) if item.endswith(endings)]
    names = {item[len(root) :].lstrip("/"): item for item in found}
    protocol = uri.partition("://")[0]
    places = tuple(
        RemoteFile(name=name, shown=f"{protocol}://{names[name]}", path=names[name], files=files)
        for name in sorted(names)
        if not is_hidden(name)
    )
    if not places:
        hint = f"of a folder, files that end in {endings[0]} are taken"
        raise CompileError([problem("no-file", f"there is no object {uri}", _PATH, hint)])
    return Files(places=places, tree=True)


def _opened(uri: str) -> tuple[Any, str]:
    with _sentences(uri):
        files, path = fsspec.core.url_to_fs(uri)
    return files, str(path)


@contextlib.contextmanager
def _sentences(uri: str) -> Iterator[None]:
    """What a driver raises, as a problem: each raises errors of its own libraries."""
    protocol = uri.partition("://")[0]
    try:
        yield
    except CompileError:
        raise
    except ImportError as error:
        extra = _EXTRAS.get(protocol)
        hint = f"python -m pip install 'mlops_compile[{extra}]'" if extra else str(error)
        message = f"{protocol}:// needs a package that is not installed"
        raise CompileError([problem("source", message, _PATH, hint)]) from None
    except FileNotFoundError as error:
        hint = "the bucket does not exist" if "bucket does not exist" in str(error) else ""
        raise CompileError([problem("no-file", f"there is no object {uri}", _PATH, hint)]) from None
    except Exception as error:
        raise CompileError([_told(error, uri, protocol)]) from None


def _told(error: Exception, uri: str, protocol: str) -> Any:
    name = type(error).__name__
    text = (str(error).strip().splitlines() or [name])[0][:200]
    if isinstance(error, ValueError) and "Protocol not known" in text:
        message = f"there is no protocol {protocol!r}"
        return problem("source", message, _PATH, "for example s3://, gs://, abfs://, https://")
    hint = "is the service there, and can it be reached from here?"
    if "Credentials" in name or "credentials" in text.lower():
        message = f"{uri} cannot be read: there are no credentials for it here"
        hint = "set them in the environment, or in the files of the service's own client"
        if protocol in ("s3", "s3a"):
            hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials"
        return problem("source", message, _PATH, hint)
    if isinstance(error, PermissionError):
        hint = "may these credentials read it?"
    message = f"{uri} cannot be read: {text}"
    return problem("source", message, _PATH, hint)
