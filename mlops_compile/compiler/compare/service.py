"""Service: what a change does to those who ask it; what may break them is named."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_compile.ir.change import ServiceChange
from mlops_compile.ir.contract import Contract, RequestField
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.value import KeyPath, Map, Value
from mlops_compile.steps.deploy import Deploy

_REQUEST, _RESPONSE = ("request",), ("response",)
_RECORDS = ("deploy", "max_records")


def service_changes(old: Lock, new: Lock) -> tuple[ServiceChange, ...]:
    """What differs for a client, those that may break it first."""
    found = [*_requests(old.contract, new.contract), *_answers(old.contract, new.contract)]
    found += _limits(_most_records(old), _most_records(new))
    return tuple(sorted(found, key=lambda change: not change.breaking))


def _requests(old: Contract, new: Contract) -> Iterator[ServiceChange]:
    before = {field.name: field for field in old.request}
    after = {field.name: field for field in new.request}
    for name in sorted({*before, *after}):
        yield from _field(before.get(name), after.get(name), (*_REQUEST, name))


def _field(
    old: RequestField | None, new: RequestField | None, path: KeyPath
) -> Iterator[ServiceChange]:
    name = path[-1]
    if old is None:
        assert new is not None
        if new.nullable:
            yield _change(path, f"{name} ({new.type}) may be sent", breaking=False)
        else:
            yield _change(path, f"{name} ({new.type}) must be sent, and was not known", True)
    elif new is None:
        yield _change(path, f"{name} ({old.type}) is not known any more, and is refused", True)
    elif old.type != new.type:
        yield _change(path, f"{name} must be {new.type}, and was {old.type}", True)
    elif old.nullable and not new.nullable:
        yield _change(path, f"{name} must be sent, and might be null or left out", True)
    elif new.nullable and not old.nullable:
        yield _change(path, f"{name} may be null or left out", breaking=False)


def _answers(old: Contract, new: Contract) -> Iterator[ServiceChange]:
    if old.target != new.target:
        text = f"what is predicted is called {new.target}, and was {old.target}"
        yield _change((*_RESPONSE, "target"), text, True)
    if old.task != new.task:
        text = f"the answer is that of a {new.task} task, and was of {old.task}"
        yield _change((*_RESPONSE, "task"), text, True)
    elif old.classes != new.classes:
        yield _change((*_RESPONSE, "classes"), _classes(old.classes, new.classes), True)


def _classes(old: tuple[str, ...], new: tuple[str, ...]) -> str:
    gone, more = [c for c in old if c not in new], [c for c in new if c not in old]
    told = [f"without {', '.join(gone)}"] if gone else []
    told += [f"with {', '.join(more)}"] if more else []
    return f"classes are {' and '.join(told)}" if told else "classes are in another order"


def _limits(old: int | None, new: int | None) -> Iterator[ServiceChange]:
    if old is not None and new is not None and old != new:
        text = f"a request may hold {new:,} records, and might hold {old:,}"
        yield _change(_RECORDS, text, breaking=new < old)


def _most_records(lock: Lock) -> int | None:
    """How many records a request may hold; None where nothing is packaged."""
    for step in lock.plan.steps:
        if step.kind == "package":
            deploy = step.params.get("deploy")
            stated: Value = deploy.get("max_records") if isinstance(deploy, Map) else None
            usual: int = Deploy().max_records
            return stated if isinstance(stated, int) else usual
    return None


def _change(path: KeyPath, text: str, breaking: bool) -> ServiceChange:
    return ServiceChange(path=path, text=text, breaking=breaking)
