"""Generated scorers of trees answer as the fitted model does, bit for bit, in C and in Python."""

from __future__ import annotations

import os
import shutil
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_compile.emit.hostile import hostile_rows
from mlops_compile.emit.render import environment
from mlops_compile.emit.scorers import c, literals, python, ranked
from mlops_compile.emit.scorers.render import c_text, python_text, scorer_files
from mlops_compile.ir.trees import Tree, Trees
from mlops_compile.steps.families import FAMILIES
from tests.scorers import CASES, fit, loader, write

ROWS = int(os.environ.get("EXACT_ROWS", "300"))
GOLDEN = Path(__file__).parent / "golden" / "scorers"
Rows = list[tuple[float, ...]]
needs_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")


def same(found: list[list[float]], wanted: Any, rows: Rows) -> None:
    """Equal but for the signs of zeros and the bits of NaN; the first row that is not is shown."""
    found, wanted = np.array(found), np.array(wanted).reshape(len(rows), -1)
    assert found.shape == wanted.shape
    equal = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    for row in np.flatnonzero(~equal.all(axis=1))[:1].tolist():
        raise AssertionError(f"row {row} {rows[row]}: {found[row]}, and right is {wanted[row]}")


def expected(name: str, model: Trees, folder: Path, rows: Rows) -> Any:
    with np.errstate(all="ignore"):
        return FAMILIES[CASES[name].family].predict(folder, np.array(rows), model.classes)


SHAPES = (
    "lightgbm-binary-num_iterations=12-num_leaves=9-min_data_in_leaf=5-objective=binary-codes",
    "lightgbm-multiclass-num_iterations=12-num_leaves=9-min_data_in_leaf=5-linear_tree=True-linear_lambda=0.1-codes",
    "lightgbm-regression-num_iterations=12-num_leaves=9-min_data_in_leaf=5-zero_as_missing=True-codes",
    "random_forest-multiclass-n_estimators=7",
    "hist_gradient_boosting-binary-max_iter=12-codes",
)
# One of each sort; the others are many.
QUICK = (
    *SHAPES,
    "lightgbm-multiclass-num_iterations=12-num_leaves=9-min_data_in_leaf=5-objective=multiclassova-codes",
    "lightgbm-regression-num_iterations=12-num_leaves=9-min_data_in_leaf=5-objective=tweedie-codes",
    "extra_trees-regression-n_estimators=7",
    "hist_gradient_boosting-multiclass-max_iter=12",
)


@needs_compiler
@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in CASES]
)
def test_c_and_python_are_exact(name: str, tmp_path: Path) -> None:
    """On hostile rows, alone and among others; EXACT_ROWS says on how many."""
    model = fit(CASES[name], tmp_path)
    rows = hostile_rows(model, ROWS)
    wanted = expected(name, model, tmp_path, rows)
    write(model, tmp_path)
    scorer = loader(model.classes, model.features)["Scorer"]
    in_c, in_python = scorer(tmp_path, True, [tmp_path]), scorer(tmp_path, False)
    assert (in_c.language, in_python.language) == ("C", "Python")
    same(in_c.answers(rows), wanted, rows)
    same([in_c.answers([row])[0] for row in rows], wanted, rows)
    same(in_python.answers(rows), wanted, rows)


@needs_compiler
@pytest.mark.parametrize("name", SHAPES)
def test_the_shape_changes_no_bit(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small model in the shapes of large ones: ranks of one, two and four bytes, in blocks and
    row by row; arrays as bytes; a walk in Python."""
    model = fit(CASES[name], tmp_path)
    rows = hostile_rows(model, ROWS)
    wanted = expected(name, model, tmp_path, rows)
    monkeypatch.setattr(c, "_MOST_LEAVES", 0)
    monkeypatch.setattr(python, "_MOST_LEAVES", 0)
    held = ranked._HELD
    for listed, blocks, (byte, two) in (
        *((10_000, 512, held), (3, 512, held), (3, 0, held)),
        *((3, 512, (0, held[1])), (3, 512, (0, 0))),
    ):
        monkeypatch.setattr(literals, "_MOST_LISTED", listed)
        monkeypatch.setattr(ranked, "_MOST_IN_BLOCKS", blocks)
        monkeypatch.setattr(ranked, "_HELD", (byte, two))
        folder = tmp_path / f"{listed}-{blocks}-{byte}-{two}"
        write(model, folder)
        scorer = loader(model.classes, model.features)["Scorer"]
        in_c = scorer(folder, True, [folder])
        assert in_c.language == "C"
        same(in_c.answers(rows), wanted, rows)
        same([in_c.answers([row])[0] for row in rows], wanted, rows)
        for count in (1, 23, 24, 63, 64, 65, 87, 88, 130):  # where blocks begin and end
            same(in_c.answers(rows[:count]), np.array(wanted)[:count], rows[:count])
    same(scorer(folder, False).answers(rows), wanted, rows)


def test_the_cases_have_every_sort_of_node_and_leaf(tmp_path: Path) -> None:
    """Else their equality would say little."""
    assert {*QUICK} <= {*CASES}
    models = [fit(CASES[name], tmp_path) for name in QUICK]
    flags = [{flag for t in m.trees for flag in t.flags} for m in models]
    assert set.union(*flags) == {0, 1, 2, 3, 4, 5}
    assert any(model.linear for model in models) and {model.link for model in models} > {"exp"}
    assert any(model.known for model in models) and any(model.width > 1 for model in models)


def test_all_rows_are_answered_for_no_rows(tmp_path: Path) -> None:
    write(fit(CASES[SHAPES[0]], tmp_path), tmp_path)
    scorer = loader(2, 5)["Scorer"]
    for native in (True, False):
        assert scorer(tmp_path, native, [tmp_path]).answers([]) == []


# The form


STUMP = Tree(feature=(0,), threshold=(0.5,), flags=(1,), left=(~0,), right=(~1,), values=(1.0, 2.0))
ONE = Trees(features=1, classes=0, base=(0.5,), width=1, trees=(STUMP,), link="identity")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"link": "tanh"}, "no link"),
        ({"features": 0}, "0 trees|1 trees of width"),
        ({"classes": 3}, "1 scores for 3 classes"),
        ({"divisor": 0}, "divisor"),
        ({"sets": ((1, 0),)}, "levels"),
        ({"trees": (replace(STUMP, feature=(1,)),)}, "tree 0: feature 1 of 1"),
        ({"trees": (replace(STUMP, left=(0,)),)}, "pre-order"),
        ({"trees": (replace(STUMP, left=(~1,)),)}, "pre-order"),
        ({"trees": (replace(STUMP, flags=()),)}, "lengths"),
        ({"trees": (replace(STUMP, flags=(2,)),)}, "without known levels"),
        ({"trees": (replace(STUMP, flags=(2,)),), "cut": True}, "set 0.5 of 0"),
        ({"trees": (replace(STUMP, threshold=(float("nan"),)),)}, "no number"),
        ({"trees": (replace(STUMP, linear=((0.0, ()),)),)}, "linear leaves"),
    ],
)
def test_a_wrong_model_is_not_made(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(ONE, **change)


@needs_compiler
@pytest.mark.parametrize("width", [1, 3])
def test_trees_of_one_leaf(tmp_path: Path, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone, and at the end, where a walk has no node to look at."""
    leaf = replace(STUMP, feature=(), threshold=(), flags=(), left=(), right=())
    leaf = replace(leaf, values=tuple(float(n + 1) for n in range(width)))
    classes = width if width > 1 else 0
    model = replace(ONE, trees=(leaf,) * 3, base=(0.0,) * width, width=width, classes=classes)
    wanted = [[3.0 * (n + 1) for n in range(width)]] * 70
    for most in (4000, 0):
        monkeypatch.setattr(c, "_MOST_LEAVES", most)
        monkeypatch.setattr(python, "_MOST_LEAVES", most)
        folder = tmp_path / str(most)
        write(model, folder)
        for native in (True, False):
            scorer = loader(model.classes, model.features)["Scorer"](folder, native, [folder])
            assert scorer.language == ("C" if native else "Python")
            assert scorer.answers([(0.0,)] * 70) == wanted


@given(st.lists(st.floats(), min_size=1, max_size=20))
@settings(max_examples=25)
def test_a_double_keeps_its_bits(values: list[float]) -> None:
    for value in values:
        text = literals.number(value)
        if value == value and abs(value) != float("inf"):
            back = float.fromhex(text) if "x" in text else float(text)
            assert struct.pack("d", back) == struct.pack("d", value)
    many = [*values] * 2001
    lines = literals.array("X", "double", many).splitlines()
    pieces = [line.strip()[1:-1] for line in lines if line.startswith('    "')]
    data = b"".join(piece.encode().decode("unicode_escape").encode("latin-1") for piece in pieces)
    assert data == struct.pack(f"<{len(many)}d", *many)


# Golden files


@pytest.mark.parametrize("family", ["lightgbm", "random_forest", "hist_gradient_boosting"])
@pytest.mark.parametrize("shape", ["nested", "ranked"])
def test_golden_scorers(family: str, shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is generated for a small model, as text; UPDATE_GOLDEN=1 writes it anew."""
    if shape == "ranked":
        monkeypatch.setattr(c, "_MOST_LEAVES", 0)
        monkeypatch.setattr(python, "_MOST_LEAVES", 0)
    for name, text in scorer_files(SMALL[family], environment()).items():
        golden = GOLDEN / family / shape / name
        if os.environ.get("UPDATE_GOLDEN"):
            golden.parent.mkdir(parents=True, exist_ok=True)
            golden.write_text(text, "ascii")
        assert text == golden.read_text("ascii"), f"{golden} differs; UPDATE_GOLDEN=1 writes it"


TWO = Tree(
    feature=(0, 1),
    threshold=(0.1, 0.0),
    flags=(1, 2),
    left=(1, ~0),
    right=(~2, ~1),
    values=(0.25, -0.1, 3.0),
)
SMALL = {
    "lightgbm": Trees(
        features=2,
        classes=2,
        base=(0.0,),
        width=1,
        trees=(TWO, replace(TWO, flags=(4, 2), values=(1e-300, -2.5, 1.0))),
        link="logistic",
        sets=((1, 2, 40),),
        cut=True,
    ),
    "random_forest": Trees(
        features=2,
        classes=3,
        base=(0.0, 0.0, 0.0),
        width=3,
        trees=(replace(TWO, flags=(1, 0), values=(0.2, 0.3, 0.5, 1.0, 0.0, 0.0, 0.0, 0.5, 0.5)),),
        link="identity",
        divisor=3,
    ),
    "hist_gradient_boosting": Trees(
        features=2,
        classes=0,
        base=(-0.75,),
        width=1,
        trees=(TWO, replace(TWO, threshold=(float("inf"), 0.0), flags=(0, 3))),
        link="exp",
        sets=((1, 2),),
        known=((1, (0, 1, 2, 5)),),
    ),
}


def test_the_same_model_gives_the_same_bytes() -> None:
    for model in SMALL.values():
        assert c_text(model, environment()) == c_text(model, environment())
        assert python_text(model, environment()) == python_text(model, environment())
