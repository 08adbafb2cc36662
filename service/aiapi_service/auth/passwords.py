"""Passwords: Argon2id in a few threads of its own, with a short queue.

A check costs a tenth of a second of CPU and 64 MiB. On the event loop it would stop every other
request; in a pool without a bound a flood of log-ins would queue for minutes.
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
_DEADLINE_SECONDS = 20.0


def argon2() -> PasswordHash:
    """The way passwords are hashed now; older parameters are still understood."""
    return PasswordHash((Argon2Hasher(),))


def normalize(password: str) -> str:
    """One form for what can be typed in several (as RFC 8265 has it for passwords)."""
    return unicodedata.normalize("NFC", password)


class PasswordHasher:
    """Hashes and checks within bounds. Made in the worker: threads do not survive a fork."""

    def __init__(self, *, threads: int, queue: int, scheme: PasswordHash | None = None) -> None:
        self._scheme = scheme or argon2()
        self._room = threads + queue
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="aiapi-hash")
        # Checked where there is no user, so that this takes as long as a wrong password.
        self._decoy = self._pool.submit(self._scheme.hash, "a password that nobody has")

    def close(self) -> None:
        """Let the threads end; what waits is dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def check(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Whether it is the password, and a new hash when the stored one is outdated."""
        return await self._run(lambda: self._check(normalize(password), stored))

    async def hash(self, password: str) -> str:
        """A hash to store."""
        return await self._run(lambda: self._scheme.hash(normalize(password)))

    def _check(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        right, renewed = self._scheme.verify_and_update(password, stored or self._decoy.result())
        return (right, renewed) if right and stored else (False, None)

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        if self._room <= 0:
            raise hashing_busy()
        self._room -= 1
        loop = asyncio.get_running_loop()
        future = self._pool.submit(work)
        future.add_done_callback(lambda done: self._leave(loop, done))
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise hashing_busy() from None

    def _leave(self, loop: asyncio.AbstractEventLoop, _done: "Future[_Result]") -> None:
        # From a thread, and counted when the work has ended, not when its caller gave up.
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._more_room)

    def _more_room(self) -> None:
        self._room += 1
