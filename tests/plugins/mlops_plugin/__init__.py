"""A model family for tests, as an installed distribution offers it: the mean, times a factor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlops_compile.steps.families.kind import Family, Training, chains


def _fit(training: Training) -> Mapping[str, bytes]:
    factor: Any = training.params.get("factor", 1.0)
    mean = float(training.train.target.mean()) * factor
    return {"mean.json": json.dumps({"mean": mean}).encode()}


def _predict(directory: Path, features: Any, classes: int) -> Any:
    import numpy as np

    mean = json.loads((directory / "mean.json").read_text("ascii"))["mean"]
    return np.full(len(features), mean)


FAMILY = Family(
    name="probe_mean",
    tasks=("regression",),
    accepts=("numeric", "boolean"),
    missing=True,
    chains=chains(
        numeric=[], boolean=[], categorical=[{"ordinal": {}}], datetime=[{"date_parts": {}}]
    ),
    distributions=("numpy",),
    seeded=False,
    complaints=lambda params, task, has_validation: (),
    fit=_fit,
    predict=_predict,
    scorer="mlops_plugin:data/mean.py.jinja",
    serving=(),
    imports=(),
    table="mlops_plugin:data/parameters.json",
)
BARE = replace(FAMILY, name="probe_bare", table="mlops_plugin:data/nothing.json")
BROKEN = "no family"
