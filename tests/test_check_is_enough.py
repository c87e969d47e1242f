"""A config that passes the check never fails later for a reason that the check could have seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

import mlops_compile as mc
from mlops_compile.ir.parameter import Parameter
from mlops_compile.ir.problem import CompileError, Problem, ProblemsError
from mlops_compile.steps.columns import ROLES
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.families.lightgbm_rules import PER_FEATURE
from mlops_compile.steps.families.parameters import parameters
from mlops_compile.steps.metrics import METRICS
from tests.project import make, rows

# What only the rows can show: a gate that is not reached, a class or a part that a draw leaves
# without rows, a metric of one class, a column or level that the training part does not have.
OF_THE_ROWS = {"gate", "classes", "metric", "split", "impute", "scale", "no-features"}
TASKS = ("binary", "multiclass", "regression")
CHAINS = {
    "numeric": (
        *("auto", "[]", "[impute]", "[impute, scale]", "[scale]", "[scale, impute]"),
        *("[{impute: {strategy: constant}}]", "[{impute: {strategy: constant, value: 2}}]"),
        *("[{impute: {strategy: constant, value: x}}]", "[{impute: {indicator: true}}, scale]"),
    ),
    "boolean": (
        *("auto", "[]", "[impute]", "[{impute: {strategy: most_frequent}}]"),
        "[{impute: {strategy: mean}}, scale]",
    ),
    "categorical": (
        *("auto", "[]", "[category]", "[ordinal]", "[one_hot]", "[impute, one_hot]"),
        *("[ordinal, impute]", "[{one_hot: {min_count: 5}}]", "[impute, category]"),
        *("[{impute: {strategy: mean}}, one_hot]", "[{impute: {strategy: constant}}, one_hot]"),
        *(
            "[{impute: {strategy: constant, value: x}}, one_hot]",
            "[ordinal, scale, impute]",
        ),
        *("[{ordinal: {order: [Oslo, Rome, Oslo]}}]", "[{ordinal: {order: [Rome, Oslo]}}, impute]"),
    ),
    "datetime": (
        *("auto", "[]", "[date_parts]", "[date_parts, impute, scale]", "[date_parts, impute]"),
        *("[{date_parts: {parts: [hour, day]}}]", "[{date_parts: {parts: [day, day]}}]"),
        "[{date_parts: {parts: []}}]",
    ),
}
# The columns of the project by type; what does not fit them is drawn too.
COLUMNS = {
    "age": "numeric",
    "amount": "numeric",
    "city": "categorical",
    "member": "boolean",
    "since": "datetime",
    "target": "categorical",
    "nowhere": "numeric",
}
# These say how long a fit takes, not whether it can be done.
TOGETHER = (
    *("boosting", "data_sample_strategy", "bagging_freq", "bagging_fraction", "feature_fraction"),
    *("top_rate", "other_rate", "objective", "metric", "alpha", "linear_tree", "zero_as_missing"),
    *("is_unbalance", "scale_pos_weight", "auc_mu_weights", *PER_FEATURE),
    *("solver", "dual", "l1_ratio", "fit_intercept", "positive"),
)
SLOW = ("num_iterations", "max_iter", "max_bin", "num_grad_quant_bins", "bin_construct_sample_cnt")


@st.composite
def _values(draw: st.DrawFn, parameter: Parameter) -> Any:
    if "list" in parameter.types and draw(st.integers(0, 3)):
        types = tuple(kind for kind in parameter.types if kind != "list")
        rest = replace(parameter, types=types)
        size = draw(st.sampled_from([0, 1, 4, 5, 9, 9, 9, 10]))
        return [draw(_values(rest)) for _ in range(size)]
    kind = draw(st.sampled_from([kind for kind in parameter.types if kind != "list"] or ["int"]))
    low = 0 if parameter.low is None else parameter.low
    high = low + 20 if parameter.high is None else parameter.high
    match kind:
        case "bool":
            return draw(st.booleans())
        case "int":
            return draw(st.integers(int(low), max(int(low), min(int(high), int(low) + 30))))
        case "float":
            middle = (low + high) / 2
            return draw(st.sampled_from([middle, (low * 3 + high) / 4, low, high, middle]))
        case _:
            return draw(st.sampled_from(parameter.choices or ("x",)))


@st.composite
def overrides(draw: st.DrawFn) -> list[str]:
    """Valid and nearly valid configs of a small project."""
    task = draw(st.sampled_from(TASKS))
    fitting = [name for name, family in FAMILIES.items() if task in family.tasks]
    family = draw(st.sampled_from([*fitting * 8, *FAMILIES]))
    table = [item for item in parameters(family) if not item.refused and item.name not in SLOW]
    often = [item for item in table if item.name in TOGETHER]
    some = st.sampled_from([*table, *often])
    chosen = draw(st.lists(some, max_size=3, unique_by=lambda item: item.name))
    found = [f"data.task={task}", f"data.source.path={task}.csv", f"model={family}"]
    found += [f"model.params.{item.name}={_text(draw(_values(item)))}" for item in chosen]
    if family == "lightgbm":
        found.append("model.params.num_iterations=4")
    for sort, chains in CHAINS.items():
        if draw(st.integers(0, 5)) == 2:
            found.append(f"prepare.{sort}={draw(st.sampled_from(chains))}")
    found += draw(_columns())
    strata = ["stratified"] * (1 if task == "regression" else 4)
    kind = draw(st.sampled_from([*["random", "time"] * 3, *strata]))
    found.append(f"data.split.kind={kind}")
    column = draw(st.sampled_from([*["since", "amount"] * 5, *COLUMNS]))
    found += [f"data.split.column={column}"] if kind == "time" else []
    test = draw(st.sampled_from([*[0.2, 0.25] * 6, 0.5, 0.5, 0.001, 0.006, 0.999]))
    found.append(f"data.split.test_size={test}")
    validation = draw(st.sampled_from([*[0.0, 0.2] * 4, 0.5, 0.004, 0.79]))
    found.append(f"data.split.validation_size={validation}")
    if draw(st.booleans()):
        usual = [name for name, metric in METRICS.items() if task in metric.tasks]
        some = st.sampled_from([*usual * 8, *METRICS])
        names = draw(st.lists(some, min_size=1, max_size=3, unique=True))
        found.append(f"evaluate.metrics=[{','.join(names)}]")
        if draw(st.booleans()):
            found.append(f"evaluate.gates={{{draw(st.sampled_from(names))}: '>= 0.5'}}")
    return found


@st.composite
def _columns(draw: st.DrawFn) -> list[str]:
    """Lists of their own, types and roles of some columns: mostly those that fit."""
    found = []
    for name, sort in COLUMNS.items():
        rarely = name in ("target", "nowhere")
        if draw(st.integers(0, 79 if rarely else 11)) == 7:
            other = draw(st.sampled_from([*[sort] * 8, *CHAINS]))
            found.append(f"prepare.columns.{name}={draw(st.sampled_from(CHAINS[other]))}")
        if draw(st.integers(0, 79 if rarely else 11)) == 7:
            other = draw(st.sampled_from([*[sort] * 8, *CHAINS]))
            found.append(f"data.columns.{name}.type={other}")
        if draw(st.integers(0, 79 if rarely else 11)) == 7:
            found.append(f"data.columns.{name}.role={draw(st.sampled_from(ROLES))}")
    return found


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = make(tmp_path_factory.mktemp("enough"))
    for task in TASKS:
        (directory / f"{task}.csv").write_text(rows(task, 90), "utf-8")
    yield directory


def _of_the_rows(found: Problem) -> bool:
    # How many levels a column has, and what its targets are, stands in the rows.
    told = ("needs targets", "takes a native category of")
    of_rows = found.code == "training" and any(words in found.message for words in told)
    return found.code in OF_THE_ROWS or of_rows


def _holds(given_overrides: list[str], project: Path) -> None:
    try:
        lock = mc.compile(given_overrides, project=project)
    except CompileError:
        event("refused")
        return
    try:
        mc.run(lock, project=project)
        event("ran")
    except ProblemsError as error:
        late = [found for found in error.problems if not _of_the_rows(found)]
        assert not late, "\n".join(map(str, late))
        event("failed for its rows")


@settings(max_examples=8)
@given(given_overrides=overrides())
def test_what_the_check_passes_runs(given_overrides: list[str], project: Path) -> None:
    _holds(given_overrides, project)


@pytest.mark.slow
@settings(max_examples=1500)
@given(given_overrides=overrides())
def test_what_the_check_passes_runs_at_length(given_overrides: list[str], project: Path) -> None:
    _holds(given_overrides, project)
