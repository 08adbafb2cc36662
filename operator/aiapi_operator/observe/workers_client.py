"""Sets a pod's worker count through ``PUT /workers`` on its admin port.

The pod answers immediately and starts or drains workers in the background. The next sample shows
the progress.
"""

import asyncio
from collections.abc import Sequence

import aiohttp

from aiapi_operator.observe.target import ScrapeTarget

DEADLINE = 2.0
CONCURRENCY = 64
_TEXT_LIMIT = 300


class HttpWorkersClient:
    """Sends worker counts to pods."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        deadline: float = DEADLINE,
        concurrency: int = CONCURRENCY,
    ) -> None:
        self._session = session
        self._deadline = deadline
        self._slots = asyncio.Semaphore(concurrency)

    async def set(
        self, targets: Sequence[ScrapeTarget], count: int, tokens: Sequence[str]
    ) -> dict[str, str]:
        """Request ``count`` workers from each pod. Returns an error for each pod that failed."""
        answers = await asyncio.gather(*(self._one(target, count, tokens) for target in targets))
        return {target.pod: error for target, error in zip(targets, answers, strict=True) if error}

    async def _one(self, target: ScrapeTarget, count: int, tokens: Sequence[str]) -> str:
        async with self._slots:
            try:
                async with asyncio.timeout(self._deadline):
                    return await self._put(target, count, tokens)
            except TimeoutError:
                return f"no answer within {self._deadline:g} s"
            except (aiohttp.ClientError, OSError) as error:
                return str(error) or type(error).__name__

    async def _put(self, target: ScrapeTarget, count: int, tokens: Sequence[str]) -> str:
        error = "no admin token is known"
        for token in tokens:
            status, error = await self._send(target, count, token)
            if status == 200:
                return ""
            if status != 401:
                break
        return error

    async def _send(self, target: ScrapeTarget, count: int, token: str) -> tuple[int, str]:
        async with self._session.put(
            target.url("/workers"),
            json={"count": count},
            headers={"Authorization": f"Bearer {token}"},
            allow_redirects=False,
            ssl=target.ssl_context or True,
            server_hostname=target.server_hostname,
        ) as answer:
            text = (await answer.content.read(_TEXT_LIMIT)).decode(errors="replace").strip()
            return answer.status, f"HTTP {answer.status} {text}".strip()
