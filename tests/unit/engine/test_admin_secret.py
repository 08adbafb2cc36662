"""The Secret of an AIApi over ticks: tokens and certificates change, and pods stay reachable."""

import base64
from typing import Any

import pytest
from engine_support.world import World

from aiapi_operator.engine import certificates
from aiapi_operator.engine.certificates import KeyPair

DAY = 86_400.0
SECRET = ("Secret", "a-admin-token")


def stored(world: World) -> dict[str, str]:
    data = world.cluster.objects[SECRET]["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def edit(world: World, **data: str) -> None:
    """As with kubectl: the watch delivers the Secret."""
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    world.cache.put(world.cluster.edit(*SECRET, {"data": encoded}))


def restarted(world: World) -> World:
    """Another operator on the same cluster."""
    other = World(now=world.now)
    other.cluster.objects = world.cluster.objects
    other.add_pods("a-1", "a-2")
    return other


async def test_a_new_token_is_sent_first_and_the_old_one_after_it() -> None:
    world = World()
    await world.settle()
    (old,) = world.pods.tokens
    edit(world, token="chosen")
    await world.tick()
    assert world.pods.tokens == ("chosen", old)
    assert (stored(world)["token"], stored(world)["previous-token"]) == ("chosen", old)


async def test_an_operator_that_starts_during_a_rotation_knows_both_tokens() -> None:
    world = World()
    await world.settle()
    (old,) = world.pods.tokens
    edit(world, token="chosen")
    await world.tick()
    other = restarted(world)
    await other.tick()
    assert other.pods.tokens == ("chosen", old)


async def test_a_second_rotation_forgets_the_first_token() -> None:
    world = World()
    await world.settle()
    for token in ("second", "third"):
        edit(world, token=token)
        await world.tick()
    assert world.pods.tokens == ("third", "second")
    assert stored(world)["previous-token"] == "second"


async def test_no_token_and_no_key_is_in_the_text_of_an_object() -> None:
    world = World()
    await world.settle()
    tls = await world.engine._ports.admin_tls.current(1)
    shown = repr([world.state.admin, tls])
    assert world.pods.tokens[0] not in shown
    assert "PRIVATE KEY" not in shown


async def test_a_settled_secret_is_not_written_again_until_its_certificate_is_due() -> None:
    world = World()
    await world.settle()
    first = stored(world)
    await world.tick(after=59 * DAY)
    assert stored(world) == first
    await world.tick(after=2 * DAY)
    assert stored(world)["tls.crt"] != first["tls.crt"]
    assert stored(world)["token"] == first["token"]


async def test_an_edited_certificate_is_replaced_in_one_tick() -> None:
    world = World()
    await world.settle()
    edit(world, **{"tls.key": "stolen and replaced"})
    await world.tick()
    found = stored(world)
    pair = KeyPair(found["tls.crt"], found["tls.key"])
    assert certificates.is_for(pair, found["ca.crt"], "a.shop.aiapi.dev")


async def test_each_pod_is_contacted_with_the_scheme_of_its_own_template() -> None:
    world = World()
    await world.settle()
    world.cache.put(world.cluster.add_pod("old", scheme="HTTP"))
    world.answer("old")
    await world.tick()
    urls = {name: target.url("/stats") for name, target in world.pods.targets.items()}
    assert urls["old"].startswith("http://")
    assert urls["a-1"].startswith("https://")
    assert world.pods.targets["old"].ssl_context is None
    assert world.pods.targets["a-1"].server_hostname == "a.shop.aiapi.dev"


async def test_an_annotation_does_not_downgrade_a_pod() -> None:
    world = World()
    await world.settle()
    annotation = {"metadata": {"annotations": {"aiapi.dev/admin-scheme": "http"}}}
    world.cache.put(world.cluster.edit("Pod", "a-1", annotation))
    await world.tick()
    assert world.pods.targets["a-1"].url("/stats").startswith("https://")


async def test_after_tls_was_turned_off_pods_that_serve_it_keep_their_certificate() -> None:
    world = World(admin_tls=False)
    await world.settle()
    assert "tls.crt" in stored(world)
    assert world.pods.targets["a-1"].ssl_context is not None
    for name in ("a-1", "a-2"):
        world.cache.put(world.cluster.add_pod(name, scheme="HTTP"))
    await world.tick()
    applied = world.cache.child(world.state.ref.key, "Secret")
    assert world.pods.targets["a-1"].ssl_context is None
    assert world.cluster.done.count(("apply", "Secret")) == 1
    assert applied is not None


FORBIDDEN: dict[str, Any] = {"podTemplate": {"spec": {"hostNetwork": True}}}


async def test_a_forbidden_pod_template_changes_nothing_that_runs() -> None:
    world = World()
    await world.settle()
    world.state.manifest = {**world.state.manifest, "spec": FORBIDDEN}
    await world.tick()
    assert world.cluster.done == [("status",)]
    accepted = world.condition("Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "PodTemplateForbidden")
    assert accepted["message"] == (
        "spec.podTemplate.spec.hostNetwork is forbidden: remove it, or have an administrator allow"
        " it with podTemplatePolicy.hostNamespaces in the values of the operator's chart. Until"
        " then, running pods are not changed."
    )
    assert world.condition("Ready")["status"] == "True"


async def test_a_forbidden_new_aiapi_gets_no_children() -> None:
    world = World(spec=FORBIDDEN)
    await world.tick()
    assert {kind for kind, _ in world.cluster.objects} == {"AIApi"}
    assert world.condition("Ready")["reason"] == "InvalidSpec"


@pytest.mark.parametrize("allowed", [True, False])
async def test_the_policy_decides(allowed: bool) -> None:
    world = World(spec=FORBIDDEN)
    world = World(
        spec=FORBIDDEN, policy=world.policy.model_copy(update={"host_namespaces": allowed})
    )
    await world.tick()
    assert (("Deployment", "a") in world.cluster.objects) is allowed
