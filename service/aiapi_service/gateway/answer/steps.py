"""Timeouts and timings of the steps of one answer. The first step is authentication."""

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

# The lookups in it have shorter timeouts.
_AUTHENTICATE_SECONDS = 30.0


class StepTimer:
    """Collects the times of the steps of a request, also of concurrent ones."""

    def __init__(self) -> None:
        self._began = monotonic()
        self.times: dict[str, StepTime] = {}

    @asynccontextmanager
    async def step(self, name: str, seconds: float) -> AsyncIterator[None]:
        """Run a step with a timeout. Raises a problem that names the step."""
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
                f"The step {name} did not finish within {seconds:g} s.",
            ) from None
        finally:
            self.record(name, began)

    def record(self, name: str, began: float) -> None:
        """Record a step that ends now."""
        now = monotonic()
        self.times[name] = StepTime(
            began=round(began - self._began, 6), seconds=round(now - began, 6)
        )

    def all_times(self) -> dict[str, StepTime]:
        """The times so far, with the total."""
        total = StepTime(began=0.0, seconds=round(monotonic() - self._began, 6))
        return {**self.times, "total": total}


class TimedAuthentication(AuthenticationDependency):
    """Authenticates as the first timed step."""

    async def identify(self, request: Request, authenticator: Authenticator) -> Principal:
        steps = request.state.steps = StepTimer()
        async with steps.step("authenticate", _AUTHENTICATE_SECONDS):
            return await super().identify(request, authenticator)


def steps_of(request: Request) -> StepTimer:
    """The timer that TimedAuthentication created."""
    found: StepTimer = request.state.steps
    return found
