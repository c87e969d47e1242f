"""Locking: a config that passed its checks becomes a lock over what is pinned."""

from __future__ import annotations

from collections.abc import Callable, Collection

from mlops_compile.compiler.lower import lower
from mlops_compile.compiler.pin import pin
from mlops_compile.compiler.searching import Variant, settled_values, stated, unfit_variants
from mlops_compile.compiler.spec import Spec, searches
from mlops_compile.ir.code import Code
from mlops_compile.ir.config import Config
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.memo import Memo
from mlops_compile.ir.plan import violations
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.source import Pinned
from mlops_compile.ir.value import Map


def locked(
    config: Config,
    spec: Spec,
    variants: Collection[Variant],
    pinned: Pinned,
    version: Callable[[str], str],
    code: Code,
    memo: Memo,
) -> Lock:
    """The lock of a config and its spec; `variants` are those of its search, `version` gives that
    of a distribution. CompileError where a search's values do not fit the data."""
    if found := unfit_variants(spec, variants, pinned, memo):
        raise CompileError(found)
    plan = lower(spec, memo, stated=searched(config, spec))
    if wrong := violations(plan):
        raise CompileError(wrong)
    others = [lower(variant.spec) for variant in variants]
    return pin(spec, plan, pinned, version, code, memo, others=others)


def searched(config: Config, spec: Spec) -> Map:
    """The causes that a config with a search states; none of any other."""
    return stated(settled_values(config.values)) if searches(spec) else Map()
