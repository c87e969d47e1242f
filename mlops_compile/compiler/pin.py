"""Pin: sources by content, distributions by version, and the contract that follows from them."""

from __future__ import annotations

from collections.abc import Callable

from mlops_compile.compiler.derive import unasked
from mlops_compile.compiler.lower import SOURCE
from mlops_compile.compiler.spec import Data, Spec
from mlops_compile.ir.code import Code
from mlops_compile.ir.contract import Contract, RequestField
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Plan
from mlops_compile.ir.source import Pinned
from mlops_compile.steps.columns import class_order, feature_type, role_of
from mlops_compile.steps.kinds import KINDS


def pin(
    spec: Spec,
    plan: Plan,
    pinned: Pinned,
    version: Callable[[str], str],
    code: Code | None = None,
) -> Lock:
    """The lock of a plan over a source; `version` gives a distribution's installed version, `code`
    are the user's functions that the plan calls."""
    code = code or Code()
    needs = [KINDS[step.kind].needs(step.params) for step in plan.steps]
    names = {name for need in needs for name in need.distributions}
    names |= {name for need in needs for name in code.distributions(need.functions)}
    return Lock(
        plan=plan,
        sources=tuple(sorted([(SOURCE, pinned.source), *pinned.others])),
        environment=tuple((name, version(name)) for name in sorted(names)),
        contract=contract_of(spec.data, pinned, unasked(spec, pinned)),
        code=code,
    )


def contract_of(data: Data, pinned: Pinned, unasked: frozenset[str] = frozenset()) -> Contract:
    """The service's contract: the feature columns that were found, without those that it need not
    be asked for, and the target's classes.

    A field is nullable where the data has a missing value.
    """
    stated = dict(data.columns)
    request = tuple(
        RequestField(
            name=fact.name,
            type=feature_type(fact, stated.get(fact.name)),
            nullable=fact.missing,
        )
        for fact in pinned.table.columns
        if fact.name not in (data.target, *unasked) and role_of(stated, fact.name) == "feature"
    )
    classes = (
        () if data.task == "regression" else class_order(pinned.levels, data.task, data.positive)
    )
    return Contract(request=request, target=data.target, task=data.task, classes=tuple(classes))
