"""Scrapes pods concurrently, each with its own deadline.

A pod that does not answer, rejects the token or returns invalid data becomes a ``PodUnknown``
with the reason, never a sample of zeros.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

import aiohttp

from aiapi_operator.observe.stats import MAX_BYTES, InvalidStatsError, parse
from aiapi_operator.observe.target import ScrapeTarget
from aiapi_operator.sizing.inputs import PodSample, PodUnknown

DEADLINE = 1.0
CONCURRENCY = 64

ScrapeObserver = Callable[[str, float], None]
"""Called after each scrape with its outcome, ``ok`` or ``failed``, and its duration in seconds."""


class StatsScraper:
    """Reads ``/stats`` from the pods' admin ports."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        clock: Callable[[], float] = time.monotonic,
        deadline: float = DEADLINE,
        concurrency: int = CONCURRENCY,
        observer: ScrapeObserver = lambda _outcome, _seconds: None,
    ) -> None:
        self._session = session
        self._clock = clock
        self._deadline = deadline
        self._observer = observer
        self._slots = asyncio.Semaphore(concurrency)

    async def scrape(
        self, targets: Sequence[ScrapeTarget], tokens: Sequence[str]
    ) -> tuple[PodSample | PodUnknown, ...]:
        """One answer per target, in their order."""
        return tuple(await asyncio.gather(*(self._one(target, tokens) for target in targets)))

    async def _one(self, target: ScrapeTarget, tokens: Sequence[str]) -> PodSample | PodUnknown:
        async with self._slots:
            started, outcome = self._clock(), "failed"
            try:
                async with asyncio.timeout(self._deadline):
                    sample = await self._read(target, tokens)
            except TimeoutError:
                reason = f"no answer within {self._deadline:g} s"
            except (aiohttp.ClientError, OSError) as error:
                reason = str(error) or type(error).__name__
            except InvalidStatsError as error:
                reason = f"invalid answer: {error}"
            else:
                outcome = "ok"
                return sample
            finally:
                self._observer(outcome, self._clock() - started)
        return PodUnknown(pod=target.pod, ready=target.ready, reason=reason)

    async def _read(self, target: ScrapeTarget, tokens: Sequence[str]) -> PodSample:
        # A pod receives a new token up to a minute late and accepts the old one until then.
        for token in tokens:
            body = await self._get(target, token)
            if body is not None:
                return parse(body, pod=target.pod, time=self._clock())
        raise InvalidStatsError("the pod rejects the admin token (401)")

    async def _get(self, target: ScrapeTarget, token: str) -> bytes | None:
        async with self._session.get(
            target.url("/stats"),
            headers={"Authorization": f"Bearer {token}"},
            allow_redirects=False,
            ssl=target.ssl_context or True,
            server_hostname=target.server_hostname,
        ) as answer:
            if answer.status == 401:
                return None
            if answer.status != 200:
                raise InvalidStatsError(f"HTTP {answer.status}")
            return await _bounded(answer.content)


async def _bounded(stream: aiohttp.StreamReader) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while chunk := await stream.readany():
        size += len(chunk)
        if size > MAX_BYTES:
            raise InvalidStatsError(f"longer than {MAX_BYTES} bytes")
        chunks.append(chunk)
    return b"".join(chunks)
