"""Trial: a family is fitted to the rows of a fold, and answers those that it is judged on.

A worker keeps what trials on equal rows have alike, decoded, so that the next one need not read it:
what they answer is the same bit for bit (tests/test_search_fused.py).
"""

from __future__ import annotations

import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_compile.steps.needs import family_of
from mlops_compile.steps.prepare import read_matrix
from mlops_compile.steps.train import Fitting, fitting

if TYPE_CHECKING:
    from mlops_compile.steps.kind import Work

    Array = np.ndarray[Any, Any]

# What is kept at most, in bytes of features, of which a library may have a binned copy.
_MOST = 1 << 30
_PORTS = ("features", "preparation", "target", "train", "validation", "test")


class Rows:
    """What trials on equal rows have alike: the parts to fit on, and the features to answer."""

    def __init__(self, work: Work) -> None:
        self.fitting: Fitting = fitting(work)
        self.test: Array = read_matrix(
            work.inputs["features"], np.load(work.inputs["test"], allow_pickle=False)
        )

    @property
    def size(self) -> int:
        """Bytes of features."""
        return self.test.nbytes + sum(part.features.nbytes for part in self.fitting.parts.values())


_KEPT: OrderedDict[tuple[str, ...], Rows] = OrderedDict()


def run(work: Work) -> None:
    """Writes `predictions`: an array without objects, of probabilities (rows x classes) or of
    numbers (rows), a row a row of the part `test`."""
    rows = _rows(work)
    family = family_of(work.params)
    with tempfile.TemporaryDirectory(dir=work.outputs["predictions"].parent.parent) as place:
        directory = Path(place)
        for name, data in rows.fitting.fit(work).items():
            (directory / name).write_bytes(data)
        predicted = family.predict(directory, rows.test, len(rows.fitting.classes))
    with work.outputs["predictions"].open("wb") as file:
        np.save(file, np.ascontiguousarray(predicted), allow_pickle=False)


def _rows(work: Work) -> Rows:
    """Those that are kept of these inputs, or new ones; the longest unused make room."""
    key = tuple(work.digests[port].sha256 for port in (*_PORTS, "table") if port in work.digests)
    if key not in _KEPT:
        _KEPT[key] = Rows(work)
    _KEPT.move_to_end(key)
    while len(_KEPT) > 1 and sum(rows.size for rows in _KEPT.values()) > _MOST:
        _KEPT.popitem(last=False)
    return _KEPT[key]
