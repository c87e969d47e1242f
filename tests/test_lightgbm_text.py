"""LightGBM's model text becomes trees that decide as its library does; tests/test_scorers.py asks
the library itself."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlops_compile.ir.problem import StepError
from mlops_compile.ir.trees import CATEGORY, MISSING_LEFT, ZERO, ZERO_MISSING
from mlops_compile.steps.families.lightgbm_text import read_text

HEAD = """tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=1
objective={objective}
feature_names=f0 f1
feature_infos=[0:1] [0:1]

"""
TREE = """Tree=0
num_leaves=2
num_cat={categories}
split_feature=1
split_gain=1
threshold={threshold}
decision_type={decision}
left_child=-1
right_child=-2
leaf_value=1 2
{sets}is_linear=0
shrinkage=1


end of trees
"""


def text(threshold: str, decision: int, sets: str = "", objective: str = "binary sigmoid:1") -> str:
    tree = TREE.format(
        threshold=threshold, decision=decision, sets=sets, categories=int(bool(sets))
    )
    return HEAD.format(objective=objective) + tree


def library(x: float, threshold: float, decision: int) -> bool:
    """Whether LightGBM sends a number to the left (tree.h, NumericalDecision)."""
    default_left, missing = bool(decision & 2), decision >> 2 & 3
    if abs(x) <= ZERO:
        x = 0.0
    if math.isnan(x) and missing != 2:
        x = 0.0
    if (missing == 1 and abs(x) <= ZERO) or (missing == 2 and math.isnan(x)):
        return default_left
    return x <= threshold


def ours(x: float, threshold: float, flags: int) -> bool:
    if math.isnan(x) or (flags & ZERO_MISSING and abs(x) <= ZERO):
        return bool(flags & MISSING_LEFT)
    return x <= threshold


NEAR = (0.0, 5e-324, 1e-300, 1e-36, math.nextafter(ZERO, 0), ZERO, math.nextafter(ZERO, 1), 1e-34)
NUMBERS = st.one_of(
    st.floats(), st.sampled_from([sign * x for x in (*NEAR, 1.0, math.inf) for sign in (1, -1)])
)


@given(NUMBERS, NUMBERS.filter(lambda x: x == x), st.sampled_from([0, 2, 4, 6, 8, 10]))
@example(math.nan, -0.0, 0)
@example(-1e-36, -1e-36, 8)
@settings(max_examples=500)
def test_a_node_decides_as_the_library(x: float, threshold: float, decision: int) -> None:
    (tree,) = read_text(text(repr(threshold), decision), 2).trees
    found = ours(x, tree.threshold[0], tree.flags[0])
    assert found == library(x, threshold, decision)


def test_a_category_is_a_set_of_levels() -> None:
    sets = "cat_boundaries=0 2\ncat_threshold=5 2147483649\n"
    model = read_text(text("0", 1, sets), 2)
    assert model.sets == ((0, 2, 32, 63),) and model.cut
    assert model.trees[0].flags == (CATEGORY,) and model.trees[0].threshold == (0.0,)


@pytest.mark.parametrize(
    ("objective", "link", "steepness"),
    [
        ("binary sigmoid:0.7", "logistic", 0.7),
        ("cross_entropy", "logistic", 1.0),
        ("regression", "identity", 1.0),
        ("regression sqrt", "square", 1.0),
        ("quantile alpha:0.9", "identity", 1.0),
        ("tweedie tweedie_variance_power:1.5", "exp", 1.0),
        ("poisson sqrt", "exp", 1.0),
    ],
)
def test_the_objective_says_what_scores_mean(objective: str, link: str, steepness: float) -> None:
    classes = 2 if link == "logistic" else 0
    model = read_text(text("0.5", 10, objective=objective), classes)
    assert (model.link, model.steepness) == (link, steepness)


def test_an_objective_that_is_not_known_is_a_sentence() -> None:
    with pytest.raises(StepError, match="'lambdarank' cannot be served"):
        read_text(text("0.5", 10, objective="lambdarank"), 0)


def test_a_mean_of_trees_is_one() -> None:
    """`average_output` stands alone in its line."""
    whole = text("0.5", 10).replace("feature_names", "average_output\nfeature_names")
    assert read_text(whole, 2).divisor == 1
    block = whole.partition("Tree=0")[2]
    twice = f"{whole.partition('end of trees')[0]}Tree=1{block}"
    assert len(read_text(twice, 2).trees) == read_text(twice, 2).divisor == 2
