"""What would change a decision: from the status and the spec, in sentences with numbers. Pure."""

from collections.abc import Callable
from typing import Any

from aiapi_operator.api.duration import format_duration
from aiapi_operator.api.summary import AIApiSummary, fraction, number, seconds

BINDING_DESCRIPTIONS = {
    "EventLoop": "event-loop time: requests expected x loop time of a request / utilisation aimed"
    " at",
    "Concurrency": "requests in flight against what a worker takes at once"
    " (spec.workers.maxConcurrency, or the service's own --limit)",
    "Threads": "busy threads against the threads of a worker",
    "Memory": "memory of the workers",
    "Floor": "the floor: spec.replicas.min x spec.workers.min",
    "Schedule": "the floor of a schedule",
    "Ceiling": "the ceiling: spec.replicas.max x spec.workers.max",
    "Held": "nothing is known now, so what runs is kept",
}


def describe_binding(view: AIApiSummary) -> str:
    """What sets the number of workers."""
    name = str(view.need.get("binding", ""))
    return BINDING_DESCRIPTIONS.get(name, "") if name else "no decision was taken yet"


def what_would_change_it(view: AIApiSummary, spec: dict[str, Any]) -> list[str]:
    """The nearest things that would make the answer another one."""
    if view.mode == "Paused":
        return [f"spec.scaling.mode is Paused: kubectl aiapi resume {view.name}"]
    told = _TELLERS.get(str(view.need.get("binding", "")), _nothing)(view, spec)
    if view.mode == "Recommend":
        told.append(f"nothing is acted on in mode Recommend: kubectl aiapi resume {view.name}")
    return told + _waiting(view, spec)


def _nothing(_view: AIApiSummary, _spec: dict[str, Any]) -> list[str]:
    return []


def _loop(view: AIApiSummary, _spec: dict[str, Any]) -> list[str]:
    need = view.need
    demand, service = number(need.get("demandPerSecond")), seconds(need.get("serviceDemand"))
    target, workers = fraction(need.get("targetUtilization")), int(need.get("workers", 0))
    if not demand or not service or not target or not workers:
        return []
    each = target / service
    more = (
        f"above about {workers * each:.0f} rps expected ({demand:.0f} now) one more worker is"
        f" needed: each carries {each:.0f} rps at {round(100 * target)}%"
    )
    told = [more]
    if workers > 1:
        told.append(f"below about {(workers - 1) * each:.0f} rps one fewer is")
        half = max(1, -(-workers // 2))
        told.append(
            f"if a request cost {format_duration(service / 2)} of loop time instead of"
            f" {format_duration(service)}, about {half} of the {workers} workers would do"
        )
    return told


def _floor(view: AIApiSummary, spec: dict[str, Any]) -> list[str]:
    replicas = (spec.get("replicas") or {}).get("min", 2)
    workers = (spec.get("workers") or {}).get("min", 1)
    lower = (
        f"a lower spec.replicas.min ({replicas} now) or spec.workers.min ({workers} now): the load"
        " asks for no more than the floor"
    )
    told = [lower]
    service, target = (
        seconds(view.need.get("serviceDemand")),
        fraction(view.need.get("targetUtilization")),
    )
    if service and target:
        total = int(view.need.get("workers", 0)) or replicas * workers
        told.append(f"more load than about {total * target / service:.0f} rps expected")
    return told


def _ceiling(_view: AIApiSummary, spec: dict[str, Any]) -> list[str]:
    replicas = (spec.get("replicas") or {}).get("max", 20)
    workers = (spec.get("workers") or {}).get("max", 8)
    higher = (
        f"a higher spec.replicas.max ({replicas} now) or spec.workers.max ({workers} now): the"
        " load asks for more than they allow"
    )
    return [higher]


def _concurrency(_view: AIApiSummary, spec: dict[str, Any]) -> list[str]:
    limit = (spec.get("workers") or {}).get("maxConcurrency", 0)
    now = f"{limit} now" if limit else "not set: the service's own --limit or --threads binds"
    return [f"a higher spec.workers.maxConcurrency ({now}), or fewer requests in flight"]


def _threads(_view: AIApiSummary, _spec: dict[str, Any]) -> list[str]:
    more = (
        "more threads in a worker: anyio's limiter (40) or the loop's executor in the app's"
        " lifespan, --threads for WSGI apps"
    )
    return [
        more,
        "calls that hold threads for less time, or that are awaited (async def) and hold none",
    ]


def _held(view: AIApiSummary, _spec: dict[str, Any]) -> list[str]:
    return [f"answers of the pods: {view.decision.get('message', 'no metrics')}"]


def _waiting(view: AIApiSummary, spec: dict[str, Any]) -> list[str]:
    """What is decided, and waits for its time."""
    if view.decision.get("reason") != "Stabilizing":
        return []
    down = (spec.get("scaling") or {}).get("scaleDown") or {}
    after, later = down.get("workersAfter", "30s"), down.get("replicasAfter", "300s")
    workers = f"time: fewer workers when the need stays lower for {after}"
    pods = f"fewer pods when that pays, if the rest can carry the highest need of the last {later}"
    return [f"{workers}; {pods}"]


_TELLERS: dict[str, Callable[[AIApiSummary, dict[str, Any]], list[str]]] = {
    "EventLoop": _loop,
    "Floor": _floor,
    "Schedule": _floor,
    "Ceiling": _ceiling,
    "Concurrency": _concurrency,
    "Threads": _threads,
    "Held": _held,
}
