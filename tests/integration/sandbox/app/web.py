"""A container for the sandbox's tests: a small HTTP server that starts fast and drains."""

# ruff: noqa: T201 - standard output is the container's log
import asyncio
import os
import signal

DRAIN_SECONDS = 0.5


class Server:
    """Answers every path with its pod's name. `/slow` is slow, `/fail` makes it unhealthy."""

    def __init__(self) -> None:
        self.draining = False
        self.healthy = True
        self.in_flight = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self.answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ", 2)[1].decode()
        self.in_flight += 1
        try:
            status = await self.act(path)
            body = os.environ["HOSTNAME"].encode()
            close = self.draining or b"connection: close" in head.lower()
            writer.write(
                b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nX-Version: %s\r\nConnection: %s\r\n\r\n%s"
                % (
                    status,
                    len(body),
                    os.environ.get("VERSION", "").encode(),
                    b"close" if close else b"keep-alive",
                    body,
                )
            )
            await writer.drain()
            return not close
        finally:
            self.in_flight -= 1

    async def act(self, path: str) -> int:
        if path == "/fail":
            self.healthy = False
        if path == "/slow":
            await asyncio.sleep(0.2)
        if path == "/log":
            print("a line for the log")
        return 200 if self.healthy or path != "/healthz" else 503


async def main() -> None:
    server = Server()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    listener = await asyncio.start_server(server.handle, os.environ["AIAPI_HOST"], 8000)
    print(f"serving on {os.environ['AIAPI_HOST']}")
    await stop.wait()
    print("draining")
    server.draining = True
    await asyncio.sleep(DRAIN_SECONDS)
    listener.close()
    while server.in_flight:  # noqa: ASYNC110 - short polling
        await asyncio.sleep(0.01)
    print("done")


asyncio.run(main())
