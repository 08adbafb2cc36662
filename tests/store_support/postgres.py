"""A real local Postgres: one server per test session, one database per test module."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from aiapi_service.store import local


class Server:
    """The Postgres sidecar with its own folder. Tests can kill and restart it."""

    def __init__(self) -> None:
        # pytest's folders are closed to the user nobody, who runs Postgres when root runs tests.
        self.data_dir = Path(tempfile.mkdtemp(prefix="aiapi-pg-"))
        self.data_dir.chmod(0o755)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.launch()
        asyncio.run(self.wait_ready())

    def launch(self) -> None:
        """Call from the main thread only: the server ends with the thread that started it."""
        command = [sys.executable, "-m", "aiapi_service.store.local", str(self.data_dir)]
        with (self.data_dir / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    async def wait_ready(self) -> None:
        async with asyncio.timeout(60):
            await self._connect()

    async def _connect(self) -> None:
        while True:
            try:
                connection = await asyncpg.connect(self.url("postgres"), timeout=5)
            except (OSError, asyncpg.PostgresError):
                assert self._process is not None
                assert self._process.poll() is None, (self.data_dir / "log").read_text()
                await asyncio.sleep(0.05)
            else:
                # Tests need no durability, and the disk may be busy.
                await connection.execute("ALTER SYSTEM SET fsync = off")
                await connection.execute("SELECT pg_reload_conf()")
                await connection.close()
                return

    def url(self, database: str) -> str:
        return local.url(self.data_dir).replace("/postgres?", f"/{database}?", 1)

    def create(self, database: str) -> str:
        async def statement() -> None:
            connection = await asyncpg.connect(self.url("postgres"), timeout=10)
            await connection.execute(f'CREATE DATABASE "{database}"')
            await connection.close()

        asyncio.run(asyncio.wait_for(statement(), 30))
        return self.url(database)

    def pid(self) -> int:
        return int((self.data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])

    def pid_or_none(self) -> int | None:
        try:
            return self.pid()
        except (OSError, IndexError, ValueError):
            return None

    def kill(self) -> None:
        """Kill the server, like the OOM killer."""
        assert self._process is not None
        os.kill(self.pid(), signal.SIGKILL)
        self._process.wait(30)

    @property
    def stopped(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def kill_sidecar(self) -> None:
        """Kill the sidecar, like a supervisor after its grace period."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)

    def remove(self) -> None:
        shutil.rmtree(self.data_dir, ignore_errors=True)

    def stop(self) -> int:
        if self._process is None:
            return 0
        self._process.terminate()
        return self._process.wait(30)


@contextmanager
def running() -> Iterator[Server]:
    server = Server()
    try:
        server.start()
        yield server
    finally:
        server.stop()
        server.remove()
