"""Workers that die or are stopped, their count, and requests by outcome."""

import asyncio
import os
import signal
from pathlib import Path

from runtime_support.client import Load
from runtime_support.pod import serve, until


async def test_a_killed_worker_is_replaced_and_counters_do_not_decrease(tmp_path):
    async with serve(tmp_path, "--workers=2") as pod:
        await pod.ready(2)
        seen = []
        async with Load(pod.host, pod.port, keeping=4, pause=0.005):
            for _ in range(3):
                await asyncio.sleep(0.3)
                seen.append(await pod.stats())
                victim = (await pod.status())["workers"][0]["pid"]
                os.kill(victim, signal.SIGKILL)

                async def replaced(gone=victim):
                    seen.append(await pod.stats())
                    workers = (await pod.status())["workers"]
                    ready = [one["pid"] for one in workers if one["state"] == "ready"]
                    return len(ready) == 2 and gone not in ready

                await until(replaced)
        for name in ("in_flight_seconds", "loop_seconds", "worker_seconds", "upstream_seconds"):
            values = [stats[name] for stats in seen]
            assert values == sorted(values), name
        for outcome in ("success", "server_error"):
            counts = [stats["requests"][outcome] for stats in seen]
            assert counts == sorted(counts), outcome
        assert len({stats["instance"] for stats in seen}) == 1


async def test_signals_change_the_count(tmp_path):
    async with serve(tmp_path) as pod:
        await pod.ready(1)
        pod.process.send_signal(signal.SIGTTIN)
        await pod.ready(2)
        pod.process.send_signal(signal.SIGTTOU)
        await pod.ready(1)
        pod.process.send_signal(signal.SIGTTOU)
        await asyncio.sleep(0.2)
        workers = (await pod.stats())["workers"]
        assert (workers["ready"], workers["wanted"]) == (1, 1)


async def test_sigterm_to_a_worker_replaces_it_without_a_gap(tmp_path):
    async with serve(tmp_path) as pod:
        await pod.ready(1)
        first = (await pod.status())["workers"][0]["pid"]
        async with Load(pod.host, pod.port, keeping=4, opening=2) as load:
            await asyncio.sleep(0.2)
            os.kill(first, signal.SIGTERM)

            async def replaced():
                return str(first) not in [
                    str(one["pid"]) for one in (await pod.status())["workers"]
                ]

            await until(replaced)
        assert load.result.lost == []
        assert (await pod.stats())["failure"] == ""


async def test_the_workers_end_when_the_supervisor_is_killed(tmp_path):
    async with serve(tmp_path, "--workers=2", "--grace=3") as pod:
        await pod.ready(2)
        pids = [one["pid"] for one in (await pod.status())["workers"]]
        pod.process.kill()
        await pod.process.wait()

        async def gone():
            return not any(_exists(pid) for pid in pids)

        await until(gone)


async def test_programs_that_an_app_starts_receive_signals_as_usual(tmp_path):
    (tmp_path / "starts.py").write_text(
        "import subprocess\n"
        "COMMAND = ['sed', '-n', 's/SigIgn:[^0-9a-f]*//p', '/proc/self/status']\n"
        "AT_IMPORT = subprocess.check_output(COMMAND)\n"
        "async def app(scope, receive, send):\n"
        "    if scope['type'] != 'http':\n"
        "        raise RuntimeError\n"
        "    body = AT_IMPORT + subprocess.check_output(COMMAND)\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
        "    await send({'type': 'http.response.body', 'body': body})\n"
    )
    async with serve(tmp_path, f"--app-dir={tmp_path}", app="starts:app") as pod:
        await pod.ready(1)
        masks = (await (await pod.connect()).ask()).body.split()
        ours = sum(1 << one - 1 for one in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM))
        assert [int(mask, 16) & ours for mask in masks] == [0, 0]


async def test_requests_are_counted_by_outcome(tmp_path):
    async with serve(tmp_path, "--workers=2") as pod:
        await pod.ready(2)
        for path in ("/", "/status?code=404", "/status?code=503", "/error"):
            connection = await pod.connect()
            await connection.ask(path)
            await connection.close()
        leaver = await pod.connect()
        leaver.write("/wait?s=0.5")
        await until(lambda: _in_flight(pod))
        await leaver.close()

        async def cancelled():
            stats = await pod.stats()
            return stats if stats["requests"]["cancelled"] else None

        stats = await until(cancelled)
        assert stats["requests"] == {
            "success": 1,
            "client_error": 1,
            "server_error": 2,
            "cancelled": 1,
            "shed": 0,
        }
        assert 0.5 <= stats["in_flight_seconds"] < 20
        assert sum(stats["latency"]["counts"]) == 2
        text = (await pod.get("/metrics"))[1]
        assert 'aiapi_requests_total{outcome="server_error"} 2.0' in text
        assert "aiapi_request_duration_seconds_count 2.0" in text


async def _in_flight(pod):
    return (await pod.stats())["in_flight"] == 1


def _exists(pid):
    return Path(f"/proc/{pid}").exists()
