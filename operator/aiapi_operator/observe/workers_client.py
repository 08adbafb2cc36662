"""Sets how many workers a pod runs, by the admin port's ``PUT /workers``.

The pod answers at once and starts or drains workers on its own; the next sample shows how far
it got.
"""

import asyncio
from collections.abc import Sequence

import aiohttp

from aiapi_operator.observe.target import ScrapeTarget

DEADLINE = 2.0
CONCURRENCY = 64
_TEXT_LIMIT = 300


class HttpWorkersClient:
    """Sends the wanted count over the operator's session to the pods."""

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
        """Ask each pod for ``count`` workers; the answer maps pods that did not agree to why."""
        answers = await asyncio.gather(*(self._one(target, count, tokens) for target in targets))
        return {
            target.pod: problem for target, problem in zip(targets, answers, strict=True) if problem
        }

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
        problem = "no admin token is known"
        for token in tokens:
            status, problem = await self._send(target, count, token)
            if status == 200:
                return ""
            if status != 401:
                break
        return problem

    async def _send(self, target: ScrapeTarget, count: int, token: str) -> tuple[int, str]:
        async with self._session.put(
            target.url("/workers"),
            json={"count": count},
            headers={"Authorization": f"Bearer {token}"},
            allow_redirects=False,
        ) as answer:
            text = (await answer.content.read(_TEXT_LIMIT)).decode(errors="replace").strip()
            return answer.status, f"HTTP {answer.status} {text}".strip()
