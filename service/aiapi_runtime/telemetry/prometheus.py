"""The metric families of a pod, read from the workers' shared memory."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import inf

from aiapi_runtime.telemetry import exposition, name_clashes
from aiapi_runtime.telemetry.exposition import Bucket, Exemplar, MetricFamily
from aiapi_runtime.telemetry.layout import BOUNDS, BUCKETS, COARSE, EXEMPLAR, OUTCOMES, Cell
from aiapi_runtime.telemetry.start_times import BOUNDS as START_BOUNDS
from aiapi_runtime.telemetry.start_times import StartTimes
from aiapi_runtime.telemetry.stats import PodSnapshot

_SECONDS = (
    ("requests_in_flight_seconds", Cell.IN_FLIGHT_SECONDS, "Sum of the time requests were open."),
    ("loop_seconds", Cell.LOOP_SECONDS, "Time the event loops were running callbacks."),
    ("worker_seconds", Cell.WORKER_SECONDS, "Time workers have been serving."),
    ("cpu_seconds", Cell.CPU_SECONDS, "CPU time of the workers while they served."),
    ("loop_cpu_seconds", Cell.LOOP_CPU_SECONDS, "CPU time of the event loops' threads."),
    ("upstream_seconds", Cell.UPSTREAM_SECONDS, "Time requests waited for an upstream."),
    ("loop_blocks", Cell.BLOCKS, "How often an event loop was blocked."),
)
_HISTOGRAMS = (
    ("request_duration_seconds", Cell.LATENCY, Cell.LATENCY_SUM, "Time to the end of a response."),
    ("time_to_first_byte_seconds", Cell.TTFB, Cell.TTFB_SUM, "Time to the first byte of a body."),
    ("loop_lag_seconds", Cell.LAG, Cell.LAG_SUM, "How late the event loops ran a timer."),
)


@dataclass(frozen=True)
class WorkerReading:
    """One worker's numbers, labeled by its slot, so that the number of series is bounded."""

    slot: int
    row: Sequence[float]
    rss_bytes: int


@dataclass(frozen=True)
class ExtraMetrics:
    """Metrics beside the fixed numbers of a worker."""

    families: Sequence[MetricFamily] = ()
    blocked_places: Mapping[str, int] = field(default_factory=dict)
    exemplars: Mapping[int, Exemplar] = field(default_factory=dict)


def render(
    snapshot: PodSnapshot, workers: Sequence[WorkerReading], extra: ExtraMetrics, accept: str
) -> tuple[str, bytes]:
    """Content type and text, in the format that the Accept header names."""
    return exposition.render(families(snapshot, workers, extra), accept)


def families(
    snapshot: PodSnapshot, workers: Sequence[WorkerReading], extra: ExtraMetrics
) -> Iterable[MetricFamily]:
    own = [
        *_counters(snapshot),
        _blocked_places(extra.blocked_places),
        *_histograms(snapshot, extra.exemplars),
        *_gauges(snapshot),
        *_threads(snapshot),
        *_per_worker(workers),
    ]
    return [*own, *name_clashes.without_clashes(own, extra.families)]


def exemplars(memories: Iterable[memoryview]) -> dict[int, Exemplar]:
    """The latest traced request of each coarse bucket, over all workers."""
    latest: dict[int, Exemplar] = {}
    for memory in memories:
        for index, (trace, seconds, at) in enumerate(EXEMPLAR.iter_unpack(memory)):
            if at and (index not in latest or at > latest[index].timestamp):
                latest[index] = Exemplar({"trace_id": trace.hex()}, seconds, at)
    return latest


def _counters(snapshot: PodSnapshot) -> Iterable[MetricFamily]:
    requests = MetricFamily("counter", "aiapi_requests", "Requests by outcome.")
    for index, outcome in enumerate(OUTCOMES):
        requests.add(snapshot.total[index], {"outcome": outcome})
    yield requests
    for name, cell, text in _SECONDS:
        family = MetricFamily("counter", f"aiapi_{name}", text)
        family.add(snapshot.total[cell])
        yield family
    waited = MetricFamily(
        "counter", "aiapi_run_queue_seconds", "Time event loops were ready to run without a CPU."
    )
    if snapshot.waits_known:
        # Without a sample where it is not known: 0 would mean that no loop waited.
        waited.add(snapshot.total[Cell.RUN_QUEUE_SECONDS])
    yield waited


def _blocked_places(places: Mapping[str, int]) -> MetricFamily:
    family = MetricFamily(
        "counter",
        "aiapi_loop_blocked_places",
        "How often an event loop was blocked at this place in the code.",
    )
    for place, count in places.items():
        family.add(count, {"place": place})
    return family


def _histograms(
    snapshot: PodSnapshot, latency_exemplars: Mapping[int, Exemplar]
) -> Iterable[MetricFamily]:
    for name, start, total, text in _HISTOGRAMS:
        found = latency_exemplars if start == Cell.LATENCY else {}
        counts = list(accumulate(snapshot.total[start : start + BUCKETS]))
        edges = [(BOUNDS[at], counts[at]) for at in range(COARSE - 1, len(BOUNDS), COARSE)]
        edges.append((inf, counts[-1]))
        family = MetricFamily("histogram", f"aiapi_{name}", text)
        buckets = [Bucket(*edge, found.get(index)) for index, edge in enumerate(edges)]
        family.add_histogram(buckets, snapshot.total[total], {})
        yield family
    yield _starts(snapshot.starts)


def _starts(starts: StartTimes) -> MetricFamily:
    family = MetricFamily(
        "histogram", "aiapi_worker_start_seconds", "Time from a worker's fork until it serves."
    )
    edges = zip((*START_BOUNDS, inf), accumulate(starts.counts), strict=True)
    family.add_histogram([Bucket(*edge) for edge in edges], starts.sum, {})
    return family


def _gauges(snapshot: PodSnapshot) -> Iterable[MetricFamily]:
    workers = MetricFamily("gauge", "aiapi_workers", "Workers by state.")
    for state, count in vars(snapshot.workers).items():
        workers.add(count, {"state": state})
    yield workers
    for name, value, text in (
        ("requests_in_flight", snapshot.total[Cell.IN_FLIGHT], "Open requests."),
        ("open_connections", snapshot.total[Cell.CONNECTIONS], "Open connections."),
        ("open_websockets", snapshot.total[Cell.WEBSOCKETS], "Open WebSockets."),
        ("open_streams", snapshot.total[Cell.STREAMS], "Responses being streamed."),
        ("resident_memory_bytes", snapshot.rss_bytes, "Resident memory of the workers."),
        ("accept_queue_depth", snapshot.accept_depth, "Connections waiting to be accepted."),
        ("accept_queue_limit", snapshot.accept_limit, "How many connections may wait."),
        ("ready", float(snapshot.ready), "1 when the pod is ready."),
    ):
        family = MetricFamily("gauge", f"aiapi_{name}", text)
        family.add(value)
        yield family


def _threads(snapshot: PodSnapshot) -> Iterable[MetricFamily]:
    threads = MetricFamily("gauge", "aiapi_threads", "Busy threads, and calls waiting for one.")
    limit = MetricFamily("gauge", "aiapi_threads_limit", "Threads per worker.")
    busy = MetricFamily(
        "counter", "aiapi_threads_busy_seconds", "Sum of the time threads were busy."
    )
    waiting = MetricFamily(
        "counter", "aiapi_threads_waiting_seconds", "Sum of the time calls waited."
    )
    for name, pool in snapshot.threads.items():
        threads.add(pool.busy, {"pool": name, "state": "busy"})
        threads.add(pool.waiting, {"pool": name, "state": "waiting"})
        limit.add(pool.limit, {"pool": name})
        busy.add(pool.busy_seconds, {"pool": name})
        waiting.add(pool.waiting_seconds, {"pool": name})
    yield from (threads, limit, busy, waiting)


def _per_worker(workers: Sequence[WorkerReading]) -> Iterable[MetricFamily]:
    for name, text, cell in (
        ("requests_in_flight", "Open requests of one worker.", Cell.IN_FLIGHT),
        ("open_connections", "Open connections of one worker.", Cell.CONNECTIONS),
        ("loop_seconds", "Loop time of one worker since it serves.", Cell.LOOP_SECONDS),
    ):
        family = MetricFamily("gauge", f"aiapi_worker_{name}", text)
        for worker in workers:
            family.add(worker.row[cell], {"worker": str(worker.slot)})
        yield family
    memory = MetricFamily(
        "gauge", "aiapi_worker_resident_memory_bytes", "Resident memory of one worker."
    )
    for worker in workers:
        memory.add(worker.rss_bytes, {"worker": str(worker.slot)})
    yield memory
