"""Who was let in lately, so that a key is not looked up again for each request."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from time import monotonic
from time import time as wall_clock

from aiapi_service.auth.principal import Principal

PrincipalWithExpiry = tuple[Principal, float | None]
"""Somebody, and the wall-clock time at which their credential expires."""

_MOST = 10_000


class CredentialCache:
    """Keeps digests of credentials, never credentials, and only of those that were good.

    Requests that come with one credential at once share one look-up.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._known: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[PrincipalWithExpiry]] = {}

    async def close(self) -> None:
        """End the look-ups that still run."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def known(self, credential: str) -> Principal | None:
        """Whom this credential has let in lately; without waiting for anything."""
        return self._still(_digest(credential))

    def _still(self, digest: bytes) -> Principal | None:
        known = self._known.get(digest)
        return known[1] if known is not None and monotonic() < known[0] else None

    async def get(
        self, credential: str, ask: Callable[[str], Awaitable[PrincipalWithExpiry]]
    ) -> Principal:
        """Whom this credential lets in, as of some seconds ago at most."""
        digest = _digest(credential)
        known = self._still(digest)
        if known is not None:
            return known
        task = self._asking.get(digest)
        if task is None:
            task = asyncio.create_task(self._ask(digest, credential, ask))
            self._asking[digest] = task
            task.add_done_callback(lambda done: self._answered(digest, done))
        # A caller who leaves does not take the answer from the others who wait for it.
        return (await asyncio.shield(task))[0]

    async def _ask(
        self, digest: bytes, credential: str, ask: Callable[[str], Awaitable[PrincipalWithExpiry]]
    ) -> PrincipalWithExpiry:
        began = monotonic()
        principal, expires = await ask(credential)
        lasts = self._seconds if expires is None else min(self._seconds, expires - wall_clock())
        if lasts > 0:
            # Counted from before the look-up: what is revoked after it is refused in time.
            self._known[digest] = (began + lasts, principal)
            self._known.move_to_end(digest)
            if len(self._known) > _MOST:
                self._known.popitem(last=False)
        return principal, expires

    def _answered(self, digest: bytes, task: "asyncio.Task[PrincipalWithExpiry]") -> None:
        del self._asking[digest]
        if not task.cancelled():
            # Whoever waited has seen it; nobody may be left to.
            task.exception()


def _digest(credential: str) -> bytes:
    # Headers are latin-1: whatever they hold can be encoded.
    return hashlib.sha256(credential.encode()).digest()
