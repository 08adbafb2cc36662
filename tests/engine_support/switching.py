"""An AIApi ``a`` that serves, goes to zero and comes back, in a ``World``."""

from typing import Any

from engine_support.world import FakeActivators, World

from aiapi_operator.engine.activation import Phase
from aiapi_operator.observe.activators import ActivatorPod

SPEC = {"replicas": {"min": 0, "max": 5}, "scaling": {"toZeroAfter": "30s"}}
SLICE = ("EndpointSlice", "a-activator")


def activators(**changes: Any) -> FakeActivators:
    return FakeActivators(pods=[ActivatorPod("act-1", "10.1.0.1")], **changes)


async def serving(**changes: Any) -> World:
    """An AIApi with two idle pods, whose Service has an address."""
    world = World(spec=SPEC, activators=activators(), **changes)
    await world.tick()
    service = {"spec": {"clusterIP": "10.96.0.1"}}
    world.cache.put(world.cluster.edit("Service", "a", service))
    world.add_pods("a-1", "a-2", idle_seconds=0.0)
    for _ in range(6):
        await world.tick()
    world.cluster.done.clear()
    return world


async def until(world: World, phase: Phase, *, idle: float = 1e6, ticks: int = 20) -> None:
    """Tick until the status has the phase; nobody sends a request."""
    for pod in world.pods.answers:
        world.answer(pod, idle_seconds=idle)
    for _ in range(ticks):
        if world.written["activation"]["phase"] == phase:
            return
        await quiet_tick(world)
    raise AssertionError(f"{world.written['activation']} is not {phase}")


async def quiet_tick(world: World) -> None:
    """A tick without a request since the last one."""
    before = world.now
    await world.tick()
    for pod, answer in world.pods.answers.items():
        world.answer(pod, idle_seconds=(answer.idle_seconds or 0.0) + world.now - before)


async def asleep(**changes: Any) -> World:
    """An AIApi at zero, whose pods are gone."""
    world = await serving(**changes)
    await until(world, Phase.ASLEEP)
    stop_pods(world)
    return world


def stop_pods(world: World) -> None:
    for name in list(world.pods.answers):
        world.cache.remove(world.cluster.objects.pop(("Pod", name)))
        del world.pods.answers[name]


def successor(world: World) -> World:
    """A new operator in the same cluster, after the first lists."""
    other = World(
        spec=world.spec,
        status=world.written,
        now=world.now + 1,
        cluster=world.cluster,
        authority=world.authority,
        activators=world.activators,
    )
    other.pods.answers = world.pods.answers
    for manifest in world.cluster.objects.values():
        if manifest["kind"] != "AIApi":
            other.cache.put(manifest)
    other.cache.set_fresh(other.now)
    other.engine.register(other.state.manifest)
    world.cluster.done.clear()
    return other


def replicas(world: World) -> int:
    return int(world.cluster.objects["Deployment", "a"]["spec"]["replicas"])
