"""Drawings: matplotlib's figures as inline svg whose colours the page's style decides.

The same numbers give the same bytes: nothing of the user's matplotlibrc, of the clock or of chance
enters. Texts stay texts; a placeholder stands for each colour until the svg is written.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable
from io import StringIO
from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colours that stand for variables of the page's style.
INK, SOFT, GRID, CARD, BAD = "#010101", "#020202", "#030303", "#040404", "#0a0009"
LINES = ("#0a0001", "#0a0002", "#0a0003", "#0a0004")  # series, told apart by dashes too
SCALE = tuple(f"#0b000{n}" for n in range(7))  # from worse to better
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
MARKERS = ("o", "s", "^", "D")
_VARIABLES = {
    **dict(zip((INK, SOFT, GRID, CARD, BAD), ("ink", "soft", "grid", "card", "bad"), strict=True)),
    **{colour: f"line-{n}" for n, colour in enumerate(LINES)},
    **{colour: f"scale-{n}" for n, colour in enumerate(SCALE)},
}
# What a document has and a part of a page has not.
_HEAD = re.compile(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", re.DOTALL)
NARROW, WIDE = 340.0, 720.0  # units of the drawing, of which a letter is 10.5 high
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "mlops_compile",
    "font.family": "DejaVu Sans",  # which matplotlib brings
    "font.size": 10.5,
    "text.parse_math": False,  # a column may be called $x$
    "axes.unicode_minus": True,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "lines.linewidth": 2.0,
    "lines.markersize": 5.0,
}


def drawn(draw: Callable[[Axes], None], height: float, width: float = NARROW) -> str:
    """The svg of what is drawn on one pair of axes, in the drawing's units."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of characters that its font lacks and a browser has
        logging.getLogger("matplotlib").setLevel(logging.ERROR)
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.add_subplot())
        layout = figure.get_layout_engine()
        assert layout is not None
        layout.execute(figure)  # saving would draw all of it once more for that
        figure.set_layout_engine("none")
        out = StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return _inline(out.getvalue())


def _inline(svg: str) -> str:
    """An svg document as a part of a page: without its head, with variables for colours."""
    body = svg[svg.index("<svg") :]
    body = re.sub(
        r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", "", body, flags=re.S
    )
    box = re.search(r'viewBox="([^"]*)"', body)
    assert box is not None
    body = re.sub(r"\A<svg[^>]*>", f'<svg viewBox="{box[1]}">', body)
    used = set(re.findall(r"#([\w-]+)", " ".join(re.findall(r'(?:href="|url\()[^")]*', body))))
    body = re.sub(r"<[^>]*>", lambda tag: _tag(tag[0], used), body)
    return re.sub(r"\s*\n\s*", "\n", body).strip()


def _tag(tag: str, used: set[str]) -> str:
    tag = tag.replace("xlink:href", "href")
    tag = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", tag)
    tag = re.sub(r"-?\d+\.\d{3,}(?![\w.])", lambda n: f"{float(n[0]):.2f}", tag)
    return re.sub(r"#0[0-9ab]0[0-9]0[0-9]", _variable, tag)


def _variable(found: re.Match[str]) -> str:
    return f"var(--{_VARIABLES[found[0]]})" if found[0] in _VARIABLES else found[0]


def numbered(svg: str, number: int, wide: bool) -> str:
    """The same drawing with ids that no other of the page has, and the sizes at which its letters
    can be read."""
    width = width_of(svg)
    least = f"min-width:{0.85 * width:.0f}px;" if wide else ""
    svg = svg.replace("<svg ", f'<svg style="{least}max-width:{1.32 * width:.0f}px" ', 1)
    svg = re.sub(r' id="', f' id="d{number}-', svg)
    return re.sub(r'(href="#|url\(#)', rf"\g<1>d{number}-", svg)


def width_of(svg: str) -> float:
    """The width of a drawing, in its units."""
    box = re.search(r'viewBox="\S+ \S+ (\S+) \S+"', svg)
    assert box is not None
    return float(box[1])
