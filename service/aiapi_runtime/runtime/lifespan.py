"""Keeps the reason why an app's start-up failed, which Uvicorn only logs."""

from aiapi_runtime.runtime.loading import describe, shorten
from aiapi_runtime.telemetry.requests import App, Message, Receive, Scope, Send


class LifespanRecorder:
    """`failure` is the message of `lifespan.startup.failed`, or the exception that was raised."""

    def __init__(self) -> None:
        self.failure = ""

    def record(self, app: App) -> App:
        """The app, unchanged but for its lifespan."""

        async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":
                await self._run(app, scope, receive, send)
            else:
                await app(scope, receive, send)

        return recorded

    async def _run(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        async def noted(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                self.failure = shorten(str(message.get("message") or "the app refused to start"))
            await send(message)

        try:
            await app(scope, receive, noted)
        except BaseException as error:
            self.failure = self.failure or describe(error)
            raise
