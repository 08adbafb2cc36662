"""Tasks that outlive their request, when their worker or its pod ends."""

import asyncio
import os
import signal
from time import monotonic

from runtime_support.pod import serve, until

APP = "tasks_app:app"


async def _start_task(pod, tmp_path, seconds):
    file = tmp_path / "file"
    connection = await pod.connect()
    answer = await connection.ask(f"/later?s={seconds}&file={file}")
    await connection.close()
    return file, int(answer.body)


async def _remove_worker(pod, pid):
    """By its own SIGTERM: it is replaced, then it departs."""

    async def gone():
        return pid not in {one["pid"] for one in (await pod.status())["workers"]}

    os.kill(pid, signal.SIGTERM)
    await until(gone)


async def test_a_departing_worker_finishes_its_background_tasks(tmp_path):
    async with serve(tmp_path, app=APP) as pod:
        await pod.ready(1)
        file, pid = await _start_task(pod, tmp_path, 1.5)
        await _remove_worker(pod, pid)
        assert file.exists()


async def test_an_ending_pod_finishes_its_background_tasks(tmp_path):
    async with serve(tmp_path, app=APP) as pod:
        await pod.ready(1)
        file, _ = await _start_task(pod, tmp_path, 2)
        pod.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(pod.process.wait(), 20) == 0
        assert file.exists()


async def test_a_task_that_takes_too_long_is_cancelled_and_named(tmp_path):
    async with serve(tmp_path, "--task-wait=0.5", app=APP) as pod:
        await pod.ready(1)
        file, pid = await _start_task(pod, tmp_path, 600)
        await _remove_worker(pod, pid)
        assert not file.exists()
        logged = "cancelling background tasks that did not finish in time: _write_later"
        assert logged in pod.log.read_text()


async def test_a_task_of_the_start_up_is_not_waited_for(tmp_path):
    async with serve(tmp_path, "--task-wait=20", app=APP) as pod:
        await pod.ready(1)
        connection = await pod.connect()
        pid = int((await connection.ask("/")).body)
        await connection.close()
        started = monotonic()
        await _remove_worker(pod, pid)
        assert monotonic() - started < 10
        assert "background tasks" not in pod.log.read_text()
