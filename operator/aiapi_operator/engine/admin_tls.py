"""Keeps the CA of the pods' admin port in a Secret, and what trusts and issues with it.

Every leader reads the Secret before its first tick, and again every few minutes. There is no task
of its own: the tick that finds it due does it, and other ticks wait only while no CA is known.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from aiapi_operator.cluster.errors import ClusterError, Conflict, Unavailable
from aiapi_operator.cluster.secret_store import StoredSecret
from aiapi_operator.engine import authority
from aiapi_operator.engine.authority import Authority
from aiapi_operator.observe.tls import PodTls, trusting

_REFRESH = 300.0
_RETRY = 30.0
_ATTEMPTS = 3

_log = logging.getLogger(__name__)


class Store(Protocol):
    """Where the CA is kept."""

    name: str

    async def read(self) -> StoredSecret | None:
        """The Secret; None when it does not exist."""

    async def create(self, data: dict[str, str]) -> None:
        """Create the Secret. Raises ``Conflict`` when it exists."""

    async def replace(self, stored: StoredSecret, data: dict[str, str]) -> None:
        """Replace the data. Raises ``Conflict`` when the Secret changed since it was read."""


@dataclass(frozen=True, slots=True)
class AdminTls:
    """The CA, and a context that trusts it."""

    authority: Authority
    context: ssl.SSLContext

    def of(self, namespace: str, name: str) -> PodTls:
        """What verifies the pods of an AIApi."""
        return PodTls(self.context, host(namespace, name))


def host(namespace: str, name: str) -> str:
    """The name in the certificate of an AIApi's pods. It is never resolved."""
    return f"{name}.{namespace}.aiapi.dev"


class AdminTlsSource(Protocol):
    """Provides the CA."""

    async def current(self, term: int) -> AdminTls:
        """The CA, read in this term of leadership. Raises ``ClusterError``."""


class AdminTlsKeeper:
    """Reads, creates and replaces the CA."""

    def __init__(
        self, store: Store, *, clock: Callable[[], float], time_of_day: Callable[[], float]
    ) -> None:
        self._store = store
        self._clock = clock
        self._time_of_day = time_of_day
        self._lock = asyncio.Lock()
        self._known: AdminTls | None = None
        self._term = 0
        self._due = 0.0

    async def current(self, term: int) -> AdminTls:
        """The CA, read in this term of leadership. Raises ``ClusterError``."""
        known = self._known if self._term == term else None
        if known is not None and (self._clock() < self._due or self._lock.locked()):
            return known
        async with self._lock:
            if self._known is not None and self._term == term and self._clock() < self._due:
                return self._known
            return await self._refresh(term)

    async def _refresh(self, term: int) -> AdminTls:
        try:
            found = await self._reconciled()
        except ClusterError as error:
            _log.warning("reading the CA in Secret %s failed: %s", self._store.name, error)
            if self._known is None or self._term != term:
                raise
            self._due = self._clock() + _RETRY
            return self._known
        if self._known is None or self._known.authority != found:
            self._known = AdminTls(found, trusting(found.trusted))
        self._term, self._due = term, self._clock() + _REFRESH
        return self._known

    async def _reconciled(self) -> Authority:
        """The CA in the Secret, after a step that is due was written."""
        known = self._known.authority if self._known is not None else None
        for _ in range(_ATTEMPTS):
            stored = await self._store.read()
            found = authority.read(stored.data) if stored is not None else None
            wanted = authority.rotated(found, known, self._time_of_day())
            if wanted is found:
                return wanted
            try:
                await self._write(wanted, stored)
            except Conflict:
                continue
            _log.info("the CA of the admin ports was created or rotated: %s", self._store.name)
            return wanted
        raise Unavailable(f"Secret {self._store.name} is written by others all the time")

    async def _write(self, wanted: Authority, stored: StoredSecret | None) -> None:
        data = authority.write(wanted)
        if stored is None:
            await self._store.create(data)
        else:
            await self._store.replace(stored, data)
