"""The page of a monitored window."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_compile.ir.finding import Finding, Shape
from mlops_compile.ir.reference import SCORE
from mlops_compile.ir.value import Map
from mlops_compile.present.bars import pairs
from mlops_compile.present.blocks import Block, Figure, Page, Section, Table, Text, first
from mlops_compile.present.monitored import TITLES, Looked, headline, read_lines
from mlops_compile.present.words import number, visible

_MOST = 24  # figures
# What stands for the test of a finding that is a share of rows.
_WORDS = {"missing": "missing", "range": "out of range", "unseen": "unseen", "type": "wrong type"}
_PERFORMANCE = ("estimate", "performance")


def monitor_page(looked: Looked, shapes: tuple[Shape, ...], performance: Map) -> Page:
    """What was found, the alerts first; distributions of the columns that moved most."""
    found = (
        _alerts(looked),
        _performance(looked, performance),
        _distributions(looked, shapes),
        _all(looked),
        _read(looked),
    )
    return Page(
        title=f"{visible(looked.name)}: {looked.start} to {looked.end}",
        status="breaking" if looked.alerts else "ok",
        summary=headline(looked)[0].upper() + headline(looked)[1:] + ".",
        facts=(("Model", visible(looked.name)), ("Rows", f"{looked.rows:,}")),
        sections=tuple(section for section in found if section is not None),
        made_by="mlops-compile monitor",
        made_from="the service's log and the reference in its bundle",
    )


def _alerts(looked: Looked) -> Section | None:
    if not looked.alerts:
        return None
    blocks = tuple(Text(text=visible(finding.message), marked=True) for finding in looked.alerts)
    return Section(name="alerts", title="Alerts", blocks=blocks)


def _performance(looked: Looked, performance: Map) -> Section | None:
    before = performance["reference"]
    assert isinstance(before, Map)
    told = {(f.kind, f.test): f for f in looked.findings if f.kind in _PERFORMANCE}
    names = [name for name in before if any((kind, name) in told for kind in _PERFORMANCE)]
    segments = [f for f in looked.findings if f.kind == "segment"]
    blocks: list[Block] = []
    if names:
        cells = ([_band(told.get((kind, name))) for kind in _PERFORMANCE] for name in names)
        rows = [(n, number(before[n]), *own) for n, own in zip(names, cells, strict=True)]
        head = ("metric", "test rows", "estimated without labels", "with labels")
        caption = f"The model then and now ({performance['labelled']:,} labelled rows)"
        blocks.append(Table(caption=caption, head=head, rows=tuple(rows)))
    blocks += [Text(text=visible(f.message)) for f in told.values() if f.value is None]
    if segments:
        blocks.append(_table("Segments", segments))
    return (
        Section(name="performance", title="Performance", blocks=tuple(blocks)) if blocks else None
    )


def _band(finding: Finding | None) -> str:
    """A metric, and between what it lies."""
    if finding is None or finding.value is None:
        return ""
    if finding.low is None or finding.high is None:
        return number(finding.value)
    return f"{number(finding.value)} ({number(finding.low)} to {number(finding.high)})"


def _distributions(looked: Looked, shapes: tuple[Shape, ...]) -> Section | None:
    worst: dict[str, int] = {}
    for name in _ranked(looked):
        worst.setdefault(name, len(worst))
    ordered = sorted(shapes, key=lambda shape: worst.get(shape.name, len(worst)))
    blocks: list[Block] = [_figure(looked, shape) for shape in ordered[:_MOST]]
    if len(ordered) > _MOST:
        rest = len(ordered) - _MOST
        blocks.append(
            Text(text=f"{rest} more columns moved less; the table below has their tests.")
        )
    if not blocks:
        return None
    return Section(name="distributions", title="Distributions", blocks=tuple(blocks))


def _ranked(looked: Looked) -> Iterator[str]:
    """Columns by alerts, then by how near their distance is to its threshold."""

    def rank(finding: Finding) -> tuple[bool, float]:
        value, threshold = finding.value or 0.0, finding.threshold or 0.0
        return not finding.alert, -(value / threshold if threshold else 0.0)

    held = [f for f in looked.findings if f.feature or f.kind == "score"]
    for finding in sorted(held, key=rank):
        yield finding.feature or SCORE


def _figure(looked: Looked, shape: Shape) -> Figure:
    own = [
        f
        for f in looked.findings
        if f.threshold is not None
        and (f.feature == shape.name or (f.kind == "score" and shape.name == SCORE))
    ]
    alerts = [f.message for f in own if f.alert]
    told = [f"{_WORDS.get(f.kind, f.test)} {_number(f.value)}" for f in own if f.value]
    about = ". ".join(alerts) if alerts else "; ".join(told)
    rows = zip(shape.labels, shape.before, shape.now, strict=True)
    return Figure(
        title=visible(shape.name),
        about=visible(about) or "shares of rows",
        svg=pairs(
            [visible(name) for name in shape.labels], shape.before, shape.now, "share of rows"
        ),
        table=Table(
            caption="share of rows",
            head=("value", "reference", "this window"),
            rows=tuple((visible(a), number(b), number(c)) for a, b, c in rows),
        ),
    )


def _all(looked: Looked) -> Section:
    findings = [f for f in looked.findings if f.value is not None and f.kind != "segment"]
    table = _table("All that was measured", findings)
    return Section(name="findings", title="Findings", blocks=(table,))


def _table(caption: str, findings: list[Finding]) -> Table:
    rows = [
        (
            "alert" if f.alert else "",
            TITLES[f.kind],
            visible(f.feature or ""),
            f.test,
            _number(f.value),
            _number(f.threshold),
            _number(f.reference),
            _number(f.p),
        )
        for f in findings
    ]
    note, most = first(list(rows), "--json", 300)
    head = ("", "what", "of", "test", "value", "alert from", "before", "p")
    return Table(caption=caption, head=head, rows=tuple(rows[:most]), note=note, folded=True)


def _number(value: float | None) -> str:
    return "" if value is None else number(value)


def _read(looked: Looked) -> Section:
    blocks = tuple(Text(text=line[0].upper() + line[1:] + ".") for line in read_lines(looked))
    return Section(name="read", title="What was read", blocks=blocks)
