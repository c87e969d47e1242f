"""Writes the tables of docs/evaluation.md from the declarations: `nox -s metrics`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mlops_compile.ir.schema import declared
from mlops_compile.steps.evaluation import Bootstrap, Evaluate, MetricOptions
from mlops_compile.steps.metrics import METRICS, USUAL, Metric

FILE = Path(__file__).resolve().parent.parent / "docs" / "evaluation.md"
_GROUPS = {"": Evaluate, "options.": MetricOptions, "bootstrap.": Bootstrap}


def generate(text: str) -> str:
    """The page with its tables as the declarations have them."""
    for name, lines in (("metrics", _metrics()), ("keys", _keys())):
        block = "\n".join(lines)
        pattern = rf"(<!-- {name}: written by nox -s metrics -->\n).*?(<!-- end -->)"
        text, count = re.subn(
            pattern, lambda match, block=block: f"{match[1]}{block}\n{match[2]}", text, flags=re.S
        )
        assert count == 1, name
    return text


def _metrics() -> Iterator[str]:
    yield "| metric | scikit-learn | tasks | better | range |"
    yield "| --- | --- | --- | --- | --- |"
    for name, metric in METRICS.items():
        usual = " *" if any(name in names for names in USUAL.values()) else ""
        better = "more" if metric.greater_is_better else "less"
        yield (
            f"| `{name}`{usual} | `{_call(metric)}` | {', '.join(metric.tasks)} | {better} |"
            f" {_end(metric.low)} to {_end(metric.high)} |"
        )


def _call(metric: Metric) -> str:
    fixed = [f"{name}={value!r}" for name, value in metric.fixed.items()]
    return f"{metric.function}({', '.join((*fixed, *metric.takes))})"


def _end(value: float) -> str:
    return {float("inf"): "∞", -float("inf"): "-∞"}.get(value, f"{value:g}")


def _keys() -> Iterator[str]:
    yield "| key | what | default |"
    yield "| --- | --- | --- |"
    for prefix, of in _GROUPS.items():
        for item in declared(of):
            if item.name in ("options", "bootstrap") and not prefix:
                continue
            doc = item.rules.doc.replace("|", "\\|")
            yield f"| `{prefix}{item.name}` | {doc} | {_shown(item.default)} |"


def _shown(default: object) -> str:
    if default is None or default == () or (hasattr(default, "items") and not default):
        return "-"
    if isinstance(default, tuple):
        return ", ".join(map(str, default))
    return str(default).lower() if isinstance(default, bool) else str(default)


if __name__ == "__main__":
    FILE.write_text(generate(FILE.read_text("utf-8")), "utf-8")
