"""Which constraint binds a decision, and what would change it: sentences with numbers. Pure."""

from collections.abc import Callable
from typing import Any

from aiapi_operator.api.duration import format_duration
from aiapi_operator.api.summary import AIApiSummary, fraction, number, seconds
from aiapi_operator.plugin import activation

BINDING_DESCRIPTIONS = {
    "EventLoop": "event-loop time: expected requests x loop time per request / target utilization",
    "Concurrency": "requests in flight / the concurrency of a worker"
    " (spec.workers.maxConcurrency, or the --limit of the service)",
    "Threads": "busy threads / the threads of a worker",
    "Memory": "memory of the workers",
    "Floor": "the floor: spec.replicas.min x spec.workers.min",
    "Schedule": "the floor of a schedule",
    "Ceiling": "the ceiling: spec.replicas.max x spec.workers.max",
    "Held": "no current metrics: the fleet is kept",
}


def describe_binding(view: AIApiSummary) -> str:
    """The constraint that sets the number of workers."""
    if view.is_asleep:
        return "nobody sends requests: no pod runs"
    name = str(view.need.get("binding", ""))
    return BINDING_DESCRIPTIONS.get(name, "") if name else "no decision yet"


def what_would_change_it(view: AIApiSummary, spec: dict[str, Any]) -> list[str]:
    """The smallest changes that would lead to another decision."""
    if view.mode == "Paused":
        return [f"spec.scaling.mode is Paused: kubectl aiapi resume {view.name}"]
    if view.is_asleep:
        return activation.what_wakes(view, spec)
    changes = _BY_BINDING.get(str(view.need.get("binding", "")), _nothing)(view, spec)
    if view.mode == "Recommend":
        changes.append(
            f"decisions are not applied in mode Recommend: kubectl aiapi resume {view.name}"
        )
    return changes + _stabilizing(view, spec) + activation.what_sleeps(view, spec)


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
        f"above about {workers * each:.0f} expected rps (now {demand:.0f}): one more worker, as"
        f" each serves {each:.0f} rps at {round(100 * target)}%"
    )
    changes = [more]
    if workers > 1:
        changes.append(f"below about {(workers - 1) * each:.0f} expected rps: one worker fewer")
        half = max(1, -(-workers // 2))
        changes.append(
            f"loop time of {format_duration(service / 2)} per request instead of"
            f" {format_duration(service)}: about {half} instead of {workers} workers"
        )
    return changes


def _floor(view: AIApiSummary, spec: dict[str, Any]) -> list[str]:
    replicas = (spec.get("replicas") or {}).get("min", 2)
    workers = (spec.get("workers") or {}).get("min", 1)
    lower = (
        f"a lower spec.replicas.min (now {replicas}) or spec.workers.min (now {workers}): the load"
        " needs no more than the floor"
    )
    changes = [lower]
    service, target = (
        seconds(view.need.get("serviceDemand")),
        fraction(view.need.get("targetUtilization")),
    )
    if service and target:
        total = int(view.need.get("workers", 0)) or replicas * workers
        changes.append(f"more load than about {total * target / service:.0f} expected rps")
    return changes


def _ceiling(_view: AIApiSummary, spec: dict[str, Any]) -> list[str]:
    replicas = (spec.get("replicas") or {}).get("max", 20)
    workers = (spec.get("workers") or {}).get("max", 8)
    higher = (
        f"a higher spec.replicas.max (now {replicas}) or spec.workers.max (now {workers}): the"
        " load needs more than they allow"
    )
    return [higher]


def _concurrency(_view: AIApiSummary, spec: dict[str, Any]) -> list[str]:
    limit = (spec.get("workers") or {}).get("maxConcurrency", 0)
    now = f"now {limit}" if limit else "not set: the --limit or --threads of the service binds"
    return [f"a higher spec.workers.maxConcurrency ({now}), or fewer requests in flight"]


def _threads(_view: AIApiSummary, _spec: dict[str, Any]) -> list[str]:
    more = (
        "more threads per worker: anyio's limiter (40) or the loop's executor in the app's"
        " lifespan, --threads for WSGI apps"
    )
    return [
        more,
        "calls that block a thread for less time, or async calls (async def), which need none",
    ]


def _held(view: AIApiSummary, _spec: dict[str, Any]) -> list[str]:
    return [f"responses of the pods: {view.decision.get('message', 'no metrics')}"]


def _stabilizing(view: AIApiSummary, spec: dict[str, Any]) -> list[str]:
    """When a stabilizing scale-down happens."""
    if view.decision.get("reason") != "Stabilizing":
        return []
    down = (spec.get("scaling") or {}).get("scaleDown") or {}
    after, later = down.get("workersAfter", "30s"), down.get("replicasAfter", "300s")
    workers = f"fewer workers when the need stays lower for {after}"
    pods = (
        "fewer pods when the saving exceeds the cost of moving and the others can serve the highest"
        f" need of the last {later}"
    )
    return [f"{workers}; {pods}"]


_BY_BINDING: dict[str, Callable[[AIApiSummary, dict[str, Any]], list[str]]] = {
    "EventLoop": _loop,
    "Floor": _floor,
    "Schedule": _floor,
    "Ceiling": _ceiling,
    "Concurrency": _concurrency,
    "Threads": _threads,
    "Held": _held,
}
