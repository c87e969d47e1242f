"""A small repository that two branches change: a config of groups with options, data, code, an
environment; and the lock that compiling a state of it gives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from mlops_compile.api import compiling
from mlops_compile.ir.config import Composition, Config
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.value import Map, Value, canonical, freeze, pick
from tests.project import rows
from tests.strategies import GONE

FUNCTION = "def worth(age, amount):\n    return None if age is None else age + amount * {factor}\n"
_REFERENCE = re.compile(r"\$\{([a-z_.]+)\}")

# A state: options of groups and which is chosen, values of one's own over these, the number of rows
# in the data, a number in the code, and installed versions. `${a.b}` is a reference.
State = Mapping[str, Any]
BASE: State = {
    "option": {
        "data": {
            "shop": {
                "name": "shop",
                "target": "target",
                "task": "binary",
                "source": {"kind": "csv", "path": "rows.csv"},
                "split": {"kind": "random", "test_size": 0.25, "validation_size": 0.2},
            },
        },
        "model": {
            "lightgbm": {"family": "lightgbm", "params": {"num_iterations": 5, "num_leaves": 9}},
            "slow": {"family": "lightgbm", "params": {"num_iterations": 8, "learning_rate": 0.02}},
            "logistic": {"family": "logistic_regression"},
            "hist": {"family": "hist_gradient_boosting", "params": {"max_iter": 5}},
        },
        "prepare": {"auto": {}, "plain": {"numeric": ["impute"], "boolean": ["impute"]}},
        "evaluate": {"default": {}, "strict": {"metrics": ["f1", "accuracy"], "train": True}},
        "deploy": {"http": {"target": "http"}},
        "search": {
            "none": {"kind": "none"},
            "random": {
                "kind": "random",
                "trials": 3,
                "cv": {"folds": 2},
                "space": {"model": {"params": {"max_depth": {"low": 2, "high": 5}}}},
            },
        },
    },
    "chosen": {
        "data": "shop",
        "model": "lightgbm",
        "prepare": "auto",
        "evaluate": "default",
        "deploy": "http",
        "search": "none",
    },
    "own": {"seed": 0},
    "rows": 240,
    "factor": 2,
    "versions": {},
}
# A change: values by dotted path of a state; GONE takes one away.
Change = Mapping[str, Any]


def changed(state: State, *changes: Change) -> State:
    """The state with some changes, one after the other."""
    for change in changes:
        for path, value in change.items():
            state = _set(state, tuple(path.split(".")), value)
    return state


def _set(table: Mapping[str, Any], path: tuple[str, ...], value: Any) -> Mapping[str, Any]:
    name, *rest = path
    inner = table.get(name)
    if rest:
        below = inner if isinstance(inner, Mapping) else {}
        return {**table, name: _set(below, tuple(rest), value)}
    left = {key: item for key, item in table.items() if key != name}
    return left if value is GONE else {**left, name: value}


def values_of(state: State) -> Map | None:
    """The config of a state, composed; None where it refers to what is not there."""
    values: dict[str, Any] = {}
    for group, name in state["chosen"].items():
        values[group] = state["option"][group][name]
    frozen = freeze(_over(values, state["own"]))
    assert isinstance(frozen, Map)
    try:
        resolved = _resolved(frozen, frozen)
    except KeyError:
        return None
    assert isinstance(resolved, Map)
    return resolved


def _over(below: Any, above: Any) -> Any:
    """Values laid over others, as Hydra does it."""
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    both = {name: _over(below[name], item) for name, item in above.items() if name in below}
    return {**below, **above, **both}


def _resolved(value: Value, config: Map) -> Value:
    if isinstance(value, Map):
        return Map({name: _resolved(item, config) for name, item in value.items()})
    if isinstance(value, tuple):
        return tuple(_resolved(item, config) for item in value)
    if not isinstance(value, str):
        return value
    if whole := _REFERENCE.fullmatch(value):
        return pick(config, tuple(whole[1].split(".")))
    return _REFERENCE.sub(lambda found: str(pick(config, tuple(found[1].split(".")))), value)


class Branches:
    """Compiles states, each once. `root` is where their projects lie."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._made: dict[bytes, Lock | None] = {}

    def lock(self, state: State) -> Lock | None:
        """The lock of a state; None where it does not compile."""
        key = canonical(freeze(state))
        if key not in self._made:
            self._made[key] = self._compiled(state)
        return self._made[key]

    def _compiled(self, state: State) -> Lock | None:
        project = self.root / f"{state['rows']}-{state['factor']}"
        if not project.exists():
            (project / "src" / "shop").mkdir(parents=True)
            (project / "src" / "shop" / "__init__.py").write_text("", "utf-8")
            code = FUNCTION.format(factor=state["factor"])
            (project / "src" / "shop" / "rates.py").write_text(code, "utf-8")
            (project / "rows.csv").write_text(rows(count=state["rows"]), "utf-8")
            (project / "conf").mkdir()
            (project / "conf" / "config.yaml").write_text("seed: 0\n", "utf-8")
        places = (str(project / "conf"),)
        composition = Composition(config_name="config", search_path=places, overrides=())
        installed = compiling.needed_version
        versions = state["versions"]
        with mock.patch.object(
            compiling, "needed_version", lambda name: versions.get(name) or installed(name)
        ):
            if (values := values_of(state)) is None:
                return None
            try:
                config = Config(values=values, composition=composition)
                return compiling.compile_config(config, project).lock
            except CompileError:
                return None
