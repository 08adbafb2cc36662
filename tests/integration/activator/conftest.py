import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import uvloop
from activator_support.pods import UvicornPod
from activator_support.rig import Rig, rig


@pytest.fixture
async def activator() -> AsyncIterator[Rig]:
    async with rig() as made:
        yield made


@pytest.fixture
def start_pod() -> Iterator[Callable[..., UvicornPod]]:
    """Starts pods, and stops them at the end."""
    pods: list[UvicornPod] = []

    def start(*, serving: bool = True, **options: object) -> UvicornPod:
        pod = UvicornPod(**options)  # type: ignore[arg-type]
        pods.append(pod)
        return pod.start() if serving else pod

    yield start
    for pod in pods:
        pod.stop()


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """uvloop is what runs in the cluster."""
    return {"uvloop": uvloop.new_event_loop}
