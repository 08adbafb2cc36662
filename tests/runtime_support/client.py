"""A plain HTTP/1.1 client that never retries, so that a lost request is visible."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Self


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        return self.headers.get("connection", "").lower() == "close"


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, host: str, port: int) -> "Connection":
        return cls(*await asyncio.open_connection(host, port))

    def write(self, path: str = "/", headers: str = "") -> None:
        self.writer.write(f"GET {path} HTTP/1.1\r\nhost: test\r\n{headers}\r\n".encode())

    async def head(self) -> tuple[int, dict[str, str]]:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = (line.split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split()[1]), {name.lower(): value for name, value in fields}

    async def body(self, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            return await self.reader.readexactly(int(headers["content-length"]))
        body = b""
        while True:
            size = int(await self.reader.readline(), 16)
            chunk = await self.reader.readexactly(size + 2)
            if size == 0:
                return body
            body += chunk[:-2]

    async def read(self) -> Answer:
        status, headers = await self.head()
        return Answer(status, headers, await self.body(headers))

    async def ask(self, path: str = "/", headers: str = "") -> Answer:
        self.write(path, headers)
        async with asyncio.timeout(30):
            return await self.read()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


@dataclass
class LoadResult:
    answered: int = 0
    lost: list[str] = field(default_factory=list)
    workers: dict[str, int] = field(default_factory=dict)
    connections: int = 0


class Load:
    """Closed-loop clients until they are stopped: some keep their connection, others never do."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        keeping: int,
        opening: int = 0,
        path: str = "/",
        pause: float = 0.0,
    ) -> None:
        self._target = (host, port)
        self._path = path
        self._pause = pause
        self._stop = False
        self.result = LoadResult()
        self._kinds = [True] * keeping + [False] * opening

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._client(keep)) for keep in self._kinds]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop = True
        async with asyncio.timeout(60):
            await asyncio.gather(*self._tasks)

    async def answered_by(self, workers: int) -> bool:
        """Whether as many workers have answered, all in all."""
        return len(self.result.workers) >= workers

    async def _client(self, keep: bool) -> None:
        connection: Connection | None = None
        while not self._stop:
            try:
                if connection is None:
                    connection = await Connection.open(*self._target)
                    self.result.connections += 1
                answer = await connection.ask(
                    self._path, headers="" if keep else "connection: close\r\n"
                )
                assert answer.status == 200, answer
            except (OSError, EOFError, AssertionError, TimeoutError) as error:
                self.result.lost.append(repr(error))
                if connection is not None:
                    await connection.close()
                connection = None
                continue
            self.result.answered += 1
            worker = answer.body.decode()
            self.result.workers[worker] = self.result.workers.get(worker, 0) + 1
            if answer.closes or not keep:
                await connection.close()
                connection = None
            if self._pause:
                await asyncio.sleep(self._pause)
        if connection is not None:
            await connection.close()
