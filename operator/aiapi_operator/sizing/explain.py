"""Explain: the message of a decision, and the numbers behind it as in the status."""

from collections.abc import Iterator, Sequence
from math import ceil

from aiapi_operator.present.numbers import count, number, percent
from aiapi_operator.sizing.decision import Binding, Load, Need, Verdict
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.guards.guarded import Guarded
from aiapi_operator.sizing.inputs import ObjectiveKind
from aiapi_operator.sizing.learners import daily_profile
from aiapi_operator.sizing.learners.failed_requests import FailedRequests
from aiapi_operator.sizing.learners.service_demand import ServiceDemand
from aiapi_operator.sizing.learners.utilization import TUNING, target
from aiapi_operator.sizing.needs.threads import busiest_pool
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Size
from aiapi_operator.sizing.text import describe_change, format_silent_pods

AHEAD = 180.0
"""Seconds ahead within which an expected jump is mentioned. Longer than most pods take to start."""
UNKNOWN_LOAD = Load(
    arrivals_per_second=None,
    completed_per_second=None,
    in_flight=None,
    loop_utilization=None,
    latency=None,
    upstream_share=None,
    shed_per_second=None,
)


def verdict(facts: Facts, held: Sequence[Guarded], size: Size) -> Verdict:
    """The reason of the decision: what changes, or else the last guard that intervened."""
    paused = held and held[-1].verdict is Verdict.PAUSED
    if paused or not facts.known:
        return Verdict.PAUSED if paused else _unknown(facts)[0]
    running = facts.running
    more = size.workers > running.workers or size.replicas > running.replicas
    fewer = size.workers < running.workers or size.replicas < running.replicas
    if more and fewer:
        return Verdict.REBALANCED
    if more or fewer:
        return Verdict.SCALED_UP if more else Verdict.SCALED_DOWN
    return held[-1].verdict if held else Verdict.STEADY


def message(facts: Facts, needs: Requirements, held: Sequence[Guarded], size: Size) -> str:
    """One sentence with the numbers that the decision depends on.

    8 workers needed: 412 rps expected in 35 s x 9.1 ms / 0.61; 2 pods x 3 -> 2 pods x 4
    """
    step = describe_change(facts.running, size)
    if held and held[-1].verdict is Verdict.PAUSED:
        return f"{held[-1].why}; {step}"
    if not facts.known:
        return f"{_unknown(facts)[1]}; {step}"
    parts = [_needed(needs), step + _spare(needs, size), *_doubts(facts)]
    if held and held[-1].verdict in (Verdict.LIMITED, verdict(facts, held, size)):
        parts.append(held[-1].why)
    return "; ".join(parts)


def _unknown(facts: Facts) -> tuple[Verdict, str]:
    seen = facts.seen
    if seen.ready == 0:
        verdict = Verdict.HOLDING if facts.ticks else Verdict.WARMING_UP
        return verdict, "no pod is ready yet"
    if seen.all_unknown:
        silent = format_silent_pods(seen.unknown)
        ready = count(seen.ready, "ready pod")
        return Verdict.HOLDING, f"no metrics from any of {ready} ({silent})"
    fresh = facts.now - facts.since <= facts.spec.interval
    verdict = Verdict.WARMING_UP if fresh else Verdict.HOLDING
    return verdict, "waiting for a second sample to compute rates"


def _needed(needs: Requirements) -> str:
    """How many workers are needed, and the numbers behind it."""
    workers = f"{count(workers_needed(needs), 'worker')} needed"
    if needs.binding.workers >= needs.binding.asks or needs.load is None:
        return f"{workers}: {needs.binding.reason}"
    asks = f"the load needs {number(needs.load.workers, 2)}: {needs.load.reason}"
    return f"at least {workers} ({needs.binding.reason}; {asks})"


def _spare(needs: Requirements, size: Size) -> str:
    """A note when tolerating the loss of a pod takes more workers than the load does."""
    if size.replicas < 2:
        return ""
    for_load = max(1, ceil(needs.carry.total / size.replicas - 1e-9))
    survive = ceil(needs.carry.survivors / (size.replicas - 1) - 1e-9)
    return " (tolerates the loss of one pod)" if survive == size.workers > for_load else ""


def _doubts(facts: Facts) -> Iterator[str]:
    """Notes on data that is uncertain or was corrected."""
    service = facts.get(ServiceDemand)
    if service is not None and not service.confident:
        known = f"service demand is based on only {count(int(service.requests), 'request')}"
        if service.requests == 0:
            known = "service demand dates from before the operator started"
        limit = percent(TUNING.cautious)
        yield f"{known}: planning for at most {limit} loop utilization"
    jump = daily_profile.ratio(facts, AHEAD)
    if jump >= 1.05:
        yield f"a x{number(jump, 2)} jump is expected within 3 min, as on previous days"
    retried = facts.mean("retried")
    if retried >= 1:
        yield f"{number(retried)} rps are excluded as retries of failures"


def workers_needed(needs: Requirements) -> int:
    """The need in whole workers, floors included."""
    floor = needs.min_workers * needs.min_replicas
    return max(floor, ceil(needs.carry.total - 1e-9))


def need(facts: Facts, needs: Requirements) -> Need:
    """``status.need``."""
    service, spec = facts.get(ServiceDemand), facts.plannable
    binding = needs.binding.binding
    if needs.carry.total > spec.workers.max * spec.replicas.max:
        binding = Binding.CEILING
    return Need(
        workers=workers_needed(needs) if facts.known else facts.start.total,
        binding=binding,
        demand=needs.demand,
        service_demand=None if service is None else service.seconds,
        target_utilization=target(facts).utilization,
    )


def load(facts: Facts) -> Load:
    """``status.load``."""
    if not facts.known:
        return UNKNOWN_LOAD
    in_flight, pool = facts.mean("in_flight"), busiest_pool(facts)
    failed = facts.get(FailedRequests)
    return Load(
        arrivals_per_second=facts.mean("arrivals") + facts.mean("retried"),
        completed_per_second=facts.mean("completed"),
        in_flight=in_flight,
        loop_utilization=facts.mean("busiest"),
        latency=_measured(facts, ObjectiveKind.LATENCY),
        first_byte=_measured(facts, ObjectiveKind.FIRST_BYTE),
        upstream_share=min(1.0, facts.mean("upstream") / in_flight) if in_flight > 0 else None,
        shed_per_second=facts.mean("shed"),
        threads_utilization=None if pool is None else pool.utilization,
        failing=failed.shares.total if failed is not None and failed.recent else None,
    )


def _measured(facts: Facts, kind: ObjectiveKind) -> float | None:
    objective = facts.spec.objective_for(kind)
    found = None if objective is None else facts.latency(objective)
    return None if found is None else found.seconds
