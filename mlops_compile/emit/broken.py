"""Broken: the rules of the contract that rows broke, how many, and what became of these."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlops_compile.ir.value import KeyPath, Map, dotted, parse

if TYPE_CHECKING:
    from mlops_compile.steps.kind import Work

_BECAME = {"drop": "the rows were dropped", "missing": "the values were set missing"}


def broken(work: Work) -> Iterator[dict[str, str]]:
    """A row for each rule that some row broke, in the order of the report."""
    report = parse(work.inputs["report"].read_bytes())
    assert isinstance(report, Map)
    columns, table = report["columns"], report["table"]
    assert isinstance(columns, Map) and isinstance(table, Map)
    for rule, counted in table.items():
        yield _row(("missing_target",) if rule == "missing_target" else ("rows", rule), counted)
    for name, rules in columns.items():
        assert isinstance(rules, Map)
        for rule, counted in rules.items():
            yield _row(("columns", name, rule), counted)


def _row(where: KeyPath, counted: object) -> dict[str, str]:
    assert isinstance(counted, Map)
    return {
        "rule": dotted(("data", *where)),
        "rows": str(counted["rows"]),
        "became": _BECAME[str(counted["violation"])],
    }
