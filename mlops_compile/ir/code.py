"""The user's own functions, as a lock pins them: by the code that they reach."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mlops_compile.ir.digest import is_sha256
from mlops_compile.ir.value import Map, Value

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+\Z")
_STATED = "version "


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class FunctionCode:
    """A function: `package.module.name`; the digest of the code that it reaches (or `version X`,
    where the config states one in its place); and the distributions that this code imports."""

    name: str
    digest: str
    distributions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not is_function_name(self.name):
            raise ValueError(f"{self.name!r} is not package.module.name")
        if not is_sha256(self.digest) and not self.stated:
            raise ValueError(f"{self.digest!r} is neither a sha256 nor a version")

    @property
    def stated(self) -> bool:
        """Whether a version stands in place of the code."""
        return self.digest.startswith(_STATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The functions of a plan, by name, and the directories that hold their packages, relative to
    the project and in the order in which they are searched."""

    roots: tuple[str, ...] = ()
    functions: tuple[FunctionCode, ...] = ()

    def digests(self, names: Iterable[str]) -> Map:
        """The digests of some functions. KeyError for one that is not here."""
        table = {function.name: function.digest for function in self.functions}
        return Map({name: table[name] for name in names})

    def distributions(self, names: Iterable[str]) -> tuple[str, ...]:
        """What some functions import."""
        wanted = {*names}
        return tuple(
            sorted({d for f in self.functions if f.name in wanted for d in f.distributions})
        )

    def to_dict(self) -> Map:
        functions = {
            function.name: Map({"digest": function.digest, "distributions": function.distributions})
            for function in self.functions
        }
        return Map({"roots": self.roots, "functions": Map(functions)})

    @classmethod
    def from_dict(cls, value: Value) -> Code:
        """The code of a lock. ValueError for anything that `to_dict` does not write."""
        if not isinstance(value, Map) or set(value) != {"roots", "functions"}:
            raise ValueError("`code` holds `roots` and `functions`, and nothing else")
        functions = value["functions"]
        if not isinstance(functions, Map):
            raise ValueError("`code.functions` is an object")
        found = [_function(name, item) for name, item in functions.items()]
        return cls(roots=_texts(value["roots"], "code.roots"), functions=tuple(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedCode:
    """The code of a lock, and where its roots lie on this machine."""

    code: Code
    roots: tuple[Path, ...]


def is_function_name(text: str) -> bool:
    """Whether a text can name a function: `package.name` at least."""
    return bool(_NAME.match(text))


def stated_version(version: str) -> str:
    """What stands in place of a digest where the config states a version."""
    return f"{_STATED}{version}"


def _function(name: str, value: Value) -> FunctionCode:
    if not isinstance(value, Map) or set(value) != {"digest", "distributions"}:
        raise ValueError(f"`code.functions.{name}` holds `digest` and `distributions`")
    listed = _texts(value["distributions"], f"code.functions.{name}.distributions")
    return FunctionCode(name=name, digest=str(value["digest"]), distributions=listed)


def _texts(value: Value, what: str) -> tuple[str, ...]:
    if not isinstance(value, tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"`{what}` is a list of texts")
    return tuple(str(item) for item in value)
