"""Leader election with a ``coordination.k8s.io`` Lease, as in client-go.

The holder renews the Lease. A candidate takes it over when it has not changed for its whole
duration, measured on the candidate's monotonic clock, so clock skew cannot cause two leaders. The
holder stops acting before that: ``held()`` turns false once the last renewal is older than
``RENEW_DEADLINE``, whatever the network does.

A Lease that is deleted counts as one that is no longer renewed: nobody creates it again before its
duration has passed. ``helm uninstall`` deletes it before the operator's pods, and a Lease created
in between would be left behind and block the next ``helm install``.

The elector runs on a thread of its own, so that long ticks do not delay a renewal. Ticks read its
standing without a lock.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
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
    """The Lease, and the identity of this candidate."""

    namespace: str
    name: str
    identity: str
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of a new Lease."""


@dataclass(frozen=True, slots=True)
class _Observed:
    version: str
    """The ``resourceVersion``; empty while there is no Lease."""
    since: float


@dataclass(frozen=True, slots=True)
class _Standing:
    """What other threads may read. It is replaced as a whole, never changed."""

    renewed: float | None = None
    """When the Lease was last renewed; None while this operator does not hold it."""
    term: int = 0
    holder: str = ""


class LeaderElector:
    """Acquires and renews the Lease until cancelled."""

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
        self._labels = dict(candidacy.labels)
        self._changed = changed
        self._clock = clock
        self._standing = _Standing()
        self._observed: _Observed | None = None
        self._reported = False

    def held(self) -> bool:
        """Whether this operator may act right now."""
        renewed = self._standing.renewed
        return renewed is not None and self._clock() - renewed < RENEW_DEADLINE

    @property
    def term(self) -> int:
        """How often leadership was gained."""
        return self._standing.term

    @property
    def holder(self) -> str:
        """The last known holder of the Lease."""
        return self._standing.holder

    async def run(self) -> NoReturn:
        """Acquire and renew the Lease until cancelled, then release it."""
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
            _log.warning("reading or renewing the lease failed: %s", error)
        except Exception:  # noqa: BLE001 - an unexpected answer must not end the election
            _log.exception("reading or renewing the lease failed")
        else:
            term = self.term + (won and not before)
            # The time before the request: candidates measure the duration from the write.
            self._standing = replace(self._standing, renewed=started if won else None, term=term)
        self._report()

    def _report(self) -> None:
        leads = self.held()
        if leads != self._reported:
            self._reported = leads
            self._changed(leads)
            _log.info("leadership changed: leader=%s holder=%s", leads, self.holder)

    async def _acquire_or_renew(self) -> bool:
        lease = await get(self._connection, LEASES, self._namespace, self._name)
        if not self._may_take(lease):
            return False
        try:
            await (self._create() if lease is None else self._take(lease))
        except Conflict:
            return False
        self._see_holder(self._identity)
        return True

    def _may_take(self, lease: Manifest | None) -> bool:
        first = self._observed is None
        unchanged = self._unchanged_for(lease["metadata"]["resourceVersion"] if lease else "")
        if lease is None:
            return first or unchanged >= DURATION
        self._see_holder(_spec_of(lease).get("holderIdentity") or "")
        duration = _spec_of(lease).get("leaseDurationSeconds") or DURATION
        return self.holder in ("", self._identity) or unchanged >= duration

    def _see_holder(self, holder: str) -> None:
        self._standing = replace(self._standing, holder=holder)

    def _unchanged_for(self, version: str) -> float:
        """Seconds since the Lease first had this version."""
        if self._observed is None or self._observed.version != version:
            self._observed = _Observed(version, self._clock())
        return self._clock() - self._observed.since

    async def _create(self) -> None:
        body = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {
                "name": self._name,
                "namespace": self._namespace,
                "labels": self._labels,
            },
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
        """Release the Lease, so that the next leader does not wait for it to expire."""
        if not self.held():
            return
        self._standing = replace(self._standing, renewed=None)
        try:
            async with asyncio.timeout(_REQUEST_DEADLINE):
                lease = await get(self._connection, LEASES, self._namespace, self._name)
                spec = _spec_of(lease or {})
                if lease is not None and spec.get("holderIdentity") == self._identity:
                    await self._put(lease, spec | {"holderIdentity": ""})
        except (ClusterError, TimeoutError) as error:
            _log.warning("releasing the lease failed: %s", error)


def _spec_of(lease: Manifest) -> Manifest:
    """The spec; empty in a preinstalled Lease that was never held."""
    spec: Manifest = lease.get("spec") or {}
    return spec


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
