"""A headless Chromium, controlled through the DevTools protocol."""

import asyncio
import base64
import itertools
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--no-first-run",
    "--remote-debugging-port=0",
)
STARTS_WITHIN = 60.0
ANSWERS_WITHIN = 30.0


class Tab:
    """One tab. ``complaints`` has the errors of the page and of its content security policy."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, session: str) -> None:
        self._socket = socket
        self._session = session
        self._numbers = itertools.count(1000)
        self.complaints: list[str] = []

    async def call(self, method: str, **params: Any) -> Any:
        """Send a command, and return its result."""
        number = next(self._numbers)
        await self._socket.send_json(
            {"id": number, "sessionId": self._session, "method": method, "params": params}
        )
        return await self._until(lambda m: m.get("id") == number)

    async def _until(self, wanted: Any) -> Any:
        async with asyncio.timeout(ANSWERS_WITHIN):
            while True:
                message = await self._socket.receive_json()
                self._record(message)
                if wanted(message):
                    assert "error" not in message, message
                    return message.get("result")

    def _record(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        if message.get("method") == "Log.entryAdded":
            self.complaints.append(params["entry"]["text"])
        elif message.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))

    async def see(
        self, width: int, height: int, *, dark: bool = False, phone: bool = False
    ) -> None:
        """Set the size and mode of the window."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def open(self, url: str) -> None:
        """Open a page, and wait until it is loaded."""
        # Failed requests of the page before do not count for this one.
        await self.call("Page.navigate", url="about:blank")
        await self.wait("location.href === 'about:blank'")
        self.complaints.clear()
        await self.call("Page.navigate", url=url)
        await self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def run(self, expression: str) -> Any:
        """Evaluate an expression in the page."""
        result = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def wait(self, expression: str) -> None:
        """Wait until an expression is true in the page."""
        async with asyncio.timeout(ANSWERS_WITHIN):
            while not await self.run(expression):  # noqa: ASYNC110 - asked over a socket
                await asyncio.sleep(0.05)

    async def picture(self) -> bytes:
        """A screenshot, as PNG."""
        result = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(result["data"])


@asynccontextmanager
async def browsing(folder: Path) -> AsyncIterator[Tab]:
    """A tab in a new Chromium."""
    process = await asyncio.create_subprocess_exec(
        CHROMIUM,
        *FLAGS,
        f"--user-data-dir={folder}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        address = await _address(folder / "DevToolsActivePort", process)
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(address, max_msg_size=0) as socket,
        ):
            yield await _tab(socket)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _address(path: Path, process: asyncio.subprocess.Process) -> str:
    async with asyncio.timeout(STARTS_WITHIN):
        while not (path.exists() and path.read_text().count("\n") == 1):  # noqa: ASYNC240
            assert process.returncode is None, "Chromium exited"
            await asyncio.sleep(0.05)
    port, where = path.read_text().split("\n")  # noqa: ASYNC240
    return f"ws://127.0.0.1:{port}{where}"


async def _tab(socket: aiohttp.ClientWebSocketResponse) -> Tab:
    async def ask(number: int, method: str, **params: Any) -> Any:
        await socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(ANSWERS_WITHIN):
            while (message := await socket.receive_json()).get("id") != number:
                pass
        return message["result"]

    target = await ask(1, "Target.createTarget", url="about:blank")
    attached = await ask(2, "Target.attachToTarget", targetId=target["targetId"], flatten=True)
    tab = Tab(socket, attached["sessionId"])
    for domain in ("Page", "Runtime", "Log"):
        await tab.call(f"{domain}.enable")
    return tab
