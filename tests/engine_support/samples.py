"""Samples of pods with default values."""

from typing import Any

from msgspec.structs import replace

from aiapi_operator.sizing.inputs import Histogram, PodSample

_NONE = Histogram(bounds=(0.1, 1.0), counts=(0, 0, 0), sum=0.0)


def sample(pod: str = "a-1", *, workers: int = 1, time: float = 0.0, **changes: Any) -> PodSample:
    """A sample of an idle pod with ``workers`` wanted and ready workers."""
    idle = PodSample(
        pod=pod,
        time=time,
        instance=f"{pod}-instance",
        ready=True,
        workers_wanted=workers,
        workers_ready=workers,
        workers_draining=0,
        workers_blocked=0,
        blocked_at="",
        failure="",
        succeeded=0,
        client_errors=0,
        server_errors=0,
        cancelled=0,
        shed=0,
        in_flight_seconds=0.0,
        loop_seconds=0.0,
        worker_seconds=time * workers,
        cpu_seconds=0.0,
        upstream_seconds=0.0,
        latency=_NONE,
        in_flight=0,
        open_connections=0,
        accept_queue_depth=0,
        rss_bytes=10**8,
    )
    return replace(idle, **changes)
