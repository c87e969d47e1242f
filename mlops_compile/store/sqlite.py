"""Connections to SQLite files: opening, transactions, and what its errors mean."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

_WAIT_MS = 5000

# sqlite3 takes longer to import than a compile has: it is imported when the index is asked.


def connect(name: str, uri: bool = False) -> sqlite3.Connection:
    """A connection that waits some seconds for others, and begins no transaction by itself."""
    import sqlite3

    return sqlite3.connect(
        name, timeout=_WAIT_MS / 1000, isolation_level=None, check_same_thread=False, uri=uri
    )


def errors() -> tuple[type[Exception], ...]:
    """What reading a damaged file may raise."""
    import sqlite3

    return (sqlite3.Error, UnicodeDecodeError, TypeError)


def wrong_database(message: str) -> Exception:
    """The error of a file that is whole, and not what is looked for."""
    import sqlite3

    return sqlite3.DatabaseError(message)


def is_damage(error: Exception) -> bool:
    """Whether a file is malformed, or of another format, rather than busy or not to be written."""
    import sqlite3

    return not isinstance(error, sqlite3.OperationalError | OSError) or "no such" in str(error)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Change the file as a whole, or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with contextlib.suppress(*errors()):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
