"""A search, declared: the keys under `search`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlops_compile.ir.schema import key
from mlops_compile.ir.value import Map

KINDS = ("none", "grid", "random", "sobol", "tpe")


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """`search`: trials of other values, of which the best makes the model."""

    kind: str = key("none, grid, random, sobol or tpe", default="none", choices=KINDS)
    trials: int | None = key(
        "how many trials there are; a grid has as many as it has points", default=None, low=1
    )
    batch: int = key(
        "tpe: trials that are proposed at once, from all those before them", default=8, low=1
    )
    metric: str | None = key(
        "the metric to judge trials by; else evaluate.primary", default=None, filled=True
    )
    direction: str | None = key(
        "maximize or minimize; else as the metric has it",
        default=None,
        choices=("maximize", "minimize"),
    )
    cv: Any = key(
        "folds that each trial is trained and judged on, as evaluate.cross_validation; null: the"
        " train part, judged on the validation part",
        default=None,
        variants="folds",
    )
    refit: str = key(
        "the rows that the winner is trained on: train, or train_and_validation",
        default="train",
        choices=("train", "train_and_validation"),
    )
    space: Map = key("what trials vary, under the config's own keys", default=Map())
