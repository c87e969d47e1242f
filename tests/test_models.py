"""Models as projects ask for them: weights, directions, calibration, thresholds, plug-ins."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from sklearn.isotonic import IsotonicRegression
from sklearn.utils.class_weight import compute_class_weight

import mlops_compile as mc
from mlops_compile.ir.problem import CompileError, StepError
from mlops_compile.ir.value import Map
from mlops_compile.steps.calibrations import calibrated, read_calibration
from mlops_compile.steps.families import FAMILIES, plugins
from mlops_compile.steps.families.kind import Part
from mlops_compile.steps.metrics import METRICS
from mlops_compile.steps.prepare import read_matrix
from mlops_compile.steps.tables import read_table
from mlops_compile.steps.train import read_target
from mlops_compile.steps.weights import by_class, class_weights, directions
from mlops_compile.store.store import Store
from tests.project import apart, good, make, mlops

PLUGINS = Path(__file__).parent / "plugins"
PART = "data.split.validation_size=0.25"
SMALL = "model.params.num_iterations=8"
CALIBRATED = ("+model.calibration.method=isotonic", PART, SMALL)
RULED = "+model.threshold={rule:costs,false_positive:1,false_negative:7}"


def _blob(record: mc.RunRecord, project: Path, step: str, output: str) -> Path:
    return Store(project / ".mlops" / "store").blobs.read(record[step].output(output))


def _steps(record: mc.RunRecord) -> list[str]:
    return [step.name for step in record.lock.plan.steps]


def test_a_calibrated_and_decided_model(tmp_path: Path) -> None:
    """The service is proved while packaging; here the numbers of its record are looked at."""
    project = make(tmp_path / "p")
    record = mc.run([*CALIBRATED, RULED], project=project)
    assert {"calibrate", "threshold"} < set(_steps(record))
    decision = json.loads(_blob(record, project, "threshold", "decision").read_text())
    table = read_table(_blob(record, project, "evaluate", "predictions"))
    truth, scores = (table.column(name).to_numpy() for name in ("truth", "p1"))
    answers = scores >= decision["threshold"]
    assert decision["threshold"] != 0.5 and np.array_equal(table.column("decision"), answers)
    found: Any = record.metrics["test"]
    assert found["f1"] == sklearn.metrics.f1_score(truth, answers)
    assert found["accuracy"] == sklearn.metrics.accuracy_score(truth, answers)
    assert found["roc_auc"] == sklearn.metrics.roc_auc_score(truth, scores)
    assert "0 ran, 10 unchanged" in good(project, "run", *CALIBRATED, RULED).out


def test_a_threshold_alone_and_a_calibration_alone(tmp_path: Path) -> None:
    project = make(tmp_path / "p")
    record = mc.run([SMALL, "+model.threshold={rule:fixed,value:0.3}"], project=project)
    assert "threshold" in _steps(record) and "calibrate" not in _steps(record)
    decision = json.loads(_blob(record, project, "threshold", "decision").read_text())
    assert decision == {"rule": "fixed", "threshold": 0.3}
    plain = mc.run([SMALL], project=project)
    assert "threshold" not in _steps(plain)
    assert record["train"] == plain["train"]  # the model is trained once


def test_calibrated_classes_are_normalised(tmp_path: Path) -> None:
    project = make(tmp_path / "p", task="multiclass", split="stratified")
    record = mc.run(list(CALIBRATED), project=project)
    table = read_table(_blob(record, project, "evaluate", "predictions"))
    total = sum(table.column(f"p{n}").to_numpy() for n in range(3))
    assert np.allclose(total, 1.0)


def test_weights_are_read_from_their_column(tmp_path: Path) -> None:
    project = make(tmp_path / "p", task="regression")
    words = [SMALL, "+data.columns.amount.role=weight"]
    record = mc.run(words, project=project)
    assert dict(record.lock.plan["train"].inputs)["table"].step == "validate"
    plain = mc.run([SMALL, "+data.columns.amount.role=id"], project=project)
    assert "table" not in dict(plain.lock.plan["train"].inputs)
    assert record["prepare"].output("features") == plain["prepare"].output("features")
    assert record["train"].output("model") != plain["train"].output("model")


def test_weights_count_in_calibration_and_threshold(tmp_path: Path) -> None:
    project = make(tmp_path / "p", split="stratified")
    words = [SMALL, "data.split.validation_size=0.3", "model.calibration.method=isotonic"]
    words += ["model.threshold={rule: costs, false_positive: 1, false_negative: 2}"]
    record = mc.run([*words, "+data.columns.amount.role=weight"], project=project)
    plain = mc.run([*words, "+data.columns.amount.role=id"], project=project)
    for step in ("calibrate", "threshold"):
        assert dict(record.lock.plan[step].inputs)["table"].step == "validate"
        assert "table" not in dict(plain.lock.plan[step].inputs)
    assert record["calibrate"].output("calibration") != plain["calibrate"].output("calibration")
    table = read_table(_blob(record, project, "validate", "table"))
    weights = table.column("amount").to_numpy()
    rows = np.load(_blob(record, project, "split", "validation"))
    truth, _ = read_target(_blob(record, project, "validate", "target"))
    features = read_matrix(_blob(record, project, "prepare", "features"), rows)
    model = _blob(record, project, "train", "model")
    predicted = FAMILIES["lightgbm"].predict(model, features, 2)
    curves = read_calibration(_blob(record, project, "calibrate", "calibration"))
    right = IsotonicRegression(out_of_bounds="clip")
    right.fit(predicted[:, 1], truth[rows], sample_weight=weights[rows])
    scores = calibrated(curves, predicted)[:, 1]
    assert np.array_equal(scores, right.predict(predicted[:, 1]))
    decision = json.loads(_blob(record, project, "threshold", "decision").read_text())
    answers = scores >= decision["threshold"]
    for name in ("accuracy", "precision", "recall"):
        score = METRICS[name].score(
            truth[rows], np.column_stack([~answers, answers]).astype(float), weights[rows]
        )
        assert decision["reached"][name] == pytest.approx(score)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("amount", "0.0", "all weights of the train part are 0"),
        ("amount", "-1.0", "the weight is negative in "),
    ],
)
def test_weights_that_are_none(tmp_path: Path, old: str, new: str, message: str) -> None:
    project = make(tmp_path / "p")
    lines = (project / "rows.csv").read_text().splitlines()
    place = lines[0].split(",").index(old)
    cells = [line.split(",") for line in lines]
    for row in cells[1:]:
        row[place] = new
    (project / "rows.csv").write_text("\n".join(map(",".join, cells)) + "\n")
    answer = mlops(project, "run", SMALL, "+data.columns.amount.role=weight")
    assert answer.code == 5 and message in answer.err
    assert "MC0120" in answer.err


def test_class_weights_are_those_of_the_library() -> None:
    truth = np.array([0, 0, 0, 1, 2, 2])
    for weights in (None, np.array([1.0, 0.5, 0.0, 2.0, 3.0, 0.25])):
        part = Part(features=np.zeros((6, 1)), target=truth, weights=weights)
        rows = np.ones(6) if weights is None else weights
        balanced = compute_class_weight(
            "balanced", classes=np.arange(3), y=truth, sample_weight=weights
        )
        assert np.array_equal(by_class(part, "balanced").weights, rows * balanced[truth])
        stated = class_weights(Map({"b": 3, "c": 0.5}), ("a", "b", "c"))
        factors = [1.0, 1.0, 1.0, 3.0, 0.5, 0.5]
        assert np.array_equal(by_class(part, stated).weights, rows * factors)
        assert by_class(part, None) is part


def test_a_class_that_weighs_nothing_is_not_balanced_by_infinity() -> None:
    weights = np.array([1.0, 1.0, 0.0])
    part = Part(features=np.zeros((3, 1)), target=np.array([0, 0, 1]), weights=weights)
    assert np.array_equal(by_class(part, "balanced").weights, [0.5, 0.5, 0.0])


def test_directions_name_features() -> None:
    features = (("age", "numeric"), ("city", "code"), ("since:year", "numeric"))
    assert directions(Map({"age": 1, "since:year": -1}), features) == (1, 0, -1)
    assert directions(Map(), features) == ()
    with pytest.raises(StepError) as caught:
        directions(Map({"since": 1, "city": 1, "none": 1}), features)
    assert [found.where[-1] for found in caught.value.problems] == ["city", "none", "since"]
    assert "the column becomes since:year" in str(caught.value.problems[2].hint)


# Families of other distributions


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PLUGINS))
    plugins._offers.cache_clear()
    plugins._loaded.cache_clear()
    yield
    plugins._offers.cache_clear()
    plugins._loaded.cache_clear()


def test_a_family_of_another_distribution(tmp_path: Path) -> None:
    project = make(tmp_path / "p", task="regression")
    (project / "conf" / "model").mkdir()
    (project / "conf" / "model" / "mean.yaml").write_text(
        "family: probe_mean\nparams: {factor: 2}\n"
    )
    env = {"PYTHONPATH": f"{Path(mc.__file__).resolve().parent.parent}:{PLUGINS}"}
    worse = "evaluate.allow_worse_than_baseline=true"
    answer = good(project, "run", "model=mean", worse, "--json", how=lambda *a: apart(*a, env=env))
    lock = json.loads((Path(project) / answer.document["directory"] / "plan.lock.json").read_text())
    assert lock["environment"]["mlops-plugin"] == "1.0"
    wrong = apart(project, "compile", "model=mean", "model.params.factr=1", env=env)
    assert wrong.code == 3 and "did you mean 'factor'?" in wrong.err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("probe_broken", "is no family of that name"),
        ("probe_gone", "which breaks: ModuleNotFoundError"),
        ("probe_bare", "without a table of its parameters"),
    ],
)
def test_a_broken_family_is_a_sentence(probes: None, name: str, message: str) -> None:
    assert name in FAMILIES and name not in tuple(FAMILIES)
    with pytest.raises(CompileError, match=f"the installed mlops-plugin offers '{name}'") as caught:
        FAMILIES[name]
    assert message in caught.value.problems[0].message
    assert caught.value.problems[0].where == ("model", "family")


@pytest.mark.parametrize("twice", ["probe_mean", "ridge"])
def test_a_name_that_is_declared_twice_is_refused(
    probes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, twice: str
) -> None:
    info = tmp_path / "mlops_other-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mlops-other\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text(
        f"[mlops_compile.families]\n{twice} = mlops_plugin:FAMILY\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(CompileError, match=f"{twice!r}"):
        FAMILIES["probe_mean"]


def test_our_own_families_are_found_without_looking_for_others() -> None:
    assert "importlib.metadata" not in sys.modules or plugins._offers.cache_info() is not None
    before = plugins._offers.cache_info().misses
    assert FAMILIES["ridge"].name == "ridge" and "ridge" in FAMILIES
    assert plugins._offers.cache_info().misses == before


def test_the_tables_of_the_docs_are_those_of_the_code() -> None:
    from tests.generate_models import FILE, text

    page = FILE.read_text("utf-8")
    assert page == text(page), "python -m tests.generate_models writes it"
    assert page.count("<!-- table:") == 4
