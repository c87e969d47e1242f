"""Feedback: what turned out to be true, by the id of the prediction; of several the last holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlops_compile.ir.reference import Reference
from mlops_compile.ir.value import Map
from mlops_compile.monitor.log import IDS, TIME, Counts, Log, feedback_schema


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Feedback:
    """One truth for each id (`table`: id, time, truth), out of so many `lines`: those `repeated`
    say again what an earlier one said, those `corrected` another thing. Lines that are `broken`, or
    whose truth is no class of the model (`other`), count for nothing."""

    table: pa.Table
    lines: int
    repeated: int
    corrected: int
    broken: int
    other: int

    def to_dict(self) -> Map:
        names = ("lines", "repeated", "corrected", "broken", "other")
        return Map({"ids": self.table.num_rows, **{name: getattr(self, name) for name in names}})


def read_feedback(log: Log, reference: Reference) -> Feedback:
    """All feedback that there is."""
    schema, counts = feedback_schema(reference), Counts()
    tables = [table for file in log.files("feedback") for table in log.tables(file, schema, counts)]
    found = pa.concat_tables(tables) if tables else empty_table(schema)
    found = found.select(schema.names)
    lines = found.num_rows + counts.broken
    known = found.filter(pc.and_(pc.is_valid(found["truth"]), pc.is_valid(found["id"])))
    if reference.classes:
        known = known.filter(pc.is_in(known["truth"], pa.array(reference.classes)))
    # The order of lines in files and of these is kept where times are the same.
    order = np.argsort(known["time"].cast(pa.int64()).to_numpy(), kind="stable")
    last, repeated, corrected = _last(known.take(pa.array(order)))
    return Feedback(
        table=last,
        lines=lines,
        repeated=repeated,
        corrected=corrected,
        broken=counts.broken,
        other=found.num_rows - known.num_rows,
    )


def empty_table(schema: pa.Schema) -> pa.Table:
    """A table of these columns, with times as such, that has no row."""
    fields = [pa.field(f.name, TIME) if f.name == "time" else f for f in schema]
    return pa.schema(fields).empty_table()


def _last(known: pa.Table) -> tuple[pa.Table, int, int]:
    """The last line of each id, and how many of the others say the same as the one before them and
    how many another thing."""
    if not known.num_rows:
        return known, 0, 0
    codes = known["id"].combine_chunks().dictionary_encode().indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    again = codes[order][1:] == codes[order][:-1]
    truths = known["truth"].combine_chunks().dictionary_encode().indices.to_numpy()[order]
    same = truths[1:] == truths[:-1]
    ends = np.append(~again, True)
    last = known.take(pa.array(np.sort(order[ends])))
    return last, int((again & same).sum()), int((again & ~same).sum())


def unknown_ids(log: Log, feedback: Feedback, seen: set[str], ids: pa.Array) -> int:
    """How many ids of feedback no line of predictions has; `ids` are those that lines have that
    were read, of the files `seen`. The others are read for what is left."""
    left = feedback.table["id"].combine_chunks()
    left = left.filter(pc.invert(pc.is_in(left, ids)))
    for file in log.files("predictions"):
        if not len(left):
            break
        if file.path in seen:
            continue
        for table in log.tables(file, IDS, Counts()):
            left = left.filter(pc.invert(pc.is_in(left, table["id"].combine_chunks())))
    return len(left)
