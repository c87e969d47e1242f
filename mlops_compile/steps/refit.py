"""Refit: the rows of the train and validation parts become one part to train on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlops_compile.steps.split import write_rows

if TYPE_CHECKING:
    from mlops_compile.steps.kind import Work


def run(work: Work) -> None:
    """Writes `train`, the sorted int64 row numbers of both, and `validation`, which has no rows."""
    parts = [np.load(work.inputs[name], allow_pickle=False) for name in ("train", "validation")]
    write_rows(work.outputs["train"], np.sort(np.concatenate(parts)))
    write_rows(work.outputs["validation"], np.empty(0, dtype=np.int64))
