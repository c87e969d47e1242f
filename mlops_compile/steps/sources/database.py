"""Asks a database for the rows of a query and writes them as an Arrow file, in bounded memory."""

from __future__ import annotations

import contextlib
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import pyarrow as pa
import sqlalchemy
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.value import KeyPath
from mlops_compile.steps.sources.cells import arrow_type
from mlops_compile.steps.sources.columnar import NOTHING, storage_of, stored
from mlops_compile.steps.tables import regular, write_batches

_SOURCE: KeyPath = ("data", "source")
_ROWS = 1 << 14
_EXTRAS = {"psycopg": "postgres", "pymysql": "mysql"}
_LONGEST = 200


class Query(Protocol):
    """What is asked of which database; the variable that holds the credentials."""

    @property
    def uri(self) -> str: ...

    @property
    def query(self) -> str: ...

    @property
    def credentials_env(self) -> str | None: ...


def write_result(spec: Query, project: Path, out: Path) -> None:
    """Write what a query gives, in its order, as storage types. CompileError in a sentence that
    holds no credentials."""
    spool = out.with_name(f"{out.name}.part")
    with _connected(spec, project) as connection, _sentences(spec, "query"):
        text = sqlalchemy.text(spec.query.replace(":", r"\:"))
        found = connection.execution_options(stream_results=True, yield_per=_ROWS).execute(text)
        names = _names(list(found.keys()))
        types = _spooled(found.partitions(_ROWS), names, spool)
    schema = pa.schema([(name, arrow_type(types[name])) for name in names])
    write_batches(out, schema, regular(_unspooled(spool, schema), schema))
    spool.unlink()


def _names(found: list[str]) -> list[str]:
    names = [unicodedata.normalize("NFC", str(name).strip()) for name in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        hint = "give each a name of its own: SELECT a.id AS a_id"
        raise _fault("columns", f"the query gives two columns {twice[0]!r}", "query", hint)
    return names


def _spooled(partitions: Any, names: Sequence[str], spool: Path) -> dict[str, str]:
    """Write rows as they come, each batch with types of its own, and give the types of all."""
    types = dict.fromkeys(names, NOTHING)
    row = 0
    with spool.open("wb") as file:
        for rows in partitions:
            columns = [
                _column(name, [item[place] for item in rows], row)
                for place, name in enumerate(names)
            ]
            for name, column in zip(names, columns, strict=True):
                types[name] = _both(name, types[name], str(storage_of(column.type)))
            batch = pa.RecordBatch.from_arrays(columns, names=[str(n) for n in range(len(names))])
            with pa.ipc.new_stream(file, batch.schema) as writer:
                writer.write_batch(batch)
            row += len(rows)
    if not row:  # before it is pinned
        raise _fault("empty", "the query gives no rows", "query")
    return {name: "float64" if found == NOTHING else found for name, found in types.items()}


def _column(name: str, values: list[Any], row: int) -> pa.Array:
    """A batch of a column, of whatever type the driver gives."""
    values = _numbers(values)
    with contextlib.suppress(pa.ArrowException, OverflowError):
        column = pa.array(values)
        if storage_of(column.type) is not None:
            storage = str(storage_of(column.type))
            return column if storage == NOTHING else stored(column, storage)
    for offset, value in enumerate(values):
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            message = f"row {row + offset + 1} of the query: {name!r} is beyond 64 bits"
            hint = (
                f"SELECT CAST({name} AS TEXT) keeps its digits; cast to a floating-point type, it"
                " is rounded"
            )
            raise _fault("too-long", message, "query", hint)
        kind = type(value).__name__
        if value is not None and storage_of(_type_of(value)) is None:
            message = (
                f"{name!r} holds {kind} (row {row + offset + 1} of the query), no cell of a table"
            )
            raise _fault("nested", message, "query", "leave it out, or cast it to a text")
    kinds = sorted({type(value).__name__ for value in values if value is not None})
    message = f"{name!r} holds {' and '.join(kinds)} in one column"
    raise _fault("mixed-types", message, "query", f"cast it: SELECT CAST({name} AS TEXT)")


def _numbers(values: list[Any]) -> list[Any]:
    """Decimals (NUMERIC) as whole numbers where all are, so that none is rounded; where one is
    infinite, as floats. A NaN is missing."""
    kinds = {type(value) for value in values} - {type(None)}
    if kinds != {Decimal}:
        return values
    known = [None if value is None or value.is_nan() else value for value in values]
    numbers = [value for value in known if value is not None]
    if any(value.is_infinite() for value in numbers):
        return [None if value is None else float(value) for value in known]
    if all(value == value.to_integral_value() for value in numbers):
        return [None if value is None else int(value) for value in known]
    return known


def _type_of(value: Any) -> pa.DataType:
    try:
        return pa.scalar(value).type
    except (pa.ArrowException, OverflowError):
        return pa.binary()


def _both(name: str, one: str, other: str) -> str:
    if NOTHING in (one, other) or one == other:
        return other if one == NOTHING else one
    if {one, other} == {"int64", "float64"}:
        return "float64"
    message = f"{name!r} holds {one} in some rows of the query and {other} in others"
    raise _fault("mixed-types", message, "query", f"cast it: SELECT CAST({name} AS TEXT)")


def _unspooled(spool: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    with pa.OSFile(str(spool)) as file:
        while file.tell() < file.size():
            for batch in pa.ipc.open_stream(file):
                columns = [
                    pa.nulls(len(column), field.type)
                    if pa.types.is_null(column.type)
                    else column.cast(field.type, safe=False)
                    for column, field in zip(batch.columns, schema, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)


@contextlib.contextmanager
def _connected(spec: Query, project: Path) -> Iterator[sqlalchemy.Connection]:
    """A connection whose transaction is taken back at the end: a query changes nothing."""
    with _sentences(spec, "uri"):
        engine = sqlalchemy.create_engine(_url(spec, project), hide_parameters=True)
    try:
        with _sentences(spec, "uri"):
            connection = engine.connect()
            if engine.name == "sqlite":  # which looks into a file when it is first asked
                connection.exec_driver_sql("PRAGMA schema_version")
        with connection:
            yield connection
    finally:
        engine.dispose()


def _url(spec: Query, project: Path) -> sqlalchemy.URL:
    url = sqlalchemy.make_url(spec.uri)
    if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
        file = project / str(url.database)
        if not file.is_file():
            raise _fault("no-file", f"there is no file {url.database}", "uri")
        # Read only: SQLite would make a file that is not there, and locks for a writer.
        # In its URI a path is quoted: behind a bare `#` or `?` it would be another file's.
        name = f"file:{quote(file.as_posix())}"
        return url.set(database=name, query={**url.query, "mode": "ro", "uri": "true"})
    if spec.credentials_env is None:
        return url
    # The one place where a secret is read: it goes to the driver and nowhere else.
    secret = os.environ.get(spec.credentials_env)
    if not secret:
        message = f"the environment variable {spec.credentials_env} is not set"
        hint = "it holds user:password"
        raise _fault("secret", message, "credentials_env", hint)
    user, has_user, password = secret.partition(":")
    if url.username:
        return url.set(password=password if has_user and user == url.username else secret)
    return url.set(username=user, password=password if has_user else None)


@contextlib.contextmanager
def _sentences(spec: Query, key: str) -> Iterator[None]:
    """What SQLAlchemy and drivers raise, as a problem of a key."""
    try:
        yield
    except CompileError:
        raise
    except (NoSuchModuleError, ImportError) as error:
        name = str(getattr(error, "name", "") or "").partition(".")[0]
        extra = _EXTRAS.get(name)
        hint = f"python -m pip install {f'mlops_compile[{extra}]' if extra else 'its driver'}"
        message = f"the driver of {spec.uri.partition('://')[0]} is not installed"
        raise _fault("source", message, "uri", hint) from None
    except ArgumentError:
        hint = "for example sqlite:///people.db or postgresql+psycopg://host/database"
        raise _fault("wrong-value", "is no URI of a database", "uri", hint) from None
    except DBAPIError as error:
        words = _words(error, spec)
        message = f"the query fails: {words}" if key == "query" else f"no connection: {words}"
        hint = "" if key == "query" else "is the server reachable, and are the credentials right?"
        if key == "uri" and spec.uri.startswith("sqlite"):
            hint = "name a file that SQLite wrote: sqlite:///people.db"
        where = (*_SOURCE, key)
        raise CompileError([problem("source", message, where, hint, quotes=(words,))]) from None
    except SQLAlchemyError as error:
        raise _fault("source", f"the query fails: {_words(error, spec)}", key) from None


def _words(error: Exception, spec: Query) -> str:
    """The first line of what a driver says, without credentials."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines() or [""]
    text = re.sub(r"\s+", " ", lines[0])[:_LONGEST]
    secret = os.environ.get(spec.credentials_env or "", "")
    for part in {secret, *secret.split(":", 1)}:
        if part and len(part) > 2:
            text = text.replace(part, "***")
    return text


def _fault(code: str, message: str, key: str, hint: str = "") -> CompileError:
    return CompileError([problem(code, message, (*_SOURCE, key), hint)])
