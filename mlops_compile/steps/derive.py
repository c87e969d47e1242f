"""Derived columns: new ones that are computed from others in the same row, before preparations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mlops_compile.ir.contract import FEATURE_TYPES
from mlops_compile.ir.schema import from_value, key
from mlops_compile.ir.value import Map
from mlops_compile.steps.preparations.kind import Sort
from mlops_compile.steps.preparations.since import UNITS

# kind -> the sorts of column that it takes (all of one sort), and how many: at least, at most
KINDS: Mapping[str, tuple[tuple[tuple[Sort, ...], ...], int, int | None]] = {
    "difference": ((("numeric", "boolean"), ("datetime",)), 2, 2),
    "ratio": ((("numeric", "boolean"),), 2, 2),
    "product": ((("numeric", "boolean"),), 2, None),
    "sum": ((("numeric", "boolean"),), 2, None),
}
FUNCTION = "function"


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """`prepare.derive.NEW`: one of difference, ratio, product and sum of columns, or a function of
    yours.

    A result is missing where a column is, where something is divided by 0, and where it is beyond
    the range of numbers.
    """

    difference: tuple[str, ...] = key(
        "the first minus the second: numbers, or times (see `unit`)", default=()
    )
    ratio: tuple[str, ...] = key("the first by the second", default=())
    product: tuple[str, ...] = key("of two or more numbers, from left to right", default=())
    sum: tuple[str, ...] = key("of two or more numbers, from left to right", default=())
    unit: str = key(
        "of a difference of times, which has fractions", default="days", choices=tuple(UNITS)
    )
    function: str | None = key(
        "package.module.name of a function of one row, found in code.roots", default=None
    )
    inputs: tuple[str, ...] = key(
        "the columns that the function takes, in order: float, str, bool or datetime, None where"
        " missing",
        default=(),
    )
    type: str | None = key(
        "what the function gives: numeric, categorical, boolean or datetime",
        default=None,
        choices=FEATURE_TYPES,
    )
    version: str | None = key(
        "what tells one code of the function from another, in place of the code itself",
        default=None,
    )

    @property
    def kinds(self) -> tuple[str, ...]:
        """What it is said to be: one, in a config without mistakes."""
        return tuple(name for name in (*KINDS, FUNCTION) if getattr(self, name))

    @property
    def kind(self) -> str:
        return self.kinds[0]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it is computed from, in order."""
        if self.kind == FUNCTION:
            return self.inputs
        columns: tuple[str, ...] = getattr(self, self.kind)
        return columns

    @property
    def sort(self) -> str:
        """The type of the new column."""
        return self.type if self.kind == FUNCTION and self.type else "numeric"


def derived_of(params: Map) -> dict[str, Derived]:
    """The derived columns of a step's params, each behind those that it is computed from."""
    table = params.get("derive", Map())
    assert isinstance(table, Map)
    specs = {name: from_value(Derived, value) for name, value in table.items()}
    return {name: specs[name] for name in in_order({n: s.columns for n, s in specs.items()})}


def in_order(columns: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Names so that each stands behind those it is computed from, by name among equals; without
    those that are computed from themselves, over others or not."""
    return tuple(_in_order(columns))


def _in_order(columns: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    waiting = sorted(columns)
    while ready := [n for n in waiting if not {*columns[n]} & {*waiting}]:
        yield from ready
        waiting = [name for name in waiting if name not in ready]


def functions_of(params: Map) -> tuple[str, ...]:
    """The functions that the derived columns of a step's params name."""
    found = {spec.function for spec in derived_of(params).values() if spec.function}
    return tuple(sorted(found))
