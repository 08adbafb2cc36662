"""What the operator waits for before it watches. The log and /readyz name it."""

import asyncio
import logging
import time
from contextlib import suppress

from aiapi_operator.cluster import discovery
from aiapi_operator.cluster.connection import Connection
from aiapi_operator.cluster.errors import ClusterError
from aiapi_operator.cluster.watches import Watches

_RETRY = 2.0
_POLL = 0.5
_LOG_INTERVAL = 30.0
_NO_CRD = (
    "the AIApi CustomResourceDefinition is not installed: run"
    " 'kubectl apply --server-side -f crds/'"
)

_log = logging.getLogger("aiapi_operator")


class Startup:
    """The way to the first watch."""

    def __init__(self) -> None:
        self.watching = asyncio.Event()
        self._problem = ""
        self._logged_at = float("-inf")

    def waiting_for(self) -> str:
        """Why the operator is not watching yet; empty once it is."""
        if self.watching.is_set():
            return ""
        return self._problem or "starting"

    async def wait_for_objects(
        self, watches: Watches, running: asyncio.Task[None], stop: asyncio.Event
    ) -> bool:
        """Wait until all children and pods are known. Returns False when stopped before that.

        The first decision on an AIApi must not take its children for missing. Raises when the
        watches, which are ``running``, fail.
        """
        listed = asyncio.create_task(watches.listed(), name="listed")
        self._logged_at = time.monotonic()
        try:
            while not listed.done() and not stop.is_set():
                self._problem = watches.waiting_for()
                self._log_sometimes()
                await asyncio.wait(
                    [listed, running], timeout=_POLL, return_when=asyncio.FIRST_COMPLETED
                )
                if running.done():
                    await running
        finally:
            listed.cancel()
        return not stop.is_set()

    async def wait_for_crd(self, connection: Connection, stop: asyncio.Event) -> bool:
        """Wait until the API server serves AIApis. Returns False when stopped before that."""
        while not stop.is_set():
            self._problem = await _obstacle(connection)
            if not self._problem:
                return True
            self._log_sometimes()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _RETRY)
        return False

    def _log_sometimes(self) -> None:
        if time.monotonic() - self._logged_at >= _LOG_INTERVAL:
            self._logged_at = time.monotonic()
            _log.warning("waiting: %s", self._problem)


async def _obstacle(connection: Connection) -> str:
    try:
        return "" if await discovery.has_aiapis(connection) else _NO_CRD
    except ClusterError as error:
        return str(error)
