"""A pod with a limit: requests beyond it are refused, counted as shed, and do not affect others."""

import asyncio
from contextlib import asynccontextmanager

from runtime_support.pod import serve, until


async def test_requests_beyond_the_limit_are_shed_and_the_rest_is_served(tmp_path):
    async with serve(tmp_path, "--limit=4") as pod:
        await pod.ready(1)
        inside = [await pod.connect() for _ in range(4)]
        for one in inside:
            one.write("/wait?s=2")

        async def full():
            return (await pod.stats())["in_flight"] == 4

        await until(full)
        for _ in range(3):
            refused = await (await pod.connect()).ask()
            assert refused.status == 503
            assert refused.headers["retry-after"] in ("1", "2", "3")
            assert not refused.closes
        assert (await (await pod.connect()).ask("/healthz")).status == 200
        assert [(await one.read()).status for one in inside] == [200] * 4
        assert (await inside[0].ask()).status == 200

        async def counted():
            requests = (await pod.stats())["requests"]
            return requests if requests["success"] == 6 else None

        requests = await until(counted)
        assert (requests["shed"], requests["server_error"]) == (3, 0)


async def test_a_worker_with_time_left_admits_more_and_more(tmp_path):
    async with serve(tmp_path, "--limit=auto") as pod:
        await pod.ready(1)
        waiting = [await pod.connect() for _ in range(80)]

        async def all_let_in():
            for one in waiting:
                one.write("/wait?s=0.2")
            return {(await one.read()).status for one in waiting} == {200}

        await until(all_let_in, 30)


async def _full(pod):
    """A request takes all of a limit of one."""
    inside = await pod.connect()
    inside.write("/wait?s=6")

    async def taken():
        return (await pod.stats())["in_flight"] == 1

    await until(taken)


@asynccontextmanager
async def _crowd(pod, answers):
    """Clients that keep the queue full, so that others are refused at the early_rejection."""

    async def ask_on(connection):
        while True:
            answers.append((await connection.ask()).status)

    async with asyncio.TaskGroup() as group:
        crowd = [group.create_task(ask_on(await pod.connect())) for _ in range(4)]
        await until(lambda: asyncio.sleep(0, len(answers) > 8))
        yield
        # A response that is still being sent would not be counted.
        for one in crowd:
            one.cancel()


async def test_a_connection_can_be_used_after_a_refusal(tmp_path):
    async with serve(tmp_path, "--limit=1") as pod:
        await pod.ready(1)
        await _full(pod)
        crowd, mine = [], []
        async with _crowd(pod, crowd):
            one = await pod.connect()
            # The head alone, and the body once it has been refused.
            one.writer.write(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 6\r\n\r\nabc")
            mine.append((await one.read()).status)
            one.writer.write(b"def")
            mine += [(await one.ask()).status for _ in range(3)]
            one.writer.write(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n" * 30)
            mine += [(await one.read()).status for _ in range(30)]
            one.writer.write(b"HEAD / HTTP/1.1\r\nhost: test\r\n\r\n")
            mine.append((await one.head())[0])
            assert (await one.ask("/healthz")).status == 200
            last = await one.ask(headers="connection: close\r\n")
            assert last.closes
            careful = await pod.connect()
            expecting = "content-length: 3\r\nexpect: 100-continue\r\n"
            mine += [last.status, (await careful.ask(headers=expecting)).status]
            old = await pod.connect()
            old.writer.write(b"GET / HTTP/1.0\r\n\r\n")
            assert b" 503 " in await old.reader.read()
        assert set(mine) == set(crowd) == {503}

        async def counted():
            stats = await pod.stats()
            return stats["requests"] if not stats["in_flight"] else None

        requests = await until(counted)
        assert requests["success"] == 2
        assert requests["shed"] >= len(mine) + len(crowd) + 1
        assert (requests["server_error"], requests["client_error"]) == (0, 0)


async def test_a_connection_with_a_refused_request_moves_when_its_worker_drains(tmp_path):
    async with serve(tmp_path, "--limit=1", "--leave-limit=60") as pod:
        await pod.ready(1)
        await pod.resize(2)
        await pod.ready(2)
        refused = []

        async def both_full():
            one = await pod.connect()
            one.write("/wait?s=1")
            refused.append(one)
            return (await pod.stats())["requests"]["shed"] >= 8

        await until(both_full)
        statuses = [(await one.read()).status for one in refused]
        assert 503 in statuses
        await pod.resize(1)
        await pod.settled(1)
        assert not any([(await one.ask("/healthz")).closes for one in refused])
