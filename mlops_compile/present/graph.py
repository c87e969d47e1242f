"""Graph: a plan's steps as boxes in layers, each below what it takes from, drawn as svg.

Folds are drawn as one, and so are trials. An edge that a longer way stands for is left out.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mlops_compile.ir.plan import Step
from mlops_compile.present.words import short

_BOX, _HIGH, _GAP, _DROP = 150.0, 46.0, 16.0, 34.0
_NUMBERED = re.compile(r"\b(fold|point)/\d+/")
_SWEEPS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A step, or steps that are drawn as one: its name, a line on how it ended, and its status."""

    name: str
    line: str
    status: str


def drawn_as(name: str) -> str:
    """The box of a step: those of all folds are one, and those of all points of a sweep."""
    return _NUMBERED.sub(r"\1/*/", name)


def edges_of(steps: Iterable[Step]) -> dict[str, set[str]]:
    """By box, the boxes that it takes from, but for those that others of them take from."""
    direct: dict[str, set[str]] = {}
    for step in steps:
        own = drawn_as(step.name)
        direct.setdefault(own, set()).update(drawn_as(ref.step) for _, ref in step.inputs)
    behind: dict[str, set[str]] = {}
    for name, taken in direct.items():  # a plan's steps stand behind those they take from
        taken.discard(name)
        behind[name] = taken.union(*(behind.get(other, set()) for other in taken))
    return {
        name: taken - set().union(*(behind.get(other, set()) for other in taken))
        for name, taken in direct.items()
    }


def draw(boxes: Mapping[str, Box], edges: Mapping[str, set[str]]) -> str:
    """The svg of boxes by name, in an order in which each stands behind those it takes from."""
    places = _places(list(boxes), edges)
    width = max(x for x, _ in places.values()) + _BOX
    height = max(y for _, y in places.values()) + _HIGH
    parts = [f'<svg viewBox="-2 -2 {_n(width + 4)} {_n(height + 4)}" class="graph">']
    parts += _lines(boxes, edges, places)
    for name, box in boxes.items():
        x, y = places[name]
        middle = _n(x + _BOX / 2)
        parts.append(
            f'<g class="step {box.status}"><rect x="{_n(x)}" y="{_n(y)}" width="{_n(_BOX)}"'
            f' height="{_n(_HIGH)}" rx="7"/>'
            f'<text x="{middle}" y="{_n(y + 19)}" class="name">{_text(box.name, 22)}</text>'
            f'<text x="{middle}" y="{_n(y + 35)}">{_text(box.line, 26)}</text></g>'
        )
    return "\n".join([*parts, "</svg>"])


def _places(names: list[str], edges: Mapping[str, set[str]]) -> dict[str, tuple[float, float]]:
    """The upper left corner of each box, and of each bend of an edge that passes layers."""
    depth: dict[str, int] = {}
    for name in names:
        depth[name] = 1 + max((depth[other] for other in edges.get(name, ())), default=-1)
    layers: list[list[str]] = [[] for _ in range(1 + max(depth.values()))]
    above: dict[str, list[str]] = {}
    for name in names:
        layers[depth[name]].append(name)
        for other in sorted(edges.get(name, ())):
            last = other
            for level in range(depth[other] + 1, depth[name]):
                bend = f"{other}>{name}>{level}"
                layers[level].append(bend)
                above[bend] = [last]
                last = bend
            above.setdefault(name, []).append(last)
    _order(layers, above)
    widest = max(map(_width, layers))
    places = {}
    for level, layer in enumerate(layers):
        x = (widest - _width(layer)) / 2
        for name in layer:
            places[name] = (x, level * (_HIGH + _DROP))
            x += _GAP + (0.0 if ">" in name else _BOX)
    return places


def _width(layer: list[str]) -> float:
    return sum(0.0 if ">" in name else _BOX for name in layer) + _GAP * (len(layer) - 1)


def _order(layers: list[list[str]], above: Mapping[str, list[str]]) -> None:
    """Put what belongs together side by side: each by the middle of what it hangs on."""
    below: dict[str, list[str]] = {}
    for name, others in above.items():
        for other in others:
            below.setdefault(other, []).append(name)
    for turn in range(_SWEEPS):
        down = turn % 2 == 0
        for layer in layers[1:] if down else layers[-2::-1]:
            rank = {
                name: place / len(other)
                for other in layers
                for place, name in enumerate(other, start=1)
            }
            near = above if down else below

            def middle(name: str, near: Mapping[str, list[str]] = near) -> float:
                held = [rank[other] for other in near.get(name, ())]  # noqa: B023 - used at once
                return sum(held) / len(held) if held else rank[name]  # noqa: B023

            layer.sort(key=middle)


def _lines(
    boxes: Mapping[str, Box],
    edges: Mapping[str, set[str]],
    places: Mapping[str, tuple[float, float]],
) -> list[str]:
    found = []
    for name in boxes:
        for other in sorted(edges.get(name, ())):
            (x, y), (end_x, end_y) = places[other], places[name]
            x, y, end_x = x + _BOX / 2, y + _HIGH, end_x + _BOX / 2
            path = [f"M{_n(x)} {_n(y)}"]
            bends = [key for key in places if key.startswith(f"{other}>{name}>")]
            for bend in sorted(bends, key=lambda key: places[key][1]):
                bend_x, bend_y = places[bend]
                path.append(_curve(x, y, bend_x, bend_y))
                x, y = bend_x, bend_y + _HIGH
                path.append(f"L{_n(x)} {_n(y)}")
            path.append(_curve(x, y, end_x, end_y - 5))
            found.append(f'<path class="edge" d="{" ".join(path)}"/>')
            found.append(
                f'<path class="tip" d="M{_n(end_x - 4)} {_n(end_y - 6)}'
                f' L{_n(end_x + 4)} {_n(end_y - 6)} L{_n(end_x)} {_n(end_y)} Z"/>'
            )
    return found


def _curve(x: float, y: float, end_x: float, end_y: float) -> str:
    middle = (y + end_y) / 2
    return f"C{_n(x)} {_n(middle)} {_n(end_x)} {_n(middle)} {_n(end_x)} {_n(end_y)}"


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _text(text: str, most: int) -> str:
    return html.escape(short(text, most), quote=False)
