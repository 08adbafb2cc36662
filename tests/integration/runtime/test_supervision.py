"""Workers that die, fail to start, or block; the end of the pod; the admin port."""

import asyncio
import os
import re
import signal
from pathlib import Path

import pytest
from runtime_support.client import Connection, Load
from runtime_support.pod import TOKEN, serve, until


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


async def test_an_app_that_does_not_import_is_reported_and_retried_with_back_off(tmp_path):
    async with serve(tmp_path, app="assistant:app") as pod:

        async def reported():
            stats = await pod.stats()
            return stats if stats["failure"] else None

        stats = await until(reported)
        assert stats["failure"] == "ModuleNotFoundError: No module named 'assistant'"
        assert stats["workers"]["failed"] == 1
        assert stats["workers"]["ready"] == 0
        status = await pod.status()
        assert status["failure"].startswith("Traceback (most recent call last):")
        assert (await pod.get("/livez"))[0] == 200
        assert await pod.get("/readyz") == (503, stats["failure"])

        async def thrice():
            return (await pod.status())["failures"] >= 3

        await until(thrice)
        text = pod.log.read_text()
        waits = [float(one) for one in re.findall(r"assistant:app: .*retrying in ([\d.]+) s", text)]
        assert waits[:3] == [0.2, 0.5, 1.0]
        assert text.count("Traceback (most recent call last):") == 1, "the traceback is logged once"


async def test_an_app_whose_start_up_fails_is_reported_with_its_traceback(tmp_path):
    (tmp_path / "refuses.py").write_text(
        "from contextlib import asynccontextmanager\n"
        "from starlette.applications import Starlette\n"
        "@asynccontextmanager\n"
        "async def lifespan(app):\n"
        "    raise ConnectionError('no database at db:5432')\n"
        "    yield\n"
        "app = Starlette(lifespan=lifespan)\n"
    )
    async with serve(tmp_path, f"--app-dir={tmp_path}", app="refuses:app") as pod:

        async def reported():
            return (await pod.stats())["failure"]

        assert await until(reported) == "ConnectionError: no database at db:5432"
        assert "refuses.py" in (await pod.status())["failure"]


async def test_a_failed_start_is_reported_although_a_thread_keeps_its_process(tmp_path):
    (tmp_path / "held.py").write_text(
        "import threading\n"
        "async def app(scope, receive, send):\n"
        "    await receive()\n"
        "    threading.Thread(target=threading.Event().wait).start()\n"
        "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})\n"
    )
    async with serve(tmp_path, f"--app-dir={tmp_path}", app="held:app") as pod:

        async def reported():
            return (await pod.stats())["failure"]

        assert await until(reported, 8) == "no database"


@pytest.mark.parametrize("preload", ["auto", "off"])
async def test_a_pod_whose_app_is_still_being_imported_ends_right_away(tmp_path, preload):
    begun = tmp_path / "begun"
    (tmp_path / "slow.py").write_text(
        f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\ntime.sleep(60)\napp = None\n"
    )
    flags = (f"--app-dir={tmp_path}", f"--preload={preload}", "--drain-delay=20")
    async with serve(tmp_path, *flags, app="slow:app") as pod:

        async def imports():
            return begun.exists()

        await until(imports)
        pod.process.send_signal(signal.SIGTERM)
        # It uses neither the 20 s for clients nor the 15 s for a late worker.
        assert await asyncio.wait_for(pod.process.wait(), 10) == 0
        log = pod.log.read_text()
        assert "ERROR" not in log
        assert "all workers have ended" in log


async def test_an_app_that_starts_threads_on_import_is_imported_by_each_worker(tmp_path):
    (tmp_path / "threads.py").write_text(
        "import threading, time\n"
        "from app import app\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    path = str(Path(__file__).parents[2] / "runtime_support")
    async with serve(
        tmp_path, f"--app-dir={tmp_path}", "--workers=2", app="threads:app", PYTHONPATH=path
    ) as pod:
        await pod.ready(2)
        assert "started 1 threads on import" in pod.log.read_text()
        assert (await pod.stats())["failure"] == ""


async def test_a_request_that_blocks_the_loop_is_counted_while_it_does(tmp_path):
    async with serve(tmp_path, "--workers=1", "--blocked-after=0.3") as pod:
        await pod.ready(1)
        connection = await pod.connect()
        # The end of the first is written right away, so the start of the second is not.
        connection.write("/wait?s=0.05")
        connection.write("/block?s=3")
        await connection.read()

        async def seen():
            return (await pod.stats())["in_flight"] == 1

        await until(seen, 2.0)
        assert (await connection.read()).status == 200


async def test_a_blocked_loop_is_reported_with_its_place(tmp_path):
    async with serve(tmp_path, "--workers=2", "--blocked-after=1") as pod:
        await pod.ready(2)
        connection = await pod.connect()
        connection.write("/block?s=3")

        async def blocked():
            stats = await pod.stats()
            return stats if stats["workers"]["blocked"] and stats["blocked_at"] else None

        stats = await until(blocked)
        assert "runtime_support/app.py:" in stats["blocked_at"]
        assert stats["blocked_at"].endswith(" hold_the_loop")
        assert (await connection.read()).status == 200

        async def moving():
            stats = await pod.stats()
            return stats if stats["workers"]["blocked"] == 0 else None

        stats = await until(moving)
        assert stats["blocked_at"].endswith(" hold_the_loop"), "still reported for a while"
        lag = stats["loop_lag"]
        late = sum(n for b, n in zip(lag["bounds"], lag["counts"][1:], strict=True) if b >= 0.2)
        assert late >= 20, "each beat within the block was late"
        assert stats["loop_seconds"] > 2.9
        place = stats["blocked_at"]
        assert (await pod.status())["blocked_places"][place] == 1
        sample = f'aiapi_loop_blocked_places_total{{place="{place}"}} 1.0'
        assert sample in (await pod.get("/metrics"))[1]
        assert pod.log.read_text().count(f"blocked at {place}") == 1
        await connection.close()


async def test_sigterm_fails_readiness_first_and_drains_requests_in_flight(tmp_path):
    flags = ("--workers=2", "--drain-delay=3", "--grace=30", "--idle-wait=20")
    async with serve(tmp_path, *flags) as pod:
        await pod.ready(2)
        slow = await pod.connect()
        idle = await pod.connect()
        assert not (await idle.ask()).closes
        slow.write("/wait?s=6")
        await until(lambda: _in_flight(pod))
        pod.process.terminate()

        async def not_ready():
            return await pod.get("/readyz") == (503, "terminating")

        await until(not_ready)
        late = await pod.connect()
        assert (await late.ask()).status == 200, "it accepts until the drain delay is over"
        await late.close()

        async def told_to_go():
            answer = await idle.ask()
            assert answer.status == 200
            return answer.closes

        await until(told_to_go)
        assert (await pod.get("/livez"))[0] == 200
        answer = await slow.read()
        assert (answer.status, answer.closes) == (200, True)
        assert await asyncio.wait_for(pod.process.wait(), 30) == 0


async def _in_flight(pod):
    return (await pod.stats())["in_flight"] == 1


async def test_a_second_sigterm_ends_the_pod_right_away(tmp_path):
    async with serve(tmp_path, "--drain-delay=20", "--grace=30") as pod:
        await pod.ready(1)
        slow = await pod.connect()
        slow.write("/wait?s=20")
        await until(lambda: _in_flight(pod))
        pod.process.terminate()

        async def not_ready():
            return await pod.get("/readyz") == (503, "terminating")

        await until(not_ready)
        pod.process.terminate()
        assert await asyncio.wait_for(pod.process.wait(), 5) == 0


async def test_a_hangup_of_the_terminal_drains_as_sigterm_does(tmp_path):
    async with serve(tmp_path, "--grace=30") as pod:
        await pod.ready(1)
        slow = await pod.connect()
        slow.write("/wait?s=1")
        await until(lambda: _in_flight(pod))
        # All of the terminal's processes receive it.
        os.kill((await pod.status())["workers"][0]["pid"], signal.SIGHUP)
        pod.process.send_signal(signal.SIGHUP)
        answer = await slow.read()
        assert (answer.status, answer.closes) == (200, True)
        assert await asyncio.wait_for(pod.process.wait(), 10) == 0


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


async def test_a_load_sees_no_error_while_the_pod_ends(tmp_path):
    async with serve(tmp_path, "--workers=2", "--drain-delay=0.5", "--grace=8") as pod:
        await pod.ready(2)
        async with Load(pod.host, pod.port, keeping=8, pause=0.002) as load:
            await asyncio.sleep(0.3)
            pod.process.terminate()
            await asyncio.sleep(0.4)
        assert load.result.lost == []
        assert await asyncio.wait_for(pod.process.wait(), 30) == 0


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


async def test_the_admin_port_requires_the_token(tmp_path):
    async with serve(tmp_path) as pod:
        await pod.ready(1)
        for wrong in ("Bearer x", "Bearer ", TOKEN, f"Basic {TOKEN}", "Bearer \xe9"):
            headers = {"Authorization": wrong}
            assert (await pod.get("/stats", headers=headers))[0] == 401
            assert (await pod.get("/status", headers=headers))[0] == 401
            assert (await pod.put({"count": 2}, headers=headers))[0] == 401
        for open_path in ("/livez", "/readyz", "/metrics"):
            assert (await pod.get(open_path, headers={"Authorization": ""}))[0] == 200
        assert TOKEN not in pod.log.read_text()
        worker = (await pod.status())["workers"][0]["pid"]
        assert TOKEN not in _environment(worker)


def _environment(pid):
    return Path(f"/proc/{pid}/environ").read_text()


def _exists(pid):
    return Path(f"/proc/{pid}").exists()


async def test_a_flood_of_silent_connections_does_not_fail_a_probe(tmp_path):
    async with serve(tmp_path) as pod:
        await pod.ready(1)
        host, _, port = pod.admin.removeprefix("http://").rpartition(":")
        flood = [await Connection.open(host, int(port)) for _ in range(300)]
        for _ in range(3):
            assert await pod.get("/livez", headers={"connection": "close"}) == (200, "ok")
        # The oldest one was closed, and no others.
        assert await flood[0].reader.read() == b""
        answer = await flood[-1].ask("/livez")
        assert answer.status == 200
        for one in flood:
            await one.close()


async def test_without_a_token_the_admin_port_refuses_and_names_the_option(tmp_path):
    async with serve(tmp_path, AIAPI_ADMIN_TOKEN="") as pod:
        status, answer = await pod.put({"count": 2}, headers={"Authorization": "Bearer "})
        assert status == 403
        assert "AIAPI_ADMIN_TOKEN" in answer["detail"]


async def test_bad_counts_are_refused_with_a_reason(tmp_path):
    async with serve(tmp_path, "--max-workers=8") as pod:
        await pod.ready(1)
        for body, reason in (
            ({"count": 0}, "1 to 8"),
            ({"count": 9}, "1 to 8"),
            ({"count": -1}, "1 to 8"),
            ({"count": True}, "an integer"),
            ({"count": 1.5}, "an integer"),
            ({"count": "2"}, "an integer"),
            ({}, "an integer"),
            ([1], "an integer"),
            (b"nonsense", "must be JSON"),
            (b"\xff", "must be JSON"),
            (b" " * 2000, "longer than"),
        ):
            status, answer = await pod.put(body)
            assert (status, reason in answer["detail"]) == (422, True), (body, answer)
        workers = (await pod.stats())["workers"]
        assert (workers["ready"], workers["wanted"]) == (1, 1)


async def test_a_new_pod_waits_for_its_first_put(tmp_path):
    async with serve(tmp_path, "--size-wait=60") as pod:

        async def waiting():
            return await pod.get("/readyz") == (503, "waiting for the first PUT /workers")

        await until(waiting)
        status, answer = await pod.put({"count": 2})
        assert (status, answer["wanted"]) == (200, 2)
        await until(lambda: _is_ready(pod))
        assert (await pod.stats())["workers"]["ready"] == 2


async def _is_ready(pod):
    return (await pod.get("/readyz"))[0] == 200


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


async def test_invalid_settings_exit_with_the_name_of_the_flag(tmp_path):
    for flags, environment, name in (
        (["--workers=0"], {}, "--workers"),
        ([], {"AIAPI_WORKERS": "many"}, "--workers"),
        (["--workers=9", "--max-workers=8"], {}, "--workers"),
        (["--drain-delay=-1"], {}, "--drain-delay"),
        (["--admin-token-file=/nowhere"], {}, "--admin-token-file"),
        (["--loop=fast"], {}, "--loop"),
        (["--limit=some"], {}, "--limit"),
        ([], {"AIAPI_LIMIT": "0"}, "--limit"),
        ([], {"AIAPI_GRACE": "nan"}, "--grace"),
    ):
        with pytest.raises(AssertionError, match=f"(?s)ended with 2.*{name}"):
            async with serve(tmp_path, *flags, **environment):
                pass
