"""Snapshot: the data of the next model, of the champion's own rows and labelled live ones.

A row of the champion's data stays in the part in which it was. The latest labelled rows are kept
out, to compare on; the others go to parts by a hash of what they hold, and so do not move between
them from one snapshot to the next.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlops_compile.ir.reference import Reference
from mlops_compile.ir.value import Map, Value
from mlops_compile.monitor.feedback import Feedback
from mlops_compile.monitor.log import WRONG
from mlops_compile.monitor.windows import Lines, times_of
from mlops_compile.steps.columns import Column
from mlops_compile.steps.improving import Improve
from mlops_compile.steps.rules import broken
from mlops_compile.steps.splits import NO_PART, PARTS
from mlops_compile.steps.tables import read_table
from mlops_compile.steps.versus import contents

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

# The columns of a snapshot that name the part of each row, and where live ones came from.
PART, SOURCE = "mlops_part", "mlops_source"
_MOST_UNIT = 1 << 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The champion's data: its validated table and targets, and the rows of each of its parts."""

    table: Path
    target: Path
    parts: Mapping[str, Path]
    name: str  # of the target's column
    keys: tuple[str, ...] = ()  # columns whose equal values stay in one part
    by_time: bool = False  # the test rows are the latest

    def read(self) -> pa.Table:
        """The rows in their order, without an earlier snapshot's parts, with the target."""
        table = read_table(self.table)
        table = table.drop_columns([name for name in (PART, SOURCE) if name in table.column_names])
        truth = read_table(self.target).column("target")
        return table.append_column(pa.field(self.name, truth.type), truth)

    def each_source(self) -> list[str | None]:
        """Where each row came from, of those that were live; None of the others."""
        table = read_table(self.table)
        if SOURCE not in table.column_names:
            return [None] * table.num_rows
        found: list[str | None] = table[SOURCE].to_pylist()
        return found

    def sources(self) -> Iterator[str]:
        """Where the live ones came from."""
        yield from (source for source in self.each_source() if source is not None)

    def part_of(self) -> Array:
        """The name of each row's part."""
        rows = read_table(self.table).num_rows
        found = np.full(rows, NO_PART, dtype=object)
        for name, file in self.parts.items():
            found[np.load(file, allow_pickle=False)] = name
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Live:
    """Labelled rows of the log, in the order in which they were answered, as the columns of the
    base with the target; how many lines were left out, and why."""

    table: pa.Table
    ids: tuple[str, ...]
    contents: tuple[str, ...]  # digests of what they hold
    sources: tuple[str, ...]
    left_out: Map


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """The next model's `table`, with the part of each row; the `recent` rows to compare on; and
    how many rows are what (`told`)."""

    table: pa.Table
    recent: pa.Table
    told: Map
    parts: tuple[str, ...]  # that have rows


def live_rows(
    lines: Lines,
    feedback: Feedback,
    reference: Reference,
    base: Base,
    columns: Mapping[str, Column],
    source: str | None,
) -> Live:
    """The labelled rows that fit the contract and the rules of columns, and that the base has
    not; each content once."""
    held = base.read()
    places = pc.index_in(lines.table["id"], feedback.table["id"].combine_chunks())
    labelled = lines.table.filter(pc.is_valid(places))
    truths = feedback.table["truth"].combine_chunks().take(pc.drop_null(places).combine_chunks())
    counts: Counter[str] = Counter()
    found, good = _typed(labelled, truths, held.schema, reference)
    good &= pc.is_null(labelled[WRONG.name]).to_numpy(zero_copy_only=False)
    counts["of another type"] = int((~good).sum())
    for name, column in columns.items():
        if name in found.column_names:
            for rule in broken(name, column, found[name]):
                counts["against a rule"] += int(good[rule.rows].sum())
                good[rule.rows] = False
    asked = [column.name for column in reference.columns if column.name in held.column_names]
    fresh = _fresh(found, base, [*asked, reference.target], asked, good)
    counts["known already"] = int((good & ~fresh).sum())
    kept = pa.array(np.flatnonzero(good & fresh))
    rows, table = labelled.take(kept), found.take(kept)
    return Live(
        table=table,
        ids=tuple(rows["id"].to_pylist()),
        contents=tuple(digest.hex() for digest in _contents(table.select(asked))),
        sources=tuple(_sources(rows, source)),
        left_out=Map({**counts, "without a truth": lines.table.num_rows - labelled.num_rows}),
    )


def _typed(
    labelled: pa.Table, truths: pa.Array, schema: pa.Schema, reference: Reference
) -> tuple[pa.Table, Array]:
    """Rows as columns of the base, and which of them have all that must not be missing."""
    known = {column.name: column for column in reference.columns}
    good = np.ones(labelled.num_rows, dtype=bool)
    columns: dict[str, pa.Array] = {}
    for field in schema:
        if field.name == reference.target:
            columns[field.name] = truths if reference.classes else truths.cast(pa.float64())
            continue
        if field.name not in known:
            columns[field.name] = _unasked(field, labelled)
            continue
        values = labelled[f"record.{field.name}"].combine_chunks()
        if known[field.name].kind.startswith("datetime"):
            values = _moments(values, field.type)
        elif pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        columns[field.name] = values
        if not known[field.name].missing:
            good &= pc.is_valid(values).to_numpy(zero_copy_only=False)
    return pa.table(columns), good


def _moments(values: pa.Array, kind: pa.DataType) -> pa.Array:
    seconds = times_of(values)
    whole = np.where(np.isnan(seconds), 0, np.round(seconds * 1e6)).astype("int64")
    return pa.array(whole, pa.int64(), mask=np.isnan(seconds)).cast(kind)


def _unasked(field: pa.Field, labelled: pa.Table) -> pa.Array:
    """A column that no request has: a row's weight is 1, its time that of its answer."""
    role = (field.metadata or {}).get(b"role")
    if role == b"weight":
        return pa.array(np.ones(labelled.num_rows))
    if role == b"time" and pa.types.is_timestamp(field.type):
        times = labelled["time"].combine_chunks()
        return times.cast(pa.timestamp("us")).cast(field.type)
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    return pa.nulls(labelled.num_rows, kind)


def _fresh(found: pa.Table, base: Base, whole: list[str], asked: list[str], good: Array) -> Array:
    """Which rows hold, in the columns of a request and the target, what no row of the base and no
    earlier one of these does, and ask what no test row of the base does, whatever is true of it."""
    held, parts = base.read(), base.part_of()
    seen = {*_contents(held.select(whole))}
    tests = held.filter(pa.array(parts == "test")).select(asked)
    tested = {*_contents(tests)}
    fresh = np.zeros(found.num_rows, dtype=bool)
    pairs = zip(_contents(found.select(whole)), _contents(found.select(asked)), strict=True)
    for number, (content, request) in enumerate(pairs):
        if good[number] and content not in seen and request not in tested:
            seen.add(content)
            fresh[number] = True
    return fresh


def _contents(table: pa.Table) -> Iterator[bytes]:
    """What each row holds, as a digest of its values in order; missing values are one value."""
    for row in contents(_plain(table)):
        yield hashlib.blake2b(repr(row).encode(), digest_size=16).digest()


def _sources(rows: pa.Table, column: str | None) -> Iterator[str]:
    """Where each row comes from: the value of a column, or its day."""
    if column is not None and f"record.{column}" in rows.column_names:
        yield from (str(value) for value in rows[f"record.{column}"].to_pylist())
    else:
        yield from (f"{moment:%Y-%m-%d}" for moment in rows["time"].to_pylist())


def snapshot(base: Base, live: Live, reference: Reference, asked: Improve) -> Snapshot:
    """The base's rows in their parts, then those of the live rows that are to be learned from."""
    held, parts = base.read(), base.part_of()
    count = live.table.num_rows
    recent = max(1, round(count * asked.recent))
    older = count - recent
    digests = [bytes.fromhex(content) for content in live.contents]
    before = Counter(base.sources())
    learned = int((parts != NO_PART).sum() - (parts == "test").sum()) - before.total()
    capped = _capped(live.sources[:older], digests[:older], before, learned, asked)
    own = np.array([*_parts(base, held, parts, live.table, digests, capped)], dtype=object)
    table = pa.concat_tables([_plain(held), _plain(live.table.take(pa.array(capped, pa.int64())))])
    table = _as_source(_whole(table), reference)
    table = table.append_column(PART, pa.array([*parts.tolist(), *own.tolist()], pa.string()))
    sources = [*base.each_source(), *(live.sources[row] for row in capped)]
    table = table.append_column(SOURCE, pa.array(sources, pa.string()))
    latest = range(older, count)
    jury = _capped(
        tuple(live.sources[row] for row in latest),
        [digests[row] for row in latest],
        Counter(),
        None,
        asked,
    )
    told: dict[str, Value] = {
        "base": held.num_rows,
        "live": count,
        "recent": len(jury),
        "learned": len(capped),
        "capped": count - len(capped) - len(jury),
        "left_out": live.left_out,
        "parts": Map({part: int((own == part).sum()) for part in PARTS if (own == part).any()}),
    }
    return Snapshot(
        table=table,
        recent=_plain(live.table.slice(older).take(pa.array(jury, pa.int64()))),
        told=Map(told),
        parts=tuple(sorted({*parts.tolist(), *own.tolist()})),
    )


def _capped(
    sources: tuple[str, ...],
    digests: list[bytes],
    before: Counter[str],
    base: int | None,
    asked: Improve,
) -> list[int]:
    """Which rows are taken: so few of each source that it is no more of all live rows than
    `most_source`, with those that were learned `before`; and so few in all that the `base` has its
    share (None: any). Where there are too few sources for that, each is as many as the least.
    Which they are is decided by a digest of what they hold, whoever sent them and when."""
    counts = Counter(before)
    most = len(sources)
    if base is not None:
        most = max(0, int(base * asked.most_share / (1 - asked.most_share)) - before.total())
    known, share = Counter(sources) + before, asked.most_source
    if asked.source is None:  # a first week has few days, and one that is not over
        share = max(share, 2 / max(1, len(known)))
    each = _each(known, share)
    if most < len(sources) and len(known) > 1:
        each = min(each, max(1, int(share * (most + before.total()))))
    taken: list[int] = []
    for row in sorted(range(len(sources)), key=lambda row: _salted(b"cap", digests[row])):
        if len(taken) < most and counts[sources[row]] < each:
            counts[sources[row]] += 1
            taken.append(row)
    return sorted(taken)


def _each(counts: Counter[str], share: float) -> int:
    """The most rows k of each source with k <= share * (all that are taken then); where there are
    fewer sources than that asks for, as many of each as the smallest has, or all of a single
    one."""
    if len(counts) <= 1:
        return max(counts.values(), default=0)
    ordered = sorted(counts.values())
    if share * len(ordered) < 1:
        return ordered[0]
    low, high = ordered[0], ordered[-1]
    while low < high:
        middle = (low + high + 1) // 2
        total = sum(min(count, middle) for count in ordered)
        low, high = (middle, high) if middle <= share * total else (low, middle - 1)
    return low


def _salted(salt: bytes, digest: bytes) -> bytes:
    """Another digest: what is decided by one says nothing of what is by another."""
    return hashlib.blake2b(digest, digest_size=16, salt=salt).digest()


def _parts(
    base: Base, held: pa.Table, parts: Array, live: pa.Table, digests: list[bytes], rows: list[int]
) -> Iterator[str]:
    """The part of each of these live rows: that of the base's rows with the same keys, where the
    split keeps such together; else by a hash, in the shares that the parts of the base have. Where
    the latest rows test, none of them joins these: they are later."""
    counts = {part: int((parts == part).sum()) for part in PARTS}
    counts |= {"test": 0} if base.by_time else {}
    known: dict[bytes, str] = {}
    if base.keys and {*base.keys} <= {*live.column_names}:
        known = dict(zip(_contents(held.select([*base.keys])), parts.tolist(), strict=True))
        digests = [*_contents(live.select([*base.keys]))]
    for row in rows:
        yield known.get(digests[row]) or _part(digests[row], counts)


def _part(digest: bytes, counts: Mapping[str, int]) -> str:
    point = int.from_bytes(_salted(b"part", digest)[:8], "big") / _MOST_UNIT
    total = sum(counts.values())
    reached = 0.0
    for part in reversed(PARTS):
        reached += counts[part] / total
        if point < reached:
            return part
    return "train"


def _plain(table: pa.Table) -> pa.Table:
    """Texts as texts, whole numbers as numbers, without what fields say of themselves."""
    columns: dict[str, Any] = {}
    for name in table.column_names:
        values = table[name]
        if pa.types.is_dictionary(values.type):
            values = values.cast(pa.string())
        elif pa.types.is_integer(values.type):
            values = values.cast(pa.float64())
        columns[name] = values
    return pa.table(columns)


def _is_whole(name: str) -> bool:
    """Whether a class is the text of a whole number, as a number would be written."""
    return name.lstrip("-").isascii() and name.lstrip("-").isdecimal() and str(int(name)) == name


def _whole(table: pa.Table) -> pa.Table:
    """With columns of whole numbers as such, as a csv's are."""
    for place, name in enumerate(table.column_names):
        values = table[name]
        if pa.types.is_floating(values.type):
            held = pc.drop_null(values).to_numpy()
            if len(held) and np.all((held == np.floor(held)) & (np.abs(held) < 2**53)):
                table = table.set_column(place, name, values.cast(pa.int64()))
    return table


def _as_source(table: pa.Table, reference: Reference) -> pa.Table:
    """With the target as the data has it: classes that are numbers or truth values as such."""
    place = table.schema.get_field_index(reference.target)
    classes = reference.classes
    if {*classes} == {"true", "false"}:
        values = pc.equal(table[reference.target], "true")
    elif classes and all(_is_whole(name) for name in classes):
        values = table[reference.target].cast(pa.int64())
    else:
        return table
    return table.set_column(place, reference.target, values)


def write_parquet(table: pa.Table, file: Path) -> None:
    """Write a table whole or not at all; the same table is the same bytes."""
    import pyarrow.parquet

    part = file.with_suffix(".part")
    pyarrow.parquet.write_table(table, part, compression="zstd")
    part.replace(file)
