"""Opens the registry's database: a file of SQLite, or a server by its URI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from mlops_compile.ir.problem import StoreError, problem
from mlops_compile.registry.registry import Registry

_WAIT = 30  # seconds for another who writes a file of SQLite
_EXTRAS = {"psycopg": "postgres", "pymysql": "mysql"}


@contextmanager
def registry_at(uri: str, secret: str, clock: Callable[[], float], by: str) -> Iterator[Registry]:
    """The registry of a URI, with its tables; `secret` is `user:password`, or empty. StoreError in
    a sentence without credentials where it cannot be used."""
    registry = None
    try:
        registry = Registry(_engine(uri, secret), clock, by)
        registry.make()
        yield registry
    except DBAPIError as error:
        words = (str(error.orig).strip().splitlines() or [""])[0]
        for part in filter(None, (secret, secret.partition(":")[2])):
            words = words.replace(part, "...")
        hint = "is it reachable, and are the credentials right?"
        raise _refused(f"the registry cannot be used: {' '.join(words.split())}", hint) from None
    finally:
        if registry is not None:
            registry.close()


def _refused(message: str, hint: str) -> StoreError:
    return StoreError([problem("registry", message, ("registry", "uri"), hint)])


def _engine(uri: str, secret: str) -> sa.Engine:
    """The engine of a URI. StoreError where there is no such driver, and no place for its file."""
    try:
        return _made(uri, secret)
    except (NoSuchModuleError, ImportError) as error:
        name = str(getattr(error, "name", "") or "").partition(".")[0]
        extra = _EXTRAS.get(name)
        hint = f"python -m pip install {f'mlops_compile[{extra}]' if extra else 'its driver'}"
        raise _refused(f"the driver of {uri.partition('://')[0]} is not installed", hint) from None
    except ArgumentError:
        hint = "for example sqlite:///registry.db or postgresql+psycopg://host/database"
        raise _refused(f"{uri!r} is no URI of a database", hint) from None
    except OSError as error:
        message = f"the registry cannot lie there: {error.strerror}"
        hint = "name another file in registry.uri"
        raise _refused(message, hint) from None


def _made(uri: str, secret: str) -> sa.Engine:
    url = sa.make_url(uri)
    if url.get_backend_name() == "sqlite":
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(
            url, hide_parameters=True, isolation_level="AUTOCOMMIT", connect_args={"timeout": _WAIT}
        )
        sa.event.listen(engine, "connect", _as_files_are_kept)
        return engine
    if secret:
        user, _, password = secret.partition(":")
        url = url.set(username=user, password=password or None)
    return sa.create_engine(url, hide_parameters=True, pool_pre_ping=True)


def _as_files_are_kept(connection: object, _: object) -> None:
    for text in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {text}")  # type: ignore[attr-defined]
