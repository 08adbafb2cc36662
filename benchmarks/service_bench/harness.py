"""The harness of all rows: pinned servers, load from another core, CPU and memory."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime import TOKEN, cpu, family, free_port, pss

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BIN = Path(sys.executable).parent
PEERS = ROOT / "build" / "bench" / "venv" / "bin"
LITELLM = ROOT / "build" / "bench" / "litellm" / "bin"
CORES = sorted(os.sched_getaffinity(0))
SERVER = {CORES[-1]}
CLIENT = {CORES[0]}


@dataclass
class Row:
    """One row of the table. `holds` is None when a peer or a part was not available."""

    name: str
    ours: dict[str, Any]
    peers: dict[str, Any]
    goal: str
    holds: bool | None
    notes: list[str] = field(default_factory=list)


def pinned(cores: set[int]) -> Callable[[], None]:
    return lambda: os.sched_setaffinity(0, cores)


class Server:
    """A process and its descendants."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, admin: int) -> None:
        self.process, self.port, self.admin = process, port, admin

    @property
    def pids(self) -> list[int]:
        return family(self.process.pid)

    def cpu(self) -> float:
        return cpu(self.pids)

    def pss(self) -> int:
        return pss(self.pids)


@asynccontextmanager
async def running(  # noqa: PLR0913 - how a server is started
    command: Callable[[int, int], Sequence[str]],
    *,
    cores: set[int] | None = None,
    folder: Path = HERE,
    environment: Mapping[str, str] | None = None,
    path: str = "/",
    start_timeout: float = 60,
) -> AsyncIterator[Server]:
    """Start a server with the command that `command` returns for two free ports."""
    port, admin = free_port(), free_port()
    quiet = {"AIAPI_ADMIN_TOKEN": TOKEN, "AIAPI_LOG_LEVEL": "error"}
    process = await asyncio.create_subprocess_exec(
        *command(port, admin),
        cwd=folder,
        env=os.environ | quiet | dict(environment or {}),
        stdout=asyncio.subprocess.DEVNULL,
        preexec_fn=pinned(cores or SERVER),
    )
    server = Server(process, port, admin)
    try:
        async with asyncio.timeout(start_timeout):
            while not await _is_ready(port, path):
                if process.returncode is not None:
                    raise RuntimeError(f"{command(port, admin)} ended with {process.returncode}")
                await asyncio.sleep(0.1)
        yield server
    finally:
        await _end(process)


async def _is_ready(port: int, path: str) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(f"GET {path} HTTP/1.1\r\nhost: b\r\nconnection: close\r\n\r\n".encode())
    try:
        async with asyncio.timeout(5):
            head = await reader.read(12)
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()
    return head[9:10] in (b"2", b"4")


async def _end(process: asyncio.subprocess.Process) -> None:
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        members = family(process.pid)
        process.send_signal(sign)
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            if sign is signal.SIGTERM:
                for pid in members[1:]:
                    os.kill(pid, signal.SIGKILL)


def ours(app: str, *flags: str) -> Callable[[int, int], list[str]]:
    def command(port: int, admin: int) -> list[str]:
        where = ["--host=127.0.0.1", f"--port={port}", f"--admin-port={admin}", "--grace=2"]
        return [str(BIN / "aiapi-serve"), app, *where, "--drain-delay=0", *flags]

    return command


def uvicorn(app: str, *flags: str) -> Callable[[int, int], list[str]]:
    quiet = ["--no-access-log", "--log-level=warning", "--loop=uvloop", "--http=httptools"]

    def command(port: int, _: int) -> list[str]:
        return [str(BIN / "uvicorn"), app, f"--port={port}", *quiet, *flags]

    return command


def gunicorn(app: str, *flags: str) -> Callable[[int, int], list[str]]:
    def command(port: int, _: int) -> list[str]:
        where = [f"--bind=127.0.0.1:{port}", "--log-level=error", "--backlog=2048"]
        return [str(PEERS / "gunicorn"), *where, *flags, app]

    return command


@asynccontextmanager
async def upstream(milliseconds: float) -> AsyncIterator[str]:
    """A fake upstream on the core of the generator, so that it does not slow down the server."""

    def command(port: int, _: int) -> list[str]:
        return [sys.executable, str(HERE / "upstream.py"), str(port), str(milliseconds)]

    async with running(command, cores=CLIENT) as server:
        yield f"http://127.0.0.1:{server.port}"


async def load(server: Server, *flags: str, cores: set[int] | None = None) -> dict[str, Any]:
    """Run the generator. Adds the CPU usage of the server during the run."""
    before = server.cpu()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "load.py"),
        f"--port={server.port}",
        *flags,
        stdout=asyncio.subprocess.PIPE,
        preexec_fn=pinned(cores or CLIENT),
    )
    out, _ = await process.communicate()
    result: dict[str, Any] = json.loads(out)
    result["cpu"] = round((server.cpu() - before) / result["lasted"], 3)
    return result


async def settled(server: Server) -> None:
    """Wait until the server is idle, after its start or with requests that only wait."""
    used = -1.0
    while server.cpu() - used > 0.05:
        used = server.cpu()
        await asyncio.sleep(0.5)


async def highest(
    holds: Callable[[int], Awaitable[bool]], start: int, *, limit: int = 100_000, steps: int = 3
) -> int:
    """The maximum number that holds, by doubling and then bisection."""
    low, high = 0, start
    while high <= limit and await holds(high):
        low, high = high, 2 * high
    for _ in range(steps):
        middle = (low + high) // 2
        if middle in (low, high):
            break
        if await holds(middle):
            low = middle
        else:
            high = middle
    return low
