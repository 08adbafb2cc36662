"""CPU, memory and lost requests of the pod runtime, compared with stock Uvicorn in the same run.

    python benchmarks/runtime.py [--requests 100000] [--rounds 5]

Prints a table and writes build/bench/runtime.json.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import signal
import socket
import statistics
import sys
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import aiohttp

HERE = Path(__file__).parent
APPS = HERE / "apps"
OUT = HERE.parent / "build" / "bench" / "runtime.json"
TOKEN = "benchmark"
TICK = 1 / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """Below the ephemeral ports, any of which a client of an earlier run may still hold."""
    while True:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("0.0.0.0", random.randrange(20_000, 32_000)))
            except OSError:
                continue
            port: int = sock.getsockname()[1]
            return port


def family(pid: int) -> list[int]:
    """The process and all its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


def pss(pids: list[int]) -> int:
    total = 0
    for pid in pids:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(text.split("\nPss:")[1].split()[0]) * 1024
    return total


def cpu(pids: list[int]) -> float:
    fields = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids)
    return sum(int(row[11]) + int(row[12]) for row in fields) * TICK


class Server:
    """The runtime or stock Uvicorn, with the same methods."""

    def __init__(self, kind: str, port: int, admin: int, process: Any, workers: int) -> None:
        self.kind, self.port, self.admin = kind, port, admin
        self.process = process
        self.count = workers

    async def resize(self, count: int) -> None:
        if self.kind == "ours":
            headers = {"Authorization": f"Bearer {TOKEN}"}
            url = f"http://127.0.0.1:{self.admin}/workers"
            async with (
                aiohttp.ClientSession(headers=headers) as session,
                session.put(url, json={"count": count}) as response,
            ):
                response.raise_for_status()
        else:
            sign = signal.SIGTTIN if count > self.count else signal.SIGTTOU
            for _ in range(abs(count - self.count)):
                self.process.send_signal(sign)
                await asyncio.sleep(0.02)
        self.count = count

    async def pids(self, clients: int = 6, each: int = 4) -> set[str]:
        """The workers that answer. The route keeps its loop busy, or one would accept all."""

        async def one() -> set[str]:
            return {await self.ask() for _ in range(each)}

        return set().union(*await asyncio.gather(*(one() for _ in range(clients))))

    async def ask(self) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"GET /busy HTTP/1.1\r\nhost: b\r\nconnection: close\r\n\r\n")
        text = await reader.read()
        writer.close()
        return text.rpartition(b"\r\n")[2].decode()

    async def until(self, count: int) -> set[str]:
        """Wait until `count` workers have answered."""
        seen: set[str] = set()
        async with asyncio.timeout(30):
            while len(seen) < count:
                seen |= await self.pids()
        return seen


def command(kind: str, app: str, port: int, admin: int, workers: int) -> list[str]:
    if kind == "ours":
        flags = [f"--port={port}", f"--admin-port={admin}", f"--workers={workers}"]
        return ["aiapi-serve", f"bench_app:{app}", "--host=127.0.0.1", *flags]
    flags = ["--port", str(port), "--workers", str(workers), "--no-server-header"]
    quiet = ["--no-access-log", "--log-level=warning", "--loop=uvloop", "--http=httptools"]
    return ["uvicorn", f"bench_app:{app}", *flags, *quiet]


@asynccontextmanager
async def serving(kind: str, app: str, *, workers: int, cores: set[int] | None = None):
    port, admin = free_port(), free_port()
    program, *arguments = command(kind, app, port, admin, workers)
    environment = os.environ | {"AIAPI_ADMIN_TOKEN": TOKEN, "AIAPI_LOG_LEVEL": "error"}
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / program),
        *arguments,
        cwd=APPS,
        env=environment,
        preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
    )
    server = Server(kind, port, admin, process, workers)
    try:
        async with asyncio.timeout(30):
            while True:
                try:
                    await server.pids(1, 1)
                    break
                except OSError:
                    await asyncio.sleep(0.05)
        yield server
    finally:
        process.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(process.wait(), 20)
        except TimeoutError:
            process.kill()
            await process.wait()


async def load(server: Server, *flags: str, cores: set[int] | None = None) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "http_load.py"),
        f"--port={server.port}",
        *flags,
        stdout=asyncio.subprocess.PIPE,
        preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
    )
    out, _ = await process.communicate()
    result: dict[str, Any] = json.loads(out)
    return result


async def changes(kind: str, requests: int) -> dict[str, Any]:
    """Workers change 2 -> 4 -> 2 every second, under keep-alive and new connections."""
    async with serving(kind, "api", workers=2) as server:
        await server.until(2)

        async def change() -> None:
            while True:
                for count in (4, 2):
                    await asyncio.sleep(1.0)
                    await server.resize(count)

        changer = asyncio.create_task(change())
        result = await load(server, f"--requests={requests}", "--keeping=32", "--opening=8")
        changer.cancel()
    workers = len(result.pop("pids"))
    return {"kind": kind, **result, "workers_seen": workers}


async def start(kind: str, rounds: int) -> dict[str, Any]:
    """Time from PUT /workers to the first answer of the new worker, and the memory of a worker."""
    # Stock Uvicorn has no supervisor below two workers.
    async with serving(kind, "api", workers=2) as server:
        known = await server.until(2)
        first = pss(family(server.process.pid))
        took = []
        for number in range(rounds):
            began = perf_counter()
            await server.resize(3 + number)
            async with asyncio.timeout(30):
                while not (new := await server.pids(6, 1) - known):
                    pass
            took.append(perf_counter() - began)
            known |= new
        await asyncio.sleep(1.0)
        last = pss(family(server.process.pid))
    return {
        "kind": kind,
        "start_ms": round(1000 * statistics.median(took), 1),
        "pod_of_two_mb": round(first / 1e6, 1),
        "further_worker_mb": round((last - first) / rounds / 1e6, 1),
    }


async def overhead(rounds: int, seconds: float) -> list[dict[str, Any]]:
    """CPU per request and requests per second on a trivial ASGI route, one worker, in turns."""
    rates: dict[str, list[float]] = {"ours": [], "uvicorn": []}
    costs: dict[str, list[float]] = {"ours": [], "uvicorn": []}
    client = {min(os.sched_getaffinity(0))}
    host = {max(os.sched_getaffinity(0))}
    async with (
        serving("ours", "raw", workers=1, cores=host) as ours,
        serving("uvicorn", "raw", workers=1, cores=host) as stock,
    ):
        for _ in range(rounds):
            for server in (ours, stock):
                before = cpu(family(server.process.pid))
                result = await load(server, f"--seconds={seconds}", "--keeping=32", cores=client)
                used = cpu(family(server.process.pid)) - before
                rates[server.kind].append(result["answered"] / result["seconds"])
                costs[server.kind].append(1e6 * used / result["answered"])
    return [
        {
            "kind": kind,
            "rps": round(statistics.median(rates[kind])),
            "cpu_us": round(statistics.median(costs[kind]), 1),
        }
        for kind in rates
    ]


def machine() -> dict[str, Any]:
    names = ("uvicorn", "uvloop", "httptools", "fastapi")
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "command": " ".join(["python", "benchmarks/runtime.py", *sys.argv[1:]]),
        **{name: version(name) for name in names},
    }


def table(title: str, rows: list[dict[str, Any]], columns: list[str]) -> None:
    print(f"\n{title}")
    print("  " + "".join(f"{name:>20}" for name in columns))
    for row in rows:
        cells = (row[name] for name in columns)
        print("  " + "".join(f"{c:>20.4g}" if isinstance(c, float) else f"{c:>16}" for c in cells))


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    report: dict[str, Any] = {"machine": machine()}
    print("  ".join(f"{key}: {value}" for key, value in report["machine"].items()))
    report["changes"] = [await changes(kind, options.requests) for kind in ("ours", "uvicorn")]
    table(
        f"{options.requests} requests, workers 2 <-> 4 every second (32 keep-alive, 8 new clients)",
        report["changes"],
        ["kind", "answered", "lost", "closed_idle", "p50_s", "p99_s", "seconds", "workers_seen"],
    )
    report["start"] = [await start(kind, options.rounds) for kind in ("ours", "uvicorn")]
    table(
        "one more worker (FastAPI app): first answer, and memory (PSS)",
        report["start"],
        ["kind", "start_ms", "pod_of_two_mb", "further_worker_mb"],
    )
    report["overhead"] = await overhead(options.rounds, 2.0)
    table("trivial raw ASGI route, one worker", report["overhead"], ["kind", "rps", "cpu_us"])
    ours, stock = report["overhead"]
    report["overhead_percent"] = round(100 * (ours["cpu_us"] / stock["cpu_us"] - 1), 1)
    print(f"  overhead in CPU per request: {report['overhead_percent']} %")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
