"""The steps of one answer: each has a deadline, a histogram, a span, and a line in the timings.

The first is to authenticate the caller.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from fastapi import Request

from aiapi_service.auth import Principal
from aiapi_service.auth.authenticator import Authenticator
from aiapi_service.auth.dependency import AuthenticationDependency
from aiapi_service.gateway.answer.schemas import StepTime
from aiapi_service.gateway.problems import ProblemError
from aiapi_service.gateway.steps import step

# The look-ups in it have deadlines of their own, which are shorter.
_AUTHENTICATE_SECONDS = 30.0


class StepTimer:
    """Made when the request comes; collects the times of what runs, also side by side."""

    def __init__(self) -> None:
        self._began = monotonic()
        self.times: dict[str, StepTime] = {}

    @asynccontextmanager
    async def step(self, name: str, seconds: float) -> AsyncIterator[None]:
        """One step, which ends in time or as a problem that names it."""
        began = monotonic()
        try:
            with step(name):
                async with asyncio.timeout(seconds):
                    yield
        except TimeoutError:
            raise ProblemError(
                504,
                "step-timeout",
                "A step took too long",
                f"The step {name} did not end within {seconds:g} s.",
            ) from None
        finally:
            self.note(name, began)

    def note(self, name: str, began: float) -> None:
        """A step that ends now."""
        now = monotonic()
        self.times[name] = StepTime(
            began=round(began - self._began, 6), seconds=round(now - began, 6)
        )

    def all(self) -> dict[str, StepTime]:
        """The times so far, with the whole."""
        whole = StepTime(began=0.0, seconds=round(monotonic() - self._began, 6))
        return {**self.times, "total": whole}


class TimedAuthentication(AuthenticationDependency):
    """Begins the steps of the request that it lets in."""

    async def identify(self, request: Request, authenticator: Authenticator) -> Principal:
        steps = request.state.steps = StepTimer()
        async with steps.step("authenticate", _AUTHENTICATE_SECONDS):
            return await super().identify(request, authenticator)


def steps_of(request: Request) -> StepTimer:
    """Those that its caller began."""
    found: StepTimer = request.state.steps
    return found
