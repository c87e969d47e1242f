"""The user's own functions: the code that they reach, read without running it, and its import."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from mlops_compile.ir.code import LocatedCode
from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.value import Map, Value, canonical

_DOMAIN = b"mlops-compile/code/v1\0"
_DYNAMIC = ("__import__", "importlib", "runpy", "pkgutil", "exec", "eval", "compile", "__file__")


class Unreadable(Exception):
    """The code of a function cannot be told by reading it: why, and what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """The code that a function reaches inside of the roots: files by path, as canonical text
    (without comments and docstrings), and the modules that it imports from elsewhere."""

    files: Mapping[str, str]
    imports: tuple[str, ...]

    @property
    def digest(self) -> str:
        """The sha256 of the files."""
        return hashlib.sha256(_DOMAIN + canonical(Map(self.files))).hexdigest()


def closure(roots: Sequence[Path], function: str, *, stated: bool = False) -> Closure:
    """The code that a function reaches. Unreadable where reading cannot tell it, or where there is
    no such function. `stated`: a version is stated, so that its modules may import as they like;
    all of its package is taken then."""
    reading = _Reading(roots=roots, stated=stated)
    module, _, name = function.rpartition(".")
    tree = reading.module(module)
    if tree is None:
        where = ", ".join(str(root) for root in roots)
        message = f"there is no module {module} in {where or 'code.roots'}"
        raise Unreadable(message, "name it package.module.name, below a directory of code.roots")
    if name not in _names(tree):
        defined = ", ".join(sorted(_functions(tree))) or "none"
        message = f"the module {module} has no function {name!r}"
        raise Unreadable(message, f"its functions: {defined}")
    if stated:
        reading.package(module.partition(".")[0])
    return Closure(files=dict(sorted(reading.files.items())), imports=tuple(sorted(reading.other)))


@dataclass(slots=True, kw_only=True)
class _Reading:
    """Follows imports from module to module."""

    roots: Sequence[Path]
    stated: bool
    files: dict[str, str] = field(default_factory=dict)
    other: set[str] = field(default_factory=set)
    trees: dict[str, ast.Module | None] = field(default_factory=dict)

    def module(self, name: str) -> ast.Module | None:
        """Read a module with its packages and all that it imports; None where there is none."""
        if name in self.trees:
            return self.trees[name]
        self.trees[name] = None
        parent = name.rpartition(".")[0]
        if parent:
            self.module(parent)
        found = self._find(name)
        if found is None:
            return None
        path, file = found
        try:
            tree = ast.parse(file.read_bytes(), str(path))
        except (SyntaxError, ValueError, OSError) as error:
            line = f" (line {error.lineno})" if isinstance(error, SyntaxError) else ""
            hint = "mend it, or name another function"
            raise Unreadable(f"{path}{line} cannot be read: {_cause(error)}", hint) from None
        self.trees[name] = tree
        if not self.stated:
            _refuse_dynamic(tree, path)
        self._imports(tree, name, is_package=path.endswith("/__init__.py"))
        self.files[path] = canonical_text(tree)
        return tree

    def package(self, name: str) -> None:
        """Read every module of a package."""
        for root in self.roots:
            for file in sorted((root / name).rglob("*.py")):
                parts = file.relative_to(root).with_suffix("").parts
                self.module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))

    def _find(self, name: str) -> tuple[str, Path] | None:
        """A module's file, and its path below its root."""
        stem = name.replace(".", "/")
        for root in self.roots:
            for path in (f"{stem}/__init__.py", f"{stem}.py"):
                if (root / path).is_file():
                    return path, root / path
            if found := [*root.glob(f"{stem}.*.so"), *root.glob(f"{stem}.py[cd]")]:
                message = f"the module {name} has no source: {found[0].name}"
                raise Unreadable(message, "write the function in Python, or install the package")
        return None

    def _imports(self, tree: ast.Module, name: str, *, is_package: bool) -> None:
        package = name if is_package else name.rpartition(".")[0]
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self._imported(alias.name)
            elif isinstance(node, ast.ImportFrom):
                base = _absolute(node, package)
                self._imported(base)
                for alias in node.names if self._inside(base) else ():
                    self.module(f"{base}.{alias.name}")  # or a name of the module

    def _imported(self, name: str) -> None:
        if self._inside(name):
            if self.module(name) is None and not self._is_directory(name):
                raise Unreadable(f"there is no module {name}", "mend the import")
            return
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names:
            self.other.add(top)

    def _inside(self, name: str) -> bool:
        top = name.partition(".")[0]
        return self._is_directory(top) or any((root / f"{top}.py").is_file() for root in self.roots)

    def _is_directory(self, name: str) -> bool:
        return any((root / name.replace(".", "/")).is_dir() for root in self.roots)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    kept = parts[: len(parts) - node.level + 1]
    if not kept or not package:
        raise Unreadable("an import leads out of its package", "import by the whole name")
    return ".".join([*kept, *([node.module] if node.module else [])])


def _refuse_dynamic(tree: ast.Module, path: str) -> None:
    """Unreadable for what can reach code or files that reading does not see."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Name):
            names = [node.id]
        elif isinstance(node, ast.Import):
            names = [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [(node.module or "").partition(".")[0]]
        if found := [name for name in names if name in _DYNAMIC]:
            line = getattr(node, "lineno", 0)
            message = f"{path}, line {line}: {found[0]} can reach code that reading does not see"
            hint = "import by name, or state a version beside the function, and raise it by hand"
            raise Unreadable(message, hint)


def _names(tree: ast.Module) -> set[str]:
    """The names that a module binds by definitions, assignments and imports."""
    found = set(_functions(tree))
    for node in tree.body:
        if isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
    return found


def _functions(tree: ast.Module) -> list[str]:
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


def canonical_text(tree: ast.Module) -> str:
    """A module's text without comments and docstrings, which change nothing of what it does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                if isinstance(first.value.value, str):
                    node.body[:1] = [] if len(node.body) > 1 else [ast.Pass()]
    return unicodedata.normalize("NFC", ast.unparse(tree)) + "\n"


def _cause(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return error.msg if isinstance(error, SyntaxError) else str(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Functions:
    """Files of the user's code by path, and the versions of the distributions they import."""

    files: Mapping[str, str]
    versions: Mapping[str, str]

    @classmethod
    def verified(cls, located: LocatedCode, names: Sequence[str]) -> Functions | None:
        """The code of functions, as the lock pins it; None for no function. StepError where it is
        another, or cannot be read."""
        files: dict[str, str] = {}
        pinned = {function.name: function for function in located.code.functions}
        for name in names:
            where, hint = ("code", "functions", name), "compile again"
            try:
                found = closure(located.roots, name, stated=pinned[name].stated)
            except Unreadable as error:
                raise StepError(
                    [problem("function-changed", error.message, where, error.hint)]
                ) from None
            if not pinned[name].stated and found.digest != pinned[name].digest:
                message = f"the code of {name} has changed since the lock was written"
                raise StepError([problem("function-changed", message, where, hint)])
            files |= found.files
        if not names:
            return None
        from importlib.metadata import version  # slow to import, and for functions only

        wanted = located.code.distributions(names)
        return cls(files=files, versions={item: version(item) for item in wanted})

    def to_value(self) -> Map:
        files: dict[str, Value] = {**self.files}
        versions: dict[str, Value] = {**self.versions}
        return Map({"files": Map(files), "versions": Map(versions)})


@contextmanager
def imported(files: Mapping[str, str]) -> Iterator[Callable[[str], Callable[..., object]]]:
    """Modules of these files can be imported inside of the block, whatever else has their names;
    gives a function that looks one up by `package.module.name`."""
    finder = _Finder(files)
    tops = {path.partition("/")[0].removesuffix(".py") for path in files}
    before = _taken(tops)
    sys.meta_path.insert(0, finder)
    try:
        yield _looked_up
    finally:
        sys.meta_path.remove(finder)
        _taken(tops)
        sys.modules.update(before)


def _looked_up(name: str) -> Callable[..., object]:
    module, _, attribute = name.rpartition(".")
    found: Callable[..., object] = getattr(importlib.import_module(module), attribute)
    return found


def _taken(tops: set[str]) -> dict[str, ModuleType]:
    """Take modules out of sys.modules."""
    names = [name for name in sys.modules if name.partition(".")[0] in tops]
    return {name: sys.modules.pop(name) for name in names}


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds modules among texts."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        stem = fullname.replace(".", "/")
        for file, is_package in ((f"{stem}/__init__.py", True), (f"{stem}.py", False)):
            if file in self._files:
                return importlib.util.spec_from_loader(fullname, self, is_package=is_package)
        if any(file.startswith(f"{stem}/") for file in self._files):
            spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = []
            return spec
        return None

    def is_package(self, fullname: str) -> bool:
        return f"{fullname.replace('.', '/')}/__init__.py" in self._files

    def get_source(self, fullname: str) -> str:
        stem = fullname.replace(".", "/")
        return self._files.get(f"{stem}/__init__.py") or self._files[f"{stem}.py"]
