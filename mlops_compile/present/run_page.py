"""The page of a run."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_compile.ir.value import Map, dotted, leaves
from mlops_compile.present.blocks import Block, Cell, Page, Section, Table, Text
from mlops_compile.present.facts import Run
from mlops_compile.present.judged import figures, importances, segments
from mlops_compile.present.measured import metrics_section
from mlops_compile.present.searched import search_section
from mlops_compile.present.steps import failed_table, plan_figure, time_figure
from mlops_compile.present.words import at, counted, interval, map_at, number, value_text, visible

_DIGITS = 12  # of a digest
_PARTS = ("train", "validation", "test")


def run_page(run: Run) -> Page:
    """All that is told of a run, the most wanted first."""
    record = run.record
    contract = record.lock.contract
    name = visible(str(run.param("deploy", "name") or contract.target))
    found = [_failures(run), metrics_section(run), search_section(run)]
    found += [*judged_sections(run), _plan(run), _details(run)]
    return Page(
        title=f"{name}: run of plan {record.lock.digest[:_DIGITS]}",
        status="ok" if record.ok else "failed",
        summary=summary(run),
        facts=tuple(_facts(run)),
        sections=tuple(section for section in found if section is not None),
    )


def summary(run: Run) -> str:
    """The primary metric in a sentence, or how far the run came."""
    metrics, primary = run.record.metrics, run.primary
    value = at(metrics, "test", primary)
    if value is None:
        done = sum(result.status in ("ran", "hit") for result in run.record.results)
        return f"{done} of {counted(len(run.record.results), 'step')} came to an end."
    text = f"{primary} {number(value)} on the test part"
    ends = at(run.record.evaluation, "intervals", "metrics", primary)
    text += f" ({interval(ends)})" if ends is not None else ""
    other = at(metrics, "baseline", primary)
    return text + (f", baseline {number(other)}" if other is not None else "")


def judged_sections(run: Run) -> Iterator[Section | None]:
    """The curves of the test part, what answers come from, and segments."""
    evaluation, target = run.evaluation, run.record.lock.contract.target
    primary, secret = run.primary, run.secret
    yield _section("curves", "Answers", figures(evaluation, target))
    yield _section("importance", "Importance", importances(evaluation, primary, secret))
    yield _section("segments", "Segments", segments(evaluation, primary, secret))


def _section(name: str, title: str, blocks: Iterator[Block]) -> Section | None:
    held = tuple(blocks)
    return Section(name=name, title=title, blocks=held) if held else None


def _facts(run: Run) -> Iterator[tuple[str, Cell]]:
    record, contract = run.record, run.record.lock.contract
    task = contract.task
    if contract.classes:
        listed = ", ".join(map(visible, contract.classes[:6]))
        task += f" of {len(contract.classes)} classes: {listed}"
        task += ", …" if len(contract.classes) > 6 else ""
    yield "Target", visible(contract.target)
    yield "Task", task
    for name, source in record.lock.sources:
        told = f"{source.rows:,} rows, {counted(len(source.columns), 'column')}, {source.kind}"
        yield ("Data" if name == "data" else f"Data: {name}"), told
    parts = [
        f"{part} {int(rows):,}"
        for part in _PARTS
        if isinstance(rows := at(run.evaluation, "rows", part, "rows"), int) and rows
    ]
    if parts:
        yield "Rows", ", ".join(parts)
    yield "Features", counted(len(contract.request), "column") + " asked for by the service"
    family = at(record.best, "params", "model.family") or run.param("model", "family")
    if family:
        yield "Model", visible(str(family))
    yield "Plan", record.lock.digest[:_DIGITS]
    yield "Model digest", record.model[:_DIGITS] if record.model else "none was made"
    if run.began:
        yield "Begun", run.began
    platform = record.platform
    if len(platform):
        held = [platform.get(name) for name in ("python", "os", "architecture")]
        yield "Made on", "Python " + ", ".join(visible(str(item)) for item in held if item)
    if run.secret.names:
        yield "Left out", f"{counted(len(run.secret.names), 'column')} marked sensitive"


def _failures(run: Run) -> Section | None:
    table = failed_table(run.record.results)
    if table is None:
        return None
    skipped = sum(result.status == "skipped" for result in run.record.results)
    blocks: list[Block] = [table]
    if skipped:
        blocks.append(Text(text=f"{counted(skipped, 'step')} that needed them did not run."))
    return Section(name="failures", title="What went wrong", blocks=tuple(blocks))


def _plan(run: Run) -> Section:
    blocks: list[Block] = [plan_figure(run.record)]
    if run.record.results:
        blocks.append(time_figure(run.record.results))
    return Section(name="plan", title="Plan and time", blocks=tuple(blocks))


def _details(run: Run) -> Section:
    record = run.record
    held = run.param("model")
    settings = [*leaves(held)] if isinstance(held, Map) else []
    won = map_at(record.best, "params")
    rows = [
        (dotted(path), value_text(won.get(dotted(("model", *path)), value)))
        for path, value in settings
        if not (isinstance(value, Map) and not len(value))
    ]
    known = {name for name, _ in rows}
    rows += [
        (name.removeprefix("model."), value_text(value))
        for name, value in won.items()
        if name.removeprefix("model.") not in known
    ]
    tables = [
        Table(caption="Parameters that the config states", head=("key", "value"),
              rows=tuple(rows), folded=True),
        Table(caption="Versions that the plan depends on", head=("distribution", "version"),
              rows=record.lock.environment, folded=True),
        Table(caption="Digests", head=("what", "sha256"), rows=tuple(_digests(run)), folded=True),
    ]  # fmt: skip
    return Section(name="details", title="Details", blocks=tuple(t for t in tables if t.rows))


def _digests(run: Run) -> Iterator[tuple[str, str]]:
    record = run.record
    yield "plan", record.lock.digest
    for name, source in record.lock.sources:
        yield f"source {name}", source.digest.sha256
    if record.model:
        yield "model", record.model
    if record.bundle:
        yield "bundle", record.bundle
