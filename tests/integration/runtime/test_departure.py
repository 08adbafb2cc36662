"""Workers start and drain under load, and no request is lost."""

import asyncio
from pathlib import Path

from runtime_support.client import Load
from runtime_support.pod import serve, until


async def test_no_request_is_lost_while_the_count_changes_under_load(tmp_path):
    async with serve(tmp_path, "--workers=2") as pod:
        await pod.ready(2)
        async with Load(pod.host, pod.port, keeping=10, opening=4) as load:
            for count in (4, 1, 3, 1, 2, 1, 4, 1):
                await pod.resize(count)
                await asyncio.sleep(0.5)
            await pod.ready(1)
        assert load.result.lost == []
        assert load.result.answered > 1000
        await pod.settled(1)

        async def counted():
            stats = await pod.stats()
            return stats if stats["requests"]["success"] >= load.result.answered else None

        stats = await until(counted)
        assert stats["requests"]["success"] == load.result.answered
        assert stats["requests"]["cancelled"] == 0
        assert stats["in_flight"] == 0


async def test_idle_connections_move_to_a_worker_that_stays(tmp_path):
    async with serve(tmp_path, "--workers=3") as pod:
        await pod.ready(3)
        first = await pod.connect()
        first.write("/block?s=3")
        await until(lambda: _in_flight(pod, 1))
        # Its worker is busy, so others accept these; otherwise one worker might get them all.
        later = [await pod.connect() for _ in range(29)]
        before = {(await one.ask()).body for one in later} | {(await first.read()).body}
        connections = [first, *later]
        await pod.resize(1)
        await pod.settled(1)
        answers = [await one.ask() for one in connections]
        assert len(before) > 1
        assert len({answer.body for answer in answers}) == 1
        assert not any(answer.closes for answer in answers)
        for one in connections:
            await one.close()


async def test_a_connection_without_a_request_is_kept(tmp_path):
    async with serve(tmp_path, "--workers=2") as pod:
        await pod.ready(2)
        silent = [await pod.connect() for _ in range(10)]
        half = [await pod.connect() for _ in range(10)]
        for one in half:
            one.writer.write(b"GET / HTTP/1.1\r\nhost:")
        await until(lambda: _connections(pod, 20))
        await pod.resize(1)
        await asyncio.sleep(0.5)
        for one in half:
            one.writer.write(b" test\r\n\r\n")
        assert all([(await one.ask()).status == 200 for one in silent])
        assert all([(await one.read()).status == 200 for one in half])
        for one in (*silent, *half):
            await one.close()


async def _answered_before_the_body(pod, count):
    """Connections whose request was answered when only its head had arrived."""
    opened = [await pod.connect() for _ in range(count)]
    for one in opened:
        one.writer.write(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 5\r\n\r\n")
    for one in opened:
        assert not (await one.read()).closes
        one.writer.write(b"hello")
    return opened


async def test_a_connection_answered_before_its_body_arrived_moves(tmp_path):
    async with serve(tmp_path, "--workers=2", "--leave-limit=60") as pod:
        await pod.ready(2)
        opened = await _answered_before_the_body(pod, 20)
        await pod.resize(1)
        await pod.settled(1)
        assert not any([(await one.ask()).closes for one in opened])


async def test_a_connection_answered_before_its_body_arrived_does_not_delay_the_end(tmp_path):
    async with serve(tmp_path, "--grace=30") as pod:
        await pod.ready(1)
        await _answered_before_the_body(pod, 1)
        pod.process.terminate()
        assert await asyncio.wait_for(pod.process.wait(), 8) == 0


async def _on_every_worker(pod, path):
    """Requests to `path`, more of them until each worker has one in progress."""
    opened = []

    async def everywhere():
        batch = [await pod.connect() for _ in range(6)]
        for one in batch:
            one.write(path)
        opened.extend(batch)
        await until(lambda: _in_flight(pod, len(opened)))
        return all(one["in_flight"] for one in (await pod.status())["workers"])

    await until(everywhere)
    return opened


async def _connections(pod, count):
    return (await pod.stats())["open_connections"] == count


async def test_requests_in_progress_are_answered_with_connection_close(tmp_path):
    async with serve(tmp_path, "--workers=2") as pod:
        await pod.ready(2)
        waiting = await _on_every_worker(pod, "/wait?s=1.5")
        await pod.resize(1)
        answers = [await one.read() for one in waiting]
        assert all(answer.status == 200 for answer in answers)
        staying = str((await pod.settled(1)) and (await pod.status())["workers"][0]["pid"])
        for answer in answers:
            assert answer.closes or answer.body.decode() == staying
        assert any(answer.closes for answer in answers)


async def _in_flight(pod, count):
    return (await pod.stats())["in_flight"] == count


async def test_pipelined_requests_on_a_draining_worker_are_all_answered(tmp_path):
    async with serve(tmp_path, "--workers=2") as pod:
        await pod.ready(2)
        connections = [await pod.connect() for _ in range(10)]
        for one in connections:
            one.write("/wait?s=0.5")
            one.write("/wait?s=0.1")
        await until(lambda: _in_flight(pod, 10))
        await pod.resize(1)
        for one in connections:
            assert (await one.read()).status == 200
            assert (await one.read()).status == 200
            await one.close()


async def test_a_body_is_read_to_its_end_before_the_connection_closes(tmp_path):
    async with serve(tmp_path, "--workers=2") as pod:
        await pod.ready(2)
        connections = [await pod.connect() for _ in range(10)]
        for one in connections:
            one.writer.write(b"POST /echo HTTP/1.1\r\nhost: t\r\ncontent-length: 6\r\n\r\nabc")
        await until(lambda: _in_flight(pod, 10))
        await pod.resize(1)
        await asyncio.sleep(0.3)
        for one in connections:
            one.writer.write(b"def")
            assert (await one.read()).body == b"abcdef"
            await one.close()


async def test_an_open_stream_delays_neither_changes_nor_probes_nor_the_end(tmp_path):
    async with serve(tmp_path, "--workers=2", "--grace=3") as pod:
        await pod.ready(2)
        streams = await _on_every_worker(pod, "/stream?n=1000&s=0.1")
        loop = asyncio.get_running_loop()
        began = loop.time()
        for count in (1, 3, 1, 2):
            await pod.resize(count)
            await pod.ready(count)
        assert (await pod.get("/readyz"))[0] == 200
        assert loop.time() - began < 60, "the streams last 100 s"
        assert (await pod.stats())["workers"]["draining"] >= 1
        pod.process.terminate()
        await asyncio.wait_for(pod.process.wait(), 30)
        assert pod.process.returncode == 0
        for one in streams:
            await one.close()


async def test_a_stream_of_a_draining_worker_runs_to_its_end(tmp_path):
    async with serve(tmp_path, "--workers=2") as pod:
        await pod.ready(2)
        streams = await _on_every_worker(pod, "/stream?n=15&s=0.1")
        heads = [await one.head() for one in streams]
        await pod.resize(1)
        for one, (_, headers) in zip(streams, heads, strict=True):
            assert (await one.body(headers)).endswith(b"14 end")
        for one, (_, headers) in zip(streams, heads, strict=True):
            if headers.get("connection") != "close":
                assert (await one.ask()).status == 200, "it did not get Connection: close"
        await pod.settled(1)


async def test_idle_clients_move_to_new_workers_unnoticed_after_a_scale_up(tmp_path):
    async with serve(tmp_path, "--workers=1") as pod:
        await pod.ready(1)
        async with Load(pod.host, pod.port, keeping=40, pause=0.05) as load:
            await until(lambda: _connections(pod, 40))
            await pod.resize(4)
            await until(lambda: _evenly(pod, 4, at_least=6))
        assert load.result.lost == []
        assert load.result.connections == 40


async def test_busy_clients_reconnect_after_a_scale_up(tmp_path):
    async with serve(tmp_path, "--workers=1") as pod:
        await pod.ready(1)
        async with Load(pod.host, pod.port, keeping=40, path="/wait?s=0.1") as load:
            await until(lambda: _connections(pod, 40))
            await pod.resize(3)
            await until(lambda: _evenly(pod, 3, at_least=6))
        assert load.result.lost == []
        assert load.result.connections > 40


async def _evenly(pod, workers, at_least):
    counts = [one["connections"] for one in (await pod.status())["workers"]]
    return len(counts) == workers and min(counts) >= at_least


async def test_shared_memory_and_files_do_not_grow_over_200_changes(tmp_path):
    async with serve(tmp_path, "--workers=1") as pod:
        await pod.ready(1)

        def held():
            process = Path("/proc") / str(pod.process.pid)
            smaps = (process / "smaps").read_text()
            memory = smaps[smaps.index("memfd:aiapi-workers") :]
            return len(list((process / "fd").iterdir())), int(memory.split("Rss:")[1].split()[0])

        for count in (4, 1, 4, 1):
            await pod.resize(count)
            await pod.settled(count)
        before = held()
        for _ in range(33):
            await pod.resize(4)
            await pod.ready(4)
            await pod.resize(1)
        await pod.settled(1)
        files, memory = held()
        assert files <= before[0]
        # On a slow machine more draining workers overlap: slots of 20 kB.
        assert memory <= before[1] + 200
