"""Scales a Deployment up while requests wait, and never down. Works without the operator."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from aiapi_operator.activator.fleet import Key
from aiapi_operator.cluster.errors import ClusterError

RECHECK = 5.0
"""Seconds until the scale is read again: it may have been lowered in the meantime."""
_BACKOFF_START = 0.2
_BACKOFF_MAX = 5.0

_log = logging.getLogger(__name__)


class Scales(Protocol):
    """The scales of Deployments."""

    async def raise_to(self, key: Key, replicas: int) -> bool:
        """Raise to at least ``replicas``. Returns whether it was lower. Raises ClusterError."""


class Waker:
    """Wakes one AIApi while ``wanted`` is above zero."""

    def __init__(
        self, key: Key, scales: Scales, *, wanted: Callable[[], int], woke: Callable[[], None]
    ) -> None:
        self._key = key
        self._scales = scales
        self._wanted = wanted
        self._woke = woke
        self._more = asyncio.Event()
        self._raised_to = 0
        self._delay = _BACKOFF_START
        self.error = ""
        """Why the last attempt failed; empty once one succeeded."""

    def nudge(self, *, is_first: bool) -> None:
        """One more request waits. Before the first, the scale may have been lowered again."""
        if is_first:
            self._raised_to = 0
        if self._wanted() > self._raised_to and not self.error:
            self._more.set()

    async def run(self) -> None:
        """Keep the scale at the wanted number until nothing is wanted."""
        try:
            while wanted := self._wanted():
                self._more.clear()
                pause = await self._raise(wanted)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._more.wait(), pause)
        finally:
            self._raised_to, self.error, self._delay = 0, "", _BACKOFF_START

    async def _raise(self, wanted: int) -> float:
        """One attempt. Returns the seconds until the next."""
        try:
            if await self._scales.raise_to(self._key, wanted):
                _log.info("woke %s/%s with %d pods", *self._key, wanted)
                self._woke()
        except ClusterError as error:
            return self._failed(error)
        self._raised_to, self.error, self._delay = wanted, "", _BACKOFF_START
        return RECHECK

    def _failed(self, error: ClusterError) -> float:
        if not self.error:
            _log.warning("cannot wake %s/%s: %s", *self._key, error)
        self.error = f"the Deployment cannot be scaled ({error.reason})"
        pause, self._delay = self._delay, min(self._delay * 2, _BACKOFF_MAX)
        return pause
