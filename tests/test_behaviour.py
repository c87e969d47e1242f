"""How two models' answers are compared: which rows are the same, and by which segments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from mlops_compile.ir.review import Behaviour
from mlops_compile.steps.behaviour import Answered, behaviour
from mlops_compile.steps.tables import write_table

NAN = float("nan")


def answered(
    place: Path,
    columns: dict[str, pa.Array],
    scores: list[float],
    *,
    names: tuple[str, ...] = ("a", "b"),
) -> Answered:
    """Answers of a regression to all rows of a table."""
    place.mkdir()
    write_table(place / "table", pa.table(columns))
    count = len(scores)
    predictions = {"row": pa.array(range(count)), "truth": pa.array([0.0] * count), "p": scores}
    write_table(place / "predictions", pa.table(predictions))
    np.save(place / "train.npy", np.arange(count))
    return Answered(
        predictions=place / "predictions",
        table=place / "table",
        digest=place.name,
        train=place / "train.npy",
        columns=names,
    )


def compared(
    old: Answered, new: Answered, segments: dict[str, int] | None = None
) -> Behaviour | None:
    return behaviour(old, new, regression=True, segments=segments or {})


def test_rows_of_two_tables_are_the_same_by_what_they_hold(tmp_path: Path) -> None:
    numbers, texts = [1.0, NAN, None, 1.0], ["x", "y", None, "x"]
    old = answered(tmp_path / "old", {"a": pa.array(numbers), "b": pa.array(texts)}, [1, 2, 3, 4])
    turned = {"a": pa.array(numbers[::-1]), "b": pa.array(texts[::-1])}
    new = answered(tmp_path / "new", turned, [1, 3, 2, 4])
    found = compared(old, new)
    # Equal rows are told apart by their order; what is no number is the same as what is missing.
    assert found is not None and (found.rows, found.changed) == (4, 0)
    assert (found.only_old, found.only_new) == (0, 0)


def test_a_column_that_is_read_otherwise_does_not_tell_rows_apart(tmp_path: Path) -> None:
    old = answered(tmp_path / "old", {"a": pa.array([1, 2]), "b": pa.array(["x", "y"])}, [1.0, 2.0])
    columns = {"a": pa.array(["1", "2"]), "b": pa.array(["x", "y"]).dictionary_encode()}
    new = answered(tmp_path / "new", columns, [1.0, 2.5])
    found = compared(old, new)
    assert found is not None and (found.rows, found.changed) == (2, 1)
    nothing = answered(tmp_path / "none", columns, [1.0, 2.0], names=("a",))
    assert compared(old, nothing) is None


def test_a_level_of_too_few_rows_is_not_told(tmp_path: Path) -> None:
    levels = pa.array(["x", "x", "x", "y"]).dictionary_encode()
    one = answered(tmp_path / "old", {"a": pa.array([1, 2, 3, 4]), "b": levels}, [1, 1, 1, 1])
    two = answered(tmp_path / "new", {"a": pa.array([1, 2, 3, 4]), "b": levels}, [1, 2, 1, 2])
    every, most = compared(one, two, {"b": 1}), compared(one, two, {"b": 2})
    assert every is not None and [level.level for level in every.segments] == ["y", "x"]
    assert most is not None and [level.level for level in most.segments] == ["x"]
