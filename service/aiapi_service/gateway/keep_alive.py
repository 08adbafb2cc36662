"""Comments in a silent stream, so that proxies and load balancers keep its connection open."""

import asyncio
from types import TracebackType
from typing import Self

from starlette.types import Send

_COMMENT = b": keep-alive\n\n"
_BLANK_LINES = (b"\n\n", b"\r\r", b"\r\n\r\n")


class KeptAliveStream:
    """Sends the body of a stream, and a comment after each silence of `seconds`."""

    def __init__(self, send: Send, seconds: float) -> None:
        self._send = send
        self._seconds = seconds
        self._sent = 0.0
        self._between_events = True
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._sent = asyncio.get_running_loop().time()
        if self._seconds:
            self._task = asyncio.create_task(self._comment())
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def send(self, body: bytes) -> None:
        """Send a part of the body."""
        self._sent = asyncio.get_running_loop().time()
        self._between_events = body.endswith(_BLANK_LINES)
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def _comment(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(max(0.0, self._sent + self._seconds - loop.time()))
            if loop.time() - self._sent < self._seconds:
                continue
            if self._between_events:
                await self.send(_COMMENT)
            else:
                # A long event is passed on in parts: a comment inside would break it.
                self._sent = loop.time()
