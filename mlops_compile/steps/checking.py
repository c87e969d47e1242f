"""Checks a table against what the config says of it, column by column: which rows are left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlops_compile.ir.problem import Problem, problem
from mlops_compile.ir.value import KeyPath, Map, Value, dotted
from mlops_compile.steps.columns import MARK, Column, Rows
from mlops_compile.steps.rules import FEW, Broken, broken, codes_of, repeated
from mlops_compile.steps.tables import read_columns, schema_of
from mlops_compile.steps.twins import later_twins

_COLUMNS, _ROWS = ("data", "columns"), ("data", "rows")
_FREE, _MARKED = Column(), Column(role="part")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What a config says of a table."""

    target: str
    missing_target: str
    columns: Mapping[str, Column]
    rows: Rows

    def column(self, name: str) -> Column:
        """What it says of a column; nothing, if it says nothing."""
        return _MARKED if name == MARK else self.columns.get(name, _FREE)


@dataclass(slots=True, kw_only=True)
class Checked:
    """What checking found so far, of rows that are numbered from 0.

    `left` tells of each row whether it stays, `voided` are the rows of a column whose value is set
    missing. `report` counts what was broken and what was done about it, `notes` say it.
    """

    path: Path
    left: NDArray[np.bool_]
    voided: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    columns: dict[str, dict[str, Value]] = field(default_factory=dict)
    table: dict[str, Value] = field(default_factory=dict)

    def values(self, name: str) -> pa.ChunkedArray:
        """A column of all rows, as it is after values were set missing."""
        values = read_columns(self.path, [name]).column(name)
        if name not in self.voided:
            return values
        mask = np.zeros(len(values), bool)
        mask[self.voided[name]] = True
        return pc.if_else(pa.array(mask), pa.scalar(None, values.type), values)

    def left_values(self, name: str) -> pa.ChunkedArray:
        """The same of the rows that stay."""
        values = self.values(name)
        return values if self.left.all() else values.filter(pa.array(self.left))

    @property
    def report(self) -> Map:
        """The counts, as data."""
        rows, left = len(self.left), int(self.left.sum())
        return Map(
            {
                "rows": rows,
                "left": left,
                "dropped": rows - left,
                "columns": Map({name: Map(rules) for name, rules in self.columns.items()}),
                "table": Map(self.table),
            }
        )


def check_table(path: Path, stated: Stated) -> Checked:
    """Check every rule: of the target first, then of values, then `unique`, then of whole rows.

    A row without a target is no row for the rules of other columns. `unique` and the rules of the
    table look at what is left of the rows.
    """
    schema = schema_of(path)
    names = sorted(set(schema.names) - {stated.target})
    with pa.memory_map(str(path)) as file:
        reader = pa.ipc.open_file(file)
        rows = sum(reader.get_batch(n).num_rows for n in range(reader.num_record_batches))
    found = Checked(path=path, left=np.ones(rows, bool))
    _check_values([stated.target], found, stated)
    _check_target(found, stated)
    _check_values(names, found, stated)
    for name in (stated.target, *names):
        if (column := stated.column(name)).unique:
            for item in repeated(name, column, found.values(name), np.flatnonzero(found.left)):
                _settle(item, column, found)
    _check_rows([*names, stated.target], found, stated)
    return found


def _check_values(names: list[str], found: Checked, stated: Stated) -> None:
    """The rules of values, each over the rows that are left by now."""
    left = found.left.copy()
    for name in names:
        column = stated.column(name)
        for item in broken(name, column, found.values(name)):
            rows = item.rows[left[item.rows]]
            if len(rows) == len(item.rows):
                _settle(item, column, found)
            elif len(rows):
                _settle(_narrowed(name, column, item, left, found), column, found)


def _narrowed(
    name: str, column: Column, item: Broken, left: NDArray[np.bool_], found: Checked
) -> Broken:
    """The same rule of the rows that are left, with their values."""
    rows = item.rows[left[item.rows]]
    values = found.values(name).take(pa.array(rows[:FEW]))
    few = next(again for again in broken(name, column, values) if again.rule == item.rule)
    return Broken(column=name, rule=item.rule, rows=rows, said=item.said, shown=few.shown)


def _check_target(found: Checked, stated: Stated) -> None:
    """Rows without a target fail, or are left out."""
    values = found.values(stated.target)
    gaps = np.flatnonzero(pc.is_null(values, nan_is_null=True).to_numpy() & found.left)
    if not len(gaps):
        return
    if stated.missing_target == "drop":
        found.left[gaps] = False
        found.table["missing_target"] = _counted(gaps, "drop")
        return
    message = f"{stated.target!r} is missing in {_rows(gaps)}"
    hint = "mend them, or leave them out with data.missing_target=drop"
    found.problems.append(problem("target", message, ("data", "target"), hint))


def _settle(item: Broken, column: Column, found: Checked) -> None:
    """Do what the config says of a broken rule."""
    where: KeyPath = (*_COLUMNS, item.column)
    violation = column.violation
    if violation == "fail":
        hint = f"mend them, or set {dotted(where)}.violation to drop (the row) or missing"
        if item.rule == "nullable":
            hint = f"mend them, or set {dotted(where)}.violation=drop"
        if item.rule == "finite":
            found.problems.append(problem("infinite", item.message, where, hint))
            return
        found.problems.append(problem("violation", item.message, (*where, item.rule), hint))
        return
    done = "the rows are dropped" if violation == "drop" else "they are set missing"
    found.notes.append(f"{dotted(where)}: {item.message}; {done}")
    found.columns.setdefault(item.column, {})[item.rule] = _counted(item.rows, violation)
    if violation == "drop":
        found.left[item.rows] = False
    else:
        before = found.voided.get(item.column, np.array([], np.int64))
        found.voided[item.column] = np.union1d(before, item.rows)


def _check_rows(names: list[str], found: Checked, stated: Stated) -> None:
    """Equal rows, keys and the number of rows."""
    rules = stated.rows
    kept = [name for name in names if stated.column(name).role != "ignore"]
    if rules.duplicates != "allow" and len(twins := _twins(kept, found)):
        where = (*_ROWS, "duplicates")
        if rules.duplicates == "fail":
            message = f"{_rows(twins)} {_are(twins, 'is', 'are')} equal to an earlier row"
            hint = "mend them, or set data.rows.duplicates=drop"
            found.problems.append(problem("violation", message, where, hint))
        else:
            found.left[twins] = False
            found.table["duplicates"] = _counted(twins, "drop")
            message = f"{_rows(twins)} {_are(twins, 'is', 'are')} equal to an earlier row"
            found.notes.append(f"{dotted(where)}: {message}; dropped")
    for number, names_of_key in enumerate(rules.keys):
        if len(twins := _twins(list(names_of_key), found, only_known=True)):
            listed = " and ".join(map(repr, names_of_key))
            has = _are(twins, "has", "have")
            message = f"{_rows(twins)} {has} the {listed} of an earlier row"
            place = (*_ROWS, "keys", str(number))
            hint = "mend them, or name more columns by which rows differ"
            found.problems.append(problem("violation", message, place, hint))
    _check_count(found, rules)


def _check_count(found: Checked, rules: Rows) -> None:
    count = int(found.left.sum())
    counted = "1 row is" if count == 1 else f"{count} rows are"
    if rules.low is not None and count < rules.low:
        message = f"{counted} left, and at least {rules.low} are asked for"
        found.problems.append(problem("violation", message, (*_ROWS, "low")))
    if rules.high is not None and count > rules.high:
        message = f"{counted} left, and at most {rules.high} are allowed"
        found.problems.append(problem("violation", message, (*_ROWS, "high")))
    if not count and not found.problems:
        message = f"no row is left of {len(found.left)}"
        hint = "the notes say which rules dropped them"
        found.problems.append(problem("violation", message, _COLUMNS, hint))


def _twins(names: list[str], found: Checked, only_known: bool = False) -> NDArray[np.int64]:
    """Rows that are left and equal to an earlier one that is; with `only_known`, of those in which
    nothing is missing."""
    rows = np.flatnonzero(found.left)
    for name in names if only_known else ():
        known = ~pc.is_null(found.values(name), nan_is_null=True).to_numpy()
        rows = rows[known[rows]]

    def codes(name: str) -> NDArray[Any]:
        return codes_of(found.values(name))[rows]

    return rows[later_twins(names, codes, len(rows))]


def _counted(rows: NDArray[np.int64], violation: str) -> Map:
    first = tuple(row + 1 for row in rows[:FEW].tolist())
    return Map({"rows": len(rows), "first": first, "violation": violation})


def _rows(rows: NDArray[np.int64]) -> str:
    """So many rows, and the numbers of the first as they stand in the data."""
    first = ", ".join(str(row + 1) for row in rows[:FEW].tolist())
    more = ", ..." if len(rows) > FEW else ""
    return f"1 row ({first})" if len(rows) == 1 else f"{len(rows)} rows ({first}{more})"


def _are(rows: NDArray[np.int64], one: str, many: str) -> str:
    return one if len(rows) == 1 else many
