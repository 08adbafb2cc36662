"""Validates a pod's ``/stats`` answer before any number in it is used.

A pod runs user code, so its answer is untrusted input. A negative counter, a NaN or a list of the
wrong length could mislead the right-sizer. An answer with one invalid field is rejected as a
whole, and the pod counts as unknown. No number is read from a string or a boolean. Unknown fields
are ignored: a newer pod may send more than this operator reads.
"""

from functools import lru_cache
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from aiapi_operator.observe.histograms import (
    NO_TEXT,
    Count,
    HistogramText,
    Seconds,
    bounds_of,
)
from aiapi_operator.observe.invalid_stats import InvalidStatsError, described, malformed
from aiapi_operator.sizing.inputs import NO_HISTOGRAM, PodRuntime, PodSample, ThreadPool

__all__ = ["InvalidStatsError", "parse"]

_RUNTIMES = 64
"""Different runtimes that are kept, so that the samples of a fleet share one object."""

_Workers = Annotated[int, Meta(ge=0, le=4096)]
_Text = Annotated[str, Meta(max_length=4096)]
_Name = Annotated[str, Meta(min_length=1, max_length=64)]
_Label = Annotated[str, Meta(max_length=64)]


class _WorkerCounts(msgspec.Struct, frozen=True, gc=False):
    wanted: _Workers
    ready: _Workers
    draining: _Workers
    blocked: _Workers = 0


class _Requests(msgspec.Struct, frozen=True, gc=False):
    success: Count
    client_error: Count
    server_error: Count
    cancelled: Count
    shed: Count


class _AcceptQueue(msgspec.Struct, frozen=True, gc=False):
    depth: Count


class _Threads(msgspec.Struct, frozen=True, gc=False):
    limit: Annotated[int, Meta(ge=0, le=1_000_000)]
    busy_seconds: Seconds
    waiting_seconds: Seconds

    def plain(self, name: str) -> ThreadPool:
        return ThreadPool(
            name=name,
            limit=self.limit,
            busy_seconds=self.busy_seconds,
            waiting_seconds=self.waiting_seconds,
        )


class _Runtime(msgspec.Struct, frozen=True, gc=False):
    version: _Label = ""
    source: _Label = ""
    python: _Label = ""

    def plain(self, *, loop: str | None, http: str | None) -> PodRuntime:
        return _runtime(self.version, self.source, self.python, loop or "", http or "")


@lru_cache(maxsize=_RUNTIMES)
def _runtime(version: str, source: str, python: str, loop: str, http: str) -> PodRuntime:
    return PodRuntime(version=version, source=source, python=python, loop=loop, http=http)


class _Stats(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    version: Literal[1]
    longest_wait: Count = 0
    instance: Annotated[str, Meta(min_length=1, max_length=256)]
    uptime: Seconds | None = None
    ready: bool
    workers: _WorkerCounts
    blocked_at: _Text = ""
    failure: _Text = ""
    requests: _Requests
    in_flight: Count
    in_flight_seconds: Seconds
    loop_seconds: Seconds
    worker_seconds: Seconds
    cpu_seconds: Seconds
    upstream_seconds: Seconds
    loop_cpu_seconds: Seconds | None = None
    run_queue_seconds: Seconds | None = None
    rss_bytes: Count
    cpu_throttled_seconds: Seconds = 0.0
    cpu_limit_cores: Seconds = 0.0
    memory_limit_bytes: Count = 0
    open_connections: Count
    open_websockets: Count = 0
    open_streams: Count = 0
    idle_seconds: Seconds | None = None
    accept_queue: _AcceptQueue
    worker_limit: Count = 0
    threads: Annotated[dict[_Name, _Threads], Meta(max_length=16)] | None = None
    bounds: msgspec.Raw = NO_TEXT
    latency: HistogramText
    ttfb: HistogramText | None = None
    loop: _Label | None = None
    http: _Label | None = None
    runtime: _Runtime = _Runtime()


_DECODER = msgspec.json.Decoder(_Stats)


def parse(body: bytes, *, pod: str, time: float) -> PodSample:
    """The sample in an answer of ``GET /stats``. Raises ``InvalidStatsError``."""
    stats = _decoded(body)
    shared = bounds_of("bounds", stats.bounds)
    return PodSample(
        pod=pod,
        time=time,
        instance=stats.instance,
        ready=stats.ready,
        workers_wanted=stats.workers.wanted,
        workers_ready=stats.workers.ready,
        workers_draining=stats.workers.draining,
        workers_blocked=stats.workers.blocked,
        blocked_at=stats.blocked_at,
        failure=stats.failure,
        succeeded=stats.requests.success,
        client_errors=stats.requests.client_error,
        server_errors=stats.requests.server_error,
        cancelled=stats.requests.cancelled,
        shed=stats.requests.shed,
        in_flight_seconds=stats.in_flight_seconds,
        loop_seconds=stats.loop_seconds,
        worker_seconds=stats.worker_seconds,
        cpu_seconds=stats.cpu_seconds,
        upstream_seconds=stats.upstream_seconds,
        loop_cpu_seconds=stats.loop_cpu_seconds,
        run_queue_seconds=stats.run_queue_seconds,
        latency=stats.latency.plain("latency", shared),
        in_flight=stats.in_flight,
        open_connections=stats.open_connections,
        open_websockets=stats.open_websockets,
        open_streams=stats.open_streams,
        idle_seconds=stats.idle_seconds,
        accept_queue_depth=stats.accept_queue.depth,
        rss_bytes=stats.rss_bytes,
        cpu_throttled_seconds=stats.cpu_throttled_seconds,
        cpu_limit_cores=stats.cpu_limit_cores,
        memory_limit_bytes=stats.memory_limit_bytes,
        worker_limit=stats.worker_limit,
        threads=_pools(stats.threads),
        runtime=stats.runtime.plain(loop=stats.loop, http=stats.http),
        first_byte=stats.ttfb.plain("ttfb", shared) if stats.ttfb else NO_HISTOGRAM,
        uptime=stats.uptime,
        longest_wait=stats.longest_wait,
    )


def _pools(threads: dict[str, _Threads] | None) -> tuple[ThreadPool, ...] | None:
    return None if threads is None else tuple(p.plain(name) for name, p in threads.items())


def _decoded(body: bytes) -> _Stats:
    try:
        return _DECODER.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidStatsError(described(error)) from None
    except msgspec.DecodeError as error:
        raise InvalidStatsError(malformed(error, body)) from None
    except RecursionError:
        raise InvalidStatsError("answer: nested too deeply") from None
