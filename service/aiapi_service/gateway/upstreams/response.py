"""The response of an upstream: the head is received, the body is read later."""

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx

from aiapi_service.gateway.problems import ProblemError
from aiapi_service.gateway.upstreams import failures, lenient_json
from aiapi_service.gateway.upstreams.metering import CALLS
from aiapi_service.gateway.upstreams.target import UpstreamTarget
from aiapi_service.gateway.upstreams.wire import ResponseHead

_MAX_PARSED_BYTES = 65536
OK = "ok"


class UpstreamResponse:
    """Callers must close it. Closing before the end closes the connection to the upstream."""

    def __init__(
        self, target: UpstreamTarget, head: ResponseHead, *, deadline: float, limit: int
    ) -> None:
        self.target = target
        self.head = head
        self._stream = head.body
        self.deadline = deadline
        self._limit = limit
        self.outcome = ""
        """The outcome to count on close; empty when the head was an error."""

    @property
    def is_stream(self) -> bool:
        return self.head.header(b"content-type").startswith("text/event-stream")

    async def read(self) -> bytes:
        """Read the whole body, a JSON object."""
        return (await self.read_any(is_expected=_is_object)).strip()

    async def read_any(self, *, is_expected: Callable[[bytes], bool] = lambda _: True) -> bytes:
        """Read the whole body."""
        try:
            async with asyncio.timeout_at(self.deadline):
                body = await self._collect()
        except TimeoutError:
            raise self.timed_out() from None
        except httpx.HTTPError as error:
            raise self._broken(error) from error
        else:
            if not is_expected(body):
                raise self._record_failure(
                    failures.broken(f"{self.target.name} did not return a JSON object")
                )
        finally:
            await self.close()
        return body

    async def _collect(self) -> bytes:
        pieces: list[bytes] = []
        size = 0
        async for piece in self._stream:
            size += len(piece)
            if size > self._limit:
                raise self._too_long()
            pieces.append(piece)
        return b"".join(pieces) if len(pieces) != 1 else pieces[0]

    def _too_long(self) -> ProblemError:
        text = f"{self.target.name} returned more than AIAPI_MAX_ANSWER_BYTES ({self._limit})"
        return failures.broken(text)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Iterate over the body; raises ProblemError when the connection breaks.

        The reader must enforce the deadline: a timeout around a `yield` would cancel its code.
        """
        try:
            async for piece in self._stream:
                yield piece
        except httpx.HTTPError as error:
            raise self._broken(error) from error

    def _broken(self, error: httpx.HTTPError) -> ProblemError:
        detail = failures.from_transport_error(error, self.target.name).problem.detail
        return self._record_failure(failures.broken(detail))

    def timed_out(self) -> ProblemError:
        """Record that the upstream missed the deadline."""
        return self._record_failure(
            failures.too_slow(f"{self.target.name}: no complete response in time")
        )

    def truncated(self) -> ProblemError:
        """Record that the stream ended before its text was complete."""
        return self._record_failure(failures.broken(f"{self.target.name} ended the stream early"))

    def _record_failure(self, problem: ProblemError) -> ProblemError:
        """Record a failure after a good head."""
        now = asyncio.get_running_loop().time()
        if self.outcome:
            self.outcome = problem.kind
        self.target.breaker.failed_late(now)
        self.target.report_state(now, problem.kind)
        return problem

    async def close(self) -> None:
        if self.outcome:
            CALLS.labels(self.target.name, self.outcome).inc()
            self.outcome = ""
        await self._stream.aclose()


def _is_object(body: bytes) -> bool:
    """Check long bodies by their brackets only: parsing them would block the event loop."""
    body = body.strip()
    if not (body[:1] == b"{" and body[-1:] == b"}"):
        return False
    if len(body) > _MAX_PARSED_BYTES:
        return True
    try:
        lenient_json.load(body)
    except ValueError:
        return False
    return True
