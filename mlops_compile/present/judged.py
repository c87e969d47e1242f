"""Judged: what was measured of the test part, as figures: curves, importance, segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from matplotlib.patches import Rectangle

from mlops_compile.ir.value import Map, Value
from mlops_compile.present.bars import bars, dots
from mlops_compile.present.blocks import Figure, Table, first
from mlops_compile.present.drawing import DASHES, LINES, MARKERS, SOFT, drawn
from mlops_compile.present.secret import Secret
from mlops_compile.present.words import at, floats, map_at, number, short, visible
from mlops_compile.steps.metrics import METRICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_LINES = 4  # classes that are drawn; the table has the others
_MOST_BARS = 20
_MOST_CLASSES = 12  # whose counts are written into a confusion matrix
_FILE = "evaluation.json"


def figures(evaluation: Map, target: str) -> Iterator[Figure]:
    """The figures of what an evaluation holds, in the order in which they are read."""
    yield from _curves(map_at(evaluation, "curves"))
    if len(map_at(evaluation, "calibration", "bins")):
        yield _calibration(map_at(evaluation, "calibration"))
    if "rows" in map_at(evaluation, "confusion"):
        yield _confusion(map_at(evaluation, "confusion"), target)
    if "quantiles" in map_at(evaluation, "residuals"):
        yield from _residuals(map_at(evaluation, "residuals"), target)


Line = tuple[str, list[float], list[float]]


def _curves(curves: Map) -> Iterator[Figure]:
    held = {name: curve for name, curve in curves.items() if isinstance(curve, Map)}
    told = {name: curve for name, curve in held.items() if "threshold" in curve}
    if not told:
        return
    false, true, precise = "false_positive_rate", "true_positive_rate", "precision"
    roc: list[Line] = [
        (name, [0.0, *floats(c.get(false))], [0.0, *floats(c.get(true))])
        for name, c in told.items()
    ]
    yield _lines(
        "ROC curve",
        "share of the other rows that are answered so",
        "share of the class's rows that are found",
        roc,
        told,
        (false, true),
        diagonal=True,
    )
    recall: list[Line] = [
        (name, floats(c.get(true)), floats(c.get(precise))) for name, c in told.items()
    ]
    yield _lines(
        "Precision and recall", "recall", "precision", recall, told, (true, precise), diagonal=False
    )


def _lines(
    title: str,
    across: str,
    up: str,
    lines: Sequence[Line],
    told: dict[str, Map],
    columns: tuple[str, str],
    diagonal: bool,
) -> Figure:
    shown = lines[:_MOST_LINES]

    def draw(axes: Axes) -> None:
        if diagonal:
            axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle=":", label="by chance")
        for place, (name, x, y) in enumerate(shown):
            style = {"color": LINES[place], "linestyle": DASHES[place]}
            axes.plot(x, y, label=short(name, 20), **style)
        axes.set(xlabel=across, ylabel=up, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.legend(loc="lower right" if diagonal else "lower left")

    some = f", {len(shown)} of {len(lines)} classes" if len(shown) < len(lines) else ""
    about = f"{title} of the test part{some}: {up} against {across}."
    rows = [
        (visible(name), number(limit, 4), number(x, 4), number(y, 4))
        for name, curve in told.items()
        for limit, x, y in zip(
            *(floats(curve.get(column)) for column in ("threshold", *columns)), strict=True
        )
    ]
    kept = rows[:: max(1, -(-len(rows) // 100))]
    note = f"{len(kept)} of {len(rows)} points; {_FILE} has all." if len(kept) < len(rows) else ""
    head = ("class", "threshold", *(column.replace("_", " ") for column in columns))
    table = Table(caption=title, head=head, rows=tuple(kept), note=note)
    return Figure(title=title, about=about, svg=drawn(draw, 310), table=table)


def _calibration(found: Map) -> Figure:
    bins = map_at(found, "bins")
    columns = [floats(bins.get(name)) for name in ("low", "rows", "probability", "share")]
    _, counts, probability, share = columns
    most = max(counts)

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle=":", label="calibrated")
        axes.plot(probability, share, color=LINES[0], linewidth=1.5)
        sizes = [20 + 140 * count / most for count in counts]
        axes.scatter(probability, share, s=sizes, color=LINES[0], zorder=3, label="rows of a bin")
        axes.set(xlabel="probability that was told", ylabel="share that came true")
        axes.set(xlim=(-0.05, 1.05), ylim=(-0.05, 1.05))
        axes.legend(loc="upper left")

    ece, brier = number(found.get("ece"), 4), number(found.get("brier"), 4)
    about = (
        f"Share that came true against the probability told, in {len(counts)} bins; the larger a"
        f" dot, the more rows. Expected calibration error {ece}, Brier score {brier}."
    )
    rows = tuple(
        (f"{low:.1f} to {low + 0.1:.1f}", number(int(count)), number(told, 4), number(came, 4))
        for low, count, told, came in zip(*columns, strict=True)
    )
    head = ("bin", "rows", "probability", "share")
    table = Table(caption="Calibration", head=head, rows=rows)
    return Figure(title="Calibration", about=about, svg=drawn(draw, 310), table=table)


def _confusion(found: Map, target: str) -> Figure:
    listed, lines = found.get("classes"), found.get("rows")
    classes = [str(name) for name in listed] if isinstance(listed, tuple) else []
    counts = [floats(line) for line in lines] if isinstance(lines, tuple) else []
    shares = [[value / (sum(line) or 1) for value in line] for line in counts]
    few = len(classes) <= _MOST_CLASSES

    def draw(axes: Axes) -> None:
        axes.grid(False)
        for row, line in enumerate(shares):
            for column, share in enumerate(line):
                # No stronger than that, so that ink stays readable on it.
                colour = (LINES[0], 0.42 * share)
                place = (column - 0.5, row - 0.5)
                edge = SOFT if few else "none"
                axes.add_patch(Rectangle(place, 1, 1, facecolor=colour, edgecolor=edge, lw=0.6))
                if few:
                    text = number(counts[row][column], 4)
                    weight = "bold" if row == column else "normal"
                    axes.text(column, row, text, ha="center", va="center", weight=weight)
        places = range(len(classes)) if few else []
        names = [short(name, 14) for name in classes] if few else []
        turned = 0 if sum(map(len, names)) < 30 else 45
        axes.set_xticks(places, names, rotation=turned, ha="right" if turned else "center")
        axes.set_yticks(places, names)
        axes.set(xlabel="answered", ylabel=f"true {short(target, 20)}")
        axes.set(xlim=(-0.5, len(classes) - 0.5), ylim=(len(classes) - 0.5, -0.5))

    about = "Rows of each true class by the class that was answered; the stronger, the larger its"
    about += " share of the true class. The diagonal is right."
    pairs = [
        (visible(true), visible(answer), number(counts[n][m], 6), f"{100 * shares[n][m]:.1f} %")
        for n, true in enumerate(classes)
        for m, answer in enumerate(classes)
    ]
    note, most = first([*pairs], _FILE)
    head = ("true", "answered", "rows", "of the class")
    table = Table(caption="Confusion matrix", head=head, rows=tuple(pairs[:most]), note=note)
    return Figure(title="Confusion matrix", about=about, svg=drawn(draw, 310), table=table)


def _residuals(found: Map, target: str) -> Iterator[Figure]:
    listed = found.get("by_prediction")
    tenths = [item for item in listed if isinstance(item, Map)] if isinstance(listed, tuple) else []
    columns = [[float(str(item[name])) for item in tenths] for name in ("predicted", "mean")]
    predicted, error = columns
    actual = [a + b for a, b in zip(predicted, error, strict=True)]
    absolute = [float(str(item["mean_absolute"])) for item in tenths]
    name = short(target, 20)

    def draw(axes: Axes) -> None:
        ends = [min(*predicted, *actual), max(*predicted, *actual)]
        axes.plot(ends, ends, color=SOFT, linewidth=1, linestyle=":", label="as predicted")
        axes.plot(predicted, actual, color=LINES[0], marker="o", label="mean of a tenth")
        axes.set(xlabel=f"{name}, predicted", ylabel=f"{name}, actual")
        axes.legend(loc="upper left")

    facts = ("rows", "predicted", "mean", "mean_absolute")
    rows = tuple(
        (str(n), number(count), number(guess), number(told), number(mean), number(size))
        for n, (item, told) in enumerate(zip(tenths, actual, strict=True), start=1)
        for count, guess, mean, size in [[item[name] for name in facts]]
    )
    head = ("tenth", "rows", "predicted", "actual", "mean residual", "mean |residual|")
    title = "Predicted and actual"
    about = "Mean actual value against mean prediction, by tenths of the rows in order of their"
    about += " prediction; on the dotted line both are the same."
    table = Table(caption=title, head=head, rows=rows)
    yield Figure(title=title, about=about, svg=drawn(draw, 310), table=table)

    quantiles = map_at(found, "quantiles")
    shares = sorted(quantiles, key=float)

    def draw_residuals(axes: Axes) -> None:
        axes.axhline(0, color=SOFT, linewidth=1, linestyle=":")
        axes.plot(predicted, error, color=LINES[0], marker=MARKERS[0], label="mean")
        style = {"color": LINES[1], "marker": MARKERS[1], "linestyle": DASHES[1]}
        axes.plot(predicted, absolute, label="mean size", **style)
        axes.set(xlabel=f"{name}, predicted", ylabel="actual less predicted")
        axes.legend(loc="upper left")

    told = ", ".join(
        f"{float(share) * 100:g} %: {number(quantiles[share], 4)}"
        for share in shares
        if share in ("0.05", "0.5", "0.95")
    )
    about = "Residuals by tenths of the predictions: their mean, and the mean of their size. Of all"
    about += (
        f" rows, standard deviation {number(found.get('standard_deviation'))}; quantiles {told}."
    )
    held = tuple((f"{float(share) * 100:g} %", number(quantiles[share])) for share in shares)
    table = Table(caption="Residuals", head=("quantile", "actual less predicted"), rows=held)
    svg = drawn(draw_residuals, 310)
    yield Figure(title="Residuals", about=about, svg=svg, table=table)


def importances(evaluation: Map, primary: str, secret: Secret) -> Iterator[Figure]:
    """What the answers come from: by permutation, by the family's own, by SHAP values."""
    columns = map_at(evaluation, "permutation", "columns")
    dealt = {name: at(own, primary) for name, own in columns.items() if name not in secret.names}
    if dealt:
        title = f"Importance by permutation: loss of {primary}"
        about = f"How much worse {primary} of the test part is when a column's values are dealt to"
        yield _ranked(title, f"{about} other rows.", "column", "loss", dealt)
    for sort, values in map_at(evaluation, "importance").items():
        title = f"Importance by {visible(sort)}"
        about = (
            f"The family's own importance of features, by {visible(sort)}, from the training part."
        )
        yield _ranked(title, about, "feature", visible(sort), _open(values, secret))
    shap = _open(_shap(map_at(evaluation, "shap")), secret)
    if shap:
        about = "Mean absolute SHAP value of each feature on the test part, in units of the score"
        about += " (log odds, or the target's); with several classes, their sum."
        yield _ranked("SHAP values", about, "feature", "mean |SHAP|", shap)


def _open(values: Value, secret: Secret) -> dict[str, Value]:
    held = values if isinstance(values, Map) else Map()
    return {name: value for name, value in held.items() if not secret.hides_feature(name)}


def _shap(found: Map) -> Map:
    if "features" in found:
        return map_at(found, "features")
    sums: dict[str, float] = {}
    for values in map_at(found, "classes").values():
        for name, value in values.items() if isinstance(values, Map) else ():
            sums[name] = sums.get(name, 0.0) + (value if isinstance(value, float) else 0.0)
    return Map(dict(sums.items()))


def _ranked(title: str, about: str, of: str, unit: str, values: dict[str, Value]) -> Figure:
    numbers = {n: float(v) for n, v in values.items() if isinstance(v, int | float)}
    order = sorted(numbers, key=lambda name: (-numbers[name], name))
    shown = order[:_MOST_BARS]
    if len(order) > len(shown):
        about += f" The first {len(shown)} of {len(order)}."
    rows = [(visible(name), number(numbers[name])) for name in order]
    note, most = first([*rows], _FILE)
    svg = bars([(name, numbers[name]) for name in shown], unit)
    table = Table(caption=title, head=(of, unit), rows=tuple(rows[:most]), note=note)
    return Figure(title=title, about=about, svg=svg, table=table)


def _each(own: Value, names: list[str]) -> list[Value]:
    return [at(own, "metrics", name) for name in names]


def segments(evaluation: Map, primary: str, secret: Secret) -> Iterator[Figure]:
    """The primary metric by the levels of each column, with all metrics in the table."""
    whole = at(evaluation, "parts", "test", "metrics", primary)
    for column, facts in map_at(evaluation, "segments").items():
        levels = map_at(facts, "levels")
        if column in secret.names or not len(levels):
            continue
        held = [(level, at(own, "metrics", primary)) for level, own in levels.items()]
        values = [(level, v) for level, v in held if isinstance(v, float)]
        worst = (min if METRICS[primary].greater_is_better else max)(
            values, key=lambda item: item[1], default=("", 0.0)
        )
        about = f"{primary} of the test part's rows by {visible(column)}; the line is all rows."
        if len(values) > 1:
            about += f" Worst: {visible(worst[0])} with {number(worst[1])}."
        few = map_at(facts, "too_few")
        note = ""
        if few.get("levels"):
            note = f"{few['levels']} levels with {few['rows']} rows are too few to be measured."
        names = [
            name for name in METRICS if any(name in map_at(o, "metrics") for o in levels.values())
        ]
        rows: list[tuple[str, ...]] = [
            (
                visible(level),
                number(at(own, "rows")),
                *(number(at(own, "metrics", n)) for n in names),
            )
            for level, own in levels.items()
        ]
        more, most = first([*rows], _FILE)
        title = f"By {short(column, 40)}"
        table = Table(caption=title, head=("level", "rows", *names), rows=tuple(rows[:most]),
                      note=f"{note} {more}".strip())  # fmt: skip
        line = whole if isinstance(whole, float) else None
        svg = dots(values[:_MOST_BARS], primary, line)
        yield Figure(title=title, about=about, svg=svg, table=table)
