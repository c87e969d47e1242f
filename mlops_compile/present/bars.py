"""Bars and dots of named values, the first one on top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlops_compile.present.drawing import INK, LINES, SOFT, drawn
from mlops_compile.present.words import number, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_EACH, _AROUND = 21.0, 62.0
_LETTERS = 18


def bars(values: Sequence[tuple[str, float]], unit: str) -> str:
    """A bar a value, from 0, with its number at its end."""

    def draw(axes: Axes) -> None:
        places = range(len(values))
        axes.barh(places, [value for _, value in values], height=0.66, color=LINES[0])
        _names(axes, values)
        for place, (_, value) in enumerate(values):
            end = (4 if value >= 0 else -4, 0)
            side = "left" if value >= 0 else "right"
            axes.annotate(number(value, 3), (value, place), end, textcoords="offset points",
                          ha=side, va="center", fontsize=9)  # fmt: skip
        axes.axvline(0, color=SOFT, linewidth=1)
        axes.margins(x=0.16)
        if all(value >= 0 for _, value in values):
            axes.set_xlim(left=0)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(unit)

    return drawn(draw, _AROUND + _EACH * len(values))


def dots(values: Sequence[tuple[str, float]], unit: str, line: float | None) -> str:
    """A dot a value, beside a line that they are compared with."""

    def draw(axes: Axes) -> None:
        if line is not None:
            axes.axvline(line, color=LINES[1], linewidth=1.4, linestyle=(0, (5, 2)))
        axes.plot([value for _, value in values], range(len(values)), "o", color=LINES[0])
        _names(axes, values)
        for place, (_, value) in enumerate(values):
            axes.annotate(number(value, 3), (value, place), (7, 0), textcoords="offset points",
                          va="center", fontsize=9, color=INK)  # fmt: skip
        axes.margins(x=0.22)
        axes.set_xlabel(unit)

    return drawn(draw, _AROUND + (_EACH + 3) * len(values))


def _names(axes: Axes, values: Sequence[tuple[str, float]]) -> None:
    axes.set_yticks(range(len(values)), [short(name, _LETTERS) for name, _ in values])
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=5)


def pairs(names: Sequence[str], before: Sequence[float], now: Sequence[float], unit: str) -> str:
    """Two bars a name: what was, and what is."""

    def draw(axes: Axes) -> None:
        places = range(len(names))
        for own, shift, colour, label in (
            (before, -0.2, LINES[0], "reference"),
            (now, 0.2, LINES[1], "this window"),
        ):
            axes.barh([p + shift for p in places], own, height=0.38, color=colour, label=label)
        _names(axes, [(name, 0.0) for name in names])
        axes.set_xlim(left=0)
        axes.margins(x=0.05)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(unit)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)

    return drawn(draw, _AROUND + 26 + _EACH * len(names))
