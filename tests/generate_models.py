"""Writes the tables of docs/models.md from the declarations: python -m tests.generate_models.

What stands between `<!-- table: NAME -->` and `<!-- end -->` is made; the rest is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from mlops_compile.compiler.spec import Model
from mlops_compile.ir.schema import declared
from mlops_compile.steps.calibrations import Calibration
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.families.parameters import parameters
from mlops_compile.steps.thresholds import RATES, RULES, Threshold

FILE = Path(__file__).resolve().parent.parent / "docs" / "models.md"
_MARK = re.compile(r"<!-- table: (?P<name>\w+) -->\n.*?<!-- end -->\n", re.S)


def families() -> str:
    """What each family is for and what it takes."""
    lines = ["| family | tasks | features | missing values | directions | serving needs |"]
    for name, family in FAMILIES.items():
        sorts = ["native categories" if sort == "code" else sort for sort in family.accepts]
        cells = (
            f"`{name}`",
            ", ".join(family.tasks),
            ", ".join(sorts),
            "as they are" if family.missing else "none",
            "yes" if family.monotone else "no",
            ", ".join(family.serving) or "nothing but Python",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return _with_rule(lines)


def keys() -> str:
    """The keys under `model`."""
    lines = ["| key | meaning |"]
    for prefix, group in (
        ("model", Model),
        ("model.calibration", Calibration),
        ("model.threshold", Threshold),
    ):
        for item in declared(group):
            choices = f": {', '.join(f'`{c}`' for c in item.rules.choices)}"
            listed = choices if item.rules.choices and item.name != "family" else ""
            lines.append(f"| `{prefix}.{item.name}` | {item.rules.doc}{listed} |")
    return _with_rule(lines)


def rules() -> str:
    """The rules of a threshold and the keys that each needs."""
    lines = ["| rule | needs |"]
    lines += [
        f"| `{rule}` | {', '.join(f'`{n}`' for n in names)} |" for rule, names in RULES.items()
    ]
    return _with_rule(lines) + f"\nMetrics of answers: {', '.join(f'`{n}`' for n in RATES)}.\n"


def settable() -> str:
    """The parameters that a config can set, by family; aliases are not listed."""
    lines = ["| family | parameters |"]
    for name in FAMILIES:
        free = [f"`{item.name}`" for item in parameters(name) if not item.refused]
        lines.append(f"| `{name}` | {', '.join(free)} |")
    return _with_rule(lines)


def _with_rule(lines: list[str]) -> str:
    head, *rows = lines
    return "\n".join([head, "| --- " * (head.count("|") - 1) + "|", *rows]) + "\n"


TABLES: Mapping[str, Callable[[], str]] = {
    "families": families,
    "keys": keys,
    "rules": rules,
    "settable": settable,
}


def text(old: str) -> str:
    """The page with its tables made anew."""
    return _MARK.sub(
        lambda mark: f"<!-- table: {mark['name']} -->\n{TABLES[mark['name']]()}<!-- end -->\n",
        old,
    )


if __name__ == "__main__":
    FILE.write_text(text(FILE.read_text("utf-8")), "utf-8")
