"""The registry on a real PostgreSQL server: what holds on a file holds there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("psycopg", reason="for `nox -s servers`")

from mlops_compile.ir.problem import StoreError
from mlops_compile.registry.connect import registry_at
from mlops_compile.registry.registry import Registry
from tests.servers.postgres import PASSWORD, Server, binaries, running
from tests.test_registry import (  # noqa: F401  (they run here again)
    test_all_who_come_at_once_get_a_number_and_one_the_alias,
    test_archived_once_and_restored_once,
    test_of_one_plan_and_bundle_there_is_one_version,
    test_who_compared_with_another_state_is_told,
)

FOLDER = binaries()
SECRET = f"admin:{PASSWORD}"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    if FOLDER is None:
        pytest.skip("PostgreSQL is not here")
    with running(FOLDER) as found:
        yield found


@pytest.fixture
def opened(server: Server) -> Iterator[Callable[[], Registry]]:
    server.execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    held = []

    def open_one() -> Registry:
        entered = registry_at(server.uri(), SECRET, lambda: 1.5, "ann")
        held.append(entered)
        return entered.__enter__()

    yield open_one
    for entered in held:
        entered.__exit__(None, None, None)


def test_a_server_that_refuses_is_told_without_the_password(server: Server) -> None:
    with (
        pytest.raises(StoreError) as refused,
        registry_at(server.uri(), "admin:canary-wrong", lambda: 0.0, "ann"),
    ):
        pass
    assert "the registry cannot be used: " in str(refused.value)
    assert "canary-wrong" not in str(refused.value)
