"""Tables in files: Arrow IPC, the same bytes for the same content, mapped when read."""

# pyarrow is imported inside the functions that need it: this module is imported by source kinds,
# which a warm compile imports too, and pyarrow alone takes 0.2 s.

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 1 << 16


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table in batches of a fixed size, without schema metadata."""
    write_batches(path, table.schema, table.combine_chunks().to_batches(max_chunksize=BATCH_ROWS))


def write_batches(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Write batches as they come; their sizes are the caller's to fix."""
    import pyarrow as pa

    with pa.ipc.new_file(str(path), schema.remove_metadata()) as writer:
        for batch in batches:
            writer.write_batch(batch)


def regular(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of one size, however the reader cut them."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        while rows >= BATCH_ROWS:
            table = pa.Table.from_batches(held, schema).combine_chunks()
            yield from table.slice(0, BATCH_ROWS).combine_chunks().to_batches()
            held = table.slice(BATCH_ROWS).to_batches()
            rows -= BATCH_ROWS
    if rows:
        yield from pa.Table.from_batches(held, schema).combine_chunks().to_batches()


def read_table(path: Path) -> pa.Table:
    """A table whose columns are mapped from the file, not copied."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_file(file).read_all()
