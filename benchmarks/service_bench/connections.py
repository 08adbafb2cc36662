"""Rows about connections: memory per connection, idle and with a request in progress."""

import asyncio
import json
import resource
import socket
import sys
from collections.abc import Callable
from typing import Any

import uvloop
from service_bench.harness import (
    CLIENT,
    HERE,
    SERVER,
    Row,
    Server,
    ours,
    pinned,
    running,
    settled,
    uvicorn,
)

EACH = 19_000
_BIND_ADDRESS_NO_PORT = 24
# One address per client process: ports of recently closed connections are not free yet.
_HOSTS = (f"127.0.1.{number}" for number in range(1, 250))


async def _hold(server: Server, count: int, host: str, wait: float) -> asyncio.subprocess.Process:
    """Start a client process with `count` connections, each with a request of `wait` seconds."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, host, str(server.port), str(count), str(wait)),
        env={"PYTHONPATH": str(HERE.parent)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        preexec_fn=pinned(CLIENT),
    )


async def _line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    async with asyncio.timeout(300):
        line: dict[str, Any] = json.loads(await process.stdout.readline())
    return line


async def _measure(server: Server, holders: int, wait: float) -> dict[str, Any]:
    before = server.pss()
    held = [await _hold(server, EACH, next(_HOSTS), wait) for _ in range(holders)]
    opened = [await _line(one) for one in held]
    await settled(server)
    weight = server.pss() - before
    for one in held:
        assert one.stdin is not None
        one.stdin.write(b"\n")
    ended = [await _line(one) for one in held]
    for one in held:
        await one.wait()
    count = sum(one["open"] for one in opened)
    return {
        "connections": count,
        "errors": sum(one["errors"] for one in (*opened, *ended)),
        "bytes_each": round(weight / max(1, count)),
    }


async def _kind(
    kind: str, workers: int, holders: int, app: str = "chain_app:app"
) -> dict[str, Any]:
    flags = ["--backlog=4096", f"--workers={workers}"]
    if kind == "ours":
        command = ours(app, *flags, "--host=0.0.0.0")
    else:
        command = uvicorn(app, *flags, "--host=0.0.0.0")
    found: dict[str, Any] = {}
    for name, wait in (("idle", 0.0), ("in_flight", 25.0 if holders == 1 else 45.0)):
        async with running(command, cores=SERVER) as server:
            found[name] = await _measure(server, holders, wait)
    return found


async def _app_alone() -> int:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(HERE / "memory_app.py")), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return int(out)


async def connections() -> Row:
    mine, stock = await _kind("ours", 1, 1), await _kind("uvicorn", 1, 1)
    pod = await _kind("ours", 2, 2)
    bare = await _kind("ours", 1, 1, "wait_app:app")
    good = all(
        one["errors"] == 0 and one["connections"] == count and one["bytes_each"] <= 15_000
        for kind, count in ((mine, EACH), (pod, 2 * EACH))
        for one in kind.values()
    )
    return Row(
        f"{EACH} connections per worker, {2 * EACH} per pod of two (FastAPI): bytes each (PSS)",
        {"worker": mine, "pod": pod, "worker_of_bare_asgi": bare},
        {"uvicorn": stock, "FastAPI alone": {"bytes_each": await _app_alone()}},
        "0 errors, <= 15 kB each",
        good,
        ["FastAPI alone: a request in progress in the same app, without a server"],
    )


class _Client(asyncio.Protocol):
    """Counts failed connections and requests."""

    def __init__(self, state: dict[str, int]) -> None:
        self.state = state
        self.answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if not self.answered:
            self.answered = True
            self.state["answered" if data.startswith(b"HTTP/1.1 200") else "errors"] += 1

    def connection_lost(self, _: Exception | None) -> None:
        if not self.state["ending"]:
            self.state["errors"] += 1


async def _connect(make: Callable[[], _Client], host: str, port: int) -> Any:
    """Connect from the process's own address: one address has ports for one worker only."""
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setblocking(False)
    # Otherwise the kernel searches for a globally unused port, which gets slower and slower.
    sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
    sock.bind((host, 0))
    try:
        await loop.sock_connect(sock, (host, port))
        return await loop.create_connection(make, sock=sock)
    except OSError:
        sock.close()
        raise


async def _main(host: str, port: int, count: int, wait: float) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop = asyncio.get_running_loop()
    state = {"errors": 0, "answered": 0, "ending": 0}
    request = f"GET /wait?s={wait} HTTP/1.1\r\nhost: b\r\n\r\n".encode()
    clients = []
    for _ in range(0, count, 200):
        batch = await asyncio.gather(
            *(
                _connect(lambda: _Client(state), host, port)
                for _ in range(min(200, count - len(clients)))
            ),
            return_exceptions=True,
        )
        for one in batch:
            if isinstance(one, BaseException):
                state["errors"] += 1
            else:
                clients.append(one[1])
                if wait:
                    one[1].transport.write(request)
    print(json.dumps({"open": len(clients), "errors": state["errors"]}), flush=True)
    before = state["errors"]
    await loop.run_in_executor(None, sys.stdin.readline)
    while wait and state["answered"] + state["errors"] < len(clients):  # noqa: ASYNC110 - counted in callbacks
        await asyncio.sleep(0.1)
    state["ending"] = 1
    print(json.dumps({"errors": state["errors"] - before, **state}), flush=True)


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
