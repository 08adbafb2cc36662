"""Password hashing: Argon2id in a dedicated thread pool with a bounded queue.

A check costs 0.1 s of CPU and 64 MiB. On the event loop it would block all other requests; in an
unbounded pool a flood of logins would queue for minutes.
"""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from aiapi_service.auth.errors import hashing_busy

_Result = TypeVar("_Result")

MIN_LENGTH = 12
MAX_LENGTH = 256
_TIMEOUT_SECONDS = 20.0


def argon2() -> PasswordHash:
    """The current hash scheme. It also verifies hashes with older parameters."""
    return PasswordHash((Argon2Hasher(),))


def normalize(password: str) -> str:
    """Unicode normalization for passwords, as in RFC 8265."""
    return unicodedata.normalize("NFC", password)


class PasswordHasher:
    """Hashes and checks passwords. Create it in the worker: threads do not survive a fork."""

    def __init__(self, *, threads: int, queue: int, scheme: PasswordHash | None = None) -> None:
        self._scheme = scheme or argon2()
        self._free_slots = threads + queue
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="aiapi-hash")
        # Checked for unknown users, so that they take as long as a wrong password.
        self._decoy = self._pool.submit(self._scheme.hash, "decoy password")

    def close(self) -> None:
        """Stop the threads and drop the queue."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def check(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Whether the password matches, and a new hash when the stored one is outdated."""
        return await self._run(lambda: self._check(normalize(password), stored))

    async def hash(self, password: str) -> str:
        """Hash a password."""
        return await self._run(lambda: self._scheme.hash(normalize(password)))

    def _check(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        correct, new_hash = self._scheme.verify_and_update(password, stored or self._decoy.result())
        return (correct, new_hash) if correct and stored else (False, None)

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        if self._free_slots <= 0:
            raise hashing_busy()
        self._free_slots -= 1
        loop = asyncio.get_running_loop()
        future = self._pool.submit(work)
        future.add_done_callback(lambda future: self._done(loop, future))
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise hashing_busy() from None

    def _done(self, loop: asyncio.AbstractEventLoop, _future: "Future[_Result]") -> None:
        # Runs in the thread. The slot is free when the work ends, not when the caller gives up.
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._release)

    def _release(self) -> None:
        self._free_slots += 1
