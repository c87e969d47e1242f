"""Lowering: each step sees its own slice of the config, and nothing else of it."""

from __future__ import annotations

from typing import Any

import pytest

from mlops_compile.compiler.lower import causes, lower
from mlops_compile.compiler.spec import Data, Deploy, Execution, Prepare, Spec, Store
from mlops_compile.ir.lock import plan_value
from mlops_compile.ir.plan import violations
from mlops_compile.ir.schema import Declared, declared, from_value, members, named_type, to_value
from mlops_compile.ir.value import Map, canonical, freeze, leaves, pretty, thaw
from mlops_compile.steps.evaluation import Evaluate
from mlops_compile.steps.kinds import KINDS, slice_of
from mlops_compile.steps.preparations import PREPARATIONS
from mlops_compile.steps.preparations.kind import Shape
from mlops_compile.steps.sources.delimited.options import CsvOptions
from mlops_compile.steps.splits import SPLITS
from tests.strategies import BASE, CSV, plan_of, spec_of, tweak

TRAINING = ("acquire", "validate", "split", "prepare", "train")
BEHIND = {"deploy": Deploy, "evaluate": Evaluate, "store": Store, "execution": Execution}
OTHERS: dict[str, Any] = {
    "evaluate.primary": "log_loss",
    "evaluate.metrics": ["log_loss", "accuracy"],
    "evaluate.gates": {"accuracy": ">= 0.1"},
    "evaluate.cross_validation": {"kind": "random", "folds": 3},
    "evaluate.options": {"beta": 3.0},
    "evaluate.bootstrap": {"resamples": 50},
    "evaluate.segments": ["other"],
    "evaluate.include": ["shap"],
    "deploy.max_seconds": 4.5,
    "deploy.log": {"sensitive": "hash"},
    "deploy.container": {"replicas": 3},
    "execution.memory": 4.5,
}


def other(path: str, item: Declared) -> Any:
    """A valid value that is not the key's default; None if there is no other."""
    if path in OTHERS:
        return OTHERS[path]
    if item.rules.choices:
        rest = [choice for choice in item.rules.choices if choice != item.default]
        return rest[0] if rest else None
    types = members(item.type)
    if int in types:
        return (item.default or 0) + 1
    if bool in types:
        return not item.default
    assert str in types, f"say in OTHERS what else {path} can be"
    return "other"


KEYS = [
    (f"{group}.{item.name}", other(f"{group}.{item.name}", item))
    for group, of in BEHIND.items()
    for item in declared(of)
]


def seen_by_training(values: dict[str, Any]) -> dict[str, Any]:
    plan = plan_of(values)
    return {name: (plan[name].params, plan[name].seed) for name in TRAINING}


@pytest.mark.parametrize(("path", "value"), [key for key in KEYS if key[1] is not None])
def test_no_key_behind_training_reaches_it(path: str, value: Any) -> None:
    changed = tweak(BASE, **{path.replace(".", "__"): value})
    assert spec_of(changed) != spec_of(BASE)
    assert seen_by_training(changed) == seen_by_training(BASE)


def test_almost_every_key_behind_training_was_tried() -> None:
    assert {path for path, value in KEYS if value is None} <= {
        *("deploy.target", "deploy.protocol", "execution.kind", "store.kind"),
    }


def texts_of(values: dict[str, Any]) -> str:
    return "".join(canonical(step.params).decode() for step in plan_of(values).steps)


def test_places_reach_no_step() -> None:
    mark = "zz/zz"
    values = tweak(CSV, data__source__path=mark, store__uri=mark, execution__threads=98761)
    assert mark in str(to_value(spec_of(values)))
    assert mark not in texts_of(values) and "98761" not in texts_of(values)
    assert plan_of(values) == plan_of(CSV)


@pytest.mark.parametrize(
    "path",
    ["acquire", "validate", "split", "inspect", "prepare", "train", "evaluate", "package"],
)
def test_params_are_exactly_what_the_kind_reads(path: str) -> None:
    values = tweak(
        CSV,
        data__columns={"a": {"role": "id"}},
        data__positive="yes",
        prepare__columns={"b": ["one_hot"]},
        evaluate__gates={"accuracy": "> 0.1"},
        deploy__max_records=7,
        model__params__num_leaves=9,
    )
    plan, config = plan_of(values), causes(spec_of(values))
    step = plan[path]
    kind = KINDS[step.kind]
    whole = dict(leaves(config))
    for where, value in leaves(step.params):
        assert whole[where] == value
        assert any(
            all(read in ("*", key) for read, key in zip(reads, where, strict=False))
            for reads in kind.reads
        )
    for where in whole:
        reading = any(
            len(where) >= len(reads)
            and all(read in ("*", key) for read, key in zip(reads, where, strict=False))
            for reads in kind.reads
        )
        assert reading == (where in dict(leaves(step.params)))


def test_slices_follow_stars_and_leave_nothing_empty() -> None:
    config = Map({"a": Map({"x": Map({"p": 1, "q": 2}), "y": Map({"q": 3})}), "b": 4})

    sliced = slice_of(config, (("a", "*", "q"),))
    assert thaw(sliced) == {"a": {"x": {"q": 2}, "y": {"q": 3}}}
    assert thaw(slice_of(config, (("a", "*", "p"), ("c",)))) == {"a": {"x": {"p": 1}}}


@pytest.mark.parametrize("base", [BASE, CSV], ids=["sklearn", "csv"])
def test_a_plan_can_run_and_does_not_depend_on_when_it_is_made(base: dict[str, Any]) -> None:
    plan = plan_of(base)
    assert violations(plan) == ()
    assert [step.name for step in plan.steps] == [
        *("acquire", "validate", "split", "inspect", "prepare", "train", "evaluate", "package"),
    ]
    assert plan_of(dict(reversed(base.items()))) == plan
    assert pretty(plan_value(plan)) == pretty(plan_value(lower(spec_of(base))))


@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_only_steps_that_draw_have_the_seed(seed: int) -> None:
    seeds = {step.name: step.seed for step in plan_of(tweak(BASE, seed=seed)).steps}
    drawing = {"split", "train", "evaluate"}
    assert {name for name, held in seeds.items() if held is not None} == drawing
    assert {seeds[name] for name in drawing} == {seed}
    plain = plan_of(tweak(BASE, seed=seed, evaluate__bootstrap=None))
    assert plain["evaluate"].seed is None
    dealt = tweak(BASE, seed=seed, evaluate={"bootstrap": None, "include": ["permutation"]})
    assert plan_of(dealt)["evaluate"].seed == seed
    by_time = plan_of(tweak(BASE, seed=seed, data__split={"kind": "time", "column": "length"}))
    assert by_time["split"].seed is None


@pytest.mark.parametrize(
    ("change", "looks"),
    [
        ({}, False),
        ({"evaluate__segments": ["length"]}, True),
        ({"data__columns": {"length": {"role": "segment"}}}, True),
        ({"data__columns": {"length": {"role": "weight"}}}, True),
        ({"data__columns": {"length": {"role": "id"}}}, False),
    ],
)
def test_evaluating_takes_the_table_only_for_weights_and_segments(
    change: dict[str, Any], looks: bool
) -> None:
    step = plan_of(tweak(BASE, **change))["evaluate"]
    assert ("table" in dict(step.inputs)) == looks


def test_a_fold_measures_and_does_nothing_else() -> None:
    folds = {"kind": "random", "folds": 3}
    values = tweak(BASE, evaluate__segments=["length"], evaluate__cross_validation=folds)
    plan = plan_of(values)
    one, whole = plan["fold/1/evaluate"], plan["evaluate"]
    assert one.outputs == ("metrics",)
    assert set(whole.outputs) == {"metrics", "predictions", "evaluation"}
    assert thaw(one.params) == {
        "model": {"family": "lightgbm"},
        "evaluate": {"metrics": list(from_value(Evaluate, whole.params["evaluate"]).metrics or ())},
    }
    assert "table" not in dict(one.inputs)
    assert plan["fold/2/train"].params == plan["train"].params


# A key at its default is a key left out


def statements() -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []

    def add(prefix: str, of: type[Any]) -> None:
        for item in declared(of):
            default = to_value(item.default) if not item.required else None
            if not item.required and not isinstance(default, Map):
                names = named_type(item.type) is not None
                found.append((f"{prefix}{item.name}", {} if names else thaw(default)))

    for group, of in {**BEHIND, "prepare": Prepare, "data": Data}.items():
        add(f"{group}__", of)
    add("", Spec)
    add("data__source__options__", CsvOptions)
    add("data__split__", SPLITS["random"].spec)
    return found


@pytest.mark.parametrize(("path", "value"), statements())
def test_a_stated_default_is_no_other_plan(path: str, value: Any) -> None:
    assert plan_of(tweak(CSV, **{path: value})) == plan_of(CSV)


NEEDED = {"clip": {"low": 0.0}, "is_in": {"values": (1.0,)}, "since": {"date": "2020-01-01"}}


@pytest.mark.parametrize("name", sorted(PREPARATIONS))
def test_a_preparations_stated_defaults_are_no_other_plan(name: str) -> None:
    preparation = PREPARATIONS[name]
    sort = preparation.accepts[0]
    given: dict[str, Any] = NEEDED.get(name, {})
    spec = preparation.spec(**given)
    made = preparation.shapes(spec, Shape(sort=sort, missing=True))
    endings = {"categorical": ["category"], "datetime": ["date_parts"]}
    chain = endings.get(made[0].sort, []) if made else []
    options = thaw(to_value(spec))
    shortest = ({name: thaw(freeze(given))},) * 2 if given else (name, {name: None})
    stated, bare, empty = (
        plan_of(tweak(CSV, **{f"prepare__{sort}": [entry, *chain]}))
        for entry in ({name: options}, *shortest)
    )
    assert stated == bare == empty


def test_what_auto_stands_for_is_no_other_plan() -> None:
    chains = thaw(to_value(spec_of(CSV).prepare))
    assert plan_of(tweak(CSV, prepare=chains)) == plan_of(CSV)


def test_a_column_without_a_statement_is_no_other_plan() -> None:
    assert plan_of(tweak(CSV, data__columns={"a": {}, "b": None})) == plan_of(CSV)
    assert plan_of(tweak(CSV, data__columns={"a": {"role": "feature"}})) == plan_of(CSV)
    assert plan_of(tweak(CSV, data__columns={"a": {"role": "id"}})) != plan_of(CSV)
