"""Samples, ticks and facts for tests of one entry alone."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from unit.sizing.fleet_model import spec

from aiapi_operator.sizing import rates
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.inputs import Fleet, Histogram, PodSample, PodUnknown, SizingSpec
from aiapi_operator.sizing.state import Outcome, Size, Tick
from aiapi_operator.sizing.windows import append

S = TypeVar("S")


def tick(at: float, **changes: Any) -> Tick:
    """Two seconds that end at ``at``: 100 rps of 9.2 ms on 4 workers, each waiting 0.29 s."""
    usual: dict[str, Any] = {
        "time": at,
        "seconds": 2.0,
        "arrivals": 100.0,
        "completed": 100.0,
        "shed": 0.0,
        "in_flight": 30.0,
        "loop": 0.92,
        "workers": 4.0,
        "busiest": 0.25,
        "heaviest": 0.5,
        "upstream": 29.0,
        "bounds": (0.1, 0.2),
        "counts": (0, 200, 0),
    }
    return Tick(**(usual | changes))


def row(count: int = 30, *, start: float = 0.0, **changes: Any) -> tuple[Tick, ...]:
    """Equal ticks, 2 s apart, from ``start`` on."""
    return tuple(tick(start + 2.0 * i, **changes) for i in range(1, count + 1))


def pod(at: float, name: str = "a", **changes: Any) -> PodSample:
    """One scrape of a pod with two workers."""
    usual: dict[str, Any] = {
        "pod": name,
        "time": at,
        "instance": "one",
        "ready": True,
        "workers_wanted": 2,
        "workers_ready": 2,
        "workers_draining": 0,
        "workers_blocked": 0,
        "blocked_at": "",
        "failure": "",
        "succeeded": 100,
        "client_errors": 0,
        "server_errors": 0,
        "cancelled": 0,
        "shed": 0,
        "in_flight_seconds": 0.0,
        "loop_seconds": 1.0,
        "worker_seconds": 100.0,
        "cpu_seconds": 1.0,
        "upstream_seconds": 0.0,
        "latency": Histogram(bounds=(0.1, 1.0), counts=(1, 1, 0), sum=0.0),
        "in_flight": 4,
        "open_connections": 0,
        "accept_queue_depth": 0,
        "rss_bytes": 0,
    }
    return PodSample(**(usual | changes))


def facts(
    ticks: Sequence[Tick] = (),
    *,
    user_spec: SizingSpec | None = None,
    known: Iterable[Any] = (),
    now: float | None = None,
    pods: Sequence[PodSample | PodUnknown] = (),
    running: Size | None = None,
    last: Outcome | None = None,
    since: float = 0.0,
    gap: bool = False,
) -> Facts:
    """The facts of the newest of ``ticks``; ``known`` is what other learners know."""
    now = now if now is not None else ticks[-1].time if ticks else 0.0
    user_spec = spec() if user_spec is None else user_spec
    size = running or Size(workers=2, replicas=2)
    fleet = Fleet(replicas=size.replicas, pods=tuple(pods))
    return Facts(
        spec=user_spec,
        fleet=fleet,
        seen=rates.validate(fleet, now=now, interval=user_spec.interval),
        ticks=tuple(ticks),
        tick=ticks[-1] if ticks else None,
        known=bool(ticks),
        gap=gap,
        now=now,
        since=since,
        elapsed=0.0 if last is None else now - last.time,
        last=last,
        running=size,
        base=size,
        memory={type(each): each for each in known},
    )


def learned(
    learn: Callable[[S | None, Facts], S | None],
    ticks: Iterable[Tick],
    start: S | None = None,
    **others: Any,
) -> S | None:
    """What is known after ``ticks``, one after the other; ``others`` as for ``facts``."""
    seen: tuple[Tick, ...] = ()
    for each in ticks:
        seen = append(seen, each, now=each.time)
        start = learn(start, facts(seen, **others))
    return start
