"""Merging: the locks of a sweep's points as one, in which each distinct step stands once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from mlops_compile.ir.code import Code, FunctionCode
from mlops_compile.ir.contract import Contract
from mlops_compile.ir.key import Needs, key_of, plan_preimage
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.memo import Memo
from mlops_compile.ir.plan import Plan, Ref, Step, in_order
from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.source import Source
from mlops_compile.ir.value import canonical

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A point to merge: its number, its lock, and the plan key of each of its steps."""

    number: int
    lock: Lock
    keys: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """One lock for all points; for each point, in their order, what its steps are called there."""

    lock: Lock
    names: tuple[Mapping[str, str], ...]
    keys: Mapping[str, str]


def plan_keys(lock: Lock, needs: Callable[[Step], Needs], memo: Memo) -> dict[str, str]:
    """The plan key of each step of a lock. A step that many locks of one memo have in common, over
    the same inputs, gets its key once."""
    keys: dict[str, str] = {}
    for step in lock.plan.steps:
        inputs = {port: f"{keys[ref.step]}.{ref.output}" for port, ref in step.inputs}
        needed = memo.of("needs", (step,), lambda step=step: needs(step))  # type: ignore[misc]
        outer = (
            lock.environment,
            lock.code,
            lock.sources if step.source else None,
            lock.contract if needed.contract else None,
        )
        keys[step.name] = memo.of(
            ("key", *inputs.values()),
            (step, *outer),
            lambda lock=lock, step=step, needed=needed, inputs=inputs: key_of(  # type: ignore[misc]
                plan_preimage(lock, step, needed, inputs)
            ),
        )
    return keys


def merge(parts: Sequence[Part]) -> Merged:
    """The lock of all parts. A step that they all have keeps its name, any other is called
    `point/N/NAME` by the first point that has it: names are in no key.

    CompileError where they hold two versions of a distribution, or two codes of one function.
    """
    names, owners = _names(parts)
    sources, called = _sources(parts)
    first = parts[0].lock
    steps: list[Step] = []
    contracts: list[tuple[str, Contract]] = []
    for (name, key), part in owners.items():
        own = names[name, key]
        step = part.lock.plan[name]
        steps.append(_renamed(step, own, part, names, called))
        if part.lock.contract is not first.contract and part.lock.contract != first.contract:
            contracts.append((own, part.lock.contract))
    return Merged(
        lock=Lock(
            plan=Plan(steps=in_order(tuple(steps))),
            sources=sources,
            environment=_united((part.lock.environment for part in parts), "the distribution"),
            contract=first.contract,
            code=_code(parts),
            contracts=tuple(sorted(contracts, key=lambda item: item[0])),
        ),
        names=tuple({name: names[name, key] for name, key in part.keys.items()} for part in parts),
        keys={names[item]: item[1] for item in owners},
    )


def _names(
    parts: Sequence[Part],
) -> tuple[dict[tuple[str, str], str], dict[tuple[str, str], Part]]:
    """What each distinct step is called, and the first part that has it."""
    owners: dict[tuple[str, str], Part] = {}
    counts: dict[tuple[str, str], int] = {}
    for part in parts:
        for item in part.keys.items():
            owners.setdefault(item, part)
            counts[item] = counts.get(item, 0) + 1
    shared = {item for item, count in counts.items() if count == len(parts)}
    names = {
        item: item[0] if item in shared else f"point/{part.number}/{item[0]}"
        for item, part in owners.items()
    }
    return names, owners


def _sources(
    parts: Sequence[Part],
) -> tuple[tuple[tuple[str, Source], ...], dict[tuple[int, str], str]]:
    """Every distinct source by name, and what a part's source is called."""
    found: dict[tuple[str, bytes], str] = {}
    sources: dict[str, Source] = {}
    called: dict[tuple[int, str], str] = {}
    known: dict[int, dict[str, str]] = {}  # parts that share their sources share the tuple
    for part in parts:
        table = known.get(id(part.lock.sources))
        if table is None:
            table = known[id(part.lock.sources)] = {}
            for name, source in part.lock.sources:
                item = (name, canonical(source.to_dict()))
                if item not in found:
                    own = name if name not in sources else f"point/{part.number}/{name}"
                    found[item], sources[own] = own, source
                table[name] = found[item]
        called |= {(part.number, name): own for name, own in table.items()}
    return tuple(sorted(sources.items())), called


def _renamed(
    step: Step,
    name: str,
    part: Part,
    names: Mapping[tuple[str, str], str],
    called: Mapping[tuple[int, str], str],
) -> Step:
    inputs = tuple(
        (port, Ref(step=names[ref.step, part.keys[ref.step]], output=ref.output))
        for port, ref in step.inputs
    )
    source = step.source and called[part.number, step.source]
    return replace(step, name=name, inputs=inputs, source=source)


def _united(tables: Iterator[tuple[tuple[str, T], ...]], what: str) -> tuple[tuple[str, T], ...]:
    """All entries of tables, each of which has one value."""
    found: dict[str, T] = {}
    seen: set[int] = set()
    for table in tables:
        if id(table) in seen:
            continue
        seen.add(id(table))
        for name, value in table:
            if found.setdefault(name, value) != value:
                message = f"points of one sweep hold {what} {name} twice: {found[name]} and {value}"
                hint = "run these points apart from each other"
                raise CompileError([problem("environment", message, hint=hint)])
    return tuple(sorted(found.items(), key=lambda item: item[0]))


def _code(parts: Sequence[Part]) -> Code:
    functions: Iterator[tuple[tuple[str, FunctionCode], ...]] = (
        tuple((function.name, function) for function in part.lock.code.functions) for part in parts
    )
    united = _united(functions, "the function")
    roots = dict.fromkeys(root for part in parts for root in part.lock.code.roots)
    return Code(roots=tuple(roots), functions=tuple(function for _, function in united))
