"""Which of several operators acts: a ``coordination.k8s.io`` Lease, as client-go does it.

The holder renews the Lease; a candidate takes it over once it has not seen it change for the
Lease's whole duration, measured on the candidate's own monotonic clock, so that clocks that
disagree cannot make two leaders. The holder stops acting before that: ``held()`` turns false
when the last renewal is older than ``RENEW_DEADLINE``, whatever the network does.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

from aiapi_operator.cluster.apply import get
from aiapi_operator.cluster.connection import Connection, Request
from aiapi_operator.cluster.errors import ClusterError, Conflict
from aiapi_operator.cluster.resources import LEASES, Manifest

DURATION = 10
"""Seconds without a renewal after which another operator may take over."""
RENEW_DEADLINE = 7.0
RETRY_PERIOD = 2.0
_REQUEST_DEADLINE = 4.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseIdentity:
    """Who runs for which Lease."""

    namespace: str
    name: str
    identity: str


@dataclass(slots=True)
class _Seen:
    version: str
    since: float


class LeaderElector:
    """Runs for the Lease until stopped, and knows at any moment whether it holds it."""

    def __init__(
        self,
        connection: Connection,
        candidacy: LeaseIdentity,
        *,
        changed: Callable[[bool], None] = lambda _leads: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._namespace = candidacy.namespace
        self._name = candidacy.name
        self._identity = candidacy.identity
        self._changed = changed
        self._clock = clock
        self.term = 0
        """Counts how often leadership was gained."""
        self._renewed: float | None = None
        self._seen: _Seen | None = None
        self.holder = ""
        """Who holds the Lease, as last seen."""

    def held(self) -> bool:
        """Whether this operator may act right now."""
        return self._renewed is not None and self._clock() - self._renewed < RENEW_DEADLINE

    async def run(self) -> NoReturn:
        """Try to get the Lease and keep it, for ever. Cancelling gives it back."""
        try:
            while True:
                await self._try_once()
                await asyncio.sleep(RETRY_PERIOD)
        finally:
            await self._release()

    async def _try_once(self) -> None:
        before = self.held()
        started = self._clock()
        try:
            async with asyncio.timeout(_REQUEST_DEADLINE):
                won = await self._acquire_or_renew()
        except (ClusterError, TimeoutError) as error:
            _log.warning("the lease could not be renewed or read: %s", error)
            return
        # The moment before the request, not after it: the other side counts from the write.
        self._renewed = started if won else None
        if won and not before:
            self.term += 1
        if won != before:
            self._changed(won)
            _log.info("leadership changed: leader=%s holder=%s", won, self.holder)

    async def _acquire_or_renew(self) -> bool:
        lease = await get(self._connection, LEASES, self._namespace, self._name)
        try:
            if lease is None:
                await self._create()
            elif self._may_take(lease):
                await self._take(lease)
            else:
                return False
        except Conflict:
            return False
        self.holder = self._identity
        return True

    def _may_take(self, lease: Manifest) -> bool:
        self.holder = _spec_of(lease).get("holderIdentity") or ""
        if self.holder in ("", self._identity):
            return True
        version = lease["metadata"]["resourceVersion"]
        if self._seen is None or self._seen.version != version:
            self._seen = _Seen(version, self._clock())
        duration = _spec_of(lease).get("leaseDurationSeconds") or DURATION
        return self._clock() - self._seen.since >= duration

    async def _create(self) -> None:
        body = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": self._spec(transitions=0, acquired=_now()),
        }
        await self._connection.send(
            Request(
                "POST", LEASES.collection(self._namespace), body=body, deadline=_REQUEST_DEADLINE
            )
        )

    async def _take(self, lease: Manifest) -> None:
        spec = _spec_of(lease)
        mine = spec.get("holderIdentity") == self._identity
        transitions = int(spec.get("leaseTransitions") or 0) + (0 if mine else 1)
        acquired = (mine and spec.get("acquireTime")) or _now()
        await self._put(lease, self._spec(transitions=transitions, acquired=acquired))

    async def _put(self, lease: Manifest, spec: Manifest) -> None:
        await self._connection.send(
            Request(
                "PUT",
                LEASES.path(self._namespace, self._name),
                body=lease | {"spec": spec},
                deadline=_REQUEST_DEADLINE,
            )
        )

    def _spec(self, *, transitions: int, acquired: str) -> Manifest:
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": DURATION,
            "leaseTransitions": transitions,
            "acquireTime": acquired,
            "renewTime": _now(),
        }

    async def _release(self) -> None:
        """Give the Lease back, so that the next operator need not wait for it to run out."""
        if not self.held():
            return
        self._renewed = None
        try:
            async with asyncio.timeout(_REQUEST_DEADLINE):
                lease = await get(self._connection, LEASES, self._namespace, self._name)
                spec = _spec_of(lease or {})
                if lease is not None and spec.get("holderIdentity") == self._identity:
                    await self._put(lease, spec | {"holderIdentity": ""})
        except (ClusterError, TimeoutError) as error:
            _log.warning("the lease could not be given back: %s", error)


def _spec_of(lease: Manifest) -> Manifest:
    """Empty in a Lease that was installed beforehand, and that nobody held yet."""
    spec: Manifest = lease.get("spec") or {}
    return spec


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
