"""A config that passes the check never fails later for a reason that the check could have seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

import mlops_compile as mc
from mlops_compile.ir.parameter import Parameter
from mlops_compile.ir.problem import CompileError, ProblemsError
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.families.parameters import parameters
from mlops_compile.steps.metrics import METRICS
from tests.project import make, rows

# What only the rows can show: a gate that is not reached, a class or a part that a draw leaves
# without rows, a metric of one class, a column or level that the training part does not have.
OF_THE_ROWS = {"gate", "classes", "metric", "split", "impute", "scale", "no-features"}
TASKS = ("binary", "multiclass", "regression")
CHAINS = {
    "numeric": ("auto", "[]", "[impute]", "[impute, scale]", "[scale]", "[scale, impute]"),
    "boolean": ("auto", "[]", "[impute]", "[{impute: {strategy: most_frequent}}]"),
    "categorical": (
        *("auto", "[]", "[category]", "[ordinal]", "[one_hot]", "[impute, one_hot]"),
        *("[ordinal, impute]", "[{one_hot: {min_count: 5}}]", "[impute, category]"),
    ),
    "datetime": ("auto", "[]", "[date_parts]", "[date_parts, impute, scale]"),
}
# These say how long a fit takes, not whether it can be done.
SLOW = ("num_iterations", "max_iter", "max_bin", "num_grad_quant_bins", "bin_construct_sample_cnt")


@st.composite
def _values(draw: st.DrawFn, parameter: Parameter) -> Any:
    kind = draw(st.sampled_from([kind for kind in parameter.types if kind != "list"] or ["int"]))
    low = 0 if parameter.low is None else parameter.low
    high = low + 20 if parameter.high is None else parameter.high
    match kind:
        case "bool":
            return draw(st.booleans())
        case "int":
            return draw(st.integers(int(low), max(int(low), min(int(high), int(low) + 30))))
        case "float":
            return draw(st.sampled_from([low, high, (low + high) / 2, (low * 3 + high) / 4]))
        case _:
            return draw(st.sampled_from(parameter.choices or ("x",)))


@st.composite
def overrides(draw: st.DrawFn) -> list[str]:
    """Valid and nearly valid configs of a small project."""
    task = draw(st.sampled_from(TASKS))
    fitting = [name for name, family in FAMILIES.items() if task in family.tasks]
    family = draw(st.sampled_from([*fitting * 4, *FAMILIES]))
    table = [item for item in parameters(family) if not item.refused and item.name not in SLOW]
    chosen = draw(st.lists(st.sampled_from(table), max_size=3, unique_by=lambda item: item.name))
    found = [f"data.task={task}", f"data.source.path={task}.csv", f"model={family}"]
    found += [f"model.params.{item.name}={_text(draw(_values(item)))}" for item in chosen]
    if family == "lightgbm":
        found.append("model.params.num_iterations=4")
    for sort, chains in CHAINS.items():
        if draw(st.integers(0, 3)) == 0:
            found.append(f"prepare.{sort}={draw(st.sampled_from(chains))}")
    kind = draw(st.sampled_from(["random", "random", "stratified", "time"]))
    found.append(f"data.split.kind={kind}")
    found += ["data.split.column=since"] if kind == "time" else []
    found.append(f"data.split.test_size={draw(st.sampled_from([0.2, 0.25, 0.5]))}")
    found.append(f"data.split.validation_size={draw(st.sampled_from([0.0, 0.2, 0.5]))}")
    if draw(st.booleans()):
        usual = [name for name, metric in METRICS.items() if task in metric.tasks]
        names = draw(st.lists(st.sampled_from([*usual * 4, *METRICS]), min_size=1, unique=True))
        found.append(f"evaluate.metrics=[{','.join(names)}]")
        if draw(st.booleans()):
            found.append(f"evaluate.gates={{{draw(st.sampled_from(names))}: '>= 0.5'}}")
    return found


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = make(tmp_path_factory.mktemp("enough"))
    for task in TASKS:
        (directory / f"{task}.csv").write_text(rows(task, 90), "utf-8")
    yield directory


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
        late = {found.code for found in error.problems} - OF_THE_ROWS
        assert not late, "\n".join(map(str, error.problems))
        event("failed for its rows")


@settings(max_examples=40)
@given(given_overrides=overrides())
def test_what_the_check_passes_runs(given_overrides: list[str], project: Path) -> None:
    _holds(given_overrides, project)


@pytest.mark.slow
@settings(max_examples=1500)
@given(given_overrides=overrides())
def test_what_the_check_passes_runs_at_length(given_overrides: list[str], project: Path) -> None:
    _holds(given_overrides, project)
