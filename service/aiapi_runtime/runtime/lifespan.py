"""Remembers what an app said when its start-up failed, which Uvicorn only logs."""

from typing import Any

from aiapi_runtime.runtime.loading import describe, shorten
from aiapi_runtime.telemetry.requests import App, Message, Receive, Scope, Send


class LifespanRecorder:
    """Passes everything on; notes the message of `lifespan.startup.failed`, or the exception."""

    def __init__(self, app: Any) -> None:
        self.app: App | Any = app
        self.failure = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return

        async def noted(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                self.failure = shorten(str(message.get("message") or "the app refused to start"))
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except BaseException as error:
            self.failure = self.failure or describe(error)
            raise
