"""Diagnoses: what is wrong with the service or its surroundings, and the way out.

Each is a condition that is always there: true, false, or unknown where there is no data.
"""

from collections.abc import Callable
from dataclasses import dataclass

from aiapi_operator.sizing import capacity, windows
from aiapi_operator.sizing.assess import Assessment
from aiapi_operator.sizing.decision import Binding, Condition
from aiapi_operator.sizing.inputs import Fleet, SizingSpec
from aiapi_operator.sizing.limits import ThreadPoolNeed
from aiapi_operator.sizing.rates import FleetSamples
from aiapi_operator.sizing.reasons import (
    count,
    duration,
    format_silent_pods,
    format_size,
    number,
    percent,
)
from aiapi_operator.sizing.state import Size, State

RAISED_FACTOR = 2.0
"""Latency over its calm level from which it counts as raised, within the objective."""
UPSTREAM_SHARE = 0.5
"""Part of the requests' time that upstreams must explain."""
LOOP_PART = 0.25
"""Part of the latency up to which queueing for the loop is not what raised it."""
THROTTLED = 0.05
"""Part of the time for which a CPU limit may keep a pod from running before that is told."""
PATIENCE = 10.0
"""Seconds for which some pods may be silent before that is worth a condition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One tick as the diagnoses read it."""

    spec: SizingSpec
    state: State
    fleet: Fleet
    seen: FleetSamples
    assessment: Assessment | None
    rate_limited: bool
    size: Size
    now: float


def conditions(facts: Facts) -> tuple[Condition, ...]:
    """All diagnoses, always in the same order."""
    return tuple(check(facts) for check in _CHECKS)


def _condition(kind: str, status: bool | None, reason: str, message: str) -> Condition:
    return Condition(type=kind, status=status, reason=reason, message=message)


def _dependency_bound(facts: Facts) -> Condition:
    kind = "DependencyBound"
    assessment = facts.assessment
    if assessment is None or assessment.latency is None or assessment.load.loop_utilization is None:
        return _condition(kind, None, "NoData", "No latencies were measured lately.")
    latency, rho = assessment.latency.seconds, assessment.load.loop_utilization
    threshold = facts.spec.objective.threshold
    calm = None if facts.state.base is None else facts.state.base.calm
    # A percentile of a handful of requests is noise, and no reason to accuse anybody.
    raised = (
        calm is not None
        and latency > RAISED_FACTOR * calm + 0.005
        and sum(sum(tick.counts) for tick in facts.state.ticks) >= windows.MIN_REQUESTS
    )
    if latency <= threshold and not raised:
        return _condition(kind, False, "LatencyNormal", "Latency is at its usual level.")
    peak = windows.peak_utilization(facts.state.ticks, now=facts.now, latency=latency)
    service = 0.0 if facts.state.service is None else facts.state.service.seconds
    queueing = capacity.queueing_delay(service, facts.spec.objective, peak)
    if peak > assessment.target.utilization + 0.05 or queueing > LOOP_PART * latency:
        return _condition(
            kind, False, "EventLoopsBusy", "Latency is raised, and event loops are busy."
        )
    share = assessment.load.upstream_share or 0.0
    numbers = _latency_numbers(facts.spec, assessment, calm)
    pool = assessment.threads
    if pool is not None and windows.waited_for_threads(
        facts.state.ticks, now=facts.now, latency=latency
    ):
        return _condition(
            kind,
            False,
            "ThreadsBusy",
            f"{numbers}, for calls wait for a thread: {number(pool.busy, 2)} of {pool.name}'s"
            f" threads are busy, {pool.limit} a worker, and {number(pool.waiting, 2)} calls wait."
            f" {_what_threads_do(assessment, pool)} {_ADVICE.get(pool.name, '')}".rstrip(),
        )
    loops = f"the busiest event loop is {percent(rho)} busy"
    if share < UPSTREAM_SHARE:
        return _condition(
            kind,
            False,
            "WaitUnexplained",
            f"{numbers}, yet {loops} and upstreams explain only {percent(share)} of the requests'"
            f" time. {_where_to_look(assessment)}",
        )
    return _condition(
        kind,
        True,
        "UpstreamSlow",
        f"{numbers}. Requests spend {percent(share)} of their time waiting for upstreams and"
        f" {loops} ({number(assessment.load.in_flight or 0.0, 2)} requests in flight)."
        f" {_more_workers(assessment)}: look at the upstream's latency, rate limits and connection"
        " limits.",
    )


def _what_threads_do(assessment: Assessment, pool: ThreadPoolNeed) -> str:
    upstream = (assessment.load.upstream_share or 0.0) * (assessment.load.in_flight or 0.0)
    if upstream < UPSTREAM_SHARE * pool.busy:
        return "More workers bring more threads."
    part = percent(min(1.0, upstream / pool.busy))
    return f"More workers bring more threads. Calls wait for upstreams {part} of the time."


def _where_to_look(assessment: Assessment) -> str:
    pool, in_flight = assessment.threads, assessment.load.in_flight or 0.0
    if pool is not None and pool.busy > UPSTREAM_SHARE * in_flight:
        return f"Most of them are in a thread ({pool.name}): look at the calls that it makes."
    return "Look for locks, thread pools and clients that are not measured."


def _more_workers(assessment: Assessment) -> str:
    if assessment.workers.binding is Binding.THREADS:
        return "Workers are added for the threads that calls hold, and make none of them faster"
    return "More workers or pods would not help"


def _latency_numbers(spec: SizingSpec, assessment: Assessment, calm: float | None) -> str:
    usual = "" if calm is None else f"usually {duration(calm)}, "
    objective = f"objective {duration(spec.objective.threshold)}"
    return f"{_p(spec)} is {_latency(assessment)} ({usual}{objective})"


def _p(spec: SizingSpec) -> str:
    return f"p{spec.objective.percentile:g}"


def _latency(assessment: Assessment) -> str:
    if assessment.latency is None:
        return "unknown"
    at_least = "at least " if assessment.latency.at_least else ""
    return at_least + duration(assessment.latency.seconds)


def _event_loop_blocked(facts: Facts) -> Condition:
    kind = "EventLoopBlocked"
    blocked = facts.state.blocked
    if blocked is None:
        if facts.seen.all_unknown:
            return _condition(kind, None, "NoData", "No ready pod answers.")
        return _condition(kind, False, "LoopsTurn", "No event loop stood still lately.")
    where = blocked.where or "a place that is not known"
    return _condition(
        kind,
        True,
        "BlockingCall",
        f"An event loop in pod {blocked.pod} stood still at {where}: every request of that"
        " worker waits. Await an async version of the call, or move it to a thread with"
        " asyncio.to_thread.",
    )


def _objective_infeasible(facts: Facts) -> Condition:
    kind = "ObjectiveInfeasible"
    base = facts.state.base
    if base is None or facts.assessment is None:
        return _condition(kind, None, "NoData", "No latency was measured at an idle loop lately.")
    threshold = duration(facts.spec.objective.threshold)
    if not facts.state.infeasible.on:
        return _condition(
            kind,
            False,
            "WithinReach",
            f"At an idle event loop {_p(facts.spec)} is {duration(base.current)}; the objective is"
            f" {threshold}.",
        )
    return _condition(
        kind,
        True,
        "BaseLatencyTooHigh",
        f"{_p(facts.spec)} is {duration(base.current)} even at an idle event loop, and the"
        f" objective is {threshold}: no number of workers meets it. Make the request itself"
        " faster (its upstreams first), or set objective.latency.threshold above"
        f" {duration(base.current)}."
        f" Until then loops are planned at {percent(facts.assessment.target.utilization)}.",
    )


def _metrics_stale(facts: Facts) -> Condition:
    kind = "MetricsStale"
    seen = facts.seen
    if seen.ready == 0:
        return _condition(kind, None, "NoReadyPods", "No pod is ready, so none is asked.")
    if not seen.unknown:
        return _condition(kind, False, "AllPodsAnswer", "Every ready pod answers.")
    since = facts.now if facts.state.unknown_since is None else facts.state.unknown_since
    if not seen.all_unknown and facts.now - since < PATIENCE:
        return _condition(kind, False, "PodsAnswer", "Ready pods answer.")
    names = format_silent_pods(tuple((pod.pod, pod.reason) for pod in seen.unknown))
    who = f"{len(seen.unknown)} of {count(seen.ready, 'ready pod')}"
    meanwhile = (
        "They count as the mean of the others."
        if seen.mostly_known
        else "Nothing is scaled down meanwhile."
    )
    verb = "does" if len(seen.unknown) == 1 else "do"
    return _condition(
        kind,
        True,
        "NoPodAnswers" if seen.all_unknown else "SomePodsSilent",
        f"{who} {verb} not answer ({names}). {meanwhile} Check that the"
        " operator reaches the pods' admin port (NetworkPolicy, token) and that the pods are not"
        " starved of CPU.",
    )


def _scaling_limited(facts: Facts) -> Condition:
    kind = "ScalingLimited"
    if facts.assessment is None:
        return _condition(kind, None, "NoData", "The need is not known.")
    need = facts.assessment.need
    most = facts.spec.workers.max * facts.spec.replicas.max
    if need.binding is Binding.CEILING:
        pods = -(-need.workers // facts.spec.workers.max)
        return _condition(
            kind,
            True,
            "MaximumReached",
            f"{number(need.workers)} workers are needed and at most {most} allowed"
            f" (replicas.max {facts.spec.replicas.max} x workers.max"
            f" {facts.spec.workers.max}): requests will wait or be shed. Raise"
            f" replicas.max to {number(pods)}, or workers.max.",
        )
    if facts.rate_limited:
        return _condition(
            kind,
            True,
            "RateLimited",
            f"{need.workers} workers are needed; scaling.scaleUp.maxReplicasPerMinute"
            f" {facts.spec.max_replicas_per_minute} delays their pods. Raise it if the cluster can"
            " take it.",
        )
    return _condition(kind, False, "WithinLimits", "The limits leave room for the need.")


def _resize_deferred(facts: Facts) -> Condition:
    kind = "ResizeDeferred"
    waiting = facts.fleet.resize_deferred
    if waiting <= 0:
        return _condition(kind, False, "NothingWaits", "No in-place resize waits for its node.")
    return _condition(
        kind,
        True,
        "NodeIsFull",
        f"{count(waiting, 'pod')} wait for room on their node for the CPU and memory of more"
        " workers. Free the node, lower workers.cpu or workers.max, or let a node autoscaler"
        " add nodes.",
    )


def _workers_failing(facts: Facts) -> Condition:
    kind = "WorkersFailing"
    if not facts.seen.samples:
        return _condition(kind, None, "NoData", "No pod answers.")
    failing = [sample for sample in facts.seen.samples if sample.failure]
    if not failing:
        return _condition(kind, False, "WorkersStart", "Workers start.")
    first = failing[0]
    none_serve = not any(sample.workers_ready > 0 for sample in facts.seen.samples)
    return _condition(
        kind,
        True,
        "AppFailed" if none_serve else "SomeWorkersFail",
        f"Workers do not start in {count(len(failing), 'pod')} (first in {first.pod}):"
        f" {first.failure}. Check what it names: spec.app, spec.image, or a setting in spec.env;"
        f" kubectl logs {first.pod} has all of it.",
    )


def _overprovisioned(facts: Facts) -> Condition:
    kind = "Overprovisioned"
    found = facts.state.surplus
    if found is None or facts.assessment is None:
        return _condition(kind, None, "NoData", "The need is not known.")
    reserve = f"the pod in reserve costs {_hourly(facts.spec, found.reserve_hour)}"
    if not found.latch.on:
        said = f"No floor holds much more than the load has needed lately; {reserve}."
        return _condition(kind, False, "FloorsFit", said)
    parts = ", ".join(f"{name} costs {_hourly(facts.spec, hour)}" for name, hour in found.parts)
    if not parts:
        return _condition(
            kind, True, "FloorsHoldMore", f"Floors held more a moment ago; {reserve}."
        )
    return _condition(
        kind,
        True,
        "FloorsHoldMore",
        f"Floors hold {format_size(found.held)} where the load has lately needed"
        f" {format_size(found.lean)}: {parts} more ({reserve}). Lower them, unless they are"
        " there for a load to come.",
    )


def _hourly(spec: SizingSpec, hour: float) -> str:
    priced = spec.price.cpu_hour + spec.price.memory_gib_hour > 0
    return f"{hour:.3g} {spec.price.currency if priced else 'cores'} an hour"


def _cpu_throttled(facts: Facts) -> Condition:
    kind = "CPUThrottled"
    ticks = facts.state.ticks
    if facts.assessment is None or not ticks:
        return _condition(kind, None, "NoData", "No pod answers.")
    part = windows.mean(ticks, "throttled")
    limits = [s.cpu_limit_cores for s in facts.seen.samples if s.cpu_limit_cores > 0]
    if part < THROTTLED:
        return _condition(kind, False, "NotThrottled", "No CPU limit holds up the pods.")
    limit = f" of {number(min(limits))} cores" if limits else ""
    return _condition(
        kind,
        True,
        "LimitTooLow",
        f"A CPU limit{limit} kept a pod from running for {percent(part)} of the last minute. Event"
        " loops look busier than they are, and requests wait. Remove the limit"
        " (podTemplate.spec.containers[app].resources.limits.cpu, or a LimitRange): the request"
        " already gives each worker its share.",
    )


_ADVICE = {
    "anyio": "Fewer are needed with a larger limiter (anyio's current_default_thread_limiter() in"
    " the app's lifespan), or with async def endpoints that await their calls.",
    "asyncio": "Fewer are needed with a larger executor (loop.set_default_executor in the app's"
    " lifespan), or with calls that are awaited.",
    "wsgi": "Fewer are needed with more --threads (AIAPI_THREADS).",
}

_CHECKS: tuple[Callable[[Facts], Condition], ...] = (
    _dependency_bound,
    _event_loop_blocked,
    _objective_infeasible,
    _metrics_stale,
    _scaling_limited,
    _resize_deferred,
    _workers_failing,
    _overprovisioned,
    _cpu_throttled,
)
