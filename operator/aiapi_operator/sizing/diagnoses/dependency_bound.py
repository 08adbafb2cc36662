"""DependencyBound: latency is high, event loops are idle, and upstreams explain it.

Latency is high above the objective, or above twice its calm level if there are 200 requests.
Queueing for loops is not the cause if it is less than a quarter of the latency. More workers or
pods would not help.
"""

from aiapi_operator.present.numbers import number, percent
from aiapi_operator.sizing import capacity, windows
from aiapi_operator.sizing.decision import Binding, Condition
from aiapi_operator.sizing.diagnoses.diagnosis import Diagnosis, condition
from aiapi_operator.sizing.diagnoses.latency_text import latency_numbers
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.histogram import Percentile
from aiapi_operator.sizing.inputs import LatencyObjective
from aiapi_operator.sizing.learners.base_first_byte import base
from aiapi_operator.sizing.learners.service_demand import ServiceDemand
from aiapi_operator.sizing.learners.utilization import target
from aiapi_operator.sizing.needs.threads import ThreadPoolLoad, busiest_pool
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Size

KIND = "DependencyBound"
RAISED = 2.0
"""Factor on the calm level from which a latency within the objective is high. Chosen."""
LOOP_SHARE = 0.25
"""Share of the latency up to which queueing for loops is not the cause. Chosen."""
ADVICE = {
    "anyio": "To need fewer workers, raise the thread limit (anyio's"
    " current_default_thread_limiter() in the app's lifespan) or use async def endpoints.",
    "asyncio": "To need fewer workers, set a larger executor (loop.set_default_executor in the"
    " app's lifespan) or await the calls.",
    "wsgi": "To need fewer workers, raise --threads (AIAPI_THREADS).",
}


def check(facts: Facts, needs: Requirements, _: Size) -> Condition:
    """Whether slow upstreams cause the latency."""
    found = ((each, facts.latency(each)) for each in facts.spec.objectives)
    measured = [(each, latency) for each, latency in found if latency is not None]
    if not facts.known or not measured:
        return condition(KIND, None, "NoData", "No latency has been measured recently.")
    high = [pair for pair in measured if _high(facts, *pair)]
    if not high:
        return condition(KIND, False, "LatencyNormal", "Latency is at its usual level.")
    objective, latency = high[0]
    if _waits_for_cpu(facts, latency):
        return condition(KIND, None, "CPUContended", "Workers wait for CPU, so waits are unclear.")
    if _loops_busy(facts, objective, latency):
        return condition(KIND, False, "EventLoopsBusy", "Latency is high and event loops are busy.")
    numbers = latency_numbers(objective, latency, _calm(facts, objective))
    return _waits(facts, needs, latency, numbers)


def _waits(facts: Facts, needs: Requirements, latency: Percentile, numbers: str) -> Condition:
    """The condition if requests do not wait for their event loop."""
    pool = busiest_pool(facts)
    waited = windows.waited_for_threads(facts.ticks, now=facts.now, latency=latency.seconds)
    if pool is not None and waited:
        return condition(KIND, False, "ThreadsBusy", _threads_busy(facts, numbers, pool))
    loops = f"the busiest event loop is {percent(facts.mean('busiest'))} busy"
    share = upstream_share(facts)
    if share < windows.MOSTLY:
        return condition(
            KIND,
            False,
            "WaitUnexplained",
            f"{numbers}, but {loops} and upstreams explain only {percent(share)} of the request"
            f" time. {_where_to_look(facts, pool)}",
        )
    in_flight = number(facts.mean("in_flight"), 2)
    return condition(
        KIND,
        True,
        "UpstreamSlow",
        f"{numbers}. Requests spend {percent(share)} of their time waiting for upstreams and"
        f" {loops} ({in_flight} requests in flight). {_more_workers(needs)}: check the upstream's"
        " latency, rate limits and connection limits.",
    )


def upstream_share(facts: Facts) -> float:
    """Share of the request time spent waiting for upstreams, 0..1."""
    in_flight = facts.mean("in_flight")
    return min(1.0, facts.mean("upstream") / in_flight) if in_flight > 0 else 0.0


def _calm(facts: Facts, objective: LatencyObjective) -> float | None:
    known = base(facts, objective)
    return None if known is None else known.calm


def _high(facts: Facts, objective: LatencyObjective, latency: Percentile) -> bool:
    if latency.seconds > objective.threshold:
        return True
    calm = _calm(facts, objective)
    if calm is None or latency.seconds <= RAISED * calm + 0.005:
        return False
    # A percentile of a few requests is noise.
    requests = sum(sum(windows.histogram_of(tick, objective.kind)[1]) for tick in facts.ticks)
    return requests >= windows.MIN_REQUESTS


def _loops_busy(facts: Facts, objective: LatencyObjective, latency: Percentile) -> bool:
    peak = windows.peak_utilization(facts.ticks, now=facts.now, latency=latency.seconds)
    service = facts.get(ServiceDemand)
    cost = 0.0 if service is None else service.seconds
    queueing = capacity.queueing_delay(cost, objective, peak)
    return peak > target(facts).utilization + 0.05 or queueing > LOOP_SHARE * latency.seconds


def _waits_for_cpu(facts: Facts, latency: Percentile) -> bool:
    """Whether a wait for a CPU may be what makes requests slow.

    It is not where requests waited little for a CPU each, and loops had time left all the same.
    """
    ticks = facts.ticks
    if not any(tick.contended for tick in ticks):
        return False
    waited, workers = windows.mean(ticks, "waited"), windows.mean(ticks, "workers")
    full = windows.mean(ticks, "loop") + waited > target(facts).utilization * workers
    return full or waited > LOOP_SHARE * latency.seconds * windows.mean(ticks, "completed")


def _threads_busy(facts: Facts, numbers: str, pool: ThreadPoolLoad) -> str:
    busy = f"{number(pool.busy, 2)} threads of the {pool.name} pool are busy"
    text = (
        f"{numbers} because calls wait for a thread: {busy} ({pool.limit} per worker) and"
        f" {number(pool.waiting, 2)} calls are waiting. More workers add threads."
    )
    upstream = facts.mean("upstream")
    if upstream >= windows.MOSTLY * pool.busy:
        share = percent(min(1.0, upstream / pool.busy))
        text += f" Calls spend {share} of their time waiting for upstreams."
    return f"{text} {ADVICE.get(pool.name, '')}".rstrip()


def _where_to_look(facts: Facts, pool: ThreadPoolLoad | None) -> str:
    if pool is not None and pool.busy > windows.MOSTLY * facts.mean("in_flight"):
        return f"Most requests are in a thread ({pool.name}): check the calls made there."
    return "Check locks, thread pools and clients that are not instrumented."


def _more_workers(needs: Requirements) -> str:
    if needs.load is not None and needs.load.binding is Binding.THREADS:
        return "Workers are added for the threads that calls hold, but calls do not get faster"
    return "More workers or pods would not help"


DIAGNOSIS = Diagnosis(check)
