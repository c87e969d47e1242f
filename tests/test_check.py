"""Checking: every problem that can be seen without data, all at once, each at its key."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlops_compile.compiler.chains import chain_problem
from mlops_compile.compiler.check import check, check_places
from mlops_compile.compiler.lower import lower
from mlops_compile.compiler.read import Reader
from mlops_compile.ir.plan import violations
from mlops_compile.ir.problem import CompileError, Problem
from mlops_compile.ir.value import freeze, same
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.metrics import METRICS, USUAL
from tests.strategies import (
    BASE,
    CSV,
    GONE,
    config_of,
    lock_of,
    plain,
    plan_of,
    spec_of,
    tweak,
)

LOGISTIC = {"model": {"family": "logistic_regression", "params": {}}}
REGRESSION = {"data__task": "regression", "data__split__kind": "random"}


def problems(values: Any) -> tuple[Problem, ...]:
    with pytest.raises(CompileError) as caught:
        check(config_of(values))
    return caught.value.problems


def found(values: Any) -> set[tuple[str, str]]:
    return {(problem.code, ".".join(problem.where)) for problem in problems(values)}


CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    # keys and types
    "unknown-group": ({"modle": {}}, "unknown-key", "modle"),
    "unknown-key": ({"deploy__max_record": 5}, "unknown-key", "deploy.max_record"),
    "unknown-split-key": ({"data__split__test": 0.1}, "unknown-key", "data.split.test"),
    "unknown-option": (
        {"data__source__options__nmae": "x"},
        "unknown-key",
        "data.source.options.nmae",
    ),
    "unknown-param": ({"model__params__num_leafs": 5}, "unknown-key", "model.params.num_leafs"),
    "wrong-type": ({"deploy__max_records": "many"}, "wrong-type", "deploy.max_records"),
    "wrong-seed": ({"seed": "zero"}, "wrong-type", "seed"),
    "negative-seed": ({"seed": -1}, "out-of-range", "seed"),
    "group-that-is-no-map": ({"evaluate": 5}, "wrong-type", "evaluate"),
    "missing-value": ({"data__target": "???"}, "missing-value", "data.target"),
    "missing-key": ({"data__name": GONE}, "missing-value", "data.name"),
    "missing-group": ({"model": GONE}, "missing-value", "model"),
    "missing-kind": ({"data__split__kind": GONE}, "missing-value", "data.split.kind"),
    "unknown-task": ({"data__task": "ranking"}, "unknown-choice", "data.task"),
    "unknown-kind": ({"data__source__kind": "cvs"}, "unknown-choice", "data.source.kind"),
    "unknown-split": ({"data__split__kind": "stratfied"}, "unknown-choice", "data.split.kind"),
    "unknown-set": (
        {"data__source__options__name": "irs"},
        "unknown-choice",
        "data.source.options.name",
    ),
    "unknown-family": ({"model__family": "lightgmb"}, "unknown-choice", "model.family"),
    "unknown-target": ({"deploy__target": "grpc"}, "unknown-choice", "deploy.target"),
    "out-of-range": ({"data__split__test_size": 1.0}, "out-of-range", "data.split.test_size"),
    "unknown-role": (
        {"data__columns": {"length": {"role": "key"}}},
        "unknown-choice",
        "data.columns.length.role",
    ),
    "unknown-type": (
        {"data__columns": {"length": {"type": "number"}}},
        "unknown-choice",
        "data.columns.length.type",
    ),
    # parameters
    "wrong-param": (
        {"model__params__num_leaves": "many"},
        "wrong-value",
        "model.params.num_leaves",
    ),
    "param-out-of-range": (
        {"model__params__num_leaves": 1},
        "wrong-value",
        "model.params.num_leaves",
    ),
    "refused-param": ({"model__params__bagging_seed": 1}, "refused", "model.params.bagging_seed"),
    "given-twice": (
        {"model__params__n_estimators": 5},
        "given-twice",
        "model.params.n_estimators",
    ),
    # what cannot be together
    "shares": (
        {"data__split__test_size": 0.6, "data__split__validation_size": 0.4},
        "out-of-range",
        "data.split.test_size",
    ),
    "early-stopping": (
        {"model__params__early_stopping_round": 5},
        "impossible",
        "model.params.early_stopping_round",
    ),
    "objective": ({"model__params__objective": "binary"}, "impossible", "model.params.objective"),
    "positive": ({"data__positive": "setosa"}, "impossible", "data.positive"),
    "target-role": (
        {"data__columns": {"target": {"role": "id"}}},
        "impossible",
        "data.columns.target.role",
    ),
    "metric-of-another-task": (
        {"evaluate__metrics": ["roc_auc"]},
        "impossible",
        "evaluate.metrics.0",
    ),
    "unknown-metric": (
        {"evaluate__metrics": ["accuracy", "acc"]},
        "unknown-choice",
        "evaluate.metrics.1",
    ),
    "no-metric": ({"evaluate__metrics": []}, "missing-value", "evaluate.metrics"),
    "primary": ({"evaluate__primary": "balanced_accuracy"}, "impossible", "evaluate.primary"),
    "gate-without-metric": (
        {"evaluate__gates": {"balanced_accuracy": "> 0"}},
        "impossible",
        "evaluate.gates.balanced_accuracy",
    ),
    "gate-that-is-none": (
        {"evaluate__gates": {"accuracy": "high"}},
        "wrong-type",
        "evaluate.gates.accuracy",
    ),
    "gate-that-is-a-number": (
        {"evaluate__gates": {"accuracy": 0.9}},
        "wrong-type",
        "evaluate.gates.accuracy",
    ),
    "gate-of-nothing": (
        {"evaluate__gates": {"accuracy": "> ."}},
        "wrong-type",
        "evaluate.gates.accuracy",
    ),
    # preparations
    "chain-that-is-no-list": ({"prepare__numeric": "scale"}, "wrong-type", "prepare.numeric"),
    "unknown-preparation": ({"prepare__numeric": ["sclae"]}, "unknown-choice", "prepare.numeric.0"),
    "two-in-one": (
        {"prepare__numeric": [{"scale": {}, "impute": {}}]},
        "wrong-type",
        "prepare.numeric.0",
    ),
    "unknown-preparation-option": (
        {"prepare__numeric": [{"impute": {"startegy": "mean"}}]},
        "unknown-key",
        "prepare.numeric.0.impute.startegy",
    ),
    "numeric-on-categorical": (
        {"prepare__categorical": ["scale"]},
        "impossible",
        "prepare.categorical.0",
    ),
    "left-categorical": ({"prepare__categorical": []}, "impossible", "prepare.categorical"),
    "left-datetime": ({"prepare__datetime": []}, "impossible", "prepare.datetime"),
    "second-does-not-fit": (
        {"prepare__categorical": ["one_hot", "ordinal"]},
        "impossible",
        "prepare.categorical.1",
    ),
    "own-unknown": (
        {"prepare__columns": {"length": ["sclae"]}},
        "unknown-choice",
        "prepare.columns.length.0",
    ),
    # places
    "store": ({"store__uri": 5}, "wrong-type", "store.uri"),
    "threads": ({"execution__threads": 0}, "out-of-range", "execution.threads"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_problem_is_reported_at_its_key_and_alone(name: str) -> None:
    change, code, where = CASES[name]
    assert found(tweak(BASE, **change)) == {(code, where)}


@pytest.mark.parametrize(
    ("change", "code", "where"),
    [
        ({**REGRESSION, "data__split__kind": "stratified"}, "impossible", "data.split.kind"),
        ({**REGRESSION, **LOGISTIC}, "impossible", "model.family"),
        ({"model": {"family": "ridge"}}, "impossible", "model.family"),
        ({**REGRESSION, "data__positive": 1}, "impossible", "data.positive"),
        ({**LOGISTIC, "prepare__numeric": []}, "impossible", "prepare.numeric"),
        ({**LOGISTIC, "prepare__numeric": ["scale"]}, "impossible", "prepare.numeric"),
        ({**LOGISTIC, "prepare__categorical": ["ordinal"]}, "impossible", "prepare.categorical"),
        ({**LOGISTIC, "prepare__categorical": ["category"]}, "impossible", "prepare.categorical"),
        ({**LOGISTIC, "prepare__datetime": ["date_parts"]}, "impossible", "prepare.datetime"),
        (
            {"model": {"family": "logistic_regression", "params": {"solver": "liblinear"}}},
            "impossible",
            "model.params.solver",
        ),
        (
            {"model": {"family": "logistic_regression", "params": {"l1_ratio": 0.5}}},
            "impossible",
            "model.params.l1_ratio",
        ),
        (
            {
                **REGRESSION,
                "model": {"family": "ridge", "params": {"positive": True, "solver": "svd"}},
            },
            "impossible",
            "model.params.positive",
        ),
        ({"model__params": {"boosting": "rf"}}, "impossible", "model.params.boosting"),
    ],
    ids=str,
)
def test_what_cannot_be_together_is_reported(change: Any, code: str, where: str) -> None:
    assert found(tweak(BASE, **change)) == {(code, where)}


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"deploy__max_record": 5}, "max_records"),
        ({"model__params__num_leavs": 5}, "num_leaves"),
        ({"data__split__kind": "stratfied"}, "stratified"),
        ({"model__family": "lightgmb"}, "lightgbm"),
        ({"evaluate__metrics": ["acuracy"]}, "accuracy"),
        ({"prepare__numeric": ["imptue"]}, "impute"),
        ({"data__source__options__name": "irs"}, "iris"),
    ],
    ids=str,
)
def test_the_nearest_name_is_suggested(change: dict[str, Any], hint: str) -> None:
    (problem,) = problems(tweak(BASE, **change))
    assert hint in problem.hint


def apart(one: str, other: str) -> bool:
    """Whether two cases change other groups of keys, so that both can stand in one config."""
    first, second = CASES[one][0], CASES[other][0]
    return not any(
        a == b or a.startswith(f"{b}__") or b.startswith(f"{a}__")
        for a, b in itertools.product(first, second)
    )


# Without a task, a family or a split's kind, nothing is said of what depends on them.
BLIND = {
    *("unknown-task", "missing-value", "missing-key", "missing-group", "missing-kind"),
    *("unknown-kind", "unknown-split", "unknown-set", "unknown-family"),
}
ANYWAY = ("unknown-key", "unknown-split-key", "wrong-seed", "wrong-type", "unknown-preparation")


def judged(one: str, other: str) -> bool:
    """Whether both problems of a pair can be known at once."""
    changed = " ".join((*CASES[one][0], *CASES[other][0]))
    if {one, other} & BLIND:
        seen = {one, other} & set(ANYWAY)
        return bool(seen) and not ("unknown-split-key" in seen and "split__kind" in changed)
    # early stopping hangs on the split, gates and the primary metric on the metrics
    return not ("early_stopping" in changed and "split" in changed) and not (
        "evaluate__metrics" in changed and changed.count("evaluate__") > 1
    )


@pytest.mark.parametrize("name", CASES)
def test_two_problems_are_reported_at_once(name: str) -> None:
    others = [other for other in CASES if apart(name, other) and judged(name, other)]
    assert others
    for other in others:
        values = tweak(tweak(BASE, **CASES[name][0]), **CASES[other][0])
        assert found(values) == {CASES[name][1:], CASES[other][1:]}, other


def test_many_problems_are_reported_at_once() -> None:
    together = [
        *("unknown-key", "unknown-param", "wrong-param", "positive", "unknown-metric", "threads"),
        *("numeric-on-categorical", "unknown-preparation", "target-role", "wrong-seed"),
    ]
    values = BASE
    for name in together:
        values = tweak(values, **CASES[name][0])
    assert found(values) == {CASES[name][1:] for name in together}


# What is right


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"data__split": {"kind": "random", "validation_size": 0.2}},
        {"data__split": {"kind": "time", "column": "length"}},
        LOGISTIC,
        {**REGRESSION, "model": {"family": "ridge"}},
        {**REGRESSION},
        {"data__task": "binary", "data__positive": True},
        {"data__task": "binary", "data__positive": 1},
        {"model__params": {"early_stopping_round": 5}, "data__split__validation_size": 0.1},
        {"model__params": {"early_stopping_round": None, "num_leaves": None}},
        {"model": {"family": "lightgbm", "params": None}},
        {"evaluate__metrics": ["log_loss", "accuracy"], "evaluate__primary": "accuracy"},
        {"evaluate__gates": {"accuracy": ">=0.5", "log_loss": " < 1e0 ", "macro_f1": None}},
        {"prepare__categorical": ["one_hot"]},
        {"prepare__numeric": [{"impute": {"strategy": "constant", "value": 0}}, "scale"]},
        {"prepare__columns": {"length": ["category"], "width": [], "x": "auto"}},
        {**LOGISTIC, "prepare__categorical": ["ordinal", "impute"]},
        {**LOGISTIC, "prepare__datetime": [{"date_parts": {"parts": ["hour"]}}, "impute"]},
        {"data__columns": {"length": {"type": "numeric"}, "width": {"role": "ignore"}, "x": None}},
        {"execution__threads": 2, "store__uri": "x", "deploy__name": "svc"},
    ],
    ids=str,
)
def test_a_valid_config_is_no_problem(change: dict[str, Any]) -> None:
    assert violations(plan_of(tweak(BASE, **change))) == ()


@pytest.mark.parametrize("base", [BASE, CSV], ids=["sklearn", "csv"])
def test_what_is_left_open_is_settled(base: dict[str, Any]) -> None:
    spec = spec_of(base)
    assert spec.evaluate.metrics == USUAL[spec.data.task]
    assert spec.evaluate.primary == USUAL[spec.data.task][0]
    assert spec.deploy.name == spec.data.name
    chains = FAMILIES["lightgbm"].chains
    for sort in ("numeric", "boolean", "categorical", "datetime"):
        assert getattr(spec.prepare, sort) == chains[sort]


@pytest.mark.parametrize(
    ("alias", "main", "value"),
    [
        ("n_estimators", "num_iterations", 7),
        ("num_round", "num_iterations", 7),
        ("eta", "learning_rate", 0.3),
        ("min_child_samples", "min_data_in_leaf", 3),
        ("reg_lambda", "lambda_l2", 1.5),
    ],
)
def test_an_alias_is_its_main_name(alias: str, main: str, value: Any) -> None:
    one, other = (
        {**BASE, "model": {"family": "lightgbm", "params": {n: value}}} for n in (alias, main)
    )
    assert spec_of(one) == spec_of(other)
    assert lock_of(one) == lock_of(other)


def test_a_whole_number_is_the_number_where_numbers_are_meant() -> None:
    def params(value: Any) -> Any:
        return spec_of(tweak(BASE, model__params={"learning_rate": value})).model.params

    assert same(params(1), params(1.0))
    leaves = spec_of(tweak(BASE, model__params={"num_leaves": 31})).model.params
    assert same(leaves, freeze({"num_leaves": 31}))


@pytest.mark.parametrize("text", [">=0.90", ">= 0.9", "  >=  .9", ">= 9e-1", ">= +0.9"])
def test_a_gate_has_one_form(text: str) -> None:
    spec = spec_of(tweak(BASE, evaluate__gates={"accuracy": text}))
    assert spec.evaluate.gates == freeze({"accuracy": ">= 0.9"})


def test_metrics_are_for_tasks_that_there_are() -> None:
    for metric in METRICS.values():
        assert metric.tasks and set(metric.tasks) <= set(USUAL)
    for task, names in USUAL.items():
        assert all(task in METRICS[name].tasks for name in names)


# Anything


@st.composite
def valid(draw: st.DrawFn) -> dict[str, Any]:
    """Small configs without a problem."""
    family = draw(st.sampled_from(sorted(FAMILIES)))
    task = draw(st.sampled_from(FAMILIES[family].tasks))
    kinds = ["random", "time"] + (["stratified"] if task != "regression" else [])
    split: dict[str, Any] = {"kind": draw(st.sampled_from(kinds))}
    if split["kind"] == "time":
        split["column"] = "length"
    if draw(st.booleans()):
        split["test_size"] = draw(st.sampled_from([0.1, 0.25, 0.5]))
    if draw(st.booleans()):
        split["validation_size"] = draw(st.sampled_from([0, 0.0, 0.1, 0.4]))
    data = {**BASE["data"], "task": task, "split": split}
    if draw(st.booleans()):
        data["columns"] = draw(
            st.dictionaries(
                st.sampled_from(["length", "width"]),
                st.fixed_dictionaries(
                    {},
                    optional={
                        "type": st.just("numeric"),
                        "role": st.sampled_from(["id", "feature"]),
                    },
                ),
            )
        )
    chain = [{"impute": draw(st.sampled_from([{}, {"strategy": "mean"}, {"indicator": True}]))}]
    chain += draw(st.sampled_from([[], ["scale"], [{"scale": {"kind": "standard"}}]]))
    metrics = [name for name, metric in METRICS.items() if task in metric.tasks]
    return {
        "seed": draw(st.integers(0, 2**40)),
        "data": data,
        "model": {"family": family},
        "prepare": draw(st.sampled_from([{}, {"numeric": chain}, {"columns": {"width": chain}}])),
        "evaluate": draw(
            st.just({})
            | st.lists(st.sampled_from(metrics), min_size=1, unique=True).map(
                lambda names: {"metrics": names, "gates": {names[0]: "> 0.1"}}
            )
        ),
        "deploy": draw(st.sampled_from([{}, {"max_records": 5}, {"name": "x"}])),
    }


@given(valid())
def test_valid_configs_lower_to_plans_that_can_run(values: dict[str, Any]) -> None:
    spec = spec_of(values)
    assert violations(lower(spec)) == ()
    assert lower(spec) == lower(spec_of(values))


@given(
    st.sampled_from(
        ["seed", "data", "data__source", "data__split", "data__columns", "data__positive", "model",
         "model__params", "model__family", "prepare", "prepare__numeric", "prepare__columns",
         "evaluate", "evaluate__metrics", "evaluate__gates", "deploy", "store", "execution"]
    ),
    plain,
)  # fmt: skip
def test_any_value_anywhere_is_checked_or_reported(path: str, value: Any) -> None:
    """Never another exception."""
    try:
        values = config_of(tweak(BASE, **{path: value}))
    except ValueError:  # no canonical form: two keys that are one in NFC
        return
    try:
        assert violations(lower(check(values))) == ()
    except CompileError as error:
        assert all(problem.message and problem.where for problem in error.problems)


@given(plain, plain)
def test_places_are_found_whatever_else_is_wrong(model: Any, data: Any) -> None:
    try:
        config = config_of({"model": model, "data": data, "store": {"uri": "there"}})
    except ValueError:
        return
    places = check_places(config)
    store, execution = places.store, places.execution
    assert (store.uri, execution.threads) == ("there", None)


def test_places_that_are_wrong_are_reported_together() -> None:
    config = config_of({"store": {"uri": 5}, "execution": {"threads": "x"}})
    with pytest.raises(CompileError) as caught:
        check_places(config)
    assert {p.where for p in caught.value.problems} == {("store", "uri"), ("execution", "threads")}


def test_an_own_list_is_followed_from_the_stated_type() -> None:
    values = tweak(BASE, prepare__columns={"length": ["one_hot"]})
    assert spec_of(values)
    typed = tweak(values, data__columns={"length": {"type": "numeric"}})
    assert found(typed) == {("impossible", "prepare.columns.length.0")}


def test_what_needs_a_faulty_value_is_not_judged() -> None:
    split = {"kind": "random", "validation_size": "0.1"}
    stopping = tweak(BASE, data__split=split, model__params__early_stopping_round=5)
    assert found(stopping) == {("wrong-type", "data.split.validation_size")}
    forest = tweak(BASE, model__params={"boosting": "rf", "baging_freq": 1})
    assert found(forest) == {("unknown-key", "model.params.baging_freq")}


@pytest.mark.parametrize(
    ("metric", "gate", "reached"),
    [
        ("accuracy", ">= 1", True),
        ("accuracy", "> 1", False),
        ("accuracy", "< 0", False),
        ("accuracy", ">= 1.01", False),
        ("accuracy", ">= -0.5", False),
        ("log_loss", "<= 12", True),
        ("log_loss", "< 0", False),
    ],
)
def test_a_gate_lies_in_the_metrics_range(metric: str, gate: str, reached: bool) -> None:
    values = tweak(BASE, evaluate__metrics=[metric], evaluate__gates={metric: gate})
    if reached:
        assert spec_of(values)
    else:
        assert found(values) == {("out-of-range", f"evaluate.gates.{metric}")}


@pytest.mark.parametrize(
    ("uri", "code"),
    [("s3://x/y", "impossible"), ("~/store", "impossible"), ("", "missing-value")],
)
def test_a_store_is_a_directory_of_this_machine(uri: str, code: str) -> None:
    assert found(tweak(BASE, store__uri=uri)) == {(code, "store.uri")}


LISTS = [[], ["scale"], ["one_hot"], ["ordinal"], ["date_parts"], ["category"], ["impute"]]


@pytest.mark.parametrize("family", list(FAMILIES))
@pytest.mark.parametrize("sort", ["numeric", "boolean", "categorical", "datetime"])
def test_a_list_that_is_offered_is_one_that_works(family: str, sort: str) -> None:
    for first, second in itertools.product(LISTS, LISTS):
        given: Any = freeze([{name: {}} for name in (*first, *second)])
        problem = chain_problem(given, sort, FAMILIES[family], ("c",))  # type: ignore[arg-type]
        if problem is not None:
            offered = problem.hint.removeprefix("for example ").strip("'").removeprefix("c=")
            chain = Reader().chain(freeze(yaml.safe_load(offered)), ("c",))
            assert chain_problem(chain, sort, FAMILIES[family], ("c",)) is None  # type: ignore[arg-type]
