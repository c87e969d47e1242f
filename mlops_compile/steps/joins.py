"""Joins of several sources, declared: the keys under `data.join`, and the columns that come out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlops_compile.ir.problem import Problem, problem
from mlops_compile.ir.schema import key
from mlops_compile.ir.source import ColumnFact, Misfit, Source
from mlops_compile.ir.value import KeyPath, Map
from mlops_compile.steps.columns import MARK
from mlops_compile.steps.moments import span

CARDINALITIES = ("one_to_one", "many_to_one", "one_to_many")
_TIMES = ("timestamp", "timestamp_utc")
_NUMBERS = ("int64", "float64")


@dataclass(frozen=True, slots=True, kw_only=True)
class AsOf:
    """`data.join.NAME.as_of`: the row of the other source that was valid at a row's time."""

    left: str = key("the time (or number) of a row of the data", filled=True)
    right: str | None = key("its like in the other source; else of the same name", default=None)
    direction: str = key(
        "backward: the last one at or before it; forward: the first at or after it; nearest",
        default="backward",
        choices=("backward", "forward", "nearest"),
    )
    exact: bool = key("whether one of the same time counts", default=True)
    tolerance: float | str | None = key(
        "how far away it may be: 7d, 12h, 30min, 10s; a number between numbers", default=None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """`data.join.NAME`: columns of another source beside those of the data."""

    source: Any = key("where the other rows come from", variants="sources")
    left: tuple[str, ...] = key("columns of the data that must be equal", default=())
    right: tuple[str, ...] = key(
        "their likes in the other source, in the same order; else of the same names", default=()
    )
    how: str = key(
        "left: a row without a match keeps its place, with missing values; inner: it goes",
        default="left",
        choices=("left", "inner"),
    )
    cardinality: str = key(
        "many_to_one: keys are unique in the other source; one_to_one: in the data too;"
        " one_to_many: in the data alone, whose rows are then repeated",
        default="many_to_one",
        choices=CARDINALITIES,
    )
    as_of: AsOf | None = key("match by time instead of equality", default=None)
    columns: tuple[str, ...] | None = key(
        "the columns to take; else all but those that are matched by", default=None
    )
    prefix: str = key("stands before the names of the columns that are taken", default="")


def where_of(params: Map) -> KeyPath:
    """Where the keys of an acquire step's source stand in its params."""
    data = params["data"]
    assert isinstance(data, Map)
    for name in ("source", "test"):
        if name in data:
            return ("data", name)
    joins = data["join"]
    assert isinstance(joins, Map)
    return ("data", "join", next(iter(joins)), "source")


def right_of(join: Join) -> tuple[str, ...]:
    """The columns of the other source that must be equal to `left`."""
    return join.right or join.left


def time_of(join: Join) -> str | None:
    """The other source's time in an as-of join."""
    return (join.as_of.right or join.as_of.left) if join.as_of else None


def taken(join: Join, source: Source) -> tuple[str, ...]:
    """The columns of the other source that are taken, in its order."""
    if join.columns is not None:
        return join.columns
    matched = {*right_of(join), time_of(join)}
    return tuple(fact.name for fact in source.columns if fact.name not in matched)


def in_turn(
    columns: Iterable[str],
    joins: Sequence[tuple[str, Join]],
    brings: Callable[[str, Join], Iterable[str]],
) -> tuple[tuple[str, Join], ...]:
    """The joins in an order in which each finds the columns that it matches by, by name among
    equals; those that never do come last. `brings` gives the columns that a join adds."""
    known, left, found = {*columns}, dict(sorted(joins)), []
    while left:
        able = [name for name, join in left.items() if {*matched_by(join)} <= known]
        name = able[0] if able else next(iter(left))
        found.append((name, left.pop(name)))
        known |= {*brings(*found[-1])}
    return tuple(found)


def matched_by(join: Join) -> tuple[str, ...]:
    """The columns of the data that a join matches by."""
    return (*join.left, *([join.as_of.left] if join.as_of else []))


def turns(
    columns: Iterable[ColumnFact],
    joins: Sequence[tuple[str, Join]],
    sources: Mapping[str, Source],
) -> tuple[tuple[str, Join], ...]:
    """The joins of pinned sources in an order in which they can be made."""

    def brings(name: str, join: Join) -> list[str]:
        return [join.prefix + column for column in taken(join, sources[name])]

    return in_turn((fact.name for fact in columns), joins, brings)


def joined(
    columns: Sequence[ColumnFact], joins: Sequence[tuple[str, Join]], sources: Mapping[str, Source]
) -> tuple[ColumnFact, ...]:
    """The columns of the data with those that each join adds, by name.

    A value of theirs can be missing wherever a row may find no match.
    """
    found = {fact.name: fact for fact in columns}
    for name, join in turns(columns, joins, sources):
        facts = {fact.name: fact for fact in sources[name].columns}
        for column in taken(join, sources[name]):
            fact = facts[column]
            missing = fact.missing or join.how == "left"
            as_named = join.prefix + column
            found[as_named] = ColumnFact(name=as_named, type=fact.type, missing=missing)
    return tuple(sorted(found.values()))


def below(columns: tuple[ColumnFact, ...], test: tuple[ColumnFact, ...]) -> tuple[ColumnFact, ...]:
    """The columns of the data with the rows of a test source below: whole numbers in one and
    numbers in the other are numbers."""
    there = {fact.name: fact for fact in test}
    found = []
    for fact in columns:
        other = there.get(fact.name, fact)
        numbers = fact.type != other.type and {fact.type, other.type} <= {*_NUMBERS}
        type_name = "float64" if numbers else fact.type
        missing = fact.missing or other.missing
        found.append(ColumnFact(name=fact.name, type=type_name, missing=missing))
    return (*found, ColumnFact(name=MARK, type="bool"))


def test_problems(
    data: Source, test: Source, misfits: Mapping[str, Misfit], unfit: Collection[str]
) -> Iterator[Problem]:
    """Columns that a test source lacks, or holds as something else; by which cell, if that is
    known. One that is not what the config states (`unfit`) is told as that."""
    there = {fact.name: fact for fact in test.columns}
    where: KeyPath = ("data", "test")
    for fact in data.columns:
        other = there.get(fact.name)
        if other is None:
            message = f"{test.location} has no column {fact.name!r}, and {data.location} has one"
            hint = f"it has {', '.join(sorted(there)[:12])}"
            yield problem("no-column", message, where, hint)
        elif fact.name in unfit:
            continue
        elif other.type != fact.type and not {other.type, fact.type} <= {*_NUMBERS}:
            message = (
                f"the column {fact.name!r} holds {other.type} in {test.location},"
                f" and {fact.type} in {data.location}"
            )
            hint = f"state data.columns.{fact.name}.type, or mend one of the files"
            quotes: tuple[str, ...] = ()
            if fact.name in misfits:
                message = f"{message} ({misfits[fact.name].said()})"
                hint = "mend it, list it in the options.missing of its source, or set"
                hint += f" data.columns.{fact.name}.type=categorical"
                quotes = (misfits[fact.name].shown,)
            yield problem("column-type", message, where, hint, quotes=quotes)


def keeps_rows(joins: Sequence[tuple[str, Join]]) -> bool:
    """Whether as many rows come out as the data has."""
    return all(join.how == "left" and join.cardinality != "one_to_many" for _, join in joins)


def join_problems(
    columns: Sequence[ColumnFact], joins: Sequence[tuple[str, Join]], sources: Mapping[str, Source]
) -> Iterator[Problem]:
    """What of each join does not fit the columns that were found."""
    left = {fact.name: fact for fact in columns}
    for name, join in turns(columns, joins, sources):
        where: KeyPath = ("data", "join", name)
        right = {fact.name: fact for fact in sources[name].columns}
        found = [
            *_matched(join, left, right, name, where),
            *_taken(join, sources[name], left, name, where),
        ]
        yield from found
        if not found:
            left |= {fact.name: fact for fact in joined((), [(name, join)], sources)}


def _matched(
    join: Join,
    left: Mapping[str, ColumnFact],
    right: Mapping[str, ColumnFact],
    name: str,
    where: KeyPath,
) -> Iterator[Problem]:
    pairs = [
        ("left", one, "right", two) for one, two in zip(join.left, right_of(join), strict=True)
    ]
    if join.as_of:
        where_time = "as_of"
        pairs.append((where_time, join.as_of.left, where_time, str(time_of(join))))
    for key_left, one, key_right, two in pairs:
        for column, facts, owner, at in (
            (one, left, "the data", key_left),
            (two, right, f"the source {name}", key_right if join.right else key_left),
        ):
            if column not in facts:
                hint = f"it has {', '.join(sorted(facts)[:12])}"
                yield problem("no-column", f"{owner} has no column {column!r}", (*where, at), hint)
        if one in left and two in right:
            yield from _alike(join, left[one], right[two], (*where, key_left), key_left == "as_of")


def _alike(
    join: Join, one: ColumnFact, two: ColumnFact, where: KeyPath, by_time: bool
) -> Iterator[Problem]:
    numbers = one.type in _NUMBERS and two.type in _NUMBERS
    if one.type != two.type and not numbers:
        message = (
            f"{one.name!r} holds {one.type} and {two.name!r} of the other source {two.type}, which"
            " are never equal"
        )
        hint = "state the type of the column as text on both sides, or mend one of the files"
        yield problem("impossible", message, where, hint)
    elif by_time and not numbers and one.type not in _TIMES:
        message = f"{one.name!r} holds {one.type}, and an as-of join needs times or numbers"
        yield problem("impossible", message, where, "join by equality: left")
    elif by_time and join.as_of and join.as_of.tolerance is not None:
        if isinstance(join.as_of.tolerance, str) == numbers:
            wanted = "a number" if numbers else "a span of time, such as 7d or 12h"
            message = f"must be {wanted}, since {one.name!r} holds {one.type}"
            yield problem("wrong-type", message, (*where, "tolerance"))


def _taken(
    join: Join, source: Source, left: Mapping[str, ColumnFact], name: str, where: KeyPath
) -> Iterator[Problem]:
    known = {fact.name for fact in source.columns}
    for position, column in enumerate(join.columns or ()):
        if column not in known:
            message = f"the source {name} has no column {column!r}"
            hint = f"it has {', '.join(sorted(known)[:12])}"
            yield problem("no-column", message, (*where, "columns", str(position)), hint)
    twice = [column for column in taken(join, source) if join.prefix + column in left]
    if twice:
        listed = ", ".join(repr(join.prefix + column) for column in twice[:5])
        message = f"the data has a column {listed} already"
        hint = f"set data.join.{name}.prefix={name}_, or name the columns to take"
        yield problem("columns", message, where, hint)
    if not taken(join, source):
        message = "takes no column of the other source"
        yield problem("columns", message, where, "name some in columns, or leave the join out")


def settings_problems(name: str, join: Join) -> Iterator[Problem]:
    """What is wrong with a join whatever the data is."""
    where: KeyPath = ("data", "join", name)
    if not join.left and join.as_of is None:
        message = "must say which columns match: left, as_of, or both"
        yield problem("missing-value", message, (*where, "left"), f"data.join.{name}.left=[id]")
    if join.right and len(join.right) != len(join.left):
        message = f"names {len(join.right)} columns, and left names {len(join.left)}"
        yield problem("impossible", message, (*where, "right"), "each has one counterpart")
    if join.as_of and join.cardinality == "one_to_many":
        message = "an as-of join finds at most one row"
        hint = "leave the cardinality out"
        yield problem("impossible", message, (*where, "cardinality"), hint)
    if join.as_of and isinstance(join.as_of.tolerance, str):
        try:
            span(join.as_of.tolerance)
        except ValueError as error:
            hint = "a number and a unit: 1w, 7d, 12h, 30min, 10s, 5ms"
            yield problem("wrong-type", str(error), (*where, "as_of", "tolerance"), hint)
