"""Recompile: a lock from the causes that locks hold, by the passes that compile any config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mlops_compile.compiler.check import check_further, check_variants
from mlops_compile.compiler.fitting import data_problems
from mlops_compile.compiler.locking import locked
from mlops_compile.compiler.lower import SOURCE
from mlops_compile.compiler.sources import together
from mlops_compile.compiler.spec import Spec
from mlops_compile.compiler.verify import NOWHERE, config_of
from mlops_compile.ir.code import Code
from mlops_compile.ir.config import Config
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.memo import Memo
from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.source import Source
from mlops_compile.ir.value import Map


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """What a lock pins: its sources, the levels of the target in them, versions of distributions,
    and the user's functions. There may be more versions and functions than a config needs."""

    sources: Mapping[str, Source]
    levels: tuple[str, ...]
    versions: Mapping[str, str]
    code: Code

    @classmethod
    def of(cls, lock: Lock) -> Pins:
        """Those of a lock."""
        return cls(
            sources=dict(lock.sources),
            levels=tuple(sorted(lock.contract.classes)),
            versions=dict(lock.environment),
            code=lock.code,
        )

    def version(self, name: str) -> str:
        """That of a distribution. CompileError where none is pinned."""
        if name in self.versions:
            return self.versions[name]
        message = f"no version of {name} is pinned"
        raise CompileError([problem("environment", message, ("environment", name))])


def recompiled(values: Map, pins: Pins) -> Lock:
    """The lock of a config over these pins. CompileError with what is wrong, or is not pinned."""
    config, memo = Config(values=values, composition=NOWHERE), Memo()
    spec, problems = check_further(config, memo)
    variants, more = check_variants(config, problems)
    if problems or more:
        raise CompileError(dict.fromkeys((*problems, *more)))
    if SOURCE not in pins.sources:
        raise CompileError([problem("lock", "must hold the source `data`", ("sources",))])
    pinned = together(spec.data, pins.sources, pins.levels)
    if found := data_problems(spec, pinned, memo):
        raise CompileError(found)
    return locked(config, spec, variants, pinned, pins.version, _called(spec, pins.code), memo)


def again(lock: Lock) -> Lock:
    """A lock compiled from what it holds itself: the same, if compiling wrote it. CompileError
    where it does not compile."""
    return recompiled(config_of(lock), Pins.of(lock))


def _called(spec: Spec, code: Code) -> Code:
    """Of the functions those that a config calls."""
    names = {derived.function for _, derived in spec.prepare.derive if derived.function}
    if not names:
        return Code()
    functions = tuple(function for function in code.functions if function.name in names)
    if missing := sorted(names - {function.name for function in functions}):
        message = f"the code of {missing[0]} is not pinned"
        raise CompileError([problem("function", message, ("code", "functions"))])
    return replace(code, functions=functions)
