"""Children: applied in order, unchanged when settled, restored when they drift."""

import base64

import pytest
from engine_support.world import OBSERVED, World

from aiapi_operator.cluster.errors import Forbidden, Unavailable
from aiapi_operator.engine.existence import AIApiDeletedError

ORDER = [
    "Secret",
    "ServiceAccount",
    "Service",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Deployment",
]


def applied(world: World) -> list[str]:
    return [call[1] for call in world.cluster.done if call[0] == "apply"]


async def test_children_are_applied_in_order_and_the_deployment_starts_at_the_minimum() -> None:
    world = World(spec={"replicas": {"min": 3, "max": 5}})
    await world.tick()
    assert applied(world) == ORDER
    assert ("scale", "3") in world.cluster.done
    assert world.cluster.objects["Deployment", "a"]["spec"]["replicas"] == 3


async def test_a_settled_aiapi_sends_no_request() -> None:
    world = World(status=OBSERVED)
    await world.settle()
    for _ in range(60):
        await world.tick()
    assert world.cluster.done == []
    assert world.cluster.asked == []
    assert world.pods.set_workers == []


async def test_the_revision_annotation_is_not_drift() -> None:
    world = World()
    await world.settle()
    annotations = {"metadata": {"annotations": {"deployment.kubernetes.io/revision": "1"}}}
    world.cache.put(world.cluster.edit("Deployment", "a", annotations))
    await world.tick()
    assert world.cluster.done == []


async def test_only_the_edited_child_is_applied_again() -> None:
    world = World()
    await world.settle()
    edited = world.cluster.edit("NetworkPolicy", "a", {"spec": {"policyTypes": []}})
    world.cache.put(edited)
    await world.tick()
    assert world.cluster.done == [("apply", "NetworkPolicy")]
    assert world.cluster.objects["NetworkPolicy", "a"]["spec"]["policyTypes"] == ["Ingress"]
    await world.tick()
    assert world.cluster.done == [("apply", "NetworkPolicy")]


async def test_an_edit_of_a_child_is_logged_and_an_edit_of_the_spec_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    world = World()
    await world.settle()
    world.state.manifest["spec"] = {"replicas": {"min": 3, "max": 5}, "strategy": {"maxSurge": 1}}
    await world.tick()
    assert "Deployment" in applied(world)
    assert "edited" not in caplog.text
    world.cache.put(world.cluster.edit("Service", "a", {"spec": {"ports": []}}))
    await world.tick()
    assert "restoring a child that was edited" in caplog.text


async def test_edited_replicas_are_not_drift_of_the_deployment() -> None:
    world = World(spec={"scaling": {"mode": "Recommend"}})
    await world.settle()
    world.cache.put(world.cluster.edit("Deployment", "a", {"spec": {"replicas": 4}}))
    await world.tick()
    assert applied(world) == []


async def test_a_foreign_port_is_removed() -> None:
    world = World()
    await world.settle()
    foreign = {"spec": {"ports": [{"name": "http", "port": 81, "protocol": "TCP"}]}}
    world.cache.put(world.cluster.edit("Service", "a", foreign))
    await world.tick()
    assert world.cluster.done == [("replace", "Service"), ("apply", "Service")]
    assert [p["port"] for p in world.cluster.objects["Service", "a"]["spec"]["ports"]] == [80]


async def test_a_deleted_child_is_applied_again() -> None:
    world = World()
    await world.settle()
    world.cache.remove(world.cluster.objects.pop(("Service", "a")))
    await world.tick()
    assert world.cluster.done == [("apply", "Service")]


async def test_children_of_a_deleted_aiapi_are_not_applied() -> None:
    world = World()
    await world.settle()
    world.cache.remove(world.cluster.objects.pop(("Service", "a")))
    del world.cluster.objects["AIApi", "a"]
    with pytest.raises(AIApiDeletedError):
        await world.tick()
    assert world.cluster.done == []


async def test_an_existing_token_is_kept() -> None:
    world = World()
    await world.cluster.apply(
        {
            "kind": "Secret",
            "metadata": {"name": "a-admin-token"},
            "data": {"token": base64.b64encode(b"known").decode()},
        }
    )
    await world.settle()
    assert world.pods.tokens == ("known",)


async def test_a_deleted_token_is_replaced_and_the_old_one_still_used() -> None:
    world = World()
    await world.settle()
    (old,) = world.pods.tokens
    world.cache.remove(world.cluster.objects.pop(("Secret", "a-admin-token")))
    await world.tick()
    new, *others = world.pods.tokens
    assert new != old
    assert others == [old]
    stored = world.cluster.objects["Secret", "a-admin-token"]["data"]["token"]
    assert base64.b64decode(stored).decode() == new


async def test_a_rejected_child_is_reported_and_retried_with_backoff() -> None:
    world = World()
    quota = Forbidden("services is forbidden: exceeded quota: small")
    world.cluster.refuse["apply", "Service"] = quota
    for _ in range(10):
        await world.tick()
    assert [kind for kind in applied(world) if kind != "Service"] == [
        kind for kind in ORDER if kind != "Service"
    ]
    ready = world.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ChildrenRefused")
    assert "Service: services is forbidden: exceeded quota: small" in ready["message"]
    world.cluster.refuse.clear()
    await world.tick(after=60)
    assert "Service" in applied(world)
    assert world.condition("Reconciled")["status"] == "True"


async def test_an_unavailable_api_server_ends_the_tick() -> None:
    world = World()
    world.cluster.refuse[("apply",)] = Unavailable("no answer")
    with pytest.raises(Unavailable):
        await world.tick()


async def test_an_invalid_spec_changes_nothing_and_names_the_field() -> None:
    world = World()
    await world.settle()
    world.state.manifest = {
        **world.state.manifest,
        "spec": {"workers": {"min": 4, "max": 2}, "imgae": "x"},
    }
    await world.tick()
    assert world.cluster.done == [("status",)]
    accepted = world.condition("Accepted")
    assert accepted["status"] == "False"
    assert "spec.imgae" in accepted["message"]
    assert world.written["decision"]["replicas"] == 2
