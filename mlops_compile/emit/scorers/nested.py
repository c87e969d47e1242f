"""Trees as nested conditions: the quickest C for a small model, and the quickest Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mlops_compile.ir.trees import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What stands around a condition, between its sides, and behind them."""

    opens: str
    otherwise: str
    closes: str


def nested(
    tree: Tree,
    condition: Callable[[int], str],
    leaf: Callable[[int], tuple[str, ...]],
    style: Style,
    indent: int,
) -> Iterator[str]:
    """The lines of a tree: `condition(node)` is true to the left, `leaf(number)` are statements."""
    waiting: list[tuple[str, int, int]] = [("", 0 if tree.feature else ~0, indent)]
    while waiting:
        text, node, depth = waiting.pop()
        pad = "    " * depth
        if text:
            yield pad + text
        elif node < 0:
            yield from (pad + line for line in leaf(~node))
        else:
            yield pad + style.opens.format(condition(node))
            waiting += [(style.closes, 0, depth)] if style.closes else []
            waiting += [
                ("", tree.right[node], depth + 1),
                (style.otherwise, 0, depth),
                ("", tree.left[node], depth + 1),
            ]
