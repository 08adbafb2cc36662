"""What an autoscaler can observe: the pods' counters, and their sums."""

from dataclasses import dataclass

from aiapi_operator.simulate.counters import BOUNDS, CounterSnapshot
from aiapi_operator.simulate.fleet import FleetModel, SimulatedPod
from aiapi_operator.simulate.hold import HeldRequests
from aiapi_operator.simulate.loops import Ints
from aiapi_operator.simulate.traces import Floats
from aiapi_operator.sizing.inputs import Fleet, Histogram, PodSample, PodUnknown
from aiapi_operator.sizing.state import Size

_RSS_POD = 60 * 2**20
_RSS_WORKER = 40 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetTotals:
    """Sums over the fleet. Counters are monotonic: removed pods stay included."""

    time: float
    in_flight_seconds: float
    """With those of requests that waited for a pod."""
    cpu_seconds: float
    latencies: Ints
    """By bucket of ``counters.BOUNDS``."""
    first_bytes: Ints
    """The same for times to the first byte."""
    ready: int
    """Ready pods."""


class FleetSnapshot:
    """The fleet at one moment. With ``metrics_gone`` no pod answers a scrape."""

    def __init__(
        self,
        fleet: FleetModel,
        now: float,
        *,
        metrics_gone: bool = False,
        held: HeldRequests | None = None,
    ) -> None:
        self._fleet = fleet
        self._held = held
        self.now = now
        self.metrics_gone = metrics_gone

    @property
    def size(self) -> Size:
        """The desired size."""
        return self._fleet.size

    @property
    def ready(self) -> int:
        """Ready pods."""
        return len(self._fleet.ready)

    @property
    def held(self) -> int:
        """Requests that wait for a pod."""
        return 0 if self._held is None else len(self._held)

    @property
    def idle(self) -> float | None:
        """Seconds without a request, by the pods' counters; None if a pod does not answer."""
        return None if self.metrics_gone else self._fleet.idle(self.now)

    def totals(self) -> FleetTotals:
        """Sums over the fleet."""
        reading = self._fleet.counters.read(self.now)
        held = 0.0 if self._held is None else self._held.in_flight_seconds(self.now)
        return FleetTotals(
            time=self.now,
            in_flight_seconds=reading.all_in_flight_seconds + held,
            cpu_seconds=self._fleet.all_loop_seconds(self.now),
            latencies=reading.all_latencies,
            first_bytes=reading.first_bytes[2],
            ready=self.ready,
        )

    def scrape(self) -> Fleet:
        """The fleet as the operator's scraper reports it."""
        reading = self._fleet.counters.read(self.now)
        loop = self._fleet.loop_seconds(self.now)
        pods = tuple(self._sample(pod, reading, float(loop[pod.slot])) for pod in self._fleet.pods)
        return Fleet(replicas=len(pods), pods=pods, workers=self._fleet.workers)

    def _sample(
        self, pod: SimulatedPod, reading: CounterSnapshot, loop: float
    ) -> PodSample | PodUnknown:
        if not pod.ready:
            return PodUnknown(pod=pod.name, ready=False, reason="is starting")
        if self.metrics_gone:
            return PodUnknown(pod=pod.name, ready=True, reason="timeout")
        slot, serving = pod.slot, self._fleet.serving(pod)
        succeeded, server_errors, cancelled, shed = reading.outcomes[slot].tolist()
        in_flight = int(reading.in_flight[slot])
        return PodSample(
            pod=pod.name,
            time=self.now,
            instance=pod.name,
            ready=True,
            workers_wanted=pod.desired_workers,
            workers_ready=serving,
            workers_draining=0,
            workers_blocked=(blocked := self._fleet.blocked(slot, self.now)),
            blocked_at="simulated.py:1 handler" if blocked else "",
            failure="",
            succeeded=succeeded,
            client_errors=0,
            server_errors=server_errors,
            cancelled=cancelled,
            shed=shed,
            in_flight_seconds=float(reading.in_flight_seconds[slot]),
            loop_seconds=loop,
            worker_seconds=float(self._fleet.worker_seconds()[slot]),
            cpu_seconds=loop,
            upstream_seconds=float(reading.upstream_seconds[slot]),
            latency=_histogram(reading.latencies, reading.latency_seconds, slot),
            first_byte=_histogram(*reading.first_bytes[:2], slot),
            in_flight=in_flight,
            open_connections=in_flight,
            accept_queue_depth=0,
            rss_bytes=_RSS_POD + serving * _RSS_WORKER,
            run_queue_seconds=0.0,
        )


def _histogram(counts: Ints, seconds: Floats, slot: int) -> Histogram:
    sums = float(seconds[slot])
    return Histogram(bounds=BOUNDS, counts=tuple(counts[slot].tolist()), sum=sums)
