"""Builds the message of a decision: one sentence with numbers and units, fit for a terminal."""

from math import ceil

from aiapi_operator.present.numbers import count, duration, number, percent
from aiapi_operator.sizing import floors
from aiapi_operator.sizing.assess import Assessment
from aiapi_operator.sizing.capacity import CAUTIOUS_UTILIZATION
from aiapi_operator.sizing.decision import Binding, Verdict
from aiapi_operator.sizing.guards import Move
from aiapi_operator.sizing.inputs import SizingSpec
from aiapi_operator.sizing.limits import FULL_SHARE
from aiapi_operator.sizing.state import Size

AHEAD = 180.0
"""Seconds ahead within which an expected jump is mentioned."""
MIN_JUMP = 1.05


def format_size(size: Size) -> str:
    """A fleet as pods x workers: 2 pods x 3."""
    return f"{count(size.replicas, 'pod')} x {size.workers}"


def describe_change(before: Size, after: Size) -> str:
    """2 pods x 3 -> 2 pods x 4, or: keeping 2 pods x 3 workers."""
    if before == after:
        return f"keeping {count(after.replicas, 'pod')} x {count(after.workers, 'worker')}"
    return f"{format_size(before)} -> {format_size(after)}"


def describe(
    spec: SizingSpec,
    assessment: Assessment,
    move: Move,
    *,
    verdict: Verdict,
    running: Size,
) -> str:
    """The message of a decision, in one sentence.

    8 workers needed: 412 rps expected in 35 s x 9.1 ms / 0.61; 2 pods x 3 -> 2 pods x 4
    """
    parts = [
        describe_need(spec, assessment),
        describe_change(running, move.size) + _spare(assessment, move.size),
    ]
    kept = _held(verdict, move, spec)
    return "; ".join(part for part in (*parts, *_doubts(assessment), kept) if part)


def _doubts(assessment: Assessment) -> tuple[str, ...]:
    """Notes on data that is uncertain or was corrected."""
    service = assessment.service
    doubts = []
    if service is not None and not service.confident:
        known = f"service demand is based on only {count(service.requests, 'request')}"
        if service.requests == 0:
            known = "service demand dates from before the operator started"
        limit = percent(CAUTIOUS_UTILIZATION)
        doubts.append(f"{known}: planning for at most {limit} loop utilization")
    jump = assessment.demand.daily.ratio(AHEAD)
    if jump >= MIN_JUMP:
        doubts.append(f"a x{number(jump, 2)} jump is expected within 3 min, as on previous days")
    if assessment.retried >= 1:
        doubts.append(f"{number(assessment.retried)} rps are excluded as retries of failures")
    return tuple(doubts)


def describe_need(spec: SizingSpec, assessment: Assessment) -> str:
    """How many workers are needed, and the numbers behind it."""
    need, wanted, service = assessment.need, assessment.workers, assessment.service
    target = f"{assessment.target.utilization:.2f}"
    busy = wanted.total * assessment.target.utilization
    workers = f"{count(need.workers, 'worker')} needed"
    if wanted.binding is Binding.CONCURRENCY:
        limit = f"({assessment.limit} per worker x {FULL_SHARE:g})"
        why = f"{number(wanted.in_flight)} requests in flight expected / {limit}"
    elif wanted.binding is Binding.THREADS and assessment.threads is not None:
        pool = assessment.threads
        limit = f"({pool.limit} per worker x {number(pool.planned_share, 2)})"
        why = f"{number(wanted.threads)} busy threads ({pool.name}) expected / {limit}"
    elif service is None or wanted.expected * service.seconds < busy * (1 - 1e-9):
        why = f"event loops use {number(busy, 2)} s per second / {target}"
    else:
        expected = f"{number(wanted.expected)} rps expected in {duration(wanted.lead)}"
        why = f"{expected} x {duration(service.seconds)} / {target}"
    if need.binding in (Binding.FLOOR, Binding.MEMORY):
        floor = _floor(spec, need.binding)
        return f"at least {workers} ({floor}; the load needs {number(wanted.total, 2)}: {why})"
    return f"{workers}: {why}"


def _floor(spec: SizingSpec, binding: Binding) -> str:
    if binding is Binding.MEMORY:
        return f"{count(spec.memory_pods, 'pod')} for the memory of requests in flight"
    least = f"{count(spec.replicas.min, 'pod')} x {spec.workers.min}"
    if spec.floors:
        return f"schedule {floors.names(spec.floors)}: {least}"
    return f"workers.min {spec.workers.min} x replicas.min {spec.replicas.min}"


def _spare(assessment: Assessment, size: Size) -> str:
    """A note when tolerating the loss of a pod takes more workers than the load does."""
    if size.replicas < 2:
        return ""
    load = max(1, ceil(assessment.workers.total / size.replicas - 1e-9))
    survive = ceil(assessment.workers.survivors / (size.replicas - 1) - 1e-9)
    return " (tolerates the loss of one pod)" if survive == size.workers > load else ""


def _held(verdict: Verdict, move: Move, spec: SizingSpec) -> str:
    """Why the fleet is larger or smaller than needed now."""
    if verdict is Verdict.WARMING_UP:
        return "no scale-down until a full stabilization window has passed since startup"
    if verdict is Verdict.LIMITED and move.rate_limited:
        return f"limited to {count(spec.max_replicas_per_minute, 'new pod')} per minute"
    if verdict is Verdict.LIMITED:
        return f"the maximum is {count(spec.replicas.max, 'pod')} x {spec.workers.max}"
    if verdict is not Verdict.STABILIZING:
        return ""
    waits = []
    if move.uneven:
        waits.append("workers scale down once the load is even across pods")
    elif move.workers_held:
        after = duration(spec.workers_down_after)
        waits.append(f"workers scale down once the need has been lower for {after}")
    if move.replicas_held:
        waits.append("pods scale down once the saving exceeds the cost of moving")
    return ", ".join(waits)


def format_silent_pods(pods: tuple[tuple[str, str], ...]) -> str:
    """The first three pods that cannot be scraped, with the reasons."""
    shown = ", ".join(f"{name}: {reason}" if reason else name for name, reason in pods[:3])
    more = len(pods) - 3
    return f"{shown} and {more} more" if more > 0 else shown
