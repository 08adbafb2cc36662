"""Caches authenticated credentials, so that not every request needs a lookup."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from time import monotonic
from time import time as wall_clock

from aiapi_service.auth.principal import Principal

PrincipalWithExpiry = tuple[Principal, float | None]
"""A principal, and the wall-clock time at which the credential expires."""

_MAX_ENTRIES = 10_000


class CredentialCache:
    """Keeps digests of valid credentials only, never the credentials themselves.

    Concurrent requests with the same credential share one lookup.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._entries: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()
        self._pending: dict[bytes, asyncio.Task[PrincipalWithExpiry]] = {}

    async def close(self) -> None:
        """Cancel the lookups in progress."""
        tasks = list(self._pending.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def known(self, credential: str) -> Principal | None:
        """The cached principal of this credential, without a lookup."""
        return self._cached(_digest(credential))

    def _cached(self, digest: bytes) -> Principal | None:
        entry = self._entries.get(digest)
        return entry[1] if entry is not None and monotonic() < entry[0] else None

    async def get(
        self, credential: str, resolve: Callable[[str], Awaitable[PrincipalWithExpiry]]
    ) -> Principal:
        """The principal of this credential, at most some seconds old."""
        digest = _digest(credential)
        known = self._cached(digest)
        if known is not None:
            return known
        task = self._pending.get(digest)
        if task is None:
            task = asyncio.create_task(self._resolve(digest, credential, resolve))
            self._pending[digest] = task
            task.add_done_callback(lambda done: self._resolved(digest, done))
        # Shielded: a caller that disconnects must not cancel the lookup for the others.
        return (await asyncio.shield(task))[0]

    async def _resolve(
        self,
        digest: bytes,
        credential: str,
        resolve: Callable[[str], Awaitable[PrincipalWithExpiry]],
    ) -> PrincipalWithExpiry:
        began = monotonic()
        principal, expires = await resolve(credential)
        lifetime = self._seconds if expires is None else min(self._seconds, expires - wall_clock())
        if lifetime > 0:
            # Counted from before the lookup, so that a later revocation takes effect in time.
            self._entries[digest] = (began + lifetime, principal)
            self._entries.move_to_end(digest)
            if len(self._entries) > _MAX_ENTRIES:
                self._entries.popitem(last=False)
        return principal, expires

    def _resolved(self, digest: bytes, task: "asyncio.Task[PrincipalWithExpiry]") -> None:
        del self._pending[digest]
        if not task.cancelled():
            # Mark it as retrieved: all callers may have disconnected.
            task.exception()


def _digest(credential: str) -> bytes:
    # Headers are decoded as latin-1, so they can always be encoded.
    return hashlib.sha256(credential.encode()).digest()
