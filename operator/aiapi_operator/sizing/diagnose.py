"""Diagnoses: conditions that name a problem of the service or its environment and how to fix it.

Every condition is always present: true, false, or unknown when there is no data.
"""

from collections.abc import Callable
from dataclasses import dataclass

from aiapi_operator.present.numbers import count, duration, number, percent
from aiapi_operator.sizing import capacity, windows
from aiapi_operator.sizing.assess import Assessment
from aiapi_operator.sizing.decision import Binding, Condition
from aiapi_operator.sizing.inputs import Fleet, SizingSpec
from aiapi_operator.sizing.limits import ThreadPoolNeed
from aiapi_operator.sizing.rates import FleetSamples
from aiapi_operator.sizing.reasons import format_silent_pods, format_size
from aiapi_operator.sizing.state import Size, State

RAISED_FACTOR = 2.0
"""Latency over its calm level that counts as raised, even within the objective."""
UPSTREAM_SHARE = 0.5
"""Share of the request time that upstreams must explain."""
LOOP_PART = 0.25
"""Share of the latency up to which queueing for the loop is not the cause."""
THROTTLED = 0.05
"""Share of the time a CPU limit may throttle a pod before it is reported."""
PATIENCE = 10.0
"""Seconds that some pods may fail to answer before ``MetricsStale`` is true."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The inputs of the diagnoses for one tick."""

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
        return _condition(kind, None, "NoData", "No latency has been measured recently.")
    latency, rho = assessment.latency.seconds, assessment.load.loop_utilization
    threshold = facts.spec.objective.threshold
    calm = None if facts.state.base is None else facts.state.base.calm
    # A percentile of a few requests is noise.
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
            kind, False, "EventLoopsBusy", "Latency is high and event loops are busy."
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
            f"{numbers} because calls wait for a thread: {number(pool.busy, 2)} threads of the"
            f" {pool.name} pool are busy ({pool.limit} per worker) and {number(pool.waiting, 2)}"
            " calls are waiting."
            f" {_what_threads_do(assessment, pool)} {_ADVICE.get(pool.name, '')}".rstrip(),
        )
    loops = f"the busiest event loop is {percent(rho)} busy"
    if share < UPSTREAM_SHARE:
        return _condition(
            kind,
            False,
            "WaitUnexplained",
            f"{numbers}, but {loops} and upstreams explain only {percent(share)} of the request"
            f" time. {_where_to_look(assessment)}",
        )
    return _condition(
        kind,
        True,
        "UpstreamSlow",
        f"{numbers}. Requests spend {percent(share)} of their time waiting for upstreams and"
        f" {loops} ({number(assessment.load.in_flight or 0.0, 2)} requests in flight)."
        f" {_more_workers(assessment)}: check the upstream's latency, rate limits and connection"
        " limits.",
    )


def _what_threads_do(assessment: Assessment, pool: ThreadPoolNeed) -> str:
    upstream = (assessment.load.upstream_share or 0.0) * (assessment.load.in_flight or 0.0)
    if upstream < UPSTREAM_SHARE * pool.busy:
        return "More workers add threads."
    part = percent(min(1.0, upstream / pool.busy))
    return f"More workers add threads. Calls spend {part} of their time waiting for upstreams."


def _where_to_look(assessment: Assessment) -> str:
    pool, in_flight = assessment.threads, assessment.load.in_flight or 0.0
    if pool is not None and pool.busy > UPSTREAM_SHARE * in_flight:
        return f"Most requests are in a thread ({pool.name}): check the calls made there."
    return "Check locks, thread pools and clients that are not instrumented."


def _more_workers(assessment: Assessment) -> str:
    if assessment.workers.binding is Binding.THREADS:
        return "Workers are added for the threads that calls hold, but calls do not get faster"
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
            return _condition(kind, None, "NoData", "No ready pod can be scraped.")
        return _condition(kind, False, "LoopsTurn", "No event loop has been blocked recently.")
    where = blocked.where or "an unknown location"
    return _condition(
        kind,
        True,
        "BlockingCall",
        f"An event loop in pod {blocked.pod} was blocked at {where}: every request of that"
        " worker waited. Await an async version of the call, or move it to a thread with"
        " asyncio.to_thread.",
    )


def _objective_infeasible(facts: Facts) -> Condition:
    kind = "ObjectiveInfeasible"
    base = facts.state.base
    if base is None or facts.assessment is None:
        return _condition(
            kind, None, "NoData", "No latency has been measured at an idle event loop recently."
        )
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
        f" objective is {threshold}: no number of workers can meet it. Make requests"
        " faster (upstreams first), or set objective.latency.threshold above"
        f" {duration(base.current)}."
        f" Until then, loops are planned at {percent(facts.assessment.target.utilization)}.",
    )


def _metrics_stale(facts: Facts) -> Condition:
    kind = "MetricsStale"
    seen = facts.seen
    if seen.ready == 0:
        return _condition(kind, None, "NoReadyPods", "No pod is ready.")
    if not seen.unknown:
        return _condition(kind, False, "AllPodsAnswer", "Every ready pod can be scraped.")
    since = facts.now if facts.state.unknown_since is None else facts.state.unknown_since
    if not seen.all_unknown and facts.now - since < PATIENCE:
        return _condition(kind, False, "PodsAnswer", "Ready pods can be scraped.")
    names = format_silent_pods(tuple((pod.pod, pod.reason) for pod in seen.unknown))
    who = f"{len(seen.unknown)} of {count(seen.ready, 'ready pod')}"
    meanwhile = (
        "Their load is estimated as the mean of the other pods."
        if seen.mostly_known
        else "The fleet does not scale down until they answer."
    )
    return _condition(
        kind,
        True,
        "NoPodAnswers" if seen.all_unknown else "SomePodsSilent",
        f"{who} cannot be scraped ({names}). {meanwhile} Check that the operator can reach the"
        " pods' admin port (NetworkPolicy, token) and that the pods have enough CPU.",
    )


def _scaling_limited(facts: Facts) -> Condition:
    kind = "ScalingLimited"
    if facts.assessment is None:
        return _condition(kind, None, "NoData", "The need is unknown.")
    need = facts.assessment.need
    most = facts.spec.workers.max * facts.spec.replicas.max
    if need.binding is Binding.CEILING:
        pods = -(-need.workers // facts.spec.workers.max)
        return _condition(
            kind,
            True,
            "MaximumReached",
            f"{number(need.workers)} workers are needed, but at most {most} are allowed"
            f" (replicas.max {facts.spec.replicas.max} x workers.max"
            f" {facts.spec.workers.max}): requests will queue or be rejected. Raise"
            f" replicas.max to {number(pods)}, or raise workers.max.",
        )
    if facts.rate_limited:
        return _condition(
            kind,
            True,
            "RateLimited",
            f"{need.workers} workers are needed, but scaling.scaleUp.maxReplicasPerMinute"
            f" {facts.spec.max_replicas_per_minute} delays new pods. Raise it if the cluster can"
            " start pods faster.",
        )
    return _condition(kind, False, "WithinLimits", "The need is within the limits.")


def _resize_deferred(facts: Facts) -> Condition:
    kind = "ResizeDeferred"
    waiting = facts.fleet.resize_deferred
    if waiting <= 0:
        return _condition(
            kind, False, "NothingWaits", "No in-place resize is waiting for its node."
        )
    return _condition(
        kind,
        True,
        "NodeIsFull",
        f"In-place resize is deferred for {count(waiting, 'pod')}: the node lacks CPU or memory for"
        " more workers. Free resources on the node, lower workers.cpu or workers.max, or let a"
        " node autoscaler add nodes.",
    )


def _workers_failing(facts: Facts) -> Condition:
    kind = "WorkersFailing"
    if not facts.seen.samples:
        return _condition(kind, None, "NoData", "No pod can be scraped.")
    failing = [sample for sample in facts.seen.samples if sample.failure]
    if not failing:
        return _condition(kind, False, "WorkersStart", "Workers start normally.")
    first = failing[0]
    none_serve = not any(sample.workers_ready > 0 for sample in facts.seen.samples)
    return _condition(
        kind,
        True,
        "AppFailed" if none_serve else "SomeWorkersFail",
        f"Workers fail to start in {count(len(failing), 'pod')} (first in {first.pod}):"
        f" {first.failure}. Check spec.app, spec.image and spec.env;"
        f" kubectl logs {first.pod} has the full traceback.",
    )


def _overprovisioned(facts: Facts) -> Condition:
    kind = "Overprovisioned"
    found = facts.state.surplus
    if found is None or facts.assessment is None:
        return _condition(kind, None, "NoData", "The need is unknown.")
    reserve = f"the spare pod costs {_hourly(facts.spec, found.reserve_hour)}"
    if not found.latch.on:
        message = f"No minimum costs much more than the recent load needs; {reserve}."
        return _condition(kind, False, "FloorsFit", message)
    parts = ", ".join(f"{name} adds {_hourly(facts.spec, hour)}" for name, hour in found.parts)
    if not parts:
        return _condition(
            kind,
            True,
            "FloorsHoldMore",
            f"Until recently, minimums kept more than the load needs; {reserve}.",
        )
    return _condition(
        kind,
        True,
        "FloorsHoldMore",
        f"Minimums keep {format_size(found.held)} while the recent load needs"
        f" {format_size(found.lean)}: {parts} ({reserve}). Lower them unless you expect more"
        " load.",
    )


def _hourly(spec: SizingSpec, hour: float) -> str:
    priced = spec.price.cpu_hour + spec.price.memory_gib_hour > 0
    return f"{hour:.3g} {spec.price.currency if priced else 'cores'} per hour"


def _cpu_throttled(facts: Facts) -> Condition:
    kind = "CPUThrottled"
    ticks = facts.state.ticks
    if facts.assessment is None or not ticks:
        return _condition(kind, None, "NoData", "No pod can be scraped.")
    part = windows.mean(ticks, "throttled")
    limits = [s.cpu_limit_cores for s in facts.seen.samples if s.cpu_limit_cores > 0]
    if part < THROTTLED:
        return _condition(kind, False, "NotThrottled", "No CPU limit throttles the pods.")
    limit = f" of {number(min(limits))} cores" if limits else ""
    return _condition(
        kind,
        True,
        "LimitTooLow",
        f"A CPU limit{limit} throttled a pod for {percent(part)} of the last minute. Event loops"
        " look busier than they are, and requests wait. Remove the limit"
        " (podTemplate.spec.containers[app].resources.limits.cpu, or a LimitRange): the CPU request"
        " already gives each worker its share.",
    )


_ADVICE = {
    "anyio": "To need fewer workers, raise the thread limit (anyio's"
    " current_default_thread_limiter() in the app's lifespan) or use async def endpoints.",
    "asyncio": "To need fewer workers, set a larger executor (loop.set_default_executor in the"
    " app's lifespan) or await the calls.",
    "wsgi": "To need fewer workers, raise --threads (AIAPI_THREADS).",
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
