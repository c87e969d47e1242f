"""The keys under `deploy`: which service is generated, and its limits."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_compile.ir.schema import group, key

# The distributions that a service needs whatever its model; a family adds its own.
SERVICE = ("click", "h11", "msgspec", "uvicorn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """`deploy.log`: the service's log of predictions, where it is started with a place for one."""

    sensitive: str = key(
        "what becomes of sensitive columns: omit them, or hash them by a key that the service is"
        " given at its start",
        default="omit",
        choices=("omit", "hash"),
    )
    max_bytes: int = key("size from which a file gets no more lines", default=67_108_864, low=1024)
    max_files: int = key(
        "most files of predictions, of which the oldest are removed; 0: any number",
        default=16,
        low=0,
    )
    queue: int = key(
        "most records that wait to be written; more are counted, and not logged",
        default=10_000,
        low=1,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy:
    """`deploy`: the service that is generated."""

    target: str = key("what to generate: http", default="http", choices=("http",))
    name: str | None = key("name of the service; else that of the data set", default=None)
    max_records: int = key("most records in one request", default=1000, low=1)
    max_body_bytes: int = key("largest request body", default=10_485_760, low=1024)
    max_seconds: float = key(
        "longest time for a body to come, and for an answer to be found",
        default=30.0,
        low=0.0,
        low_open=True,
    )
    max_concurrent: int = key(
        "most requests that one process answers at a time; more are refused", default=100, low=1
    )
    log: Log = group("the log of predictions", Log)
