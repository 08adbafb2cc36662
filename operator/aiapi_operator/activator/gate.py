"""One AIApi at the activator: which requests go to a pod, wait, or are refused.

A request that finds no pod waits, and starts the tasks that find one: the prober, the waker, and
the one that ends what has waited for too long. They end when nothing needs them.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiapi_operator.activator import answers
from aiapi_operator.activator.answers import Answer
from aiapi_operator.activator.backends import Backend, Backends
from aiapi_operator.activator.fleet import Fleet, Pod, Readiness
from aiapi_operator.activator.hold import Held, Hold
from aiapi_operator.activator.limits import Limits
from aiapi_operator.activator.metrics import FleetMetrics
from aiapi_operator.activator.on_demand import OnDemand
from aiapi_operator.activator.prober import Probe, Prober
from aiapi_operator.activator.wake_count import pods_to_wake
from aiapi_operator.activator.waker import Scales, Waker

_EXPIRY_INTERVAL = 0.1
_PROBE_AFTER_LAST = 10.0
"""Seconds for which pods are probed after the last request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all gates share."""

    limits: Limits
    probe: Probe
    scales: Scales
    pod_name: str = ""
    """This activator."""
    clock: Callable[[], float] = time.monotonic


class Gate:
    """One AIApi."""

    def __init__(self, fleet: Fleet, shared: Surroundings, metrics: FleetMetrics) -> None:
        self.fleet = fleet
        self.shared = shared
        self.hold = Hold(shared.limits)
        self.metrics = metrics
        self.arrivals = 0
        self.in_flight = 0
        self.last_seen = shared.clock()
        """When a connection was last open."""
        self._backends = Backends()
        self._clients: set[Held] = set()
        self._deleted = False
        self._open_arrivals = 0
        self._last_arrival_end = shared.clock()
        self._last_request = shared.clock()
        self._waker = Waker(
            fleet.key, shared.scales, wanted=self._pods_wanted, woke=metrics.wakes.inc
        )
        prober = Prober(self._backends, shared.probe, needed=self._needs_pods, changed=self.release)
        name = "/".join(fleet.key)
        self._probing = OnDemand(f"prober of {name}", prober.run)
        self._waking = OnDemand(f"waker of {name}", self._waker.run)
        self._expiring = OnDemand(f"deadlines of {name}", self._expire)

    def update(self, fleet: Fleet, pods: Mapping[str, Pod]) -> None:
        """The AIApi or its pods changed."""
        self.fleet = fleet
        self._backends.sync(pods)
        self.release()

    def delete(self) -> None:
        """The AIApi is gone: no pod will come."""
        self._deleted = True
        while request := self.hold.pop():
            request.answer(answers.deleted())

    def stop(self) -> None:
        """End all tasks."""
        for task in (self._probing, self._waking, self._expiring):
            task.stop()

    @property
    def connections(self) -> int:
        """Open connections of clients."""
        return len(self._clients)

    def connected(self, client: Held) -> bool:
        """A client connected. False if there are too many."""
        self._clients.add(client)
        return len(self._clients) <= self.shared.limits.connections

    def disconnected(self, client: Held) -> None:
        """A client is gone."""
        self._clients.discard(client)
        self.last_seen = self.shared.clock()

    def close_unused(self) -> None:
        """Close the connections on which nothing was requested."""
        for client in list(self._clients):
            client.close_unused()

    def abort(self) -> None:
        """End all connections."""
        for client in list(self._clients):
            client.abort()

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last arrival ended; 0 while one is open."""
        return 0.0 if self._open_arrivals else self.shared.clock() - self._last_arrival_end

    def submit(self, request: Held, path: str) -> None:
        """A request arrived: forward, hold or refuse it."""
        self._last_request = self.shared.clock()
        if request.wakes:
            self.arrivals += 1
            self._open_arrivals += 1
        self._probing.start()
        if backend := self._choose():
            self.in_flight += 1
            request.forward(backend)
        elif answer := self._refusal(request, path):
            request.answer(answer)
        else:
            self._wait(request)

    def _refusal(self, request: Held, path: str) -> Answer | None:
        if self._deleted:
            return answers.deleted()
        if not request.wakes and not len(self._backends):
            return answers.asleep(path)
        reason = self.hold.refusal()
        return answers.full(reason) if reason else None

    def _wait(self, request: Held) -> None:
        self.hold.add(request)
        self._expiring.start()
        if request.wakes:
            self._waking.start()
            self._waker.nudge(is_first=len(self.hold) == 1)

    def connect_failed(self, request: Held, backend: Backend) -> None:
        """No byte of the request was sent, so it goes to another pod, or waits for one."""
        backend.readiness = Readiness.NONE
        self._free(backend)
        self.hold.put_back(request)
        self._expiring.start()
        if request.wakes:
            self._waking.start()
        self.release()

    def ended(self, request: Held, backend: Backend | None, outcome: str) -> None:
        """A request ended, in whatever way."""
        self.metrics.ended(outcome)
        self.hold.discard(request)
        self.hold.released(request)
        if request.wakes:
            self._open_arrivals -= 1
            self._last_arrival_end = self.shared.clock()
        if backend is not None:
            self._free(backend)
            self.release()

    def _free(self, backend: Backend) -> None:
        backend.in_flight -= 1
        self.in_flight -= 1

    def release(self) -> None:
        """Forward what waits, as far as there is room."""
        while len(self.hold) and (backend := self._choose()):
            request = self.hold.pop()
            if request is None:
                return
            self.in_flight += 1
            if request.wakes:
                self.metrics.cold_start.observe(self.shared.clock() - request.first_byte_at)
            request.forward(backend)

    def _choose(self) -> Backend | None:
        return self._backends.choose(self.fleet.in_flight_limit)

    def _pods_wanted(self) -> int:
        if self._deleted or not any(request.wakes for request in self.hold):
            return 0
        return pods_to_wake(self.fleet, len(self.hold) + self.in_flight)

    def _needs_pods(self) -> bool:
        recent = self.shared.clock() - self._last_request < _PROBE_AFTER_LAST
        return recent or len(self.hold) > 0 or self.in_flight > 0

    async def _expire(self) -> None:
        while len(self.hold):
            for request in self.hold.expired(self.shared.clock()):
                request.answer(self._too_late(request))
            await asyncio.sleep(_EXPIRY_INTERVAL)

    def _too_late(self, request: Held) -> Answer:
        if not request.wakes:
            return answers.asleep("this path")
        return answers.at_deadline(
            request.hold_seconds,
            not_ready=self.fleet.not_ready,
            wake_error=self._waker.error,
            pods=len(self._backends),
        )
