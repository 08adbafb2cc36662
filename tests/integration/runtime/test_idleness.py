"""`idle_seconds` of a real pod."""

import asyncio

import aiohttp
from runtime_support.pod import serve, until


async def idle(pod):
    return (await pod.stats())["idle_seconds"]


async def test_idle_time_is_that_of_the_pod_over_all_workers(tmp_path):
    async with serve(tmp_path, "--workers=2", "--idle-ignore-paths=/id*") as pod:
        await pod.ready(2)
        await until(lambda: _at_least(pod, 0.5))
        connection = await pod.connect()
        for path in ("/healthz", "/identity"):
            connection.write(path)
            assert (await connection.read()).status == 200
        assert await idle(pod) > 0.4, "neither is use"

        connection.write("/wait?s=0.6")
        await until(lambda: _in_use(pod))
        assert (await connection.read()).status == 200
        since = await until(lambda: _at_least(pod, 0.05))
        assert since < 0.4

        await pod.resize(1)
        await pod.settled(1)
        await until(lambda: _at_least(pod, since))
        connection.write("/stream?n=20&s=0.1")
        await until(lambda: _in_use(pod))


async def test_an_open_websocket_is_use(tmp_path):
    async with serve(tmp_path, "--workers=1") as pod, aiohttp.ClientSession() as session:
        await pod.ready(1)
        await until(lambda: _at_least(pod, 0.2))
        async with session.ws_connect(f"http://{pod.host}:{pod.port}/"):
            await until(lambda: _in_use(pod))
            await asyncio.sleep(0.3)
            assert await idle(pod) == 0.0
        await until(lambda: _at_least(pod, 0.05))


async def test_it_is_unknown_while_a_loop_is_blocked(tmp_path):
    flags = ("--workers=1", "--blocked-after=0.3", "--idle-ignore-paths=/block")
    async with serve(tmp_path, *flags) as pod:
        await pod.ready(1)
        await until(lambda: _at_least(pod, 0.1))
        connection = await pod.connect()
        connection.write("/block?s=2")
        await until(lambda: _unknown(pod))
        assert (await connection.read()).status == 200
        await until(lambda: _at_least(pod, 2.0))


async def test_it_is_unknown_while_no_worker_serves(tmp_path):
    async with serve(tmp_path, "--workers=1", app="no_such_module:app") as pod:
        assert await idle(pod) is None


async def _at_least(pod, seconds):
    found = await idle(pod)
    return found if found is not None and found >= seconds else None


async def _in_use(pod):
    return await idle(pod) == 0.0


async def _unknown(pod):
    return await idle(pod) is None
