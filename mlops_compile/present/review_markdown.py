"""A review as the comment of a pull request: the summary first, details folded, never too long."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from mlops_compile.ir.review import Review
from mlops_compile.present.review_rows import Part, Row
from mlops_compile.present.reviewing import parts, sides, verdict, warnings

MOST = 65_000  # characters; GitHub takes 65,536
_ROWS = (200, 100, 50, 25, 12, 6, 3, 1)
_OPEN = ("causes", "service", "model", "answers", "gates")
_TICKS = re.compile("`+")


def markdown(review: Review, most: int = MOST) -> str:
    """The review as GitHub's markdown, of at most so many characters."""
    found = parts(review)
    for rows in _ROWS:
        text = _text(review, found, rows)
        if len(text) <= most:
            return text
    return _text(review, found[:1], 1)[:most]


def _text(review: Review, found: tuple[Part, ...], rows: int) -> str:
    head = f"### Plan: {escaped(verdict(review))}"
    told = [f"> [!WARNING]\n> {escaped(text)}" for text in warnings(review)]
    sections = [_part(part, rows) for part in found]
    named = _table(
        ("", "what", "plan"),
        [Row(cells=side) for side in sides(review)],
        frozenset({"what"}),
    )
    return "\n\n".join([head, *told, *sections, _folded("Plans", named)]) + "\n"


def _part(part: Part, most: int) -> str:
    lines = [escaped(part.lead)] if part.lead else []
    if part.rows:
        lines.append(_table(part.head, part.rows[:most], part.quoted))
    if (more := len(part.rows) - most) > 0:
        lines.append(f"… and {more:,} more; `mlops-compile diff` lists them all.")
    body = "\n\n".join(lines)
    if part.name in _OPEN:
        return f"**{escaped(part.title)}**\n\n{body}"
    return _folded(_summary(part), body)


def _summary(part: Part) -> str:
    return f"{part.title} ({part.count:,})" if part.count else part.title


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{html.escape(title, quote=False)}</summary>\n\n{body}\n\n</details>"


def _table(head: tuple[str, ...], rows: tuple[Row, ...] | list[Row], quoted: frozenset[str]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(_cells(head, row, quoted)) + " |" for row in rows]
    return "\n".join(lines)


def _cells(head: tuple[str, ...], row: Row, quoted: frozenset[str]) -> Iterator[str]:
    for name, cell in zip(head, row.cells, strict=True):
        yield code(cell) if name in quoted and cell else escaped(cell)


def code(text: str) -> str:
    """A text as code in a cell of a table, whatever it holds."""
    longest = max((len(found) for found in _TICKS.findall(text)), default=0)
    ticks = "`" * (longest + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{space}{text}{space}{ticks}".replace("|", "\\|")


def _backslashed(found: re.Match[str]) -> str:
    return "".join(f"\\{char}" for char in found[0])


def escaped(text: str) -> str:
    """A text that stays what it is: no markup, no mention, no reference."""
    shown = re.sub(r"([\\`*_\[\]|#]|~~|^[-+=~>](?= ))", _backslashed, text)
    shown = html.escape(shown, quote=False)
    return shown.replace("@", "&#64;")
