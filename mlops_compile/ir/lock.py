"""The lock: a plan with its causes pinned; its one text form, and its strict reading."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, TypeVar

from mlops_compile.ir.code import Code
from mlops_compile.ir.contract import Contract
from mlops_compile.ir.digest import Digest
from mlops_compile.ir.interned import Interned
from mlops_compile.ir.lock_format import FORMAT, check_format, upgraded
from mlops_compile.ir.memo import Memo
from mlops_compile.ir.plan import Plan, Ref, Step, in_order, violations
from mlops_compile.ir.problem import LOCK_HINT, CompileError, Problem, problem
from mlops_compile.ir.source import ColumnFact, Source
from mlops_compile.ir.value import KeyPath, Map, Value, parse, pretty

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Lock:
    """Causes only: what keys are computed from, and nothing that follows from it.

    `environment` holds the version of every distribution that a step of the plan depends on;
    `contracts`, by step, those of steps whose contract is another (in a run of many plans).
    """

    plan: Plan
    sources: tuple[tuple[str, Source], ...]
    environment: tuple[tuple[str, str], ...]
    contract: Contract
    code: Code = field(default_factory=Code)
    contracts: tuple[tuple[str, Contract], ...] = ()

    def contract_of(self, step: str) -> Contract:
        """The contract that a step is made for."""
        return self._contracts.get(step, self.contract)

    @cached_property
    def _contracts(self) -> dict[str, Contract]:
        return dict(self.contracts)

    def source(self, name: str) -> Source:
        return dict(self.sources)[name]

    @cached_property
    def text(self) -> str:
        """Its one form: canonical JSON, one key a line, sorted, a newline at the end."""
        return pretty(to_value(self))

    @cached_property
    def digest(self) -> str:
        """The plan's digest: the sha256 of the lock's bytes."""
        return hashlib.sha256(self.text.encode("utf-8")).hexdigest()

    def _repr_html_(self) -> str:
        rows = [
            (step.name, step.kind, ", ".join(str(ref) for _, ref in step.inputs))
            for step in self.plan.steps
        ]
        return html_table(("step", "kind", "inputs"), rows, caption=f"plan {self.digest[:12]}")


def encode(lock: Lock) -> str:
    """The lock's text, which `decode` reads."""
    return lock.text


def to_value(lock: Lock) -> Map:
    """The lock as a frozen value. Without functions of the user it has no `code`."""
    return lock_value(lock, Memo())


def lock_value(lock: Lock, memo: Memo) -> Map:
    """The same; what locks of one memo share is one object in their values."""
    steps = {
        step.name: memo.of("step", (step,), partial(_step_value, step)) for step in lock.plan.steps
    }
    value: dict[str, Value] = {
        "format": FORMAT,
        "contract": memo.of("contract", (lock.contract,), lock.contract.to_dict),
        "environment": memo.of("table", (lock.environment,), lambda: Map(lock.environment)),
        "sources": memo.of("sources", (lock.sources,), lambda: _sources_value(lock)),
        "steps": Map(steps),
    }
    if lock.code.functions:
        value["code"] = memo.of("code", (lock.code,), lock.code.to_dict)
    if lock.contracts:
        value["contracts"] = Map({name: item.to_dict() for name, item in lock.contracts})
    return Map(value)


def _sources_value(lock: Lock) -> Map:
    return Map({name: source.to_dict() for name, source in lock.sources})


def plan_value(plan: Plan) -> Map:
    """A plan's steps as a frozen value, by name."""
    return Map({step.name: _step_value(step) for step in plan.steps})


def _step_value(step: Step) -> Map:
    value: dict[str, Value] = {
        "kind": step.kind,
        "version": step.version,
        "params": step.params,
        "inputs": Map({port: str(ref) for port, ref in step.inputs}),
        "outputs": step.outputs,
    }
    if step.seed is not None:
        value["seed"] = step.seed
    if step.source is not None:
        value["source"] = step.source
    return Map(value)


def decode(text: str, name: str = "the lock") -> Lock:
    """The lock of a text; CompileError with every problem, each with its key path.

    `name` is what messages call the file.
    """
    return read_value(parse_document(text, name), name)


def parse_document(text: str, name: str, interned: Interned | None = None) -> Map:
    """The object of a lock's text, of a format that is known. Documents that are `interned` alike
    share the objects of steps that are equal in them."""
    try:
        value = parse(text) if interned is None else interned.parse(text, "steps")
    except ValueError as error:
        raise CompileError([_broken(name, error)]) from None
    if not isinstance(value, Map):
        raise CompileError([problem("lock", f"{name} holds no JSON object")])
    check_format(value, name)
    return value


def read_value(value: Map, name: str, memo: Memo | None = None) -> Lock:
    """The lock of an object, whose format may be an older one. Those of one memo share what is made
    of the same objects."""
    reading = Reading(name, memo)
    lock = reading.lock(upgraded(value))
    if reading.problems or lock is None:
        raise CompileError(reading.problems)
    if found := violations(lock.plan):
        raise CompileError(found)
    return lock


def _broken(name: str, error: Exception) -> Problem:
    line = f" (line {error.lineno})" if hasattr(error, "lineno") else ""
    return problem(
        "lock",
        f"{name} is not whole JSON{line}: {str(error).split(': line')[0]}",
        hint="restore it from version control, or write it again with `mlops-compile compile`",
    )


class Reading:
    """Reads a lock's value and collects every problem on the way."""

    def __init__(self, name: str, memo: Memo | None = None) -> None:
        self.name = name
        self.problems: list[Problem] = []
        self._memo = memo or Memo()

    def fault(self, where: KeyPath, message: str) -> None:
        self.problems.append(problem("lock", f"{self.name}: {message}", where, hint=LOCK_HINT))

    def get(self, value: Map, name: str, kind: type[T], where: KeyPath, default: Any = None) -> T:
        found = value.get(name)
        if isinstance(found, kind) and not (kind is int and isinstance(found, bool)):
            return found
        if name in value or default is None:
            was = "is missing" if name not in value else f"is not {_NAMES[kind]}"
            self.fault((*where, name), was)
        empty: Any = kind() if default is None else default
        return empty  # type: ignore[no-any-return]

    def make(self, where: KeyPath, build: Callable[[], T]) -> T | None:
        try:
            return build()
        except (ValueError, KeyError, TypeError) as error:
            self.fault(where, str(error.args[0]) if error.args else str(error))
            return None

    def only(self, value: Map, known: set[str], where: KeyPath) -> None:
        for name in sorted(set(value) - known):
            self.fault((*where, name), f"this key is not known in format {FORMAT}")

    def lock(self, value: Map) -> Lock | None:
        known = {"format", "code", "contract", "contracts", "environment", "sources", "steps"}
        self.only(value, known, ())
        shared = self._memo
        code = shared.of("code", (value.get("code"),), lambda: self.code(value))
        contract_value = self.get(value, "contract", Map, ())
        contract = shared.of("contract", (contract_value,), partial(self.contract, contract_value))
        others = self.get(value, "contracts", Map, ()) if "contracts" in value else Map()
        contracts = [
            (name, self.make(("contracts", name), partial(Contract.from_dict, item)))
            for name in others
            for item in [self.get(others, name, Map, ("contracts",))]
        ]
        environment = self.get(value, "environment", Map, ())
        versions = shared.of("table", (environment,), lambda: self.versions(environment))
        sources = self.get(value, "sources", Map, ())
        pinned = shared.of("sources", (sources,), lambda: self.sources(sources))
        table = self.get(value, "steps", Map, ())
        steps = [
            shared.of(
                ("step", name), (table[name], sources), partial(self.step, table, name, sources)
            )
            for name in table
        ]
        if self.problems or contract is None:
            return None
        return Lock(
            plan=Plan(steps=in_order(tuple(step for step in steps if step))),
            sources=pinned,
            environment=versions,
            contract=contract,
            code=code,
            contracts=tuple((name, found) for name, found in contracts if found),
        )

    def code(self, value: Map) -> Code:
        if "code" not in value:
            return Code()
        return self.make(("code",), lambda: Code.from_dict(value["code"])) or Code()

    def contract(self, value: Map) -> Contract | None:
        return self.make(("contract",), lambda: Contract.from_dict(value))

    def versions(self, environment: Map) -> tuple[tuple[str, str], ...]:
        for dist in environment:
            self.get(environment, dist, str, ("environment",))
        return tuple((dist, str(version)) for dist, version in environment.items())

    def sources(self, table: Map) -> tuple[tuple[str, Source], ...]:
        pinned = [(name, self.source(table, name)) for name in table]
        return tuple((name, source) for name, source in pinned if source)

    def texts(self, value: Map, name: str, where: KeyPath) -> tuple[str, ...]:
        """A list of texts."""
        found = self.get(value, name, tuple, where)
        if not all(isinstance(item, str) for item in found):
            self.fault((*where, name), "is not a list of texts")
        return tuple(str(item) for item in found)

    def source(self, sources: Map, name: str) -> Source | None:
        where = ("sources", name)
        value = self.get(sources, name, Map, ("sources",))
        known = {
            "kind",
            "location",
            "digest",
            "size",
            "rows",
            "columns",
            "files",
            "credentials_env",
        }
        self.only(value, known, where)
        sha256 = self.get(value, "digest", str, where)
        size = self.get(value, "size", int, where)
        digest = self.make((*where, "digest"), lambda: Digest(sha256=sha256, size=size))
        columns = self.get(value, "columns", Map, where)
        facts = [
            self.make((*where, "columns", column), partial(ColumnFact.parse, column, str(text)))
            for column, text in columns.items()
        ]
        kind, location = (
            self.get(value, "kind", str, where),
            self.get(value, "location", str, where),
        )
        rows = self.get(value, "rows", int, where)
        files = self.get(value, "files", int, where) if "files" in value else None
        name = "credentials_env"
        credentials = self.get(value, name, str, where) if name in value else None
        if digest is None or None in facts:
            return None
        return self.make(
            where,
            lambda: Source(
                kind=kind,
                location=location,
                digest=digest,
                rows=rows,
                columns=tuple(fact for fact in facts if fact),
                files=files,
                credentials_env=credentials,
            ),
        )

    def step(self, table: Map, name: str, sources: Map) -> Step | None:
        if (found := _whole_step(name, table[name], sources)) is not None:
            return found
        where = ("steps", name)
        value = self.get(table, name, Map, ("steps",))
        self.only(value, _STEP_KEYS, where)
        kind = self.get(value, "kind", str, where)
        version = self.get(value, "version", int, where)
        params = self.get(value, "params", Map, where)
        ports = self.get(value, "inputs", Map, where)
        inputs = [
            (port, self.make((*where, "inputs", port), partial(Ref.parse, str(text))))
            for port, text in ports.items()
        ]
        outputs = self.get(value, "outputs", tuple, where)
        seed = self.get(value, "seed", int, where) if "seed" in value else None
        source = self.get(value, "source", str, where) if "source" in value else None
        if source is not None and source not in sources:
            self.fault((*where, "source"), f"there is no source {source!r}")
        return self.make(
            where,
            lambda: Step(
                name=name,
                kind=kind,
                version=version,
                params=params,
                inputs=tuple((port, ref) for port, ref in inputs if ref),
                outputs=tuple(str(output) for output in outputs),
                seed=seed,
                source=source,
            ),
        )


_STEP_KEYS = {"kind", "version", "params", "inputs", "outputs", "seed", "source"}


def _whole_step(name: str, value: Value, sources: Map) -> Step | None:
    """The step of a value; None where anything is wrong with it, which reading it says in words."""
    if type(value) is not Map or not value.keys() <= _STEP_KEYS:
        return None
    kind, version, seed = value.get("kind"), value.get("version"), value.get("seed")
    params, inputs, outputs = value.get("params"), value.get("inputs"), value.get("outputs")
    source = value.get("source")
    whole = type(kind) is str and type(version) is int and type(params) is Map
    whole = whole and type(inputs) is Map and type(outputs) is tuple
    whole = whole and ("seed" not in value or type(seed) is int)
    whole = whole and ("source" not in value or (type(source) is str and source in sources))
    if not whole:
        return None
    try:
        return Step(
            name=name,
            kind=kind,  # type: ignore[arg-type]
            version=version,  # type: ignore[arg-type]
            params=params,  # type: ignore[arg-type]
            inputs=tuple([(port, Ref.parse(text)) for port, text in inputs.items()]),  # type: ignore[union-attr, arg-type]
            outputs=outputs,  # type: ignore[arg-type]
            seed=seed,  # type: ignore[arg-type]
            source=source,  # type: ignore[arg-type]
        )
    except (ValueError, AttributeError, TypeError):
        return None


_NAMES = {str: "text", int: "a whole number", Map: "an object", tuple: "a list"}


def html_table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """A small HTML table, for notebooks."""

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(f"<{tag}>{_escape(cell)}</{tag}>" for cell in row)

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    top = f"<caption>{_escape(caption)}</caption><tr>{cells('th', head)}</tr>"
    return f"<table>{top}{body}</table>"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
