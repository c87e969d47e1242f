"""The result of a database's query: asked for once, and pinned until `--refresh`."""

# SQLAlchemy and pyarrow are imported inside the functions that need them: a warm compile does not.

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_compile.ir.digest import digest_of
from mlops_compile.ir.problem import Problem, problem
from mlops_compile.ir.schema import key
from mlops_compile.ir.source import ColumnFact, Source
from mlops_compile.ir.value import KeyPath
from mlops_compile.steps.sources.kind import MOST_LEVELS, Facts, Files, SourceKind, Stamp

if TYPE_CHECKING:
    import pyarrow as pa

_URI: KeyPath = ("data", "source", "uri")
_QUERY: KeyPath = ("data", "source", "query")
_ENV: KeyPath = ("data", "source", "credentials_env")
_SECRET = re.compile(r"[?&][^=&]*(?:pass|pwd|secret|token|key)[^=&]*=", re.I)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlSource:
    """`data.source` of a query."""

    kind: str = key("sql", choices=("sql",))
    uri: str = key(
        "the database as SQLAlchemy writes it, without a password:"
        " sqlite:///people.db, postgresql+psycopg://host/database",
        filled=True,
        place=True,
    )
    query: str = key("a SELECT; with ORDER BY, equal rows always make equal bytes", filled=True)
    credentials_env: str | None = key(
        "the environment variable that holds `user:password` (or a password alone, where the uri"
        " names the user)",
        default=None,
        place=True,
    )


def complaints(spec: SqlSource) -> Iterator[Problem]:
    """What can be seen of the keys alone: no secret, a URI, a variable's name, one statement."""
    authority = spec.uri.partition("://")[2].partition("/")[0]
    user, has_user, _ = authority.rpartition("@")
    if (has_user and ":" in user) or _SECRET.search(spec.uri):
        # Without the key, whose value would be shown.
        message = "data.source.uri holds a password, which would stand in the lock"
        hint = "leave it out, and name the variable that holds it: data.source.credentials_env"
        yield problem("secret", message, hint=hint)
    elif "://" not in spec.uri:
        hint = "for example sqlite:///people.db or postgresql+psycopg://host/database"
        yield problem("wrong-value", "is no URI of a database", _URI, hint)
    if spec.credentials_env is not None and not _NAME.match(spec.credentials_env):
        message = "must be the name of an environment variable"
        hint = "credentials stand in the variable, never in the config"
        yield problem("wrong-value", message, _ENV, hint)
    if not re.match(
        r"\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*(?:select|with|values|table)\b", spec.query, re.I | re.S
    ):
        hint = "the rows of a table: SELECT * FROM people ORDER BY id"
        yield problem("wrong-value", "must be a SELECT", _QUERY, hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The rows of a query as a file: what `fetch` writes is the content of the source."""

    spec: SqlSource
    project: Path
    name: str = ""

    @property
    def identity(self) -> str:
        query = digest_of(self.spec.query.encode("utf-8")).sha256
        return f"sql:{self.spec.uri}:{query}"

    @property
    def is_gone(self) -> bool:
        """Always: the pin of the committed lock stands until it is refreshed on purpose."""
        return True

    def stamp(self) -> Stamp:
        """One that never changes: a query is asked once."""
        return Stamp(value=("pinned",))

    def fetch(self, room: Path) -> Path:
        """Ask, and write the rows as an Arrow file of storage types."""
        from mlops_compile.steps.sources.database import write_result  # imports SQLAlchemy

        room.mkdir(parents=True, exist_ok=True)
        out = room / "result"
        write_result(self.spec, self.project, out)
        return out


def scan(paths: tuple[Path, ...], spec: SqlSource, types: Mapping[str, str], target: str) -> Facts:
    """Rows, column types and missing values of a result."""
    from mlops_compile.steps.sources.columnar import Seen

    table = _opened(paths[0])
    seen = {}
    for field in table.schema:
        seen[field.name] = Seen(MOST_LEVELS)
        for batch in table.select([field.name]).to_batches():
            seen[field.name].see(_as(batch.column(0), types.get(field.name)), field.name == target)
    return Facts(
        rows=table.num_rows,
        columns=tuple(
            ColumnFact(
                name=field.name,
                type=_type(table, field.name, types.get(field.name)),
                missing=seen[field.name].missing,
            )
            for field in sorted(table.schema, key=lambda field: field.name)
        ),
        levels=seen[target].levels if target in seen else (),
    )


def read(paths: tuple[Path, ...], spec: SqlSource, source: Source, out: Path) -> None:
    """Write a result as an Arrow table of the source's types."""
    import pyarrow as pa

    from mlops_compile.steps.sources.cells import arrow_type
    from mlops_compile.steps.tables import regular, write_batches

    table = _opened(paths[0])
    types = {column.name: column.type for column in source.columns}
    schema = pa.schema([(name, arrow_type(types[name])) for name in table.column_names])
    batches = (
        pa.RecordBatch.from_arrays(
            [_as(batch.column(name), types[name]) for name in table.column_names], schema=schema
        )
        for batch in table.to_batches()
    )
    write_batches(out, schema, regular(batches, schema))


def _opened(path: Path) -> pa.Table:
    from mlops_compile.steps.tables import read_table

    return read_table(path)


def _type(table: pa.Table, name: str, wanted: str | None) -> str:
    from mlops_compile.steps.sources.columnar import storage_of

    found = str(storage_of(table.schema.field(name).type))
    if wanted is None or wanted == found:
        return found
    chunks = table.column(name).chunks
    # SQLite has no times but texts; with a zone they are times of another storage type.
    for candidate in (wanted, "timestamp_utc") if wanted == "timestamp" else (wanted,):
        if all(_cast(chunk, candidate) is not None for chunk in chunks):
            return candidate
    return found


def _as(column: pa.Array, wanted: str | None) -> pa.Array:
    """The values as a storage type where they fit; else as they are."""
    if wanted is None:
        return column
    done = _cast(column, wanted)
    return column if done is None else done


def _cast(column: pa.Array, wanted: str) -> pa.Array | None:
    import pyarrow as pa

    from mlops_compile.steps.sources.cells import arrow_type, cast
    from mlops_compile.steps.sources.columnar import stored

    if column.type == arrow_type(wanted):
        return column
    if pa.types.is_string(column.type):
        return cast(column, wanted)
    if wanted not in ("string", "float64"):
        return None
    try:
        return stored(column, wanted)
    except pa.ArrowInvalid:
        return None


KIND = SourceKind(
    name="sql",
    spec=SqlSource,
    distributions=("pyarrow",),
    snapshot=True,
    files=lambda spec, project: Files(places=(Result(spec=spec, project=project),)),
    location=lambda spec: str(spec.uri),
    complaints=complaints,
    scan=scan,
    read=read,
    place="uri",
    once=True,
    credentials_env=lambda spec: spec.credentials_env,
)
