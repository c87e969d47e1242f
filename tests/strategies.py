"""Values to test with: hypothesis strategies, and small configs, plans, tables and works."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from mlops_compile.compiler.check import check
from mlops_compile.compiler.fitting import data_problems
from mlops_compile.compiler.lower import lower
from mlops_compile.compiler.pin import pin
from mlops_compile.compiler.spec import Spec
from mlops_compile.ir.config import Composition, Config
from mlops_compile.ir.contract import FEATURE_TYPES, Contract, RequestField
from mlops_compile.ir.digest import Digest
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Plan, Ref, Step, in_order
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.source import STORAGE_TYPES, ColumnFact, Pinned, Source
from mlops_compile.ir.value import Map, freeze, parse, thaw

# Values

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=6)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 1, -1, 0.0, -0.0, 1.0, True, False, "1", "1.0", "true", "null", ""])
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)


def _tables(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(texts, inner, max_size=4)


plain = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | _tables(inner), max_leaves=12
)


def _frozen(value: Any) -> Any:
    try:
        return freeze(value)
    except ValueError:  # two keys that are one in NFC
        return None


values = plain.map(_frozen)
maps = _tables(plain).map(_frozen).filter(lambda value: isinstance(value, Map))


def shuffled(value: Any, turn: int = 1) -> Any:
    """The same plain tree with every table's keys in another order."""
    if isinstance(value, dict):
        items = list(value.items())
        turn = turn % len(items) if items else 0
        return {key: shuffled(item, turn) for key, item in (*items[turn:], *items[:turn])}
    if isinstance(value, list):
        return [shuffled(item, turn) for item in value]
    return value


# Locks

names = st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True)
words = texts.map(lambda text: str(_frozen(text))).filter(bool)
digests = st.builds(
    lambda data, size: Digest(sha256=data.hex(), size=size),
    st.binary(min_size=32, max_size=32),
    st.integers(0, 10**12),
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A plan of some steps, each taking outputs of earlier ones."""
    steps: list[Step] = []
    for name in draw(st.lists(names, unique=True, min_size=1, max_size=5)):
        made = [Ref(step=step.name, output=port) for step in steps for port in step.outputs]
        ports = draw(st.lists(names, unique=True, max_size=3)) if made else []
        steps.append(
            Step(
                name=name,
                kind=draw(names),
                version=draw(st.integers(1, 9)),
                params=draw(maps),
                inputs=tuple((port, draw(st.sampled_from(made))) for port in sorted(ports)),
                outputs=tuple(draw(st.lists(names, unique=True, min_size=1, max_size=3))),
                seed=draw(st.none() | st.integers(0, 2**40)),
                source=draw(st.none() | st.just("data")),
            )
        )
    return Plan(steps=in_order(tuple(steps)))


@st.composite
def sources(draw: st.DrawFn) -> Source:
    columns = draw(st.lists(words, unique=True, max_size=4))
    return Source(
        kind=draw(names),
        location=draw(words),
        digest=draw(digests),
        rows=draw(st.integers(0, 10**9)),
        columns=tuple(
            ColumnFact(
                name=name,
                type=draw(st.sampled_from(STORAGE_TYPES)),
                missing=draw(st.booleans()),
            )
            for name in sorted(columns)
        ),
        files=draw(st.none() | st.integers(1, 9)),
        credentials_env=draw(st.none() | names),
    )


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    task = draw(st.sampled_from(["binary", "multiclass", "regression"]))
    classes = draw(st.lists(words, unique=True, min_size=2, max_size=4))
    return Contract(
        request=tuple(
            RequestField(
                name=name,
                type=draw(st.sampled_from(FEATURE_TYPES)),
                nullable=draw(st.booleans()),
            )
            for name in sorted(draw(st.lists(words, unique=True, max_size=4)))
        ),
        target=draw(words),
        task=task,
        classes=() if task == "regression" else tuple(classes),
    )


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    environment = draw(st.dictionaries(names, words, max_size=3))
    return Lock(
        plan=draw(plans()),
        sources=(("data", draw(sources())),),
        environment=tuple(sorted(environment.items())),
        contract=draw(contracts()),
    )


# Configs

BASE: dict[str, Any] = {
    "seed": 0,
    "data": {
        "name": "iris",
        "target": "target",
        "task": "multiclass",
        "source": {"kind": "sklearn", "options": {"name": "iris"}},
        "split": {"kind": "stratified"},
    },
    "model": {"family": "lightgbm", "params": {"num_iterations": 5}},
}
CSV: dict[str, Any] = {
    **BASE,
    "data": {
        "name": "people",
        "target": "answer",
        "task": "binary",
        "source": {"kind": "csv", "path": "people.csv"},
        "split": {"kind": "random"},
    },
}
# A value in `tweak` that takes its key away.
GONE = object()


def tweak(base: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A copy with some values set, by dotted key with `__` for the dots; GONE takes one away."""
    values = copy.deepcopy(base)
    for path, value in changes.items():
        *groups, name = path.split("__")
        table = values
        for group in groups:
            table = table.setdefault(group, {})
        if value is GONE:
            table.pop(name, None)
        else:
            table[name] = copy.deepcopy(value)
    return values


def config_of(values: Mapping[str, Any]) -> Config:
    """A composed config with these values."""
    composition = Composition(config_name="config", search_path=(), overrides=())
    frozen = freeze(values)
    assert isinstance(frozen, Map)
    return Config(values=frozen, composition=composition)


def spec_of(values: Mapping[str, Any]) -> Spec:
    """The checked spec of these values."""
    return check(config_of(values))


def plan_of(values: Mapping[str, Any]) -> Plan:
    """The plan of these values."""
    return lower(spec_of(values))


def pinned(
    rows: int = 150,
    levels: Sequence[str] = ("setosa", "versicolor", "virginica"),
    location: str = "sklearn:iris",
    **columns: str,
) -> Pinned:
    """A pinned source with these columns (storage types, `?` for missing values)."""
    types = columns or {"length": "float64", "width": "float64?", "target": "string"}
    return Pinned(
        source=Source(
            kind="sklearn",
            location=location,
            digest=Digest(sha256="ab" * 32, size=2734),
            rows=rows,
            columns=tuple(ColumnFact.parse(name, text) for name, text in sorted(types.items())),
        ),
        levels=tuple(levels),
    )


def lock_of(
    values: Mapping[str, Any], facts: Pinned | None = None, version: str | None = None
) -> Lock:
    """The lock of these values over a made-up source; every distribution has one version."""
    spec, facts = spec_of(values), facts or pinned()
    if found := data_problems(spec, facts):
        raise CompileError(found)
    return pin(spec, lower(spec), facts, lambda name: version or "1.0")


def edited(text: str, path: Sequence[str], value: Any) -> str:
    """A JSON text with one value set (GONE: taken away), lists by position."""
    tree: Any = thaw(parse(text))
    *above, name = path
    place = tree
    for key in above:
        place = place[int(key)] if isinstance(place, list) else place[key]
    key = int(name) if isinstance(place, list) else name
    if value is GONE:
        del place[key]
    else:
        place[key] = value
    return json.dumps(tree, indent=1, sort_keys=True)


def places(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The path of every value inside a plain tree."""
    found = []
    items: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = [(str(position), item) for position, item in enumerate(value)]
    for name, item in items:
        found += [(*path, name), *places(item, (*path, name))]
    return found


# Working steps


@dataclass(frozen=True)
class Room:
    """A directory in which a step's function can be called."""

    root: Path

    def work(self, params: Any, inputs: Mapping[str, Path], outputs: Sequence[str], **more: Any):
        from mlops_compile.steps.kind import Work

        self.root.mkdir(parents=True, exist_ok=True)
        frozen = freeze(params)
        assert isinstance(frozen, Map)
        work = Work(
            step="step",
            params=frozen,
            inputs=dict(inputs),
            digests={},
            outputs={name: self.root / name for name in outputs},
            threads=1,
        )
        return replace(work, **more)
