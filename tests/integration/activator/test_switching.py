"""Pods come and go under load, and no request is lost."""

import asyncio
from collections import Counter
from collections.abc import Callable

from activator_support.pods import UvicornPod
from activator_support.rig import Rig

StartPod = Callable[..., UvicornPod]


async def test_no_request_is_lost_while_pods_come_and_go(
    activator: Rig, start_pod: StartPod
) -> None:
    one, two = (start_pod(name=name, delay=0.01).pod for name in ("one", "two"))
    activator.set(pod_concurrency=10)
    activator.scales.on_raise = lambda _n: activator.set(one, phase="Waking")
    outcomes: Counter[int] = Counter()
    ends = False

    async def client() -> None:
        while not ends:
            status, *_ = await activator.ask()
            outcomes[status] += 1

    clients = [asyncio.create_task(client()) for _ in range(20)]
    for _ in range(10):
        for pods, phase in (((one, two), "Serving"), ((two,), "Leaving"), ((), "Asleep")):
            activator.set(*pods, phase=phase)
            if not pods:
                activator.scales.replicas = 0
            await asyncio.sleep(0.08)
    ends = True
    activator.set(one, two, phase="Serving")
    await asyncio.gather(*clients)
    assert set(outcomes) == {200}
    assert outcomes[200] > 500
    assert len(activator.scales.raised) >= 10
