"""Evaluating: segments, curves and importance as data; gates on them; the model card."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import sklearn.calibration
import sklearn.metrics as reference

import mlops_compile as mc
from mlops_compile.emit.gates import refusals
from mlops_compile.ir.value import Map, freeze
from mlops_compile.steps.curves import calibration, confusion, curves, residuals
from mlops_compile.steps.evaluation import MetricOptions
from mlops_compile.steps.gates import Bound, bound_of
from mlops_compile.steps.importance import permutation
from mlops_compile.steps.measure import Answers
from mlops_compile.steps.segments import MISSING, measure_segments
from mlops_compile.store.store import Store
from tests.generate_metrics import FILE, generate

RANDOM = np.random.RandomState(0)
ROWS = 2000
SCORES = RANDOM.uniform(size=ROWS)
ANSWERS = Answers(
    truth=(RANDOM.uniform(size=ROWS) < SCORES).astype("int64"),
    predicted=np.column_stack([1 - SCORES, SCORES]),
    classes=("no", "yes"),
)
SHARES = ANSWERS.instead(np.tile([0.4, 0.6], (ROWS, 1)))
OPTIONS = MetricOptions()


def test_the_tables_of_the_docs_are_those_of_the_declarations() -> None:
    text = FILE.read_text("utf-8")
    assert generate(text) == text


# Curves


@pytest.mark.parametrize("weighted", [False, True])
def test_curves_lie_on_those_of_scikit_learn(weighted: bool) -> None:
    weight = RANDOM.uniform(0.5, 2.0, ROWS) if weighted else None
    answers = replace(ANSWERS, weight=weight)
    curve: Any = curves(answers)["yes"]  # type: ignore[index, call-overload]
    assert len(curve["threshold"]) <= 200
    fpr, tpr, limits = reference.roc_curve(
        answers.truth, SCORES, sample_weight=weight, drop_intermediate=False
    )
    places = len(limits) - 1 - np.searchsorted(limits[::-1], curve["threshold"])
    assert limits[places].tolist() == list(curve["threshold"])
    assert tpr[places] == pytest.approx(curve["true_positive_rate"])
    assert fpr[places] == pytest.approx(curve["false_positive_rate"])
    assert (curve["true_positive_rate"][-1], curve["false_positive_rate"][-1]) == (1.0, 1.0)


def test_the_confusion_matrix_is_that_of_scikit_learn() -> None:
    found: Any = confusion(ANSWERS)
    assert [list(row) for row in found["rows"]] == reference.confusion_matrix(
        ANSWERS.truth, ANSWERS.labels
    ).tolist()


def test_calibration_is_that_of_scikit_learn() -> None:
    found: Any = calibration(ANSWERS)
    share, probability = sklearn.calibration.calibration_curve(ANSWERS.truth, SCORES, n_bins=10)
    assert found["bins"]["share"] == pytest.approx(share)
    assert found["bins"]["probability"] == pytest.approx(probability)
    assert found["brier"] == pytest.approx(reference.brier_score_loss(ANSWERS.truth, SCORES))
    rows = np.array(found["bins"]["rows"])
    assert found["ece"] == pytest.approx((np.abs(share - probability) * rows).sum() / ROWS)


def test_residuals_are_of_all_rows() -> None:
    answers = Answers(truth=RANDOM.normal(size=37), predicted=np.zeros(37))
    found: Any = residuals(answers)
    assert sum(tenth["rows"] for tenth in found["by_prediction"]) == 37
    assert found["quantiles"]["0"] == answers.truth.min()
    assert found["mean"] == pytest.approx(answers.truth.mean())


def test_residuals_of_weighted_rows_are_those_of_rows_so_many_times() -> None:
    weight = np.arange(40) % 4
    answers = Answers(truth=RANDOM.normal(size=40), predicted=RANDOM.normal(size=40))
    found: Any = residuals(replace(answers, weight=weight.astype(float)))
    repeated: Any = residuals(answers.take(np.repeat(np.arange(40), weight)))
    for name in ("mean", "standard_deviation"):
        assert found[name] == pytest.approx(repeated[name])
    errors = np.repeat(answers.truth - answers.predicted, weight)
    middle = np.quantile(errors, 0.5, method="inverted_cdf")
    assert found["quantiles"]["0.5"] == pytest.approx(middle)
    assert sum(tenth["rows"] for tenth in found["by_prediction"]) == 30
    nothing: Any = residuals(replace(answers, weight=np.zeros(40)))
    assert nothing["not_computed"] == "all weights are 0"


# Segments


def _table(**columns: Any) -> pa.Table:
    fields = [
        pa.field(name, values.type, metadata={"role": "feature", "sort": "numeric"})
        for name, values in columns.items()
    ]
    return pa.table(list(columns.values()), schema=pa.schema(fields))


def _measured(table: pa.Table, column: str, *, sensitive: bool = False, least: int = 1) -> Any:
    every = np.arange(ROWS)
    hidden = frozenset([column] if sensitive else [])
    found = measure_segments(
        table, (column,), hidden, every, every, ANSWERS, SHARES, ("accuracy",), OPTIONS, least
    )
    return found[column]


def test_levels_are_measured_and_those_with_few_rows_are_counted() -> None:
    texts = pa.array(["rare", None] + ["a", "b"] * (ROWS // 2 - 1)).dictionary_encode()
    found = _measured(_table(town=texts), "town", least=30)
    assert {name: level["rows"] for name, level in found["levels"].items()} == {
        "a": ROWS // 2 - 1,
        "b": ROWS // 2 - 1,
    }
    few = found["too_few"]
    assert (few["levels"], few["rows"], dict(few["named"])) == (2, 2, {"rare": 1, MISSING: 1})
    rows = np.array([text.as_py() == "a" for text in texts])
    right = reference.accuracy_score(ANSWERS.truth[rows], ANSWERS.labels[rows])
    assert found["levels"]["a"]["metrics"]["accuracy"] == right
    baseline = found["levels"]["a"]["baseline"]
    assert baseline["metrics"]["accuracy"] == ANSWERS.truth[rows].mean()


@pytest.mark.parametrize(
    "values",
    [
        pa.array(np.append(np.nan, np.arange(ROWS - 1.0)), from_pandas=True),
        pa.array([None, *range(ROWS - 1)], pa.timestamp("us")),
        pa.array([None] + [True, False, True] * (ROWS // 3) + [True], pa.bool_()),
        pa.array([None] + [7.0] * (ROWS - 1)),
    ],
)
def test_every_row_has_one_level(values: pa.Array) -> None:
    found = _measured(_table(x=values[:ROWS]), "x")
    assert sum(level["rows"] for level in found["levels"].values()) == len(values[:ROWS])
    assert MISSING in found["levels"]


def test_a_sensitive_column_is_cut_and_not_named() -> None:
    texts = pa.array(["secret-one"] * 1500 + ["secret-two"] * 500).dictionary_encode()
    for values in (texts, pa.array(np.arange(ROWS) + 0.5)):
        found = _measured(_table(x=values), "x", sensitive=True)
        assert "secret" not in str(found) and ".5" not in "".join(found["levels"])
    assert _measured(_table(x=texts), "x", sensitive=True)["levels"]["level 1 of 2"]["rows"] == 1500


# Importance


def test_the_features_of_a_column_are_dealt_together() -> None:
    """Two features that only together give the answer, and one that gives nothing."""
    bits = RANDOM.randint(0, 2, (ROWS, 3)).astype(float)
    truth = (bits[:, 0] != bits[:, 1]).astype("int64")

    def predict(features: np.ndarray) -> np.ndarray:
        assert np.all(np.isin(features, (0.0, 1.0)))
        return np.eye(2)[(features[:, 0] != features[:, 1]).astype(int)]

    answers = Answers(truth=truth, predicted=predict(bits), classes=("a", "b"))
    columns = {"both": [0, 1], "idle": [2]}
    found: Any = permutation(predict, bits, answers, ("accuracy",), OPTIONS, columns, len)
    assert found["columns"]["both"]["accuracy"] == pytest.approx(0.5, abs=0.06)
    assert found["columns"]["idle"]["accuracy"] == 0.0


# Gates

MEASURED = {
    "parts": {
        "test": {"metrics": {"roc_auc": 0.9, "log_loss": 0.3}, "not_computed": {}},
        "validation": {
            "metrics": {"log_loss": 0.4},
            "not_computed": {"roc_auc": "no row has the class 'yes'"},
        },
        "train": {"metrics": {"roc_auc": 0.99}, "not_computed": {}},
        "baseline": {"metrics": {"roc_auc": 0.5, "log_loss": 0.6}, "not_computed": {}},
    },
    "rows": {"test": {"classes": {"no": 1, "yes": 1}}},
    "intervals": {
        "metrics": {"roc_auc": {"low": 0.85, "high": 0.94}},
        "above_baseline": {"log_loss": {"low": -0.4, "high": -0.2}},
        "not_computed": {},
    },
    "segments": {
        "sex": {
            "levels": {
                "F": {
                    "metrics": {"roc_auc": 0.8, "log_loss": 0.4},
                    "not_computed": {},
                    "baseline": {"metrics": {"roc_auc": 0.5, "log_loss": 0.5}, "not_computed": {}},
                },
                "M": {
                    "metrics": {"roc_auc": 0.95, "log_loss": 0.3},
                    "not_computed": {},
                    "baseline": {
                        "metrics": {"log_loss": 0.7},
                        "not_computed": {"roc_auc": "it has no meaning"},
                    },
                },
            },
            "least_rows": 30,
            "too_few": {"levels": 1, "rows": 3, "named": {"X": 3}},
        }
    },
    "baselines": {
        "validation": {"metrics": {"log_loss": 0.7}, "not_computed": {"roc_auc": "one class"}},
        "train": {"metrics": {"roc_auc": 0.5}, "not_computed": {}},
    },
    "calibration": {"ece": 0.02, "brier": 0.1},
    "folds": {
        "each": [{"roc_auc": 0.8, "log_loss": 0.5}, {"roc_auc": 0.9, "log_loss": 0.4}],
        "mean": {"roc_auc": 0.85, "log_loss": 0.45},
        "deviation": {"roc_auc": 0.0707, "log_loss": 0.0707},
        "baseline": {"roc_auc": 0.5, "log_loss": 0.7},
    },
}


def _refused(gates: Any, primary: str = "roc_auc", measured: Any = MEASURED, **more: Any) -> list:
    judged, evaluation = freeze({"primary": primary, "gates": gates, **more}), freeze(measured)
    assert isinstance(judged, Map) and isinstance(evaluation, Map)
    return refusals(judged, evaluation)


@pytest.mark.parametrize(
    ("gates", "says"),
    [
        ({"roc_auc": ">= 0.9"}, ""),
        ({"roc_auc": "> 0.9"}, "roc_auc is 0.9, not > 0.9"),
        ({"roc_auc": ">= baseline + 0.4"}, ""),
        ({"roc_auc": ">= baseline + 0.41"}, "(the baseline has 0.5)"),
        ({"log_loss": "<= baseline * 0.5"}, ""),
        ({"log_loss": "< baseline * 0.5"}, "log_loss is 0.3, not < baseline * 0.5"),
        ({"log_loss": "< baseline"}, ""),
        ({"roc_auc": {"low": ">= 0.85", "high": "< 0.95"}}, ""),
        ({"roc_auc": {"low": ">= 0.86"}}, "low end of roc_auc is 0.85, not >= 0.86"),
        ({"log_loss": {"high": "<= baseline - 0.2"}}, ""),
        ({"log_loss": {"high": "<= baseline - 0.3"}}, "less the baseline's is -0.2, not <= -0.3"),
        ({"log_loss": {"low": "<= 0.3"}}, "was not computed"),
        ({"validation": {"roc_auc": ">= 0"}}, "no row has the class 'yes'"),
        ({"validation": {"log_loss": "<= baseline - 0.2"}}, ""),
        (
            {"validation": {"log_loss": "<= baseline - 0.4"}},
            "log_loss of the validation part is 0.4",
        ),
        ({"train": {"roc_auc": "<= baseline + 0.4"}}, "(the baseline has 0.5)"),
        ({"folds": {"roc_auc": ">= 0.85"}}, ""),
        ({"folds": {"roc_auc": "> 0.85"}}, "the mean of roc_auc over 2 folds is 0.85, not > 0.85"),
        ({"folds": {"roc_auc": {"mean": ">= baseline + 0.35"}}}, ""),
        ({"folds": {"log_loss": "<= baseline - 0.3"}}, "(the baseline has 0.7)"),
        ({"folds": {"roc_auc": {"deviation": "<= 0.08"}}}, ""),
        ({"folds": {"roc_auc": {"deviation": "<= 0.07"}}}, "the deviation of roc_auc over 2 folds"),
        ({"folds": {"roc_auc": {"each": ">= 0.8"}}}, ""),
        ({"folds": {"roc_auc": {"each": ">= 0.81"}}}, "roc_auc of fold 1 is 0.8, not >= 0.81"),
        ({"calibration": {"ece": "<= 0.02"}}, ""),
        ({"calibration": {"ece": "< 0.02"}}, "ece of the calibration is 0.02"),
        ({"segments": {"sex": {"roc_auc": ">= 0.8"}}}, ""),
        ({"segments": {"sex": {"roc_auc": ">= 0.9"}}}, "roc_auc where sex is F is 0.8"),
        ({"segments": {"sex": {"levels": {"M": {"roc_auc": ">= 0.95"}}}}}, ""),
        ({"segments": {"sex": {"log_loss": "<= baseline - 0.09"}}}, ""),
        (
            {"segments": {"sex": {"log_loss": "<= baseline - 0.2"}}},
            "log_loss where sex is F is 0.4, not <= baseline - 0.2 (the baseline has 0.5 there)",
        ),
        ({"segments": {"sex": {"levels": {"M": {"log_loss": "<= baseline - 0.3"}}}}}, ""),
        (
            {"segments": {"sex": {"levels": {"M": {"roc_auc": ">= baseline"}}}}},
            "the baseline has no roc_auc where sex is M: it has no meaning",
        ),
        ({"segments": {"sex": {"levels": {"X": {"roc_auc": ">= 0"}}}}}, "X' has 3 rows"),
        ({"segments": {"sex": {"levels": {"Y": {"roc_auc": ">= 0"}}}}}, "no row with sex 'Y'"),
    ],
)
def test_a_gate_is_held_to_its_figure(gates: Any, says: str) -> None:
    found = _refused(gates)
    assert [says in item.message for item in found] == ([True] if says else [])


@pytest.mark.parametrize(
    ("value", "shown"), [(0.8999999999, "0.8999999999"), (0.871234567, "0.871235")]
)
def test_a_gate_never_shows_a_number_that_reaches_it(value: float, shown: str) -> None:
    measured = {"parts": {"test": {"metrics": {"f1": value}, "not_computed": {}}}}
    more = {"allow_worse_than_baseline": True}
    (found,) = _refused({"f1": ">= 0.9"}, measured=measured, **more)
    assert f"f1 is {shown}, not >= 0.9" in found.message


def test_all_gates_that_are_not_met_are_told() -> None:
    gates = {"roc_auc": {"value": "> 0.9", "low": "> 0.9"}, "segments": {"sex": {"roc_auc": "> 1"}}}
    assert [item.where[2:] for item in _refused(gates)] == [
        ("roc_auc", "low"),
        ("roc_auc", "value"),
        ("segments", "sex", "roc_auc"),
        ("segments", "sex", "roc_auc"),
    ]


def test_a_model_that_loses_to_the_baseline_is_refused_unless_allowed() -> None:
    for primary, value in (("roc_auc", 0.49), ("log_loss", 0.61)):
        parts = {**MEASURED["parts"], "test": {"metrics": {primary: value}, "not_computed": {}}}
        measured = {**MEASURED, "parts": parts}
        (found,) = _refused({}, primary, measured)
        assert found.where == ("evaluate", "primary") and f"{value}" in found.message
        assert not _refused({}, primary, measured, allow_worse_than_baseline=True)
    assert not _refused({})


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (" >=0.90", ">= 0.9"),
        ("<baseline", "< baseline"),
        (">= baseline+.1", ">= baseline + 0.1"),
        ("<= baseline * 8e-1", "<= baseline * 0.8"),
        (">= -1", ">= -1.0"),
    ],
)
def test_a_gate_has_one_form(text: str, form: str) -> None:
    bound = bound_of(text)
    assert isinstance(bound, Bound) and str(bound) == form
    assert bound_of(form) == bound


@pytest.mark.parametrize(
    "text", ["0.9", ">= ", ">= base", "== 1", ">= baseline +", ">= 1 + baseline"]
)
def test_other_texts_are_no_gates(text: str) -> None:
    assert bound_of(text) is None


# A run

RUN = (
    "model.params.num_iterations=5",
    "evaluate.bootstrap.resamples=50",
    "evaluate.segments=[mean radius]",
    "evaluate.include=[calibration,confusion,curves,importance,permutation,shap]",
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[mc.RunRecord, Path]]:
    """The same run in two projects."""
    places = [tmp_path_factory.mktemp(name) for name in ("one", "two")]
    return [(mc.run(list(RUN), project=place), place) for place in places]


def _card(run: tuple[mc.RunRecord, Path], directory: Path) -> str:
    record, project = run
    bundle = record["package"].output("bundle")
    Store(project / ".mlops" / "store").blobs.checkout(bundle, directory)
    return (directory / "CARD.md").read_text("utf-8")


def test_everything_measured_is_the_same_bytes_again(
    runs: list[tuple[mc.RunRecord, Path]], tmp_path: Path
) -> None:
    (first, _), (second, _) = runs
    for port in ("metrics", "evaluation", "predictions"):
        assert first["evaluate"].output(port) == second["evaluate"].output(port)
    assert first.evaluation == second.evaluation and set(first.evaluation) == {
        "intervals",
        "segments",
    }
    cards = [_card(run, tmp_path / str(n)) for n, run in enumerate(runs)]
    assert cards[0] == cards[1]


def test_the_card_says_what_was_measured(
    runs: list[tuple[mc.RunRecord, Path]], tmp_path: Path
) -> None:
    text, record = _card(runs[0], tmp_path / "bundle"), runs[0][0]
    metrics = json.loads(json.dumps(dict(record.metrics["test"])))  # type: ignore[call-overload]
    for name, value in metrics.items():
        assert f"| {name}{' (primary)' if name == 'roc_auc' else ''} | {value:.5g} |" in text
    assert str(record.model) in text and record["validate"].output("table").sha256 in text
    assert all(f"[^{note}]: " in text for note in set(_notes(text)))
    assert _without_step(text) == []
    assert str(runs[0][1]) not in text


def test_the_card_counts_rows_by_the_rules_that_they_broke(tmp_path: Path) -> None:
    lines = [f"{n},{'yes' if n % 80 > 40 + n % 7 else 'no'}" for n in range(200)]
    (tmp_path / "rows.csv").write_text("\n".join(["x,y", *lines, "900,no", "901,yes", "90,"]))
    words = (
        *("data=csv", "data.name=rows", "data.source.path=rows.csv", "data.target=y"),
        *("data.task=binary", "data.split.kind=stratified", "data.missing_target=drop"),
        *("data.columns={x: {high: 800, violation: drop}}", "evaluate.bootstrap=null"),
        *("model.params.num_iterations=3", "evaluate.allow_worse_than_baseline=true"),
    )
    text = _card((mc.run(list(words), project=tmp_path), tmp_path), tmp_path / "bundle")
    assert "200 rows[^profile], 3 more were dropped[^profile]." in text
    assert "| data.missing\\_target | 1 | the rows were dropped |" in text
    assert "| data.columns.x.high | 2 | the rows were dropped |" in text
    assert _without_step(text) == []


def _without_step(text: str) -> list[str]:
    """Lines of a card that hold a number, and no footnote: of a table, its head and what introduces
    it have none either."""
    blocks = text.partition("\n## ")[2].split("\n\n")
    found, before = [], ""
    for block in blocks:
        head = f"{before}\n{block.splitlines()[0]}" if block.startswith("|") else ""
        for line in block.splitlines():
            told = re.sub(r"`[^`]*`|\[\^\w+\]: .*|^#.*|[a-z]+\d[\w]*", "", line)
            if re.search(r"\d", told) and "[^" not in line and "[^" not in head:
                found.append(line)
        before = block
    return found


@pytest.mark.parametrize(
    "words",
    [
        (
            "data.split.validation_size=0.2",
            "+model.calibration.method=platt",
            "+model.threshold={rule: metric, metric: f1}",
            "evaluate.gates={roc_auc: '>= 0.5'}",
        ),
        ("evaluate.cross_validation={kind: stratified, folds: 3}",),
        pytest.param(
            (
                *("data.split.validation_size=0.2", "search=random", "search.trials=2"),
                "search.space.model.params.num_leaves={low: 3, high: 8}",
            ),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["decided", "folded", "searched"],
)
def test_each_number_of_the_card_names_its_step(tmp_path: Path, words: tuple[str, ...]) -> None:
    project = tmp_path / "project"
    project.mkdir()
    text = _card((mc.run([*RUN[:2], *words], project=project), project), tmp_path / "bundle")
    assert re.search(r"tested on \d+ rows", text)
    assert _without_step(text) == []
    assert all(f"[^{note}]: " in text for note in set(_notes(text)))


def test_the_card_tells_each_fold_and_the_split_with_its_defaults(
    runs: list[tuple[mc.RunRecord, Path]], tmp_path: Path
) -> None:
    folds = "evaluate.cross_validation={kind: stratified, folds: 3}"
    record = mc.run([*RUN, folds], project=runs[0][1])
    text = _card((record, runs[0][1]), tmp_path / "one")
    told: Any = record.metrics["folds"]
    lines = {f"fold {n}[^fold_{n}]": fold for n, fold in enumerate(told["each"], start=1)}
    lines |= {f"{name}[^folds]": told[name] for name in ("mean", "deviation")}
    lines["mean of the baselines[^folds]"] = told["baseline"]
    names = ("accuracy", "average_precision", "brier", "f1", "log_loss", "roc_auc")
    head = next(line for line in text.splitlines() if line.startswith("| | "))
    order = [name for name in re.findall(r"\w+", head) if name in names]
    assert sorted(order) == sorted(names)
    for name, metrics in lines.items():
        cells = " | ".join(f"{metrics[metric]:.5g}" for metric in order)
        assert f"| {name} | {cells} |" in text
    assert "[^fold_2]: `fold/2/evaluate.metrics`" in text
    assert "The split[^split]: kind stratified, test_size 0.2." in text
    again = mc.run([*RUN, folds], project=runs[1][1])
    assert text == _card((again, runs[1][1]), tmp_path / "two")
    bare = _card(runs[0], tmp_path / "bare")
    assert "fold" not in bare


def _notes(text: str) -> list[str]:
    return re.findall(r"\[\^(\w+)\](?!:)", text)


def test_the_baseline_of_a_level_is_measured_on_its_own_rows(
    runs: list[tuple[mc.RunRecord, Path]],
) -> None:
    """Answered by the class shares of the whole training part."""
    record, project = runs[0]
    blobs = Store(project / ".mlops" / "store").blobs
    whole = json.loads(blobs.read(record["evaluate"].output("evaluation")).read_bytes())
    train = whole["rows"]["train"]["classes"]
    levels = whole["segments"]["mean radius"]["levels"]
    found = {name: level["baseline"]["metrics"]["log_loss"] for name, level in levels.items()}
    assert len(set(found.values())) > 1
    for name, level in levels.items():
        losses = [
            -rows * np.log(train[label] / sum(train.values()))
            for label, rows in level["classes"].items()
        ]
        assert found[name] == pytest.approx(sum(losses) / level["rows"])


def test_levels_are_held_to_their_own_baselines(runs: list[tuple[mc.RunRecord, Path]]) -> None:
    """The gate lies between the two levels in the middle: half of the levels reach it."""
    record, project = runs[0]
    levels: Any = record.evaluation["segments"]["mean radius"]["levels"]  # type: ignore[index, call-overload]
    better = {
        name: level["baseline"]["metrics"]["log_loss"] - level["metrics"]["log_loss"]
        for name, level in levels.items()
    }
    half = sorted(better, key=lambda name: better[name])[: len(better) // 2]
    rest = min(value for name, value in better.items() if name not in half)
    bound = f"< baseline - {(max(better[name] for name in half) + rest) / 2!r}"

    def gated(gates: str) -> None:
        words = f'evaluate.gates={{segments: {{"mean radius": {gates}}}}}'
        mc.run([*RUN, words], project=project)

    with pytest.raises(mc.RunFailed) as caught:
        gated(f'{{log_loss: "{bound}"}}')
    messages = [item.message for item in caught.value.problems]
    assert len(messages) == len(half) > 0
    for name in half:
        assert any(f"log_loss where mean radius is {name} is" in text for text in messages)
    (other, *_) = better.keys() - {*half}
    gated(f'{{levels: {{"{other}": {{log_loss: "{bound}"}}}}}}')


def test_a_column_of_weights_weighs_what_is_measured(tmp_path: Path) -> None:
    """Weights of 0 and 1: the metrics are those of the rows that count."""
    draw = np.random.RandomState(1)
    lines = ["x,w,y"]
    for _ in range(400):
        x, w = draw.normal(), draw.randint(0, 2)
        lines.append(f"{x:.3f},{w},{'yes' if x + draw.normal() > 0 else 'no'}")
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    words = [
        *("data=csv", "data.name=rows", "data.source.path=rows.csv", "data.target=y"),
        *("data.task=binary", "data.split.kind=stratified", "data.columns={w: {role: weight}}"),
        *("model=logistic_regression", "evaluate.bootstrap=null"),
    ]
    record = mc.run(words, project=tmp_path)
    blobs = Store(tmp_path / ".mlops" / "store").blobs
    from mlops_compile.steps.tables import read_table

    rows = read_table(blobs.read(record["evaluate"].output("predictions"))).to_pydict()
    weights = read_table(blobs.read(record["validate"].output("table"))).column("w").to_numpy()
    counted = weights[rows["row"]] == 1
    truth, scores = np.array(rows["truth"])[counted], np.array(rows["p1"])[counted]
    assert record.metrics["test"]["roc_auc"] == pytest.approx(  # type: ignore[index]
        reference.roc_auc_score(truth, scores)
    )
