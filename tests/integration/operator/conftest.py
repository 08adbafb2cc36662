"""One sandbox with the CRD for all tests."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from e2e_support.sandbox import running_sandbox
from engine_support.live import ROOT, Cluster

from aiapi_operator.cluster.connection import Connection


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    image = f"example/assistant={ROOT / 'examples'}"
    with running_sandbox(tmp_path_factory.mktemp("sandbox"), images=[image]) as path:
        yield path


@pytest.fixture
async def cluster(kubeconfig: Path) -> AsyncIterator[Cluster]:
    connection = await Connection.open(kubeconfig)
    yield Cluster(connection)
    await connection.close()
