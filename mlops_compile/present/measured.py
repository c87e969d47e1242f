"""Measured: metrics with their intervals beside the baseline's, folds, and gates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlops_compile.ir.value import Map, dotted
from mlops_compile.present.blocks import Block, Figure, Section, Table, Text
from mlops_compile.present.drawing import LINES, drawn
from mlops_compile.present.facts import Run
from mlops_compile.present.words import at, interval, map_at, number, visible
from mlops_compile.steps.gates import Gate, gates_of
from mlops_compile.steps.metrics import METRICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PARTS = ("test", "validation", "train")


def metrics_section(run: Run) -> Section | None:
    """What was measured; None where nothing was."""
    test = map_at(run.record.metrics, "test")
    blocks: list[Block] = []
    if len(test):
        blocks.append(_table(run, test))
        blocks += _figure(run, test)
    blocks += _folds(run)
    blocks += _gates(run)
    blocks += _not_computed(run.evaluation)
    return Section(name="metrics", title="Metrics", blocks=tuple(blocks)) if blocks else None


def _table(run: Run, test: Map) -> Table:
    metrics, intervals = run.record.metrics, map_at(run.record.evaluation, "intervals")
    others = [name for name in _PARTS[1:] if len(map_at(metrics, name))]
    level = intervals.get("level")
    share = f"{level * 100:g} % interval" if isinstance(level, float) else "interval"
    told = isinstance(level, float)
    rows = tuple(
        (
            f"{name} (primary)" if name == run.primary else name,
            number(value),
            *([interval(at(intervals, "metrics", name))] if told else []),
            number(at(metrics, "baseline", name)),
            *([interval(at(intervals, "above_baseline", name))] if told else []),
            *(number(at(metrics, part, name)) for part in others),
            _better(name),
        )
        for name, value in test.items()
    )
    own, less = ([share], ["model less baseline"]) if told else ([], [])
    head = ("metric", "test", *own, "baseline", *less, *others, "better")
    note = "The baseline answers every row with the training part's class shares, or its mean."
    if isinstance(level, float):
        note += (
            f" Intervals hold {level * 100:g} % of {intervals.get('resamples')} resamples of the"
        )
        note += " test part's rows: its noise, not that of training."
    return Table(caption="Metrics of the test part", head=head, rows=rows, note=note)


def _better(name: str) -> str:
    return ("more" if METRICS[name].greater_is_better else "less") if name in METRICS else ""


def _figure(run: Run, test: Map) -> Iterator[Figure]:
    """Metrics that lie between 0 and 1, beside the baseline's."""
    found, baseline = map_at(run.record.evaluation, "intervals", "metrics"), "baseline"
    names = [n for n in test if n in METRICS and (METRICS[n].low, METRICS[n].high) == (0, 1)]
    if len(names) < 2:
        return
    values = [float(str(test[name])) for name in names]
    others = [at(run.record.metrics, baseline, name) for name in names]

    def draw(axes: Axes) -> None:
        for place, name in enumerate(names):
            ends = map_at(found, name)
            if len(ends):
                span = [float(str(ends["low"])), float(str(ends["high"]))]
                label = "interval" if not place else None
                style = {"linewidth": 6, "alpha": 0.45, "solid_capstyle": "butt", "label": label}
                axes.plot(span, [place, place], color=LINES[0], **style)  # type: ignore[arg-type]
        axes.plot(values, range(len(names)), "o", color=LINES[0], label="model")
        held = [(n, value) for n, value in enumerate(others) if isinstance(value, float)]
        axes.plot([value for _, value in held], [n for n, _ in held], "|", color=LINES[1],
                  markersize=15, markeredgewidth=2.5, label="baseline")  # fmt: skip
        labels = [f"{name} {'↑' if _better(name) == 'more' else '↓'}" for name in names]
        axes.set_yticks(range(len(names)), labels)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlim(-0.03, 1.03)
        axes.tick_params(axis="y", length=0)
        axes.figure.legend(loc="outside lower center", ncols=3)

    about = "Metrics of the test part that lie between 0 and 1: the model's"
    about += " with its interval" if len(found) else ""
    about += ", and the baseline's as an upright stroke. ↑ more is better, ↓ less is."
    rows = tuple(
        (name, number(value), interval(at(found, name)), number(other))
        for name, value, other in zip(names, values, others, strict=True)
    )
    table = Table(caption="Metrics between 0 and 1", head=("metric", "model", "interval", baseline),
                  rows=rows)  # fmt: skip
    svg = drawn(draw, 80 + 28 * len(names))
    yield Figure(title="Model and baseline", about=about, svg=svg, table=table)


def _folds(run: Run) -> Iterator[Table]:
    folds = map_at(run.record.metrics, "folds")
    each = folds.get("each")
    if not isinstance(each, tuple):
        return
    rows = tuple(
        (
            name,
            f"{number(at(folds, 'mean', name))} ± {number(at(folds, 'deviation', name), 2)}",
            number(at(folds, "baseline", name)),
            *(number(at(fold, name)) for fold in each),
        )
        for name in map_at(folds, "mean")
    )
    head = ("metric", "mean ± deviation", "baseline", *(f"fold {n + 1}" for n in range(len(each))))
    yield Table(caption=f"Cross-validation on {len(each)} folds", head=head, rows=rows)


def _gates(run: Run) -> Iterator[Block]:
    gates = run.param("evaluate", "gates")
    if not isinstance(gates, Map) or not len(gates):
        return
    if not len(run.evaluation):
        yield Text(text="There are gates, and nothing was measured that they could be held to.")
        return
    unmet = {item.where: item.message for item in run.unmet}
    rows = [
        (
            dotted(gate.where[2:]),
            str(gate.bound),
            _value(run, gate),
            "✗ not met" if gate.where in unmet else "✓ met",
        )
        for gate in gates_of(gates)
    ]
    yield Table(caption="Gates", head=("gate", "asks", "is", "verdict"), rows=tuple(rows))
    for item in run.unmet:
        yield Text(text=visible(f"{dotted(item.where)}: {item.message}"), marked=True)


def _value(run: Run, gate: Gate) -> str:
    """The number that a gate is about, where it is one number."""
    evaluation = run.evaluation
    match gate.part:
        case "test" if gate.end != "value":
            sort = "above_baseline" if gate.bound.baseline else "metrics"
            return number(at(evaluation, "intervals", sort, gate.metric, gate.end))
        case "test" | "validation" | "train":
            return number(at(evaluation, "parts", gate.part, "metrics", gate.metric))
        case "calibration":
            return number(at(evaluation, "calibration", gate.metric))
        case "folds" if gate.end != "each":
            return number(at(run.record.metrics, "folds", gate.end, gate.metric))
        case "segments" if gate.level is not None:
            level = at(evaluation, "segments", gate.column, "levels", gate.level)
            return number(at(level, "metrics", gate.metric))
    return "each"


def _not_computed(evaluation: Map) -> Iterator[Table]:
    rows = [
        (f"{metric}, {part}", visible(str(why)))
        for part, facts in map_at(evaluation, "parts").items()
        for metric, why in map_at(facts, "not_computed").items()
    ]
    for name, why in map_at(evaluation, "intervals", "not_computed").items():
        rows.append((f"interval of {name}", visible(str(why))))
    for name in ("confusion", "curves", "calibration", "residuals", "shap"):
        if (why := at(evaluation, name, "not_computed")) is not None:
            rows.append((name, visible(str(why))))
    if rows:
        yield Table(caption="Not computed", head=("what", "why"), rows=tuple(rows))
