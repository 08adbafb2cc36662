"""A worker near its limit of open files stops accepting, and the others accept."""

import asyncio
import resource
from pathlib import Path

from runtime_support.pod import serve, until


def _fork_server(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    names = {Path(f"/proc/{child}/comm").read_text().strip(): int(child) for child in children}
    return names["aiapi-forksrv"]


async def _spread(pod):
    return {one["pid"]: one["connections"] for one in (await pod.status())["workers"]}


async def test_a_worker_near_its_file_limit_pauses_and_resumes(tmp_path):
    async with serve(tmp_path, "--workers=1") as pod:
        await pod.ready(1)
        (first,) = await _spread(pod)
        resource.prlimit(_fork_server(pod.process.pid), resource.RLIMIT_NOFILE, (160, 160))
        await pod.resize(2)
        await pod.ready(2)
        small = next(pid for pid in await _spread(pod) if pid != first)

        opened = []

        async def small_is_full():
            opened.extend([await pod.connect() for _ in range(20)])
            return (await _spread(pod))[small] >= 80

        await until(small_is_full)
        opened.extend([await pod.connect() for _ in range(300)])
        answers = await asyncio.gather(*(one.ask() for one in opened))
        assert {answer.status for answer in answers} == {200}
        assert (await _spread(pod))[small] < 150

        await asyncio.gather(*(one.close() for one in opened))

        async def small_is_back():
            again = [await pod.connect() for _ in range(20)]
            pids = {(await one.ask()).body for one in again}
            await asyncio.gather(*(one.close() for one in again))
            return str(small).encode() in pids

        await until(small_is_back)
