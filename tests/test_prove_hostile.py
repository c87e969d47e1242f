"""Bundles are proved on hostile records, and a difference is told with its column and its step."""

from __future__ import annotations

import math
import os
import re
import shutil
from pathlib import Path

import pytest

from mlops_compile.emit import package
from mlops_compile.emit.differing import compare
from mlops_compile.emit.fitted import Fitted
from mlops_compile.emit.hostile_records import hostile_records
from mlops_compile.emit.loaded import load
from mlops_compile.emit.package import fitted_pipeline
from mlops_compile.emit.prove_hostile import prove_records
from mlops_compile.emit.render import render
from mlops_compile.emit.spec import serving_spec
from mlops_compile.ir.problem import StepError
from mlops_compile.ir.serving import ServingSpec
from mlops_compile.steps.functions import imported
from tests.bundles import FLAG, LEVEL, LEVELS, NUMBER, TIME, Made, make
from tests.serving import hiding
from tests.works import work_of

ROWS = int(os.environ.get("EXACT_ROWS", "300"))
OWN = """
def steep(x, paid):
    if x is not None and abs(x) > 1e5:
        raise ValueError(x)
    return None if x is None else x * paid
"""
# The user's function, what is derived from it, and chains of several preparations.
PREPARE = {
    "derive": {
        "steep": {"function": "own.steep", "inputs": [NUMBER, FLAG], "type": "numeric"},
        "twice": {"product": [NUMBER, "steep"]},
    },
    "columns": {
        NUMBER: [{"clip": {"low": -900, "high": 900}}, {"bins": {"bins": 5}}],
        LEVEL: [{"group_rare": {"min_count": 30}}, {"category": {}}],
    },
}


def _words(calibration: str = "") -> tuple[str, ...]:
    found = ["data.split.validation_size=0.3"]
    if calibration:
        found += [f"+model.calibration.method={calibration}"]
        found += ["+model.threshold.rule=fixed", "+model.threshold.value=0.4"]
    return (*found,)


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Made:
    place = tmp_path_factory.mktemp("linear")
    return make(place, *_words("platt"), family="logistic_regression")


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("trees"), *_words("isotonic"))


@pytest.fixture(scope="module")
def derived(tmp_path_factory: pytest.TempPathFactory) -> Made:
    place = tmp_path_factory.mktemp("derived")
    (place / "src").mkdir()
    (place / "src" / "own.py").write_text(OWN, "utf-8")
    return make(place, config={"code": {"roots": ["src"]}, "prepare": PREPARE})


def _breaks(
    made: Made, place: Path, monkeypatch: pytest.MonkeyPatch, file: str, old: str, new: str
) -> str:
    """What the package step says of a bundle with a text in place of another."""

    def broken(spec: ServingSpec) -> dict[str, str]:
        files = render(spec)
        assert files[file].count(old) >= 1, files[file]
        return {**files, file: files[file].replace(old, new)}

    monkeypatch.setattr(package, "render", broken)
    with pytest.raises(StepError) as caught:
        package.run(work_of(made, place))
    (problem,) = caught.value.problems
    assert problem.message.endswith("; the bundle is refused")
    return problem.message


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("c0_1 = (c0_0 ", "c0_1 = 1.1 * (c0_0 ", f"column {NUMBER!r}, in the preparation 'scale',"),
        ("if c0 != c0 else", "if c0 == c0 else", f"column {NUMBER!r}, in the preparation 'impute'"),
        ("(c1.hour)", "(c1.minute)", f"column {TIME!r}, in the preparation 'date_parts', which"),
        (
            "(c1.hour)",
            "(c1.our)",
            f"column {TIME!r}, in the preparation 'date_parts', which makes n",
        ),
        (
            "= float(record.c2)",
            "= 0.0",
            f"column {FLAG!r}, in the reading of the field, which makes",
        ),
        ("c0_1,\n        c1_10,", "c1_10,\n        c0_1,", "in the order of the features"),
        ("return power /", "return 0.9 * power /", "features are the same, .* in the scorer"),
        ('["offset"])', '["offset"] + 0.1)', "features are the same, .* in the calibration"),
        (">= THRESHOLD", ">= 0.7", "the scores are the same, .* in the threshold"),
    ],
)
def test_a_difference_is_told_with_the_column_and_the_step(
    linear: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, where: str
) -> None:
    said = _breaks(linear, tmp_path, monkeypatch, "scorer.py", old, new)
    start, _, begins = said.partition(" of the validated table")
    assert re.search(r" row \d+$", start)
    assert re.search(where if ".*" in where else re.escape(where), begins), said


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        (f"c3 == {LEVELS[1]!r}", f"c3 in ({LEVELS[1]!r}, '')", f"{LEVEL!r}, in the preparation 'o"),
        ("c0_1 = (c0_0 ", "c0_1 = (c0_0 > 1e300 or c0_0 ", f"{NUMBER!r}, in the preparation 'sc"),
        ("float(c1.year)", "max(1600.0, float(c1.year))", f"{TIME!r}, in the preparation 'date_p"),
    ],
)  # fmt: skip
def test_what_no_row_of_the_data_shows_hostile_records_do(
    linear: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, where: str
) -> None:
    said = _breaks(linear, tmp_path, monkeypatch, "scorer.py", old, new)
    assert re.search(r"for hostile record \d+ alone, and the fitted model", said), said
    assert f"the difference begins in column {where}" in said


def test_of_sensitive_columns_no_value_is_told(
    linear: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = hiding(serving_spec(work_of(linear, tmp_path)), NUMBER)
    shutil.rmtree(tmp_path / "bundle")
    shutil.rmtree(tmp_path / "model")
    monkeypatch.setattr(package, "serving_spec", lambda work: hidden)
    said = _breaks(linear, tmp_path, monkeypatch, "scorer.py", "c0_1 = (c0_0", "c0_1 = -(c0_0")
    assert said.endswith(
        f"begins in column {NUMBER!r}, in the preparation 'scale'; the bundle is refused"
    )


def test_of_trees_the_calibration_is_told(
    trees: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = _breaks(
        trees, tmp_path, monkeypatch, "scorer.py", "y[max(place, 0)]", "y[max(place, 1)]"
    )
    assert "its features are the same, so that the difference begins in the calibration" in said


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "raise FunctionFailed(name) from error",
            "return 0.0",
            "which the fitted pipeline refuses",
        ),
        ("finite(c0 * d0)", "-(c0 * d0)", "column 'twice', in the derivation, which makes "),
        (
            "bisect_right(edges, x)",
            "bisect_left(edges, x)",
            f"{NUMBER!r}, in the preparation 'bins'",
        ),
    ],
)
def test_functions_and_what_is_derived_are_proved(
    derived: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, says: str
) -> None:
    said = _breaks(derived, tmp_path, monkeypatch, "scorer.py", old, new)
    assert re.search("hostile record|row", said) and says in said, said


def test_features_are_proved_that_change_no_answer(
    trees: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = "c2 = float(record.c2)", "c2 = float(record.c2) or -0.25"  # of a boolean
    said = _breaks(trees, tmp_path, monkeypatch, "scorer.py", old, new)
    assert re.search(r"prepares hostile record \d+ otherwise: .* the reading of the field", said)


def _pipeline(made: Made, place: Path) -> Fitted:
    work = work_of(made, place)
    return fitted_pipeline(work, serving_spec(work))


@pytest.mark.parametrize("name", ["linear", "trees", "derived"])
def test_bundles_answer_hostile_records_as_the_fitted_pipeline(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    made = request.getfixturevalue(name)
    _answers(made, tmp_path)


def _answers(made: Made, place: Path) -> None:
    fitted = _pipeline(made, place)
    sent = hostile_records(fitted.spec, fitted.preparation, ROWS, seed=1)
    answered = fitted.answers(sent)
    if fitted.spec.carried.called:
        assert None in answered
    assert sum(answer is not None for answer in answered) > ROWS / 4
    with imported(dict(fitted.spec.carried.files)):
        loaded = load(fitted.spec, made.bundle, place)
        prove_records(fitted.spec, fitted, loaded, made.bundle, place, ROWS, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "task", "calibration"),
    [
        ("lightgbm", "multiclass", "platt"),
        ("lightgbm", "regression", ""),
        ("random_forest", "multiclass", "isotonic"),
        ("extra_trees", "regression", ""),
        ("hist_gradient_boosting", "binary", "platt"),
        ("logistic_regression", "multiclass", "isotonic"),
        ("ridge", "regression", ""),
        ("elastic_net", "regression", ""),
    ],
)
def test_every_family(tmp_path: Path, family: str, task: str, calibration: str) -> None:
    words = [word for word in _words(calibration) if task == "binary" or "threshold" not in word]
    made = make(tmp_path / "project", *words, family=family, task=task)
    _answers(made, tmp_path)


def test_hostile_records_are_the_same_each_time_and_untold_columns_hold_nothing_real(
    linear: Made, tmp_path: Path
) -> None:
    fitted = _pipeline(linear, tmp_path)
    first = hostile_records(fitted.spec, fitted.preparation, 2000)
    assert first == hostile_records(fitted.spec, fitted.preparation, 2000)
    assert {*LEVELS} < {record.get(LEVEL) for record in first}
    (ends,) = (item for item in fitted.spec.ranges if item.name == NUMBER)
    assert {ends.low, math.nextafter(ends.high, math.inf)} < {
        record.get(NUMBER) for record in first
    }
    assert any(NUMBER not in record for record in first)
    assert any(NUMBER in record and record[NUMBER] is None for record in first)
    hidden = frozenset({LEVEL, NUMBER})
    untold = hostile_records(fitted.spec, fitted.preparation, 2000, untold=hidden)
    assert not {*LEVELS} & {record.get(LEVEL) for record in untold}
    real = {row[NUMBER] for row in linear.held_out()[0] if NUMBER in row}
    assert not real & {record.get(NUMBER) for record in untold}


def test_a_nan_is_as_good_as_a_nan_and_nothing_else_is() -> None:
    compare([math.nan], [math.nan], "row 1", "it")
    for answer in (0.0, math.inf):
        with pytest.raises(
            StepError, match=r"it answers .* for row 1, and the evaluated model nan"
        ):
            compare([answer], [math.nan], "row 1", "it")
