"""`helm test` fails when no operator runs or the AIApi does not become Ready."""

from pathlib import Path

import pytest
from engine_support.live import Cluster, operating

from aiapi_operator import helm_test
from aiapi_operator.cluster.resources import AIAPIS


async def test_a_missing_operator_is_reported(cluster: Cluster) -> None:
    await cluster.install_crd()
    with pytest.raises(TimeoutError, match="check that an operator watches this namespace"):
        await helm_test.check(cluster.connection, namespace="default", name="smoke", within=1)
    assert await cluster.get(AIAPIS, "smoke") is None


async def test_the_reason_of_the_ready_condition_is_reported(
    cluster: Cluster, kubeconfig: Path
) -> None:
    lines: list[str] = []
    await cluster.install_crd()
    async with operating(kubeconfig, default_image="example.com/missing:1"):
        with pytest.raises(TimeoutError, match=r"example\.com/missing:1"):
            await helm_test.check(
                cluster.connection, namespace="default", name="smoke", within=6, report=lines.append
            )
    assert lines
    assert await cluster.get(AIAPIS, "smoke") is None
