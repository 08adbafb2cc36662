"""Pods that stay silent are listed again, because a watch may miss a deletion."""

from engine_support.world import World

from aiapi_operator.sizing.inputs import PodUnknown


def lists(world: World) -> int:
    return [call[0] for call in world.cluster.asked].count("pods")


async def silent() -> World:
    """The pod a-2 has been silent for one tick."""
    world = World()
    await world.settle()
    world.pods.answers["a-2"] = PodUnknown(pod="a-2", ready=True, reason="connection refused")
    await world.tick()
    world.cluster.asked.clear()
    return world


async def test_pods_are_listed_after_more_than_thirty_seconds_of_silence() -> None:
    world = await silent()
    await world.tick(after=30.0)
    assert lists(world) == 0
    await world.tick(after=0.1)
    assert lists(world) == 1
    await world.tick(after=30.0)
    assert lists(world) == 1, "and not in every tick from then on"
    await world.tick(after=0.1)
    assert lists(world) == 2


async def test_an_answer_ends_the_silence() -> None:
    world = await silent()
    world.answer("a-2", workers=1)
    await world.tick()
    world.pods.answers["a-2"] = PodUnknown(pod="a-2", ready=True, reason="connection refused")
    await world.tick(after=40.0)
    assert lists(world) == 0
