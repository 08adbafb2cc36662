"""An upstream's answer whose head has come and whose body is still to be read."""

import asyncio
from collections.abc import AsyncIterator

import httpx

from aiapi_service.gateway.problems import ProblemError
from aiapi_service.gateway.upstreams import failures, lenient_json
from aiapi_service.gateway.upstreams.metering import CALLS
from aiapi_service.gateway.upstreams.target import UpstreamTarget
from aiapi_service.gateway.upstreams.wire import ResponseHead

_MOST_READ_BYTES = 65536
OK = "ok"


class UpstreamResponse:
    """Must be closed by who has it; leaving early closes the connection to the upstream."""

    def __init__(
        self, target: UpstreamTarget, reply: ResponseHead, *, deadline: float, limit: int
    ) -> None:
        self.target = target
        self.reply = reply
        self._stream = reply.body
        self.deadline = deadline
        self._limit = limit
        self.outcome = ""
        """What is counted when it is closed; nothing where its head was no good answer."""

    @property
    def is_stream(self) -> bool:
        return self.reply.header(b"content-type").startswith("text/event-stream")

    async def read(self) -> bytes:
        """The whole body, a JSON object."""
        try:
            async with asyncio.timeout_at(self.deadline):
                body = await self._collect()
        except TimeoutError:
            raise self.late() from None
        except httpx.HTTPError as error:
            raise self._broken(error) from error
        else:
            if not _is_object(body):
                raise self._failed(
                    failures.broken(f"{self.target.name} answered something that is not JSON")
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
        return b"".join(pieces).strip() if len(pieces) != 1 else pieces[0].strip()

    def _too_long(self) -> ProblemError:
        text = f"{self.target.name} answered more than AIAPI_MAX_ANSWER_BYTES ({self._limit})"
        return failures.broken(text)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes; raises ProblemError when it breaks off.

        The deadline is for the reader to keep: a timeout around a `yield` would strike outside.
        """
        try:
            async for piece in self._stream:
                yield piece
        except httpx.HTTPError as error:
            raise self._broken(error) from error

    def _broken(self, error: httpx.HTTPError) -> ProblemError:
        detail = failures.from_transport_error(error, self.target.name).problem.detail
        return self._failed(failures.broken(detail))

    def late(self) -> ProblemError:
        """The deadline has passed: the upstream is to blame."""
        return self._failed(failures.too_slow(f"{self.target.name}: no complete answer in time"))

    def cut(self) -> ProblemError:
        """A stream has ended, and its text has not."""
        return self._failed(failures.broken(f"{self.target.name} ended the stream in the middle"))

    def _failed(self, problem: ProblemError) -> ProblemError:
        """Begun well, ended badly."""
        now = asyncio.get_running_loop().time()
        if self.outcome:
            self.outcome = problem.kind
        self.target.breaker.spoiled(now)
        self.target.note(now)
        return problem

    async def close(self) -> None:
        if self.outcome:
            CALLS.labels(self.target.name, self.outcome).inc()
            self.outcome = ""
        await self._stream.aclose()


def _is_object(body: bytes) -> bool:
    """A long one is looked at from outside: reading megabytes would hold the loop."""
    if not (body[:1] == b"{" and body[-1:] == b"}"):
        return False
    if len(body) > _MOST_READ_BYTES:
        return True
    try:
        lenient_json.load(body)
    except ValueError:
        return False
    return True
