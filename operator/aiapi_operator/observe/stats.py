"""Validates a pod's ``/stats`` answer before any number in it is used.

A pod runs user code, so its answer is untrusted input. A negative counter, a NaN or a list of the
wrong length could mislead the right-sizer. An answer with one invalid field is rejected as a
whole, and the pod counts as unknown.
"""

from functools import lru_cache
from operator import lt
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from aiapi_operator.sizing.inputs import (
    NO_HISTOGRAM,
    Histogram,
    PodRuntime,
    PodSample,
    ThreadPool,
)

MAX_BYTES = 64 * 1024
"""Far above the size of a valid answer."""

_Count = Annotated[int, Field(ge=0, le=10**15)]
_Seconds = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
_Bound = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
_Workers = Annotated[int, Field(ge=0, le=4096)]
_Text = Annotated[str, Field(max_length=4096)]
_Name = Annotated[str, Field(min_length=1, max_length=64)]
_Label = Annotated[str, Field(max_length=64)]


class InvalidStatsError(ValueError):
    """An invalid answer. The message names the field and the rule."""


class _Strict(BaseModel):
    # Unknown fields are ignored: a newer pod may send more than this operator reads.
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class _Histogram(_Strict):
    bounds: Annotated[tuple[_Bound, ...], Field(max_length=512, strict=False)]
    counts: Annotated[tuple[_Count, ...], Field(max_length=513, strict=False)]
    sum: _Seconds

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.counts) != len(self.bounds) + 1:
            raise ValueError("counts must have one entry more than bounds")
        if not _ascending(self.bounds):
            raise ValueError("bounds must ascend")
        return self

    def plain(self) -> Histogram:
        return Histogram(bounds=_shared(self.bounds), counts=self.counts, sum=self.sum)


@lru_cache(maxsize=16)
def _ascending(bounds: tuple[float, ...]) -> bool:
    return all(map(lt, bounds, bounds[1:]))


@lru_cache(maxsize=16)
def _shared(bounds: tuple[float, ...]) -> tuple[float, ...]:
    """Share equal bounds: a thousand pods would otherwise hold megabytes of copies."""
    return bounds


class _WorkerCounts(_Strict):
    wanted: _Workers
    ready: _Workers
    draining: _Workers
    blocked: _Workers = 0


class _Requests(_Strict):
    success: _Count
    client_error: _Count
    server_error: _Count
    cancelled: _Count
    shed: _Count


class _AcceptQueue(_Strict):
    depth: _Count


class _Threads(_Strict):
    limit: Annotated[int, Field(ge=0, le=1_000_000)]
    busy_seconds: _Seconds
    waiting_seconds: _Seconds

    def plain(self, name: str) -> ThreadPool:
        return ThreadPool(
            name=name,
            limit=self.limit,
            busy_seconds=self.busy_seconds,
            waiting_seconds=self.waiting_seconds,
        )


class _Runtime(_Strict):
    version: _Label = ""
    source: _Label = ""
    python: _Label = ""

    def plain(self, *, loop: str | None, http: str | None) -> PodRuntime:
        return PodRuntime(
            version=self.version,
            source=self.source,
            python=self.python,
            loop=loop or "",
            http=http or "",
        )


class _Stats(_Strict):
    version: Literal[1]
    instance: Annotated[str, Field(min_length=1, max_length=256)]
    ready: bool
    workers: _WorkerCounts
    blocked_at: _Text = ""
    failure: _Text = ""
    requests: _Requests
    in_flight: _Count
    in_flight_seconds: _Seconds
    loop_seconds: _Seconds
    worker_seconds: _Seconds
    cpu_seconds: _Seconds
    upstream_seconds: _Seconds
    loop_cpu_seconds: _Seconds | None = None
    run_queue_seconds: _Seconds | None = None
    rss_bytes: _Count
    cpu_throttled_seconds: _Seconds = 0.0
    cpu_limit_cores: _Seconds = 0.0
    memory_limit_bytes: _Count = 0
    open_connections: _Count
    open_websockets: _Count = 0
    open_streams: _Count = 0
    idle_seconds: _Seconds | None = None
    accept_queue: _AcceptQueue
    worker_limit: _Count = 0
    threads: Annotated[dict[_Name, _Threads], Field(max_length=16)] | None = None
    latency: _Histogram
    ttfb: _Histogram | None = None
    loop_lag: _Histogram
    loop: _Label | None = None
    http: _Label | None = None
    runtime: _Runtime = _Runtime()


def parse(body: bytes, *, pod: str, time: float) -> PodSample:
    """The sample in an answer of ``GET /stats``. Raises ``InvalidStatsError``."""
    try:
        stats = _Stats.model_validate_json(body)
    except ValidationError as error:
        raise InvalidStatsError(_first(error)) from None
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
        latency=stats.latency.plain(),
        loop_lag=stats.loop_lag.plain(),
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
        first_byte=NO_HISTOGRAM if stats.ttfb is None else stats.ttfb.plain(),
    )


def _pools(threads: dict[str, _Threads] | None) -> tuple[ThreadPool, ...] | None:
    return None if threads is None else tuple(p.plain(name) for name, p in threads.items())


def _first(error: ValidationError) -> str:
    detail = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in detail["loc"]) or "answer"
    return f"{where}: {detail['msg']}"
