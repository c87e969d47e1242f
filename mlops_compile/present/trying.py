"""Trying: figures of all that was tried: history, parallel coordinates, slices, importance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from mlops_compile.ir.value import Value
from mlops_compile.present.bars import bars
from mlops_compile.present.blocks import MOST_ROWS, Figure, Table
from mlops_compile.present.drawing import BAD, CARD, INK, LINES, SCALE, SOFT, WIDE, drawn
from mlops_compile.present.tried import NOT_SET, Axis, Tried, Try
from mlops_compile.present.words import number, plain_key, short, value_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_AXES = 12
_MOST_TICKS = 8
_UNSET = -0.13  # the place of what has no value, below an axis of 0 to 1


def history(tried: Tried) -> Figure:
    """The objective of each in order, the best so far, and those that failed."""
    drawn_tries = sorted(tried.drawn, key=lambda one: one.number)
    every = sorted(tried.tries, key=lambda one: one.number)
    failed = [one.number for one in every if one.objective is None]
    steps: list[Try] = []
    for one in every:
        if one.objective is not None and (not steps or tried.cost(one) < tried.cost(steps[-1])):
            steps.append(one)
    best = steps[-1]

    def draw(axes: Axes) -> None:
        objectives = _objectives(drawn_tries)
        axes.plot([one.number for one in drawn_tries], objectives, "o", color=LINES[0],
                  alpha=0.75, label=tried.what)  # fmt: skip
        x = [one.number for one in steps] + [every[-1].number]
        y = _objectives([*steps, best])
        axes.step(x, y, where="post", color=LINES[1], label="best so far")
        _star(axes, best.number, best.objective)
        if failed:
            low = axes.get_ylim()[0]
            shown = failed[:: -(-len(failed) // 100)]
            axes.plot(shown, [low] * len(shown), "x", color=BAD, markersize=8, markeredgewidth=2,
                      clip_on=False, label="failed")  # fmt: skip
            axes.set_ylim(bottom=low)
        axes.set(xlabel=tried.what, ylabel=tried.metric)
        axes.locator_params(axis="x", integer=True)
        axes.figure.legend(loc="outside upper right", ncols=3)

    about = f"{tried.metric} of each {tried.what} in order, and the best so far. "
    about += f"Best: {tried.what} {best.name} with {number(best.objective)}."
    if failed:
        about += f" {len(failed)} failed, marked at the lower edge."
    rows = tuple((one.name, number(one.objective)) for one in steps)
    table = Table(caption="Best so far", head=(tried.what, tried.metric), rows=rows[-MOST_ROWS:])
    svg = drawn(draw, 290, WIDE)
    return Figure(title="History", about=about + tried.thinned, svg=svg, table=table, wide=True)


def _objectives(tries: Sequence[Try]) -> list[float]:
    return [one.objective for one in tries if one.objective is not None]


def _star(axes: Axes, x: float, y: Any) -> None:
    axes.plot([x], [y], "*", color=LINES[1], markersize=15, markeredgecolor=INK, zorder=5)


def parallel(tried: Tried) -> Figure:
    """A line for each through its values, coloured by how good it is; the best one stands out."""
    keys, shown = tried.axes[:_MOST_AXES], tried.drawn
    scales = [_scale(axis, shown) for axis in keys]
    goal = _numbers(_objectives(shown), False)
    unset = any(axis.at(one) is None for axis in keys for one in shown)

    def draw(axes: Axes) -> None:
        axes.grid(False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        thin, faint = (1.1, 0.8) if len(shown) <= 100 else (0.8, 0.55)
        for rank in range(len(shown) - 1, -1, -1):  # the best is drawn last
            one = shown[rank]
            places = [scale(axis.at(one)) for axis, (scale, _) in zip(keys, scales, strict=True)]
            places.append(goal[0](one.objective))
            colour = SCALE[len(SCALE) - 1 - rank * len(SCALE) // len(shown)]
            style: dict[str, Any] = {"color": colour, "linewidth": thin, "alpha": faint}
            if rank == 0:
                style = {"color": LINES[1], "linewidth": 3, "marker": "*", "markersize": 12}
            axes.plot(range(len(places)), places, **style)
        behind = {"facecolor": CARD, "alpha": 0.85, "pad": 1, "lw": 0}
        for place, (_, ticks) in enumerate([*scales, goal]):
            axes.plot([place, place], [0, 1], color=SOFT, linewidth=1.2)
            last = place == len(scales)
            for height, text in ticks:
                side = -7 if last else 6
                axes.annotate(text, (place, height), (side, 0), textcoords="offset points",
                              ha="right" if last else "left", va="center", fontsize=9,
                              bbox=behind)  # fmt: skip
        names = [short(axis.label, 18) for axis in keys] + [short(tried.metric, 18)]
        staggered = [name if n % 2 == 0 else f"\n{name}" for n, name in enumerate(names)]
        axes.set_xticks(range(len(names)), staggered if len(names) > 6 else names)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.set_yticks([_UNSET] if unset else [], [NOT_SET] if unset else [])
        axes.set(xlim=(-0.25, len(names) - 0.75), ylim=(-0.2 if unset else -0.06, 1.06))

    best = shown[0]
    about = f"A line for each {tried.what} through its values, darker or brighter the better its"
    about += f" {tried.metric}; the thick line with stars is the best, {tried.what} {best.name}."
    if unset:
        about += f" Below an axis it is {NOT_SET}: not every {tried.what} has every key."
    if len(tried.axes) > _MOST_AXES:
        about += f" The first {_MOST_AXES} of {len(tried.axes)} keys."
    return Figure(
        title="Parallel coordinates",
        about=about + tried.thinned,
        svg=drawn(draw, 330, WIDE),
        table=table_of(tried, f"Values of the {tried.what}s drawn"),
        wide=True,
    )


Scale = tuple[Callable[[float | None], float], list[tuple[float, str]]]


def _scale(axis: Axis, shown: list[Try]) -> Scale:
    """Where a value is on an axis of 0 to 1, and its ticks."""
    if axis.levels:
        last = max(1, len(axis.levels) - 1)
        every = -(-len(axis.levels) // _MOST_TICKS)
        ticks = [(n / last, short(text, 20)) for n, text in enumerate(axis.levels)][::every]
        return (lambda place: _UNSET if place is None else place / last), ticks
    return _numbers([v for one in shown if (v := axis.at(one)) is not None], axis.log)


def _numbers(values: list[float], log: bool) -> Scale:
    form = math.log if log else float
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    least, width = form(low), (form(high) - form(low)) or 1.0

    def at(value: float | None) -> float:
        return _UNSET if value is None else (form(value) - least) / width

    ticks = [(0.0, number(float(low), 4))]
    if high > low:
        between = math.exp((form(low) + form(high)) / 2) if log else (low + high) / 2
        ticks += [(0.5, number(float(between), 3)), (1.0, number(float(high), 4))]
    return at, ticks


def slices(tried: Tried, order: tuple[str, ...] = ()) -> Iterator[Figure]:
    """The objective against each key by itself, keys in an order (of their importance)."""
    rank = {key: place for place, key in enumerate(order)}
    axes = sorted(tried.axes, key=lambda axis: rank.get(axis.key, len(rank)))
    for axis in axes[:_MOST_AXES]:
        held = [one for one in tried.drawn if axis.at(one) is not None]
        if held:
            yield _slice(tried, axis, held)


def _slice(tried: Tried, axis: Axis, held: list[Try]) -> Figure:
    best = held[0]
    wins = best is tried.drawn[0]

    def draw(axes: Axes) -> None:
        if axis.log:
            _by_logarithm(axes)
        x = [axis.at(one) for one in held]
        axes.plot(x, _objectives(held), "o", color=LINES[0], alpha=0.7)  # type: ignore[arg-type]
        if wins:
            _star(axes, float(axis.at(best) or 0), best.objective)
        if axis.levels:
            every = -(-len(axis.levels) // _MOST_TICKS)
            names = [short(text, 14) for text in axis.levels][::every]
            turned = sum(map(len, names)) > 34
            turn: dict[str, Any] = {"rotation": 30, "ha": "right"} if turned else {}
            axes.set_xticks(range(0, len(axis.levels), every), names, **turn)
            axes.set_xlim(-0.5, len(axis.levels) - 0.5)
        elif not axis.log:
            axes.locator_params(axis="x", nbins=5)
        axes.set(xlabel=axis.label, ylabel=tried.metric)

    name = plain_key(axis.key)
    sort = ", a choice" if axis.levels else ", by its logarithm" if axis.log else ""
    about = f"{tried.metric} of each {tried.what} against {name}{sort}."
    about += " The star is the best." if wins else ""
    rows = tuple(
        (one.name, value_text(one.values[axis.key]), number(one.objective))
        for one in held[:MOST_ROWS]
    )
    note = "" if len(rows) == len(held) else f"The best {len(rows)} of {len(held)}."
    head = (tried.what, short(name, 40), tried.metric)
    table = Table(caption=f"{tried.metric} by {name}", head=head, rows=rows, note=note)
    return Figure(title=short(name, 40), about=about, svg=drawn(draw, 250), table=table)


def _by_logarithm(axes: Axes) -> None:
    """A logarithmic axis whose ticks are written as numbers."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=7))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(float(value), 3)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def importance(found: Mapping[str, float], how: str) -> Figure:
    """How much of what the objective varies comes from each key."""
    order = sorted(found, key=lambda key: (-found[key], key))
    values = [(plain_key(key), found[key]) for key in order]
    rows = tuple((name, number(value, 4)) for name, value in values)
    title = "Importance of parameters"
    table = Table(caption=title, head=("parameter", "share"), rows=rows)
    about = f"Shares of the parameters in what the objective varies: {how}."
    return Figure(title=title, about=about, svg=bars(values[:20], "share"), table=table)


def table_of(tried: Tried, caption: str, most: int = MOST_ROWS, *, folded: bool = False) -> Table:
    """The best of all that were tried, with their values."""
    good = tried.good
    rows = tuple(
        (
            one.name,
            number(one.objective),
            *(_held(one.values, axis.key) for axis in tried.axes),
        )
        for one in good[:most]
    )
    note = "" if len(rows) == len(good) else f"The best {len(rows)} of {len(good):,}."
    keys = (short(plain_key(axis.key), 40) for axis in tried.axes)
    head = (tried.what, tried.metric, *keys)
    return Table(caption=caption, head=head, rows=rows, note=note, folded=folded)


def _held(values: Mapping[str, Value], key: str) -> str:
    return short(value_text(values[key]), 60) if key in values else "-"
