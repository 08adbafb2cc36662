"""An AIApi exists unless it is gone, is being deleted, or another one has its name."""

import pytest
from engine_support.cluster import FakeCluster
from engine_support.world import aiapi

from aiapi_operator.engine.aiapi_ref import AIApiRef
from aiapi_operator.engine.existence import AIApiDeletedError, ensure_exists

REF = AIApiRef.of(aiapi())


async def test_it_exists() -> None:
    cluster = FakeCluster()
    cluster.objects["AIApi", "a"] = aiapi()
    await ensure_exists(cluster, REF)
    assert cluster.asked == [("get", "AIApi", "a")]


@pytest.mark.parametrize(
    "change", [None, {"uid": "another"}, {"deletionTimestamp": "2026-01-01T00:00:00Z"}], ids=str
)
async def test_it_was_deleted(change: dict[str, str] | None) -> None:
    cluster = FakeCluster()
    if change is not None:
        found = aiapi()
        found["metadata"] |= change
        cluster.objects["AIApi", "a"] = found
    with pytest.raises(AIApiDeletedError):
        await ensure_exists(cluster, REF)
