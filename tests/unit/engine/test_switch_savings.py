"""Time at zero is time without pods, also for a successor."""

from typing import Any

from engine_support.switching import asleep, successor

from aiapi_operator.engine import checkpoint

AN_HOUR_OF_TWO_PODS = {
    "observedSeconds": 3600,
    "workerSeconds": 7200,
    "podSeconds": 7200,
    "missedSeconds": 0,
    "peakWorkers": 1,
    "peakReplicas": 2,
}


async def test_an_hour_asleep_is_saved_and_written_while_it_sleeps() -> None:
    world = await asleep(status={"savings": AN_HOUR_OF_TWO_PODS})
    before = world.written["savings"]
    for _ in range(60):
        await world.tick(after=60)
    after = world.written["savings"]
    assert after["observedSeconds"] - before["observedSeconds"] >= 2880
    assert after["podSeconds"] - before["podSeconds"] <= 10
    assert world.written["activation"]["asleepSeconds"] >= 2880
    assert int(before["percent"].rstrip("%")) <= 2
    assert 45 <= int(after["percent"].rstrip("%")) <= 50
    other = successor(world)
    await other.tick()
    assert {**other.written["savings"], "percent": ""} == {**after, "percent": ""}
    assert other.written["activation"]["asleepSeconds"] >= 2880


async def test_waking_up_counts_no_pods_for_the_time_before() -> None:
    world = await asleep()
    await world.tick()
    before = world.state.sizer.sizing
    world.cache.put(world.cluster.edit("Deployment", "a", {"spec": {"replicas": 1}}))
    await world.tick(after=59)
    await world.tick()
    assert pod_seconds(world.state.sizer.sizing) - pod_seconds(before) <= 10


def pod_seconds(state: Any) -> float:
    return float(checkpoint.totals(state)["podSeconds"])
