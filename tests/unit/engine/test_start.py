"""A start with everything in place touches no child, and restores what was edited meanwhile."""

from typing import Any

import pytest
from engine_support.world import OBSERVED, World

from aiapi_operator.manifests.applied import ANNOTATION
from aiapi_operator.sizing.inputs import PodUnknown


async def restarted(world: World, **edits: Any) -> World:
    """A new operator in the same cluster, after its first tick; ``edits`` by kind."""
    successor = successor_of(world, **edits)
    await successor.tick()
    return successor


def successor_of(world: World, **edits: Any) -> World:
    """A new operator in the same cluster, after the first lists; ``edits`` by kind."""
    for kind, part in edits.items():
        world.cluster.edit(kind, "a", part)
    successor = World(
        spec=world.spec,
        status=world.written,
        now=world.now + 1,
        cluster=world.cluster,
        authority=world.authority,
    )
    successor.pods.answers = world.pods.answers
    for manifest in world.cluster.objects.values():
        if manifest["kind"] != "AIApi":
            successor.cache.put(manifest)
    successor.cache.set_fresh(successor.now)
    return successor


async def test_nothing_is_read_and_no_child_or_pod_is_written() -> None:
    world = World(status=OBSERVED)
    await world.settle()
    successor = await restarted(world)
    assert successor.cluster.asked == []
    assert [call for call in successor.cluster.done if call != ("status",)] == []


async def test_pods_do_not_carry_the_hash() -> None:
    world = World()
    await world.settle()
    deployment = world.cluster.objects["Deployment", "a"]
    assert ANNOTATION in deployment["metadata"]["annotations"]
    template = deployment["spec"]["template"]
    assert ANNOTATION not in template["metadata"].get("annotations", {})


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("Service", {"spec": {"selector": {"extra": "label"}}}),
        ("Service", {"spec": {"ports": [{"name": "http", "port": 81, "protocol": "TCP"}]}}),
        ("NetworkPolicy", {"spec": {"ingress": []}}),
        ("Deployment", {"spec": {"minReadySeconds": 7}}),
        ("PodDisruptionBudget", {"metadata": {"annotations": {ANNOTATION: "other"}}}),
    ],
)
async def test_an_edit_during_downtime_is_restored(kind: str, part: dict[str, Any]) -> None:
    world = World(status=OBSERVED)
    await world.settle()
    successor = await restarted(world, **{kind: part})
    assert [call for call in successor.cluster.done if call[0] == "apply"] == [("apply", kind)]
    assert ("get", kind) not in [call[:2] for call in successor.cluster.asked]


async def test_a_field_that_is_no_longer_wanted_is_removed_after_an_upgrade() -> None:
    world = World(spec={"image": "shop:1", "app": "shop:app"}, status=OBSERVED)
    await world.settle()
    world.spec = {"image": "shop:1", "app": "shop:app", "strategy": {"minReadySeconds": 0}}
    old = world.cluster.objects["Deployment", "a"]
    old["metadata"]["annotations"][ANNOTATION] = "hash of a manifest with one field more"
    successor = await restarted(world)
    assert ("apply", "Deployment") in successor.cluster.done


async def test_a_child_of_another_owner_is_not_taken_over() -> None:
    world = World(status=OBSERVED)
    await world.settle()
    other = {"kind": "AIApi", "name": "a", "uid": "old", "controller": True}
    successor = await restarted(world, Service={"metadata": {"ownerReferences": [other]}})
    assert successor.cluster.done == [("status",)]
    assert "is owned by AIApi a" in successor.condition("Reconciled")["message"]


async def test_an_unchanged_aiapi_makes_no_manifests(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(status=OBSERVED)
    await world.settle()

    def unexpected(*_: Any) -> Any:
        raise AssertionError("manifests were made")

    monkeypatch.setattr("aiapi_operator.engine.tick.desired", unexpected)
    await world.tick()
    assert world.cluster.done == []


async def serve(world: World, seconds: float) -> None:
    """Requests at a steady rate, and their samples."""
    for _ in range(int(seconds / 2)):
        world.now += 2.0
        for name in world.pods.answers:
            done = int(10 * world.now)
            counts = {
                "succeeded": done,
                "loop_seconds": 0.01 * done,
                "loop_cpu_seconds": 0.01 * done,
            }
            world.answer(name, **counts, cpu_seconds=0.01 * done, in_flight_seconds=done / 5)
        await world.tick_now()


async def test_a_start_under_load_writes_nothing() -> None:
    world = World(spec={"replicas": {"min": 2}}, status=OBSERVED)
    await world.settle()
    await serve(world, seconds=180.0)
    assert world.condition("RequestsFailing")["status"] == "False"
    world.cluster.done.clear()
    successor = successor_of(world)
    await serve(successor, seconds=20.0)
    assert successor.cluster.done == []


async def test_what_a_start_finds_is_written_at_once() -> None:
    world = World(spec={"replicas": {"min": 2}}, status=OBSERVED)
    await world.settle()
    await serve(world, seconds=180.0)
    successor = successor_of(world)
    successor.pods.answers = {
        name: PodUnknown(pod=name, ready=True, reason="x") for name in world.pods.answers
    }
    await successor.tick_now()
    assert successor.written["decision"]["reason"] == "HoldingOnMissingMetrics"
