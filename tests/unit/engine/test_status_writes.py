"""How often the status of an AIApi under steady load is written."""

from random import Random

import pytest
from engine_support.world import OBSERVED, World

from aiapi_operator.sizing.inputs import Histogram

BOUNDS = (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 2.4)
SERVICE = 0.01
"""Loop seconds of a request."""


class Traffic:
    """Requests to one pod: independent arrivals of ``rate`` per second, 0.3 s each on average."""

    def __init__(self, rate: float, seed: int) -> None:
        self.rate, self.random = rate, Random(seed)  # noqa: S311 - a test
        self.served, self.in_flight, self.loop, self.seconds = 0, 0, 0.0, 0.0
        self.counts = [0] * (len(BOUNDS) + 1)

    def poisson(self, mean: float) -> int:
        found, passed = -1, 0.0
        while passed < mean:
            found, passed = found + 1, passed + self.random.expovariate(1.0)
        return found

    def advance(self, seconds: float) -> None:
        before, self.in_flight = self.in_flight, self.poisson(0.3 * self.rate)
        ended = max(0, self.poisson(self.rate * seconds) + before - self.in_flight)
        self.served += ended
        for _ in range(ended):
            took = self.random.gammavariate(3.0, 0.1)
            self.loop += self.random.expovariate(1 / SERVICE)
            self.seconds += took
            self.counts[sum(took > bound for bound in BOUNDS)] += 1


async def writes_a_minute(rate: float, minutes: int, seed: int) -> float:
    """Status writes of two pods that get ``rate`` each, after ten minutes of the same."""
    world = World(spec={"replicas": {"min": 2, "max": 9}}, status={**OBSERVED})
    await world.settle()
    pods = {name: Traffic(rate, seed + number) for number, name in enumerate(("a-1", "a-2"))}
    for tick in range(300 + 30 * minutes):
        if tick == 300:
            world.cluster.done.clear()
        world.now += 2.0
        for name, traffic in pods.items():
            traffic.advance(2.0)
            workers = world.pods.answers[name].workers_wanted
            world.answer(
                name,
                workers=workers,
                succeeded=traffic.served,
                in_flight=traffic.in_flight,
                in_flight_seconds=traffic.seconds,
                loop_seconds=traffic.loop,
                loop_cpu_seconds=traffic.loop,
                cpu_seconds=traffic.loop,
                latency=Histogram(bounds=BOUNDS, counts=tuple(traffic.counts), sum=traffic.seconds),
            )
        await world.tick_now()
    writes: int = world.cluster.done.count(("status",))
    return writes / minutes


@pytest.mark.parametrize("rate", [0.1, 0.5, 5.0, 50.0])
async def test_steady_load_causes_at_most_one_write_a_minute(rate: float) -> None:
    assert await writes_a_minute(rate, minutes=20, seed=7) <= 1.0
