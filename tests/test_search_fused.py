"""Trials that share what a worker keeps of their rows answer as those that share nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mlops_compile as mc
from mlops_compile.steps import trial as step
from mlops_compile.steps.sources.kind import file_digest
from mlops_compile.store.store import Store
from tests.project import make
from tests.strategies import Room

PARAMS: list[dict[str, Any]] = [
    {"num_leaves": 4},
    {"num_leaves": 31, "learning_rate": 0.3},
    {"min_data_in_leaf": 3},
    {"max_bin": 15},
    {"max_bin": 15, "min_data_in_leaf": 3, "feature_fraction": 0.5},
    {"early_stopping_round": 2, "num_leaves": 6},
    {"early_stopping_round": 2, "num_leaves": 12, "metric": "auc"},
    {"bagging_freq": 1, "bagging_fraction": 0.5},
    {"boosting": "dart", "drop_rate": 0.5},
    {"data_sample_strategy": "goss"},
    {"linear_tree": True},
    {"extra_trees": True, "path_smooth": 1.0},
    {"num_leaves": 4},
]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What a plain run's training takes, with rows to stop by, and its test rows."""
    project = make(tmp_path_factory.mktemp("fused"))
    words = ["data.split.validation_size=0.25", "model.params.num_iterations=2"]
    record = mc.run([*words, "execution.threads=1"], project=project)
    store = Store(project / ".mlops" / "store")
    ports = {
        **dict.fromkeys(("features", "preparation"), "prepare"),
        "target": "validate",
        **dict.fromkeys(("train", "validation", "test"), "split"),
    }
    return {port: store.blobs.read(record[name].output(port)) for port, name in ports.items()}


def answered(room: Path, inputs: dict[str, Path], model: dict[str, Any]) -> bytes:
    digests = {port: file_digest(file) for port, file in inputs.items()}
    work = Room(room / "out").work(
        {"model": model}, inputs, ("predictions",), seed=5, digests=digests
    )
    step.run(work)
    return work.outputs["predictions"].read_bytes()


@pytest.mark.parametrize("weights", [None, "balanced"])
def test_what_trials_share_changes_no_bit(
    tmp_path: Path, inputs: dict[str, Path], weights: str | None
) -> None:
    models = [
        {"family": "lightgbm", "params": {**p, "num_iterations": 8}, "class_weight": weights}
        for p in PARAMS
    ]
    models.append({"family": "random_forest", "params": {"n_estimators": 3}})
    alone = []
    for model in models:
        step._KEPT.clear()
        alone.append(answered(tmp_path, inputs, model))
    step._KEPT.clear()
    shared = [answered(tmp_path, inputs, model) for model in models]
    assert shared == alone
    assert len(step._KEPT) == 1
    assert len(set(alone)) > len(PARAMS) // 2  # the models differ, so that sharing could show


def test_a_fit_bins_the_rows_once(tmp_path: Path, inputs: dict[str, Path]) -> None:
    step._KEPT.clear()
    kept: list[Any] = []
    for leaves in (4, 8, 16):
        model = {"family": "lightgbm", "params": {"num_leaves": leaves, "num_iterations": 2}}
        answered(tmp_path, inputs, model)
        (rows,) = step._KEPT.values()
        kept += [train for train, _ in rows.fitting.kept.values()]
    assert kept[0] is kept[1] is kept[2]


def test_what_is_kept_has_an_end(tmp_path: Path, inputs: dict[str, Path], monkeypatch: Any) -> None:
    step._KEPT.clear()
    monkeypatch.setattr(step, "_MOST", 1)
    model = {"family": "lightgbm", "params": {"num_iterations": 2}}
    rows = np.load(inputs["train"])
    for count in (60, 80, 100):
        part = tmp_path / f"train-{count}"
        with part.open("wb") as file:
            np.save(file, rows[:count])
        answered(tmp_path, {**inputs, "train": part}, model)
    assert len(step._KEPT) == 1
