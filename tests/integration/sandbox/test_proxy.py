"""The Service proxy with real connections: balancing, table changes, half-closes and throughput."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from aiapi_sandbox.proxy.connections import Address
from aiapi_sandbox.proxy.process import ProxyProcess

SERVICE = ("127.96.255.1", 18080)
Wait = Callable[..., Awaitable[object]]


@pytest.fixture
async def proxy() -> AsyncIterator[ProxyProcess]:
    process = ProxyProcess()
    task = asyncio.create_task(process.run())
    yield process
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert process.pid is None


@asynccontextmanager
async def backend(host: str, *, name: bytes) -> AsyncIterator[Address]:
    """Answers each line with its name, and sends `bye` after the client's half-close."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            writer.write(name + b"\n")
        writer.write(b"bye\n")
        writer.close()

    server = await asyncio.start_server(handle, host, 18081)
    try:
        yield host, 18081
    finally:
        server.close()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(b"who\n")
    async with asyncio.timeout(5):
        return (await reader.readline()).strip()


async def ask_anew() -> bytes:
    reader, writer = await asyncio.open_connection(*SERVICE)
    answer = await ask(reader, writer)
    writer.close()
    return answer


async def test_connections_move_with_the_table(proxy: ProxyProcess, wait_for: Wait) -> None:
    async def listening() -> bool:
        return proxy.address(SERVICE) is not None

    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(backend("127.64.255.1", name=b"one"))
        two = await stack.enter_async_context(backend("127.64.255.2", name=b"two"))
        dead = ("127.64.255.3", 18081)
        proxy.set_table({SERVICE: [one, two, dead]})
        await wait_for(listening)
        answers = Counter([await ask_anew() for _ in range(60)])
        assert set(answers) == {b"one", b"two"}
        assert min(answers.values()) > 10

        proxy.set_table({SERVICE: [one]})

        async def only_one() -> bool:
            return {await ask_anew() for _ in range(8)} == {b"one"}

        await wait_for(only_one)
        kept = await asyncio.open_connection(*SERVICE)
        stack.callback(kept[1].close)
        assert await ask(*kept) == b"one"
        proxy.set_table({SERVICE: []})

        async def refused() -> bool:
            # A connection that the kernel had taken when the listener closed is reset instead.
            try:
                _, writer = await asyncio.open_connection(*SERVICE)
            except (ConnectionRefusedError, ConnectionResetError):
                return True
            writer.close()
            return False

        await wait_for(refused)
        assert await ask(*kept) == b"one"
        kept[1].write_eof()
        async with asyncio.timeout(5):
            assert await kept[0].read() == b"bye\n"


async def test_a_killed_proxy_restarts_with_its_table(proxy: ProxyProcess, wait_for: Wait) -> None:
    async with backend("127.64.255.1", name=b"one") as address:
        proxy.set_table({SERVICE: [address]})

        async def answers() -> bool:
            try:
                return await ask_anew() == b"one"
            except ConnectionError:
                return False

        await wait_for(answers)
        assert proxy._child is not None
        proxy._child.kill()
        await wait_for(answers, what="the new proxy")


async def test_throughput_of_small_requests(proxy: ProxyProcess, wait_for: Wait) -> None:
    async def listening() -> bool:
        return proxy.address(SERVICE) is not None

    async def client(count: int) -> None:
        connection = await asyncio.open_connection(*SERVICE)
        for _ in range(count):
            assert await ask(*connection) == b"one"
        connection[1].close()

    async with backend("127.64.255.1", name=b"one") as address:
        proxy.set_table({SERVICE: [address]})
        await wait_for(listening)
        begin = time.perf_counter()
        await asyncio.gather(*(client(100) for _ in range(20)))
        rate = 2000 / (time.perf_counter() - begin)
    print(f"{rate:.0f} requests per second through the proxy")  # noqa: T201 - shown
    assert rate > 300
