"""The keys under `deploy`: which service is generated, and its limits."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_compile.ir.schema import key

# The distributions that a service needs whatever its model; a family adds its own.
SERVICE = ("click", "h11", "msgspec", "uvicorn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy:
    """`deploy`: the service that is generated."""

    target: str = key("what to generate: http", default="http", choices=("http",))
    name: str | None = key("name of the service; else that of the data set", default=None)
    max_records: int = key("most records in one request", default=1000, low=1)
    max_body_bytes: int = key("largest request body", default=10_485_760, low=1024)
