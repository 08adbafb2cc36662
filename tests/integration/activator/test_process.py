"""The activator as a process, with a Kubernetes API and without an operator."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from activator_support.api import AIAPIS, PODS, FakeApi, aiapi, pod
from activator_support.pods import UvicornPod
from activator_support.rig import free_port, until
from runtime_support.client import Connection

StartPod = Callable[..., UvicornPod]


@dataclass
class Process:
    process: asyncio.subprocess.Process
    admin: int
    port: int

    async def get(self, path: str) -> tuple[int, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.admin}{path}") as response,
        ):
            return response.status, await response.text()

    async def wait_ready(self) -> None:
        async with asyncio.timeout(20):
            while True:
                try:
                    if (await self.get("/readyz"))[0] == 200:
                        return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.05)

    async def held(self, count: int) -> None:
        async with asyncio.timeout(10):
            while f'"held": {count},' not in (await self.get("/state"))[1]:  # noqa: ASYNC110 - HTTP
                await asyncio.sleep(0.02)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[FakeApi]:
    server = FakeApi()
    await server.start(tmp_path)
    yield server
    await server.stop()


@pytest.fixture
async def activator(api: FakeApi, tmp_path: Path) -> AsyncIterator[Process]:
    port, admin = free_port(), free_port()
    api.put(AIAPIS, aiapi(port))
    environment = os.environ | {
        "AIAPI_ACTIVATOR_ADMIN_PORT": str(admin),
        "AIAPI_ACTIVATOR_HOST": "127.0.0.1",
        "AIAPI_ACTIVATOR_DRAIN_DELAY": "0.5",
        "AIAPI_ACTIVATOR_POD_NAME": "activator-7",
    }
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aiapi_operator.activator"),
        *("--kubeconfig", str(tmp_path / "kubeconfig")),
        env=environment,
    )
    process = Process(started, admin, port)
    await process.wait_ready()
    await until(lambda: len(api.watchers) == 2)  # the API has no events of the past
    yield process
    if started.returncode is None:
        started.kill()
    await started.wait()


async def _ask(port: int) -> int:
    connection = await Connection.open("127.0.0.1", port)
    try:
        return (await connection.ask()).status
    finally:
        await connection.close()


async def test_it_wakes_the_fleet_without_an_operator(
    api: FakeApi, activator: Process, start_pod: StartPod
) -> None:
    api.conflicts = 2
    request = asyncio.create_task(_ask(activator.port))
    await until(lambda: api.replicas > 0)
    api.put(PODS, pod(start_pod().port))
    assert await request == 200
    assert api.replicas == 1
    _, text = await activator.get("/state")
    assert '"pod": "activator-7"' in text
    assert '"shop/assistant": {"arrivals": 1, "held": 0' in text
    _, metrics = await activator.get("/metrics")
    assert 'aiapi_activator_wakes_total{name="assistant",namespace="shop"} 1.0' in metrics


async def test_it_never_lowers_the_scale(
    api: FakeApi, activator: Process, start_pod: StartPod
) -> None:
    api.replicas = 4
    request = asyncio.create_task(_ask(activator.port))
    await activator.held(1)
    api.put(PODS, pod(start_pod().port))
    assert await request == 200
    assert api.replicas == 4


async def test_a_watch_that_fails_starts_again_with_a_list(
    api: FakeApi, activator: Process, start_pod: StartPod
) -> None:
    lists = api.lists
    gone = {"code": 410, "message": "too old resource version"}
    for path in (AIAPIS, PODS):
        api.tell(path, {"type": "ERROR", "object": gone})
    api.objects[PODS]["pod-1"] = pod(start_pod().port)
    assert await _ask(activator.port) == 200
    await until(lambda: api.lists == lists + 2)  # the two watches start again on their own


async def test_a_watch_that_ends_goes_on(
    api: FakeApi, activator: Process, start_pod: StartPod
) -> None:
    lists = api.lists
    api.end_watches()
    await until(lambda: len(api.watchers) == 2)
    api.put(PODS, pod(start_pod().port))
    assert await _ask(activator.port) == 200
    assert api.lists == lists


async def test_a_port_that_changes_is_opened(api: FakeApi, activator: Process) -> None:
    port = free_port()

    def is_open() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    assert not is_open()
    api.put(AIAPIS, aiapi(port))
    await until(is_open)
    assert is_open()


async def test_when_it_ends_it_finishes_what_it_holds(
    api: FakeApi, activator: Process, start_pod: StartPod
) -> None:
    request = asyncio.create_task(_ask(activator.port))
    await activator.held(1)
    activator.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        while (await activator.get("/readyz"))[0] == 200:  # noqa: ASYNC110 - asked over HTTP
            await asyncio.sleep(0.02)
    late = asyncio.create_task(_ask(activator.port))
    await activator.held(2)
    await asyncio.sleep(0.7)
    with pytest.raises(ConnectionRefusedError):
        await Connection.open("127.0.0.1", activator.port)
    api.put(PODS, pod(start_pod().port))
    assert await request == 200
    assert await late == 200
    async with asyncio.timeout(10):
        assert await activator.process.wait() == 0


async def test_when_it_is_killed_only_its_connections_are_reset(
    api: FakeApi, activator: Process, start_pod: StartPod
) -> None:
    request = asyncio.create_task(_ask(activator.port))
    await activator.held(1)
    await until(lambda: api.replicas > 0)
    activator.process.kill()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await request
    assert api.replicas == 1
