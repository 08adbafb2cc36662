"""The condition GraceTooShort, from the responses that the pods have seen."""

from typing import Any

import pytest
from engine_support.world import World

from aiapi_operator.sizing.inputs import Histogram

BOUNDS = (1.0, 20.0, 60.0)


def took(*counts: int) -> Histogram:
    """Responses of up to 1, 20 and 60 s, and longer ones."""
    return Histogram(bounds=BOUNDS, counts=counts, sum=0.0)


async def condition(*latencies: Histogram, **spec: Any) -> dict[str, Any]:
    world = World(spec=spec)
    await world.tick()
    names = [f"a-{at}" for at in range(len(latencies))]
    world.add_pods(*names)
    for name, latency in zip(names, latencies, strict=True):
        world.answer(name, latency=latency)
    await world.tick_now()
    return world.condition("GraceTooShort")


async def test_responses_that_a_rollout_would_cut() -> None:
    found = await condition(took(900, 0, 0, 50), took(0, 0, 50, 0))
    assert (found["status"], found["reason"]) == ("True", "ResponsesTakeLonger")
    assert found["message"] == (
        "1 % of the responses take 60 s or longer, but a pod that ends waits only 25 s for them:"
        " rollouts and scale-downs cut them. Set podTemplate.spec.terminationGracePeriodSeconds to"
        " 95."
    )


@pytest.mark.parametrize(
    ("spec", "latency"),
    [
        ({}, took(1000, 0, 0, 0)),
        ({}, took(1000, 0, 0, 5)),
        ({"objective": {"latency": {"threshold": "60s"}}}, took(0, 0, 100, 0)),
        ({"podTemplate": {"spec": {"terminationGracePeriodSeconds": 65}}}, took(0, 0, 100, 0)),
    ],
    ids=["short", "few long ones", "long objective", "long grace"],
)
async def test_responses_that_end_in_time(spec: dict[str, Any], latency: Histogram) -> None:
    found = await condition(latency, **spec)
    assert (found["status"], found["reason"]) == ("False", "ResponsesFit")


async def test_too_few_responses() -> None:
    found = await condition(took(50, 0, 0, 49))
    assert (found["status"], found["reason"]) == ("Unknown", "NoData")
