"""Tables in files: Arrow IPC, the same bytes for the same content, mapped when read."""

# pyarrow is imported inside the functions that need it: this module is imported by source kinds,
# which a warm compile imports too, and pyarrow alone takes 0.2 s.

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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


def read_table(path: Path) -> pa.Table:
    """A table whose columns are mapped from the file, not copied."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_file(file).read_all()


def schema_of(path: Path) -> pa.Schema:
    """The columns of a table."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_file(file).schema


def read_columns(path: Path, names: Sequence[str]) -> pa.Table:
    """Some columns of a table, mapped by a map of their own: what is read of it leaves memory with
    the columns."""
    import pyarrow as pa

    places = [schema_of(path).get_field_index(name) for name in names]
    options = pa.ipc.IpcReadOptions(included_fields=places)
    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_file(file, options=options).read_all().select(list(names))


def read_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The batches of a table one after another, copied: no more of it is in memory than one."""
    import pyarrow as pa

    with pa.OSFile(str(path)) as file:
        reader = pa.ipc.open_file(file)
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)


def regular(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of one size, however the reader cut them."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        if not held and batch.num_rows == BATCH_ROWS:
            yield batch
            continue
        held.append(batch)
        rows += batch.num_rows
        while rows >= BATCH_ROWS:
            table = pa.Table.from_batches(held, schema).combine_chunks()
            whole = table.slice(0, BATCH_ROWS).combine_chunks().to_batches()
            yield from whole
            held = table.slice(BATCH_ROWS).to_batches()
            rows -= BATCH_ROWS
    if rows:
        yield from pa.Table.from_batches(held, schema).combine_chunks().to_batches()
