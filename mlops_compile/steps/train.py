"""Train: a family is fitted to the training rows; model and preparation become one tree."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.value import Map, Value, parse, pretty
from mlops_compile.steps.families.kind import Part, Training
from mlops_compile.steps.needs import family_of
from mlops_compile.steps.prepare import features_of, read_matrix, read_preparation
from mlops_compile.steps.tables import read_table, schema_of
from mlops_compile.steps.weights import by_class, class_weights, directions, row_weights

if TYPE_CHECKING:
    from mlops_compile.steps.kind import Work

META, PREPARATION = "model.json", "preparation.json"


def run(work: Work) -> None:
    """Writes `model`: the family's own files, `preparation.json` and `model.json` (family,
    classes, and the settings that it was trained with)."""
    found = fitting(work)
    directory = work.outputs["model"]
    for name, data in found.fit(work).items():
        (directory / name).write_bytes(data)
    shutil.copyfile(work.inputs["preparation"], directory / PREPARATION)
    meta: dict[str, Value] = {
        "family": family_of(work.params).name,
        "classes": found.classes,
        "settings": work.params["model"],
    }
    (directory / META).write_text(pretty(Map(meta)), "utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """What a family is fitted to, whatever its parameters: rows with the weights that they have of
    themselves, the classes (none in a regression), and the names and sorts of the features.

    `kept` holds what a family made of them, for the next fit.
    """

    parts: Mapping[str, Part]
    classes: tuple[str, ...]
    features: tuple[tuple[str, str], ...]
    kept: dict[Any, Any]

    def fit(self, work: Work) -> Mapping[str, bytes]:
        """The files of a model that is fitted with a step's own params."""
        model = work.params["model"]
        assert isinstance(model, Map)
        params = model.get("params", Map())
        assert isinstance(params, Map)
        weights = class_weights(model.get("class_weight"), self.classes)
        train, validation = self.parts["train"], self.parts["validation"]
        return family_of(work.params).fit(
            Training(
                params=params,
                train=by_class(train, weights),
                validation=validation if len(validation.target) else None,
                codes=tuple(n for n, (_, sort) in enumerate(self.features) if sort == "code"),
                classes=len(self.classes),
                seed=work.seed_for("train") if work.seed is not None else 0,
                threads=work.threads,
                names=tuple(name for name, _ in self.features),
                monotone=directions(model.get("monotone", Map()), self.features),
                kept=self.kept if weights is None else {},
            )
        )


def fitting(work: Work) -> Fitting:
    """What a step's inputs hold to fit to."""
    target, classes = read_target(work.inputs["target"])
    preparation = read_preparation(work.inputs["preparation"])
    parts = {name: load_part(work, target, name) for name in ("train", "validation")}
    _check_classes(parts["train"].target, classes)
    return Fitting(parts=parts, classes=classes, features=features_of(preparation), kept={})


def read_target(path: Path) -> tuple[np.ndarray[Any, Any], tuple[str, ...]]:
    """The target of every row: class positions (int64) and the classes, or numbers and none."""
    column = read_table(path).column("target").combine_chunks()
    if pa.types.is_dictionary(column.type):
        return column.indices.to_numpy().astype("int64"), tuple(column.dictionary.to_pylist())
    return column.to_numpy(), ()


def is_secret(path: Path) -> bool:
    """Whether the targets are of a sensitive column, so that their values may be told nowhere."""
    return b"sensitive" in (schema_of(path).field("target").metadata or {})


def read_meta(directory: Path) -> Map:
    """The `model.json` of a model's directory."""
    value = parse((directory / META).read_text("utf-8"))
    assert isinstance(value, Map)
    return value


def load_part(work: Work, target: np.ndarray[Any, Any], name: str) -> Part:
    """The rows of a part, from a step's inputs `features` and the part's own, and their weights
    where it has a `table` with such."""
    rows = np.load(work.inputs[name], allow_pickle=False)
    return Part(
        features=read_matrix(work.inputs["features"], rows),
        target=target[rows],
        weights=row_weights(work, name, rows),
    )


def _check_classes(target: np.ndarray[Any, Any], classes: tuple[str, ...]) -> None:
    present = set(np.unique(target).tolist()) if classes else set()
    absent = [name for code, name in enumerate(classes) if code not in present]
    if absent:
        names = ", ".join(map(repr, absent[:5]))
        message = f"no row of the training part has the class {names}"
        # The split has looked already.
        hint = "let the conditions keep rows of it, or leave it out of the data"
        raise StepError([problem("classes", message, ("prepare", "rows"), hint)])
