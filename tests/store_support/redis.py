"""A real Redis for one test, on a free port, with a password."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from runtime_support.pod import until

PASSWORD = "s3cret-of-redis"


class RedisServer:
    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def _launch(self) -> None:
        program = shutil.which("redis-server")
        assert program is not None
        words = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        words += ["--dir", str(self._folder), "--requirepass", PASSWORD]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL)

    async def start(self) -> None:
        self._launch()
        await until(self._listens)

    async def _listens(self) -> bool:
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.close()
            return True
        return False

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not on PATH (Debian: apt install redis-server)")
    server = RedisServer(folder)
    try:
        yield server
    finally:
        server.kill()
