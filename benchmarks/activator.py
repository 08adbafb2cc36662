"""What the activator costs: time it adds, requests per core, and memory per held request.

The activator and a Uvicorn pod run as processes of their own. CPU is read from /proc, so other
processes on the machine change the times but not the requests per core.
"""

import argparse
import asyncio
import multiprocessing
import os
import resource
import socket
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from aiapi_operator.activator.fleet import Fleet, Pod
from aiapi_operator.activator.gate import Surroundings
from aiapi_operator.activator.limits import Limits
from aiapi_operator.activator.listeners import Listeners
from aiapi_operator.activator.metrics import ActivatorMetrics
from aiapi_operator.activator.prober import HttpProbe, open_session
from aiapi_operator.activator.world import World

KEY = ("bench", "api")
REQUEST = b"GET /items HTTP/1.1\r\nhost: api\r\nuser-agent: bench\r\naccept: */*\r\n"


async def app(_scope: Any, _receive: Any, send: Any) -> None:
    length = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": b"ok"})


def pod(port: int) -> None:
    uvicorn.run(
        app, host="127.0.0.1", port=port, log_level="critical", lifespan="off", backlog=8192
    )


class NoScales:
    async def raise_to(self, _key: tuple[str, str], _replicas: int) -> bool:
        return True


async def serve(port: int, pod_port: int | None) -> None:
    world = World()
    async with open_session() as session:
        shared = Surroundings(
            limits=Limits(requests=20_000), probe=HttpProbe(session), scales=NoScales()
        )
        listeners = Listeners(world, shared, ActivatorMetrics(), host="127.0.0.1")
        world.fleets[KEY] = Fleet(key=KEY, port=port, phase="Serving")
        if pod_port is not None:
            only = Pod(name="p", uid="p", address="127.0.0.1", port=pod_port, admin_port=pod_port)
            world._pods[KEY] = {"p": only}  # noqa: SLF001 - a world without watches
        world.changed(KEY)
        await listeners.run()


def activator(port: int, pod_port: int | None) -> None:
    uvloop.run(serve(port, pod_port))


async def ask(port: int) -> float:
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST + b"connection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(answer[:200])
    return time.perf_counter() - started


async def at_rate(port: int, rate: float, seconds: float) -> list[float]:
    """Open loop: requests start at their time, whatever the others do."""
    start = time.perf_counter()
    tasks = []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(ask(port)))
    return list(await asyncio.gather(*tasks))


async def closed_loop(port: int, clients: int, seconds: float) -> int:
    end = time.perf_counter() + seconds

    async def loop() -> int:
        count = 0
        while time.perf_counter() < end:
            await ask(port)
            count += 1
        return count

    return sum(await asyncio.gather(*(loop() for _ in range(clients))))


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def wait_for(port: int) -> None:
    for _ in range(200):
        try:
            await ask(port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nothing answers on port {port}")


def p50(times: list[float]) -> float:
    return statistics.median(times) * 1000


def p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1] * 1000


async def proxying(port: int, pod_port: int, pid: int) -> None:
    await wait_for(pod_port)
    await wait_for(port)
    added = []
    for _ in range(5):
        direct, through = await at_rate(pod_port, 200, 4), await at_rate(port, 200, 4)
        added.append(p95(through) - p95(direct))
        for name, of in (("p50", p50), ("p95", p95)):
            print(f"{name} at 200/s: {of(direct):.2f} ms direct, {of(through):.2f} ms through it")
    print(f"added at p95, median of five: {statistics.median(added):.2f} ms")
    before = cpu(pid)
    count = await closed_loop(port, 32, 10)
    print(f"requests per core: {count / (cpu(pid) - before):.0f} ({count / 10:.0f}/s measured)")


async def holding(port: int, pid: int, count: int) -> None:
    await asyncio.sleep(2)
    writers = []
    before = 0
    for number in range(count + 100):
        if number == 100:  # what the first requests load is not a cost of each
            await asyncio.sleep(0.5)
            before = rss(pid)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST + b"\r\n")
        writers.append(writer)
    await asyncio.sleep(2)
    print(f"memory per held request: {(rss(pid) - before) / count / 1000:.1f} kB ({count} held)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held", type=int, default=5000)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    context = multiprocessing.get_context("spawn")
    pod_port, port, holding_port = free_port(), free_port(), free_port()
    processes = [
        context.Process(target=pod, args=(pod_port,), daemon=True),
        context.Process(target=activator, args=(port, pod_port), daemon=True),
        context.Process(target=activator, args=(holding_port, None), daemon=True),
    ]
    for process in processes:
        process.start()
    try:
        uvloop.run(proxying(port, pod_port, processes[1].pid or 0))
        uvloop.run(holding(holding_port, processes[2].pid or 0, options.held))
    finally:
        for process in processes:
            process.terminate()


if __name__ == "__main__":
    sys.exit(main())
