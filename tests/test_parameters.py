"""Tests of the families' parameter tables: true to the installed libraries, clear in complaints."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from mlops_compile.ir.parameter import Parameter
from mlops_compile.steps.families.parameters import FOLDER, parameters
from tests import generate_parameters

FAMILIES = (
    *("elastic_net", "extra_trees", "hist_gradient_boosting", "lightgbm", "logistic_regression"),
    *("random_forest", "ridge"),
)
ALL = [(family, item) for family in FAMILIES for item in parameters(family)]


def table(family: str) -> dict[str, Parameter]:
    return {item.name: item for item in parameters(family)}


def parameter(types: str, **fields: Any) -> Parameter:
    return Parameter(name="p", types=tuple(types.split()), **fields)


def train(params: dict[str, Any], metrics: list[str] | None = None) -> Any:
    """A small LightGBM model; with `metrics`, the names of what was measured."""
    import lightgbm
    import numpy as np

    classes = 3 if str(params.get("objective")).startswith("multiclass") else 2
    params = {"num_class": classes if classes > 2 else 1, "verbosity": -1, **params}
    features = np.random.default_rng(0).random((60, 3))
    target = np.arange(60) % classes
    if params.get("objective") in ("gamma", "poisson", "tweedie"):
        target = target + 1
    rows = lightgbm.Dataset(features, target, params=params, free_raw_data=False)
    measured: dict[str, dict[str, list[float]]] = {}
    watch = lightgbm.record_evaluation(measured)
    valid = [] if metrics is None else [rows.create_valid(features, target)]
    model = lightgbm.train(params, rows, 2, valid_sets=valid, callbacks=[watch] if valid else [])
    if metrics is not None:
        metrics += [name for found in measured.values() for name in found]
    return model


# The files


@pytest.mark.parametrize("name", [f"{family}.json" for family in FAMILIES])
def test_files_are_what_the_installed_libraries_say(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == generate_parameters.generate()[name]


def test_there_is_no_other_file() -> None:
    assert sorted(file.stem for file in FOLDER.glob("*.json")) == sorted(FAMILIES)


def test_an_unknown_family_is_a_key_error() -> None:
    for name in ("xgboost", "../parameters/ridge", ""):
        with pytest.raises(KeyError):
            parameters(name)


def test_reading_a_table_imports_nothing_heavy() -> None:
    program = (
        "import sys; from mlops_compile.steps.families.parameters import parameters;"
        "[parameters(name) for name in ('lightgbm', 'logistic_regression', 'ridge')];"
        "print(sorted({'pandas', 'sklearn', 'lightgbm', 'numpy', 'scipy'} & set(sys.modules)))"
    )
    path = f"import sys; sys.path[:0] = {sys.path!r}; "
    answer = subprocess.run(
        [sys.executable, "-c", path + program], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_the_generator_says_what_is_wrong_and_writes(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate_parameters, "FOLDER", tmp_path)
    assert generate_parameters.main([]) == 1
    assert "+++ ridge.json (then)" in capsys.readouterr().out
    assert generate_parameters.main(["--write"]) == 0
    assert generate_parameters.main([]) == 0


def test_the_generator_stops_where_library_and_facts_disagree() -> None:
    generate_parameters.agree("lightgbm", {"a"}, {"a"})
    with pytest.raises(SystemExit, match=r"lightgbm has parameters that .* lacks; add: b, c"):
        generate_parameters.agree("lightgbm", {"a", "b", "c"}, {"a"})
    with pytest.raises(SystemExit, match=r"lightgbm lacks parameters of .*; take out: z"):
        generate_parameters.agree("lightgbm", {"a"}, {"a", "z"})


# The tables


@pytest.mark.parametrize("family", FAMILIES)
def test_names_are_sorted_and_aliases_unique(family: str) -> None:
    names = [item.name for item in parameters(family)]
    assert names == sorted(names)
    every = [*names, *(alias for item in parameters(family) for alias in item.aliases)]
    assert len(every) == len(set(every))


@pytest.mark.parametrize(("family", "item"), ALL, ids=lambda part: getattr(part, "name", part))
def test_a_default_passes_and_the_table_survives_json(family: str, item: Parameter) -> None:
    if item.default is not None:
        assert item.complaint(item.default) is None
    if item.nullable:
        assert item.complaint(None) is None
    assert bool(item.doc) != bool(item.refused)
    assert Parameter.from_dict(json.loads(json.dumps(item.to_dict()))) == item


def test_what_the_compiler_owns_is_refused() -> None:
    lightgbm, logistic = table("lightgbm"), table("logistic_regression")
    for name in ("seed", "bagging_seed", "data_random_seed", "objective_seed"):
        assert "set `seed` at the top of the config" in lightgbm[name].refused
    for name in ("num_threads", "deterministic", "device_type", "num_class", "forcedbins_filename"):
        assert lightgbm[name].refused
    for name in ("random_state", "n_jobs", "verbose", "warm_start", "penalty"):
        assert logistic[name].refused
    assert table("ridge")["copy_X"].refused
    assert not lightgbm["objective"].refused
    assert not any("seed" in name and not item.refused for name, item in lightgbm.items())


def test_lightgbm_defaults_are_those_in_a_model() -> None:
    text = train({}).model_to_string()
    found = dict(re.findall(r"^\[(\w+): (.*)\]$", text, re.MULTILINE))
    chosen = {"num_iterations", "verbosity", "num_class"}  # by this test
    known = {name: item.default for name, item in table("lightgbm").items() if name in found}
    known = {name: value for name, value in known.items() if name not in chosen}
    assert len(known) > 90
    for name, value in known.items():
        if value is None:
            assert found[name] in ("", "0", "l2"), name
        elif isinstance(value, str):
            assert found[name] == value, name
        else:
            assert float(found[name]) == value, name


def test_lightgbm_takes_every_bound_that_belongs_to_a_range() -> None:
    settable = [item for item in parameters("lightgbm") if not item.refused]
    for item in settable:
        if "list" in item.types or item.name in ("top_rate", "other_rate"):
            continue
        if item.low is not None and not item.low_open:
            train({item.name: item.low})
        if item.high is not None and not item.high_open and item.high < 10**6:
            train({item.name: item.high})


def test_lightgbm_refuses_what_lies_outside_its_documented_ranges() -> None:
    from lightgbm.basic import LightGBMError

    for name, value in (
        *(("learning_rate", 0), ("num_leaves", 1), ("num_leaves", 131073), ("max_bin", 1)),
        *(("bagging_fraction", 0.0), ("lambda_l1", -1), ("drop_rate", 1.1), ("cat_l2", -0.1)),
        *(("tweedie_variance_power", 2.0), ("max_cat_to_onehot", 0), ("sigmoid", 0)),
    ):
        assert table("lightgbm")[name].complaint(value)
        with pytest.raises(LightGBMError):
            train({name: value})


@pytest.mark.parametrize("objective", table("lightgbm")["objective"].choices)
def test_lightgbm_knows_every_objective(objective: str) -> None:
    train({"objective": objective})


def test_lightgbm_knows_every_metric() -> None:
    for metric in table("lightgbm")["metric"].choices:
        of_classes = metric.startswith("multi_") or metric == "auc_mu"
        objective = "gamma" if metric.startswith("gamma") else "binary"
        measured: list[str] = []
        train({"objective": "multiclass" if of_classes else objective, "metric": metric}, measured)
        assert measured == [metric]


# A parameter


@pytest.mark.parametrize(
    ("item", "value", "complaint"),
    [
        (parameter("int"), "many", "must be a whole number, not the text 'many'"),
        (parameter("int"), True, "must be a whole number, not true"),
        (parameter("int"), 31.0, "must be a whole number, not 31.0"),
        (parameter("int"), None, "must be a whole number, not null"),
        (parameter("int"), [1], "must be a whole number, not a list"),
        (parameter("int"), {"a": 1}, "must be a whole number, not a map"),
        (parameter("int", low=0), -1, "must be >= 0, not -1"),
        (parameter("int", high=9), 10**30, "must be <= 9, not a whole number beyond 10^20"),
        (parameter("float", low=0, low_open=True), 0, "must be > 0, not 0"),
        (parameter("float", high=1), 1.5, "must be <= 1, not 1.5"),
        (parameter("float", high=0.5, high_open=True), 0.5, "must be < 0.5, not 0.5"),
        (parameter("float"), False, "must be a number, not false"),
        (parameter("float"), float("nan"), "must be a finite number, not nan"),
        (parameter("float"), 10**400, "must be a finite number, not a whole number beyond 10^20"),
        (parameter("int float"), "x", "must be a number, not the text 'x'"),
        (parameter("bool"), 1, "must be true or false, not 1"),
        (parameter("str"), 1, "must be a text, not 1"),
        (
            parameter("str", choices=("l1", "l2", "elasticnet")),
            "l3",
            "must be one of l1, l2, elasticnet; not 'l3'",
        ),
        (parameter("str", choices=("l1", "l2")), 3, "must be one of l1, l2; not 3"),
        (parameter("str", choices=("balanced",)), "x", "must be 'balanced', not 'x'"),
        (parameter("int list"), "x", "must be a whole number or a list, not the text 'x'"),
        (parameter("int list"), [1, 0.5], "must be a whole number, not 0.5 (item 2 of the list)"),
        (parameter("int list", low=-1), [-2], "must be >= -1, not -2 (item 1 of the list)"),
        (
            parameter("list"),
            [[1]],
            "must be a number or true or false or a text, not a list (item 1 of the list)",
        ),
        (
            parameter("str list", choices=("auc", "l2")),
            ("auc", "l3"),
            "must be one of auc, l2; not 'l3' (item 2 of the list)",
        ),
    ],
)
def test_complaint(item: Parameter, value: object, complaint: str) -> None:
    assert item.complaint(value) == complaint


def test_an_integer_too_long_to_print_is_complained_of() -> None:
    complaint = parameter("int", high=9).complaint(10**5000)
    assert complaint == "must be a finite number, not a whole number beyond 10^20"


@pytest.mark.parametrize(
    ("item", "value"),
    [
        (parameter("float"), 3),
        (parameter("int", low=0, high=5), 0),
        (parameter("int", low=0, high=5), 5),
        (parameter("int", nullable=True), None),
        (parameter("bool"), False),
        (parameter("str"), ""),
        (parameter("float list"), [1, 2.5]),
        (parameter("list"), (1, 2.5, True, "x")),
        (parameter("list"), []),
    ],
)
def test_no_complaint(item: Parameter, value: object) -> None:
    assert item.complaint(value) is None


@pytest.mark.parametrize(("family", "item"), ALL, ids=lambda part: getattr(part, "name", part))
def test_a_bool_is_no_number(family: str, item: Parameter) -> None:
    assert (item.complaint(True) is None) == ("bool" in item.types)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"types": ()}, "has no types"),
        ({"types": ("dict",)}, "has no types, or unknown ones"),
        ({"types": ("int",), "choices": ("a",)}, "takes no text"),
        ({"types": ("str",), "low": 0}, "takes no number"),
        ({"types": ("int",), "low": 2, "high": 1}, "empty range"),
        ({"types": ("int",), "low": 1, "high": 1, "high_open": True}, "empty range"),
        ({"types": ("int",), "aliases": ("p",)}, "its own alias"),
        ({"types": ("int",), "doc": "x" * 91}, "long doc"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(fields: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Parameter(name="p", **fields)


def test_an_unknown_field_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        Parameter.from_dict({"name": "p", "types": ["int"], "kind": "x"})
