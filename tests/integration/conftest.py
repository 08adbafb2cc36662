"""What several rooms of the integration tests share."""

from collections.abc import Iterator

import pytest
from store_support.postgres import Server, running


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A Postgres that runs for all tests that ask for it. Who kills it starts one of their own."""
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def database_url(postgres: Server, request: pytest.FixtureRequest) -> str:
    """An empty database for a test module."""
    return postgres.create(request.module.__name__.rpartition(".")[2])
