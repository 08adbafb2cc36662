"""A real `aiapi-serve` as a process, and its admin port."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from runtime_support.client import Connection

TOKEN = "a-token-for-tests"


async def until(check: Callable[[], Awaitable[Any]], seconds: float = 30.0) -> Any:
    """The first true result of `check`; fails when there is none in time."""
    async with asyncio.timeout(seconds):
        while True:
            answer = await check()
            if answer:
                return answer
            await asyncio.sleep(0.02)


class Pod:
    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self.log = log
        self.host = "127.0.0.1"
        self.port = 0
        self.admin = ""
        self._connections: list[Connection] = []
        # Like the kubelet, it verifies no certificate.
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=aiohttp.ClientTimeout(20),
            connector=aiohttp.TCPConnector(ssl=False),
        )

    async def listening(self) -> bool:
        for line in self.log.read_text().splitlines():
            if " on http://" in line and "admin on" in line:
                words = [word.rstrip(',"}') for word in line.split() if "://" in word]
                self.port = int(words[0].rpartition(":")[2])
                self.admin = words[1]
                return True
        if self.process.returncode is not None:
            raise AssertionError(f"ended with {self.process.returncode}: {self.log.read_text()}")
        return False

    async def get(self, path: str, **kwargs: Any) -> tuple[int, str]:
        async with self._session.get(self.admin + path, **kwargs) as response:
            return response.status, await response.text()

    async def stats(self) -> dict[str, Any]:
        async with self._session.get(self.admin + "/stats") as response:
            assert response.status == 200
            return await response.json()

    async def status(self) -> dict[str, Any]:
        async with self._session.get(self.admin + "/status") as response:
            return await response.json()

    async def put(self, body: Any, **kwargs: Any) -> tuple[int, dict[str, Any]]:
        kind = "data" if isinstance(body, bytes) else "json"
        async with self._session.put(self.admin + "/workers", **{kind: body}, **kwargs) as response:
            return response.status, await response.json()

    async def resize(self, count: int) -> None:
        status, answer = await self.put({"count": count})
        assert status == 200, answer

    async def ready(self, count: int) -> dict[str, Any]:
        async def check() -> dict[str, Any] | None:
            stats = await self.stats()
            workers = stats["workers"]
            return stats if workers["ready"] == workers["wanted"] == count else None

        return await until(check)

    async def settled(self, count: int) -> dict[str, Any]:
        async def check() -> dict[str, Any] | None:
            stats = await self.ready(count)
            return stats if stats["workers"]["draining"] == 0 else None

        return await until(check, 60.0)

    async def connect(self) -> Connection:
        """A connection that is closed with the pod at the latest."""
        connection = await Connection.open(self.host, self.port)
        self._connections.append(connection)
        return connection

    async def close(self) -> None:
        for connection in self._connections:
            await connection.close()
        await self._session.close()
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
            self.process.send_signal(signal.SIGINT)
            await asyncio.wait_for(self.process.wait(), 30)


@asynccontextmanager
async def serve(
    tmp_path: Path,
    *flags: str,
    app: str = "app:app",
    start: Sequence[str] = (sys.executable, "-m", "aiapi_runtime.runtime"),
    cwd: Path | None = None,
    **environment: str,
):
    log = tmp_path / "log"
    command = [*start, app, "--host=127.0.0.1"]
    command += ["--port=0", "--admin-port=0", "--drain-delay=0.2", "--idle-wait=0.5", *flags]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("AIAPI_")}
    variables = {"AIAPI_ADMIN_TOKEN": TOKEN, "AIAPI_APP_DIR": str(Path(__file__).parent)}
    with log.open("w") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=cwd,
            env=inherited | variables | environment,
            stderr=output,
            # The test run may ignore it (nohup), and the pod would inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        )
    pod = Pod(process, log)
    try:
        await until(pod.listening)
        yield pod
    finally:
        await pod.close()
