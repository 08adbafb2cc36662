"""The check behind `helm test`, where it must fail: no operator is there, or it cannot help."""

from pathlib import Path

import pytest
from engine_support.live import Cluster, operating

from aiapi_operator import helm_test
from aiapi_operator.cluster.resources import AIAPIS


async def test_it_says_that_no_operator_is_there(cluster: Cluster) -> None:
    await cluster.install_crd()
    with pytest.raises(TimeoutError, match="check that an operator watches this namespace"):
        await helm_test.check(cluster.connection, namespace="default", name="smoke", within=1)
    assert await cluster.get(AIAPIS, "smoke") is None


async def test_it_says_what_the_operator_says(cluster: Cluster, kubeconfig: Path) -> None:
    lines: list[str] = []
    await cluster.install_crd()
    async with operating(kubeconfig, default_image="example.com/missing:1"):
        with pytest.raises(TimeoutError, match=r"example\.com/missing:1"):
            await helm_test.check(
                cluster.connection, namespace="default", name="smoke", within=6, report=lines.append
            )
    assert lines
    assert await cluster.get(AIAPIS, "smoke") is None
