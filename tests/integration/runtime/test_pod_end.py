"""The end of a pod: what it still serves, and how long it takes."""

import asyncio
import os
import signal

import pytest
from runtime_support.client import Load
from runtime_support.pod import serve, until


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


async def test_a_load_sees_no_error_while_the_pod_ends(tmp_path):
    async with serve(tmp_path, "--workers=2", "--drain-delay=0.5", "--grace=8") as pod:
        await pod.ready(2)
        async with Load(pod.host, pod.port, keeping=8, pause=0.002) as load:
            await asyncio.sleep(0.3)
            pod.process.terminate()
            await asyncio.sleep(0.4)
        assert load.result.lost == []
        assert await asyncio.wait_for(pod.process.wait(), 30) == 0


async def _in_flight(pod):
    return (await pod.stats())["in_flight"] == 1
