"""Pin: sources by content, distributions by version, and the contract that follows from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from mlops_compile.compiler.derive import unasked
from mlops_compile.compiler.lower import SOURCE
from mlops_compile.compiler.spec import Data, Spec
from mlops_compile.ir.code import Code
from mlops_compile.ir.contract import Contract, RequestField
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.memo import Memo
from mlops_compile.ir.plan import Plan, Step
from mlops_compile.ir.source import ColumnFact, Pinned, Source
from mlops_compile.steps.columns import Column, class_order, feature_type, left_levels, role_of
from mlops_compile.steps.kinds import KINDS


def pin(
    spec: Spec,
    plan: Plan,
    pinned: Pinned,
    version: Callable[[str], str],
    code: Code | None = None,
    memo: Memo | None = None,
    *,
    others: Iterable[Plan] = (),
) -> Lock:
    """The lock of a plan over a source; `version` gives a distribution's installed version, `code`
    are the user's functions that the plan calls. `others` are plans that a search may come to,
    whose distributions are pinned too."""
    code, shared = code or Code(), memo or Memo()
    used: frozenset[str] = frozenset().union(
        *(
            shared.of("used", (step, code), partial(_used, step, code))
            for each in (plan, *others)
            for step in each.steps
        )
    )
    return Lock(
        plan=plan,
        sources=shared.of("sources", (pinned,), lambda: _sources(pinned)),
        environment=shared.of(
            used, (), lambda: tuple((name, version(name)) for name in sorted(used))
        ),
        contract=shared.of(
            "contract",
            (spec.data, spec.prepare, pinned),
            lambda: contract_of(spec.data, pinned, unasked(spec, pinned)),
        ),
        code=code,
    )


def _used(step: Step, code: Code) -> tuple[str, ...]:
    """The distributions that a step needs."""
    needs = KINDS[step.kind].needs(step.params)
    return (*needs.distributions, *code.distributions(needs.functions))


def _sources(pinned: Pinned) -> tuple[tuple[str, Source], ...]:
    return tuple(sorted([(SOURCE, pinned.source), *pinned.others]))


def contract_of(data: Data, pinned: Pinned, unasked: frozenset[str] = frozenset()) -> Contract:
    """The service's contract: the feature columns that were found, without those that it need not
    be asked for, and the target's classes.

    A field is nullable where its column says so; else where the data has a missing value, or
    where validating may set one missing.
    """
    stated = dict(data.columns)
    request = tuple(
        RequestField(
            name=fact.name,
            type=feature_type(fact, stated.get(fact.name)),
            nullable=_nullable(fact, stated.get(fact.name)),
        )
        for fact in pinned.table.columns
        if fact.name not in (data.target, *unasked) and role_of(stated, fact.name) == "feature"
    )
    levels = left_levels(pinned.levels, stated.get(data.target))
    classes = () if data.task == "regression" else class_order(levels, data.task, data.positive)
    return Contract(request=request, target=data.target, task=data.task, classes=tuple(classes))


def _nullable(fact: ColumnFact, column: Column | None) -> bool:
    if column is None:
        return fact.missing
    if column.nullable is not None:
        return column.nullable
    return fact.missing or column.violation == "missing"
