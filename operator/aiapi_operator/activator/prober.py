"""Asks pods over HTTP whether they serve. Kubernetes may call a pod ready that does not serve yet.

Probes run only while requests come: a pod is asked every 50 ms while requests wait for it, and
every second while it serves.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import aiohttp

from aiapi_operator.activator.backends import Backend, Backends
from aiapi_operator.activator.fleet import Pod, Readiness

INTERVAL = 0.05
_SERVING_INTERVAL = 1.0
_TIMEOUT = 2.0
_AT_ONCE = 32


class Probe(Protocol):
    """One question to one pod."""

    async def __call__(self, pod: Pod) -> Readiness:
        """Which of the pod's workers serve."""


class HttpProbe:
    """``/readyz`` on the admin port answers 200, and the port for requests accepts.

    A new pod is not ready until the operator has set its number of workers. Its first worker
    serves earlier, which ``?workers=any`` asks. A runtime that is older ignores the query.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def __call__(self, pod: Pod) -> Readiness:
        """Which of the pod's workers serve."""
        try:
            async with asyncio.timeout(_TIMEOUT):
                found = await self._readiness(pod)
                accepts = found is not Readiness.NONE and await _accepts(pod)
                return found if accepts else Readiness.NONE
        except (aiohttp.ClientError, OSError):
            return Readiness.NONE

    async def _readiness(self, pod: Pod) -> Readiness:
        if not await self._is_ok(f"{pod.readiness_url}?workers=any"):
            return Readiness.NONE
        return Readiness.ALL if await self._is_ok(pod.readiness_url) else Readiness.A_WORKER

    async def _is_ok(self, url: str) -> bool:
        async with self._session.get(url, allow_redirects=False) as response:
            return response.status == 200


async def _accepts(pod: Pod) -> bool:
    _, writer = await asyncio.open_connection(pod.address, pod.port)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


def open_session() -> aiohttp.ClientSession:
    """For probes: no secret is sent, so the certificate of an admin port is not verified."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=_AT_ONCE, ssl=False, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
    )


class Prober:
    """Probes the pods of one AIApi while ``needed``, and calls ``changed`` when one serves."""

    def __init__(
        self,
        backends: Backends,
        probe: Probe,
        *,
        needed: Callable[[], bool],
        changed: Callable[[], None],
    ) -> None:
        self._backends = backends
        self._probe = probe
        self._needed = needed
        self._changed = changed
        self._running: set[asyncio.Task[None]] = set()
        self._asked: set[Backend] = set()

    async def run(self) -> None:
        """Probe until it is no longer needed."""
        loop = asyncio.get_running_loop()
        next_round = loop.time()
        try:
            while self._needed():
                everyone = loop.time() >= next_round
                if everyone:
                    next_round = loop.time() + _SERVING_INTERVAL
                self._ask(everyone)
                await asyncio.sleep(INTERVAL)
        finally:
            for task in self._running:
                task.cancel()
            self._backends.forget_probes()

    def _ask(self, everyone: bool) -> None:
        for backend in self._backends.to_probe(all_pods=everyone):
            if backend not in self._asked and len(self._running) < _AT_ONCE:
                self._asked.add(backend)
                task = asyncio.create_task(self._ask_one(backend), name="probe")
                self._running.add(task)
                task.add_done_callback(self._running.discard)

    async def _ask_one(self, backend: Backend) -> None:
        try:
            backend.readiness = await self._probe(backend.pod)
        finally:
            self._asked.discard(backend)
        if backend.readiness is not Readiness.NONE:
            self._changed()
