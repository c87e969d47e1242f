"""A scorer in Python alone: nested conditions for a model of moderate size, else a walk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from mlops_compile.emit.scorers.nested import Style, nested
from mlops_compile.ir.trees import CATEGORY, MISSING_LEFT, ZERO_MISSING, Tree, Trees

# Python compiles a million leaves for minutes, and indents no deeper than a hundred blocks.
_MOST_LEAVES = 20_000
_DEEPEST = 80
_TOGETHER = 32  # trees in a function
_STYLE = Style(opens="if {}:", otherwise="else:", closes="")
DATA = "trees.json"


def is_nested(model: Trees) -> bool:
    """Whether the model becomes conditions."""
    return model.leaves <= _MOST_LEAVES and max(t.depth() for t in model.trees) <= _DEEPEST


def functions(model: Trees) -> Iterator[tuple[str, str]]:
    """The functions of all trees: what each takes beside the row, and its lines."""
    scores = ", ".join(f"s{n}" for n in range(len(model.base)))
    codes = "".join(f"k{feature}, " for feature in model.categories())
    row = ", ".join(f"x{n}" for n in range(model.features)) + ("," if model.features == 1 else "")
    position = 0
    for first in range(0, len(model.trees), _TOGETHER):
        lines = [f"    {row} = row"]
        for number in range(first, min(first + _TOGETHER, len(model.trees))):
            tree = model.trees[number]
            leaf = partial(_leaf, model, tree, number % len(model.base), position)
            lines += nested(tree, partial(_condition, tree), leaf, _STYLE, 1)
            position += len(tree.values) // model.width
        lines.append(f"    return {scores}")
        yield codes + scores, "\n".join(lines)


def _condition(tree: Tree, node: int) -> str:
    feature, threshold, flags = tree.feature[node], tree.threshold[node], tree.flags[node]
    if flags & CATEGORY:
        among = f"k{feature} in SET_{int(threshold)}"
        return f"k{feature} < 0 or {among}" if flags & MISSING_LEFT else among
    x, limit = f"x{feature}", literal(threshold)
    match flags:
        case 0:
            return f"{x} <= {limit}"
        case _ if flags == MISSING_LEFT:
            return f"not {x} > {limit}"
        case _ if flags == ZERO_MISSING:
            return f"{x} <= {limit} and not -ZERO <= {x} <= ZERO"
        case _:
            return f"not {x} > {limit} or -ZERO <= {x} <= ZERO"


def _leaf(model: Trees, tree: Tree, score: int, position: int, leaf: int) -> tuple[str, ...]:
    if tree.linear:
        return (f"s{score} += linear(row, LEAF_{position + leaf})",)
    if model.width == 1:
        return (f"s{score} += {literal(tree.values[leaf])}",)
    values = tree.values[leaf * model.width :][: model.width]
    return tuple(f"s{n} += {literal(value)}" for n, value in enumerate(values))


def literal(value: float) -> str:
    """A double as Python reads it."""
    return repr(value) if abs(value) != float("inf") else ("INF" if value > 0 else "-INF")


def linear_leaves(model: Trees) -> Iterator[tuple[int, str]]:
    """The position of each linear leaf, and what the code keeps of it: the plain value, the
    constant and the terms."""
    position = 0
    for tree in model.trees:
        for leaf, (constant, terms) in enumerate(tree.linear):
            texts = [f"({feature}, {literal(factor)})" for feature, factor in terms]
            inside = ", ".join(texts) + ("," if len(texts) == 1 else "")
            plain = literal(tree.values[leaf])
            yield position + leaf, f"({plain}, {literal(constant)}, ({inside}))"
        position += len(tree.values) // model.width


def data(model: Trees) -> str:
    """The trees as the walk and contributions read them, one a line."""
    head = {
        "base": model.base,
        "divisor": model.divisor,
        "known": {str(feature): levels for feature, levels in model.known},
        "sets": model.sets,
    }
    lines = [json.dumps(_arrays(tree), separators=(",", ":")) for tree in model.trees]
    return json.dumps(head)[:-1] + ', "trees": [\n' + ",\n".join(lines) + "\n]}\n"


def _arrays(tree: Tree) -> dict[str, Any]:
    found: dict[str, Any] = {name: getattr(tree, name) for name in _ARRAYS}
    return {**found, "linear": tree.linear} if tree.linear else found


_ARRAYS = ("feature", "threshold", "flags", "left", "right", "values")
