"""Calls to the upstreams: one pooled client a worker, a deadline for each phase."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import httpx
from httpx_aiohttp import HttpxAiohttpClient

from aiapi_service.gateway.problems import ProblemError
from aiapi_service.gateway.settings import Settings


def no_upstream() -> ProblemError:
    """What to answer while nobody has said where the LLM is."""
    return ProblemError(
        503,
        "no-upstream",
        "No upstream is configured",
        "Set AIAPI_UPSTREAMS to the base URL of an OpenAI-compatible server, such as "
        "http://vllm.default.svc:8000 (several: comma-separated), in spec.env of the AIApi.",
    )


def _never_connected(error: httpx.HTTPError) -> bool:
    # The transport reports every connection error as a ConnectTimeout, also one that broke
    # after the request was sent: only the cause tells them apart.
    return isinstance(
        error.__cause__, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError
    )


def _too_slow(detail: str) -> ProblemError:
    return ProblemError(504, "upstream-timeout", "The upstream is too slow", detail)


def _explain(error: httpx.HTTPError) -> ProblemError:
    if isinstance(error.__cause__, TimeoutError):
        return _too_slow(str(error) or repr(error))
    return ProblemError(502, "upstream-unreachable", "The upstream did not answer", repr(error))


class Upstreams:
    """The configured upstreams, used in turn."""

    def __init__(self, settings: Settings) -> None:
        self._urls = [str(url).rstrip("/") for url in settings.upstreams]
        self._turn = 0
        self._total = settings.upstream_total_timeout
        key = settings.api_key()
        self._client = HttpxAiohttpClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(
                settings.upstream_read_timeout,
                connect=settings.upstream_connect_timeout,
                pool=settings.upstream_pool_timeout,
            ),
            limits=httpx.Limits(max_connections=settings.upstream_connections, keepalive_expiry=15),
        )

    def __len__(self) -> int:
        return len(self._urls)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def open(self, method: str, path: str, body: bytes | None = None) -> httpx.Response:
        """Send a request and return when the headers are there; the body is still to be read.

        An upstream that cannot be connected to has seen nothing of the request, so the next
        one is asked instead. Nothing else is tried again.
        """
        if not self._urls:
            raise no_upstream()
        failure: httpx.HTTPError | None = None
        for url in self._in_turn():
            request = self._client.build_request(
                method,
                f"{url}{path}",
                content=body,
                headers={"Content-Type": "application/json", "Accept-Encoding": "identity"},
            )
            try:
                return await self._client.send(request, stream=True)
            except httpx.HTTPError as error:
                if not _never_connected(error):
                    raise _explain(error) from error
                failure = error
        assert failure is not None  # noqa: S101 - the loop ran at least once
        raise _explain(failure) from failure

    def _in_turn(self) -> list[str]:
        self._turn = (self._turn + 1) % len(self._urls)
        return self._urls[self._turn :] + self._urls[: self._turn]

    async def read(self, response: httpx.Response) -> bytes:
        """The whole body, within the total time."""
        try:
            async with asyncio.timeout(self._total):
                return b"".join([piece async for piece in response.aiter_raw()])
        except TimeoutError:
            raise _too_slow(f"no complete answer within {self._total:g} s") from None
        except httpx.HTTPError as error:
            raise _explain(error) from error
        finally:
            await response.aclose()

    async def stream(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """The body piece by piece. Leaving early closes the connection to the upstream.

        The status is already sent when a stream breaks, so the caller is told in the stream,
        in the form that OpenAI's clients raise as an error.
        """
        deadline = asyncio.get_running_loop().time() + self._total
        pieces = aiter(response.aiter_raw())
        try:
            while True:
                async with asyncio.timeout_at(deadline):
                    piece = await anext(pieces)
                yield piece
        except StopAsyncIteration:
            return
        except (TimeoutError, httpx.HTTPError) as error:
            message = f"the upstream's stream broke: {error!r}"
            yield f"data: {json.dumps({'error': {'message': message}})}\n\n".encode()
        finally:
            await response.aclose()
