"""The pod's numbers as Prometheus text, through a collector over the shared memory."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from aiapi_runtime.telemetry.layout import BOUNDS, BUCKETS, COARSE, EXEMPLAR, OUTCOMES, Cell
from aiapi_runtime.telemetry.stats import PodSnapshot

_SECONDS = (
    ("requests_in_flight_seconds", Cell.IN_FLIGHT_SECONDS, "Sum of the time requests were open."),
    ("loop_seconds", Cell.LOOP_SECONDS, "Time the event loops were running callbacks."),
    ("worker_seconds", Cell.WORKER_SECONDS, "Time workers have been up."),
    ("cpu_seconds", Cell.CPU_SECONDS, "CPU time of the workers."),
    ("upstream_seconds", Cell.UPSTREAM_SECONDS, "Time requests waited for an upstream."),
    ("loop_blocks", Cell.BLOCKS, "How often an event loop stood still."),
)
_HISTOGRAMS = (
    ("request_duration_seconds", Cell.LATENCY, Cell.LATENCY_SUM, "Answered requests, to the end."),
    ("time_to_first_byte_seconds", Cell.TTFB, Cell.TTFB_SUM, "To the first byte of the body."),
    ("loop_lag_seconds", Cell.LAG, Cell.LAG_SUM, "How late the event loops ran a timer."),
)


@dataclass(frozen=True)
class WorkerReading:
    """What is told of one worker; named by its slot, so that the number of series is bounded."""

    slot: int
    row: Sequence[float]
    rss_bytes: int


@dataclass(frozen=True)
class More:
    """What is not in the fixed numbers of a worker."""

    families: Sequence[Metric] = ()
    blocked_places: Mapping[str, int] = field(default_factory=dict)
    exemplars: Mapping[int, Exemplar] = field(default_factory=dict)


class PodCollector(Collector):
    """One reading as metric families."""

    def __init__(self, reading: PodSnapshot, workers: Sequence[WorkerReading], more: More) -> None:
        self._reading = reading
        self._workers = workers
        self._more = more

    def collect(self) -> Iterable[Metric]:
        own = [
            *self._counters(),
            *self._blocked_places(),
            *self._histograms(),
            *self._gauges(),
            *self._threads(),
            *self._per_worker(),
        ]
        yield from own
        # An app's metric of a name that is taken would make the whole text invalid.
        taken = {family.name for family in own}
        yield from (family for family in self._more.families if family.name not in taken)

    def _blocked_places(self) -> Iterable[Metric]:
        family = CounterMetricFamily(
            "aiapi_loop_blocked_places",
            "How often an event loop stood still at this place of the code.",
            labels=["place"],
        )
        for place, count in self._more.blocked_places.items():
            family.add_metric([place], count)
        yield family

    def _counters(self) -> Iterable[Metric]:
        total = self._reading.total
        requests = CounterMetricFamily("aiapi_requests", "Requests by outcome.", labels=["outcome"])
        for index, name in enumerate(OUTCOMES):
            requests.add_metric([name], total[index])
        yield requests
        for name, cell, text in _SECONDS:
            yield CounterMetricFamily(f"aiapi_{name}", text, value=total[cell])

    def _histograms(self) -> Iterable[Metric]:
        for name, start, total, text in _HISTOGRAMS:
            exemplars = self._more.exemplars if start == Cell.LATENCY else {}
            yield _histogram(name, text, self._reading.total, (start, total), exemplars)

    def _gauges(self) -> Iterable[Metric]:
        reading = self._reading
        workers = GaugeMetricFamily("aiapi_workers", "Workers by state.", labels=["state"])
        for state, count in vars(reading.workers).items():
            workers.add_metric([state], count)
        yield workers
        for name, value, text in (
            ("requests_in_flight", reading.total[Cell.IN_FLIGHT], "Requests open now."),
            ("open_connections", reading.total[Cell.CONNECTIONS], "Connections open now."),
            ("resident_memory_bytes", reading.rss_bytes, "Resident memory of the workers."),
            ("accept_queue_depth", reading.accept_depth, "Connections waiting to be accepted."),
            ("accept_queue_limit", reading.accept_limit, "How many connections may wait."),
            ("ready", float(reading.ready), "1 when the pod is ready."),
        ):
            yield GaugeMetricFamily(f"aiapi_{name}", text, value=value)

    def _threads(self) -> Iterable[Metric]:
        now = GaugeMetricFamily(
            "aiapi_threads", "Busy threads, and calls that wait for one.", labels=["pool", "state"]
        )
        most = GaugeMetricFamily("aiapi_threads_limit", "Threads in a worker.", labels=["pool"])
        busy = CounterMetricFamily(
            "aiapi_threads_busy_seconds", "Sum of the time threads were busy.", labels=["pool"]
        )
        waiting = CounterMetricFamily(
            "aiapi_threads_waiting_seconds", "Sum of the time calls waited.", labels=["pool"]
        )
        for name, pool in self._reading.threads.items():
            now.add_metric([name, "busy"], pool.busy)
            now.add_metric([name, "waiting"], pool.waiting)
            most.add_metric([name], pool.limit)
            busy.add_metric([name], pool.busy_seconds)
            waiting.add_metric([name], pool.waiting_seconds)
        yield from (now, most, busy, waiting)

    def _per_worker(self) -> Iterable[Metric]:
        for name, text, cell in (
            ("requests_in_flight", "Requests open in one worker.", Cell.IN_FLIGHT),
            ("open_connections", "Connections open in one worker.", Cell.CONNECTIONS),
            ("loop_seconds", "Loop time of one worker since its start.", Cell.LOOP_SECONDS),
        ):
            family = GaugeMetricFamily(f"aiapi_worker_{name}", text, labels=["worker"])
            for worker in self._workers:
                family.add_metric([str(worker.slot)], worker.row[cell])
            yield family
        memory = GaugeMetricFamily(
            "aiapi_worker_resident_memory_bytes", "Memory of one worker.", labels=["worker"]
        )
        for worker in self._workers:
            memory.add_metric([str(worker.slot)], worker.rss_bytes)
        yield memory


def _histogram(
    name: str,
    text: str,
    row: Sequence[float],
    cells: tuple[int, int],
    exemplars: Mapping[int, Exemplar],
) -> HistogramMetricFamily:
    start, total = cells
    counts = list(accumulate(row[start : start + BUCKETS]))
    edges = [(str(BOUNDS[i]), counts[i]) for i in range(COARSE - 1, len(BOUNDS), COARSE)]
    edges.append(("+Inf", counts[-1]))
    buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = [
        (*edge, exemplars[number]) if number in exemplars else edge
        for number, edge in enumerate(edges)
    ]
    family = HistogramMetricFamily(f"aiapi_{name}", text)
    family.add_metric([], buckets, row[total])
    return family


def exemplars(memories: Iterable[memoryview]) -> dict[int, Exemplar]:
    """The latest traced request of each coarse bucket, over all workers."""
    latest: dict[int, Exemplar] = {}
    for memory in memories:
        for number, (trace, seconds, at) in enumerate(EXEMPLAR.iter_unpack(memory)):
            known = latest.get(number)
            if at and (known is None or at > (known.timestamp or 0)):
                latest[number] = Exemplar({"trace_id": trace.hex()}, seconds, at)
    return latest


def render(
    reading: PodSnapshot, workers: Sequence[WorkerReading], more: More, accept: str
) -> tuple[str, bytes]:
    """Content type and text, in the format asked for; exemplars are in OpenMetrics alone."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(PodCollector(reading, workers, more))
    encode, content_type = choose_encoder(accept)
    return content_type, encode(registry)
