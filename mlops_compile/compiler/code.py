"""Code: the user's functions that a spec names, pinned by what they reach."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from mlops_compile.compiler.read import known, whole
from mlops_compile.compiler.spec import Spec
from mlops_compile.ir.code import Code, FunctionCode, is_function_name, stated_version
from mlops_compile.ir.problem import Problem, problem
from mlops_compile.ir.value import KeyPath


def pin_code(spec: Spec, project: Path) -> tuple[Code, list[Problem]]:
    """The code of every function that a spec names, and what is wrong with it."""
    wanted: dict[str, tuple[str | None, KeyPath]] = {}
    for name, derived in spec.prepare.derive if known(spec.prepare, spec.prepare.derive) else ():
        if whole(derived) and derived.function and is_function_name(derived.function):
            where: KeyPath = ("prepare", "derive", name, "function")
            wanted.setdefault(derived.function, (derived.version, where))
    if not wanted or not known(spec.code, spec.code.roots):
        return Code(), []
    _, first = next(iter(wanted.values()))
    problems = _root_problems(spec.code.roots, project, first)
    found = []
    for function, (version, where) in sorted(wanted.items()) if not problems else ():
        pinned = _pinned(function, version, [project / root for root in spec.code.roots], where)
        if isinstance(pinned, Problem):
            problems.append(pinned)
        else:
            found.append(pinned)
    return Code(roots=spec.code.roots, functions=tuple(found)), problems


def _root_problems(roots: tuple[str, ...], project: Path, where: KeyPath) -> list[Problem]:
    if not roots:
        message = "a function of yours is named, and no directory that holds it"
        hint = "say where your packages are, for example code.roots=[src]"
        return [problem("function", message, where, hint)]
    found = []
    for number, root in enumerate(roots):
        path = PurePosixPath(root)
        here: KeyPath = ("code", "roots", str(number))
        if path.is_absolute() or ".." in path.parts or "\\" in root or ":" in root:
            hint = "name a directory below the project, as code.roots=[src]"
            found.append(problem("function", f"{root!r} leads out of the project", here, hint))
        elif not (project / root).is_dir():
            hint = "roots are relative to the project"
            found.append(problem("function", f"there is no directory {root!r}", here, hint))
    return found


def _pinned(
    function: str, version: str | None, roots: list[Path], where: KeyPath
) -> FunctionCode | Problem:
    from mlops_compile.steps.functions import (  # ast is slow to import
        Unreadable,
        closure,
    )

    try:
        found = closure(roots, function, stated=version is not None)
    except Unreadable as error:
        return problem("function", error.message, where, error.hint)
    names = set()
    for module in found.imports:
        distribution = _distribution(module)
        if distribution is None:
            message = f"{function} imports {module}, which is not installed"
            hint = "install it, or add the directory that holds it to code.roots"
            return problem("function", message, where, hint)
        names.add(distribution)
    digest = found.digest if version is None else stated_version(version)
    return FunctionCode(name=function, digest=digest, distributions=tuple(sorted(names)))


def _distribution(module: str) -> str | None:
    """The distribution that brings a module; of several the first by name."""
    from importlib.metadata import packages_distributions  # slow, and for functions only

    found = packages_distributions().get(module)
    return min(found).lower() if found else None
