"""The sentences: what a decision hangs on, with numbers and units, short enough for a terminal."""

from math import ceil

from aiapi_operator.sizing import floors
from aiapi_operator.sizing.assess import Assessment
from aiapi_operator.sizing.capacity import CAUTIOUS_UTILIZATION
from aiapi_operator.sizing.decision import Binding, Verdict
from aiapi_operator.sizing.guards import Move
from aiapi_operator.sizing.inputs import SizingSpec
from aiapi_operator.sizing.limits import FULL_SHARE
from aiapi_operator.sizing.state import Size

AHEAD = 180.0
"""Seconds. Pods are ordered for a jump that is nearer than 35 s and their start."""
MIN_JUMP = 1.05


def number(value: float, digits: int = 3) -> str:
    """``value`` to so many significant digits: 412.3 -> 412, 0.6049 -> 0.605, 12345 -> 12,300."""
    rounded = float(f"{value:.{digits}g}")
    if rounded == int(rounded) and abs(rounded) < 1e15:
        return f"{int(rounded):,}"
    return f"{rounded:.{digits}g}"


def duration(seconds: float, digits: int = 2) -> str:
    """Seconds as people write them: 0.0091 -> 9.1 ms, 2.41 -> 2.4 s."""
    if seconds == 0:
        return "0 ms"
    if seconds < 0.001:
        return f"{number(seconds * 1e6, digits)} us"
    if seconds < 1:
        return f"{number(seconds * 1000, digits)} ms"
    return f"{number(seconds, max(digits, 2))} s"


def percent(part: float) -> str:
    """A part as a percentage: 0.314 -> 31 %."""
    return f"{round(100 * part)} %"


def count(many: int, noun: str) -> str:
    """1 pod, 2 pods."""
    return f"{many} {noun}" if many == 1 else f"{many} {noun}s"


def format_size(size: Size) -> str:
    """2 pods x 3."""
    return f"{count(size.replicas, 'pod')} x {size.workers}"


def describe_change(before: Size, after: Size) -> str:
    """2 pods x 3 -> 2 pods x 4, or: 2 pods x 3 stay."""
    if before == after:
        return f"{format_size(after)} {'stays' if after.replicas == 1 else 'stay'}"
    return f"{format_size(before)} -> {format_size(after)}"


def describe(
    spec: SizingSpec,
    assessment: Assessment,
    move: Move,
    *,
    verdict: Verdict,
    running: Size,
) -> str:
    """Why this fleet, in one sentence.

    8 workers needed: 412 rps expected in 35 s x 9.1 ms / 0.61; 2 pods x 3 -> 2 pods x 4
    """
    parts = [
        describe_need(spec, assessment),
        describe_change(running, move.size) + _spare(assessment, move.size),
    ]
    kept = _held(verdict, move, spec)
    return "; ".join(part for part in (*parts, *_doubts(assessment), kept) if part)


def _doubts(assessment: Assessment) -> tuple[str, ...]:
    """What is not known well, or not taken at its word."""
    service = assessment.service
    doubts = []
    if service is not None and not service.confident:
        known = f"c is known from {count(service.requests, 'request')} only"
        if service.requests == 0:
            known = "c is as it was before the operator started"
        doubts.append(f"{known}: loops are planned at {percent(CAUTIOUS_UTILIZATION)} at most")
    jump = assessment.demand.daily.ratio(AHEAD)
    if jump >= MIN_JUMP:
        doubts.append(f"a jump x{number(jump, 2)} is expected within 3 min, as on other days")
    if assessment.retried >= 1:
        doubts.append(f"{number(assessment.retried)} rps more are taken for retries of failures")
    return tuple(doubts)


def describe_need(spec: SizingSpec, assessment: Assessment) -> str:
    """How many workers are needed, and from which numbers that follows."""
    need, wanted, service = assessment.need, assessment.workers, assessment.service
    target = f"{assessment.target.utilization:.2f}"
    busy = wanted.total * assessment.target.utilization
    workers = f"{count(need.workers, 'worker')} needed"
    if wanted.binding is Binding.CONCURRENCY:
        limit = f"({assessment.limit} a worker x {FULL_SHARE:g})"
        why = f"{number(wanted.in_flight)} requests in flight expected / {limit}"
    elif wanted.binding is Binding.THREADS and assessment.threads is not None:
        pool = assessment.threads
        limit = f"({pool.limit} a worker x {number(pool.planned_share, 2)})"
        why = f"{number(wanted.threads)} busy threads ({pool.name}) expected / {limit}"
    elif service is None or wanted.expected * service.seconds < busy * (1 - 1e-9):
        why = f"event loops use {number(busy, 2)} s a second / {target}"
    else:
        expected = f"{number(wanted.expected)} rps expected in {duration(wanted.lead)}"
        why = f"{expected} x {duration(service.seconds)} / {target}"
    if need.binding in (Binding.FLOOR, Binding.MEMORY):
        floor = _floor(spec, need.binding)
        return f"{workers} at least ({floor}; load asks for {number(wanted.total, 2)}: {why})"
    return f"{workers}: {why}"


def _floor(spec: SizingSpec, binding: Binding) -> str:
    if binding is Binding.MEMORY:
        return f"{count(spec.memory_pods, 'pod')} for the memory of requests in flight"
    least = f"{count(spec.replicas.min, 'pod')} x {spec.workers.min}"
    if spec.floors:
        return f"schedule {floors.names(spec.floors)}: {least}"
    return f"workers.min {spec.workers.min} x replicas.min {spec.replicas.min}"


def _spare(assessment: Assessment, size: Size) -> str:
    """Says so when the loss of a pod asks for more workers than the load does."""
    if size.replicas < 2:
        return ""
    load = max(1, ceil(assessment.workers.total / size.replicas - 1e-9))
    survive = ceil(assessment.workers.survivors / (size.replicas - 1) - 1e-9)
    return " (so that one pod can be lost)" if survive == size.workers > load else ""


def _held(verdict: Verdict, move: Move, spec: SizingSpec) -> str:
    """What keeps a larger fleet than is needed now, or a smaller one."""
    if verdict is Verdict.WARMING_UP:
        return "nothing shrinks until a whole stabilisation window has been seen since the start"
    if verdict is Verdict.LIMITED and move.rate_limited:
        return f"{spec.max_replicas_per_minute} new pods a minute are allowed"
    if verdict is Verdict.LIMITED:
        return f"{count(spec.replicas.max, 'pod')} x {spec.workers.max} is the maximum"
    if verdict is not Verdict.STABILIZING:
        return ""
    waits = []
    if move.uneven:
        waits.append("fewer workers once no pod has more to do than the others")
    elif move.workers_held:
        waits.append(f"fewer workers once less was needed for {duration(spec.workers_down_after)}")
    if move.replicas_held:
        waits.append("fewer pods once that has paid")
    return ", ".join(waits)


def format_silent_pods(pods: tuple[tuple[str, str], ...]) -> str:
    """Names a few pods that did not answer, with why."""
    shown = ", ".join(f"{name}: {reason}" if reason else name for name, reason in pods[:3])
    more = len(pods) - 3
    return f"{shown} and {more} more" if more > 0 else shown
