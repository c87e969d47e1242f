"""What a look at data suggests: the values of a data config, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_compile.ir.value import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProposal:
    """A column: the type it looks like, the role it should have, and why."""

    name: str
    type: str
    role: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A data config for data of a source kind.

    `options` are those of `data.source.options` that differ from the defaults; `baseline` is the
    metric to beat, by name; `warnings` are what a person should decide.
    """

    kind: str
    rows: int
    target: str
    task: str
    task_note: str
    positive: str | None
    options: tuple[tuple[str, Value], ...]
    missing_target: int
    columns: tuple[ColumnProposal, ...]
    split: str
    split_note: str
    baseline: tuple[str, float]
    warnings: tuple[str, ...]
