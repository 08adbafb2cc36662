"""Clients, apps and machines that misbehave: the pod keeps serving and reports what is wrong."""

import asyncio
import math
import os
import resource
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from runtime_support.client import Connection
from runtime_support.pod import TOKEN, serve, until


async def _admin(pod):
    host, _, port = pod.admin.removeprefix("http://").rpartition(":")
    return await Connection.open(host, int(port))


async def _workers(pod):
    return (await pod.status())["workers"]


async def test_a_deeply_nested_body_is_refused(tmp_path):
    async with serve(tmp_path) as pod:
        status, answer = await pod.put(b"[" * 1000)
        assert (status, "must be JSON" in answer["detail"]) == (422, True)
        assert "Traceback" not in pod.log.read_text()


async def test_a_worker_killed_by_a_signal_without_a_name_is_replaced(tmp_path):
    async with serve(tmp_path) as pod:
        await pod.ready(1)
        victim = (await _workers(pod))[0]["pid"]
        os.kill(victim, signal.SIGRTMIN + 3)

        async def replaced():
            return [one["pid"] for one in await _workers(pod) if one["state"] == "ready"]

        async def by_another():
            pids = await replaced()
            return pids and victim not in pids

        await until(by_another)
        assert "was killed by signal 37" in pod.log.read_text()


async def test_the_pod_survives_running_out_of_files(tmp_path):
    async with serve(tmp_path) as pod:
        stats = await pod.ready(1)
        before = resource.prlimit(pod.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pod.process.pid, resource.RLIMIT_NOFILE, (3, before[1]))
        await pod.resize(2)

        async def reported():
            return (await pod.stats())["failure"]

        assert "Too many open files" in await until(reported)
        assert (await pod.stats())["instance"] == stats["instance"]
        resource.prlimit(pod.process.pid, resource.RLIMIT_NOFILE, before)
        await pod.ready(2)


async def test_the_soft_limit_of_open_files_is_raised():
    """A connection is a file, and many machines set the soft limit to 1024."""
    code = (
        "import resource as r\n"
        "from aiapi_runtime.runtime.process_attributes import raise_open_file_limit\n"
        "hard = r.getrlimit(r.RLIMIT_NOFILE)[1]\n"
        "r.setrlimit(r.RLIMIT_NOFILE, (256, hard)); raise_open_file_limit()\n"
        "print(r.getrlimit(r.RLIMIT_NOFILE) == (min(hard, 65536), hard))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=PIPE)
    out, _ = await process.communicate()
    assert out == b"True\n"


HANGS = """
import asyncio, os
from pathlib import Path
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        if Path(__file__).with_name("hang").exists():
            {how}
        await send({{"type": "lifespan.startup.complete"}})
        await receive()
        await send({{"type": "lifespan.shutdown.complete"}})
        return
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": b"x"}})
"""


async def test_surplus_workers_whose_start_up_hangs_end_right_away(tmp_path):
    (tmp_path / "hangs.py").write_text(HANGS.format(how="await asyncio.sleep(3600)"))
    async with serve(tmp_path, f"--app-dir={tmp_path}", app="hangs:app") as pod:
        await pod.ready(1)
        (tmp_path / "hang").touch()
        await pod.resize(3)

        async def starting():
            return (await pod.stats())["workers"]["starting"] == 2

        await until(starting)
        await asyncio.sleep(0.3)
        await pod.resize(1)

        async def alone():
            return len(await _workers(pod)) == 1

        await until(alone)


async def test_a_pod_whose_start_up_hangs_ends_before_its_grace_period(tmp_path):
    (tmp_path / "hangs.py").write_text(HANGS.format(how="await asyncio.sleep(3600)"))
    (tmp_path / "hang").touch()
    async with serve(tmp_path, f"--app-dir={tmp_path}", "--grace=60", app="hangs:app") as pod:

        async def starting():
            return [one for one in await _workers(pod) if one["pid"]]

        await until(starting)
        await asyncio.sleep(0.5)
        pod.process.terminate()
        assert await asyncio.wait_for(pod.process.wait(), 30) == 0


async def test_an_overdue_start_is_reported_with_its_place(tmp_path):
    (tmp_path / "hangs.py").write_text(HANGS.format(how="__import__('time').sleep(3600)"))
    (tmp_path / "hang").touch()
    flags = (f"--app-dir={tmp_path}", "--start-limit=1.5", "--blocked-after=0.3")
    async with serve(tmp_path, *flags, app="hangs:app") as pod:

        async def reported():
            return (await pod.stats())["failure"]

        failure = await until(reported)
        assert "longer than --start-limit" in failure
        assert "hangs.py:" in failure


COUNTS = """
import os
from pathlib import Path
here = Path(__file__).parent
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        try:
            os.mkdir(here / "only-one")
        except FileExistsError:
            with (here / "attempts").open("a") as attempts:
                attempts.write("x")
            await send({"type": "lifespan.startup.failed", "message": "no connection left"})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return
"""


async def test_failing_starts_back_off_and_stay_reported_while_a_worker_serves(tmp_path):
    (tmp_path / "counts.py").write_text(COUNTS)
    async with serve(tmp_path, f"--app-dir={tmp_path}", app="counts:app") as pod:
        await pod.ready(1)
        await asyncio.sleep(5.2)
        await pod.resize(2)

        async def reported():
            return (await pod.stats())["failure"]

        assert await until(reported) == "no connection left"
        began = asyncio.get_running_loop().time()
        for _ in range(25):
            await asyncio.sleep(0.1)
            assert await reported() == "no connection left"
        waited = asyncio.get_running_loop().time() - began
        # Each back-off is twice the previous one; the first is 0.25 s.
        assert len((tmp_path / "attempts").read_text()) <= 3 + math.log2(1 + waited / 0.2)
        await pod.resize(1)

        async def forgotten():
            return not await reported()

        await until(forgotten)


async def test_a_head_sent_byte_by_byte_to_the_admin_port_has_a_deadline(tmp_path):
    async with serve(tmp_path) as pod:
        first, later = await _admin(pod), await _admin(pod)
        assert (await later.ask("/livez")).status == 200
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def drip(one):
            one.writer.write(b"GET /livez HTTP/1.1\r\nx: ")
            while not one.reader.at_eof():
                one.writer.write(b"y")
                await asyncio.sleep(0.1)

        async with asyncio.timeout(45):
            drips = [asyncio.create_task(drip(one)) for one in (first, later)]
            for one in (first, later):
                assert await one.reader.read() == b""
        assert loop.time() - began > 8
        for task in drips:
            task.cancel()
        await asyncio.gather(*drips, return_exceptions=True)
        for one in (first, later):
            await one.close()


async def test_garbage_at_both_ports_does_no_harm(tmp_path):
    async with serve(tmp_path) as pod:
        await pod.ready(1)
        good = await pod.connect()
        for garbage in (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
            b"GET / HTTP/1.1\r\nx: " + b"y" * 100_000 + b"\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET /%ff%00 HTTP/1.0\r\n\r\n",
            b"\r\n\r\n\r\n",
            b"GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            b"PUT /workers HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n",
        ):
            for one in (await pod.connect(), await _admin(pod)):
                one.writer.write(garbage)
                one.writer.write_eof()
                async with asyncio.timeout(30):
                    await one.reader.read()
                await one.close()
            assert (await good.ask()).status == 200
            assert (await pod.get("/livez"))[0] == 200
        text = pod.log.read_text()
        assert "Traceback" not in text

        async def none_in_flight():
            return (await pod.stats())["in_flight"] == 0

        await until(none_in_flight)


async def test_concurrent_counts_end_in_one_of_them(tmp_path):
    async with serve(tmp_path, "--max-workers=6") as pod:
        await pod.ready(1)
        counts = [1, 4, 2, 1000000000, 3, 0, 1] * 4
        answers = await asyncio.gather(*(pod.put({"count": count}) for count in counts))
        assert {status for status, _ in answers} == {200, 422}
        wanted = (await pod.stats())["workers"]["wanted"]
        await pod.settled(wanted)
        await pod.resize(1)
        await pod.settled(1)


async def test_processes_killed_in_any_phase_are_replaced(tmp_path):
    async with serve(tmp_path, "--workers=2") as pod:
        await pod.ready(2)
        killed = []
        for count in (3, 1, 4, 2):
            fork_servers = _children_named(pod.process.pid, "aiapi-forksrv")
            killed += fork_servers
            await pod.resize(count)
            for pid in fork_servers:
                os.kill(pid, signal.SIGKILL)
            await pod.settled(count)
        assert killed, "no fork server was found"
        assert (await (await pod.connect()).ask()).status == 200


def _children_named(pid, name):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(one) for one in children if Path(f"/proc/{one}/comm").read_text().strip() == name]


async def test_it_serves_ipv6(tmp_path):
    async with serve(tmp_path, "--host=::1") as pod:
        await pod.ready(1)
        assert "http://[::1]:" in pod.log.read_text()
        pod.host = "::1"
        assert (await (await pod.connect()).ask()).status == 200
        assert TOKEN not in pod.log.read_text()


async def test_an_app_that_ignores_its_dead_children_can_be_forked(tmp_path):
    (tmp_path / "ignores.py").write_text(
        "import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n" + HANGS.format(how="pass")
    )
    async with serve(tmp_path, f"--app-dir={tmp_path}", app="ignores:app") as pod:
        await pod.ready(1)
        await pod.resize(3)
        await pod.ready(3)
        assert (await pod.stats())["failure"] == ""
        assert "Traceback" not in pod.log.read_text()
