"""A scorer in C: nested conditions for a small model, arrays of ranked nodes for a large one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mlops_compile.emit.scorers.literals import array, number
from mlops_compile.emit.scorers.nested import Style, nested
from mlops_compile.emit.scorers.ranked import bits
from mlops_compile.ir.trees import CATEGORY, MISSING_LEFT, ZERO_MISSING, Terms, Tree, Trees

# gcc takes more than a millisecond a leaf for nested conditions; some compilers nest no deeper
# than 256.
_MOST_LEAVES = 4_000
_DEEPEST = 200
_STYLE = Style(opens="if ({}) {{", otherwise="} else {", closes="}")


def is_nested(model: Trees) -> bool:
    """Whether the model becomes conditions."""
    return (
        model.leaves * model.width <= _MOST_LEAVES
        and max(tree.depth() for tree in model.trees) <= _DEEPEST
    )


def sets(model: Trees) -> str:
    """The sets of levels as arrays of bits."""
    return "".join(array(f"SET_{n}", "uint32_t", bits(s)) for n, s in enumerate(model.sets))


def known(model: Trees) -> str:
    """The known levels as arrays of bits."""
    return "".join(array(f"KNOWN_{n}", "uint32_t", bits(levels)) for n, levels in model.known)


def functions(model: Trees) -> Iterator[str]:
    """The lines of each tree's function."""
    position = 0
    words = tuple(len(bits(levels)) for levels in model.sets)
    codes = {feature: number for number, feature in enumerate(model.categories())}
    for tree in model.trees:
        condition = partial(_condition, codes, words, tree)
        yield "\n".join(nested(tree, condition, partial(_leaf, model, tree, position), _STYLE, 1))
        position += len(tree.values) // model.width


def _condition(codes: dict[int, int], words: tuple[int, ...], tree: Tree, node: int) -> str:
    feature, threshold, flags = tree.feature[node], tree.threshold[node], tree.flags[node]
    if flags & CATEGORY:
        code = f"k[{codes[feature]}]"
        among = f"among(SET_{int(threshold)}, {words[int(threshold)]}, {code})"
        return f"{code} < 0 || {among}" if flags & MISSING_LEFT else among
    x, limit = f"x[{feature}]", number(threshold)
    match flags:
        case 0:
            return f"{x} <= {limit}"
        case _ if flags == MISSING_LEFT:
            return f"!({x} > {limit})"
        case _ if flags == ZERO_MISSING:
            return f"{x} <= {limit} && !(fabs({x}) <= ZERO)"
        case _:
            return f"!({x} > {limit}) || fabs({x}) <= ZERO"


def _leaf(model: Trees, tree: Tree, position: int, leaf: int) -> tuple[str, ...]:
    if tree.linear:
        return (f"return linear(x, {position + leaf}, {number(tree.values[leaf])});",)
    if model.width == 1:
        return (f"return {number(tree.values[leaf])};",)
    values = tree.values[leaf * model.width :][: model.width]
    return tuple(f"s[{n}] += {number(value)};" for n, value in enumerate(values))


def linear_leaves(model: Trees) -> str:
    """The constants of linear leaves, and where the terms of each begin."""
    constants: list[float] = []
    first: list[int] = [0]
    features: list[int] = []
    factors: list[float] = []
    for tree in model.trees:
        plain: tuple[tuple[float, Terms], ...] = tuple((value, ()) for value in tree.values)
        for constant, terms in tree.linear or plain:
            constants.append(constant)
            features += [feature for feature, _ in terms]
            factors += [factor for _, factor in terms]
            first.append(len(features))
    return (
        array("CONSTANTS", "double", constants)
        + array("FIRST_TERM", "uint32_t", first)
        + array("TERM_FEATURES", "uint32_t", features)
        + array("TERM_FACTORS", "double", factors)
    )
