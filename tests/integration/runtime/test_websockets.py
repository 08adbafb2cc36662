"""WebSockets stay with their worker while it drains, up to a limit, and are closed with a code."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from runtime_support.client import Load
from runtime_support.pod import serve, until

SERVICE_RESTART = 1012


@asynccontextmanager
async def sockets(pod, count) -> AsyncIterator[list[tuple[aiohttp.ClientWebSocketResponse, str]]]:
    """So many of them, each with the id of its worker."""
    async with aiohttp.ClientSession() as session:
        url = f"http://{pod.host}:{pod.port}/"
        opened: list[tuple[aiohttp.ClientWebSocketResponse, str]] = []

        async def on_both_workers():
            # Many, and more of them until the kernel has given some to each worker.
            batch = await asyncio.gather(*(session.ws_connect(url) for _ in range(count)))
            opened.extend([(one, await _worker(one)) for one in batch])
            return len({worker for _, worker in opened}) == 2

        await until(on_both_workers)
        yield opened


async def _worker(socket):
    await socket.send_str("who")
    word, worker = (await socket.receive_str(timeout=20)).split()
    assert word == "who"
    return worker


async def _leaver(pod):
    """The worker that is on its way out."""
    for one in (await pod.status())["workers"]:
        if one["state"] == "draining":
            return str(one["pid"])
    return ""


async def test_a_websocket_stays_open_while_its_worker_drains(tmp_path):
    async with serve(tmp_path, "--workers=2", "--leave-limit=6") as pod:
        await pod.ready(2)
        async with sockets(pod, 15) as opened, Load(pod.host, pod.port, keeping=4) as load:
            await pod.resize(1)
            gone = await until(lambda: _leaver(pod))
            for socket, worker in opened:
                assert await _worker(socket) == worker, "none was moved or closed"
            await pod.resize(3)
            await pod.ready(3)
            await pod.resize(1)
            for socket, worker in opened:
                if worker == gone:
                    message = await socket.receive(timeout=30)
                    assert message.type == aiohttp.WSMsgType.CLOSE, message
                    assert message.data == SERVICE_RESTART
        assert load.result.lost == []


async def test_websockets_are_closed_with_1012_when_the_pod_ends(tmp_path):
    async with serve(tmp_path, "--workers=2", "--grace=8") as pod:
        await pod.ready(2)
        async with sockets(pod, 6) as opened:
            pod.process.terminate()
            await asyncio.sleep(0.5)
            for socket, worker in opened:
                assert await _worker(socket) == worker
            closed = [await socket.receive(timeout=30) for socket, _ in opened]
            assert [message.data for message in closed] == [SERVICE_RESTART] * len(opened)
            assert await asyncio.wait_for(pod.process.wait(), 30) == 0


async def test_the_worker_with_open_websockets_stays_and_the_one_with_idle_connections_drains(
    tmp_path,
):
    async with serve(tmp_path, "--workers=2", "--keep-alive=60") as pod:
        await pod.ready(2)
        async with sockets(pod, 6) as opened:
            kept = opened[0][1]
            for socket, worker in opened:
                if worker != kept:
                    await socket.close()
            remaining = [socket for socket, worker in opened if worker == kept]

            async def has_more_idle_connections():
                for _ in range(8):
                    assert (await (await pod.connect()).ask()).status == 200
                await asyncio.sleep(0.3)
                by_pid = {str(one["pid"]): one for one in (await pod.status())["workers"]}
                other = next(one for pid, one in by_pid.items() if pid != kept)
                return other["connections"] > by_pid[kept]["connections"]

            await until(has_more_idle_connections)
            assert (await pod.stats())["open_websockets"] == len(remaining)
            await pod.resize(1)
            assert await until(lambda: _leaver(pod)) != kept
            for socket in remaining:
                assert await _worker(socket) == kept


async def test_a_response_that_is_being_streamed_is_reported(tmp_path):
    async with serve(tmp_path) as pod:
        await pod.ready(1)
        connection = await pod.connect()
        connection.write("/stream?n=3&s=0.4")

        async def streams():
            return (await pod.stats())["open_streams"]

        assert await until(streams) == 1
        assert (await connection.read()).body.endswith(b"end")

        async def none_is_open():
            return await streams() == 0

        assert await until(none_is_open)
