"""DependencyBound: latency is high, and neither event loops nor threads are the cause."""

from collections.abc import Callable
from random import Random

import pytest
from unit.sizing.fleet_model import FleetModel, condition, spec
from unit.sizing.requirements import needed, size
from unit.sizing.samples import facts, row, tick

from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.diagnoses.dependency_bound import check
from aiapi_operator.sizing.inputs import Bounds
from aiapi_operator.sizing.learners.base_latency import BaseLatency
from aiapi_operator.sizing.learners.service_demand import ServiceDemand
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import ThreadUse, Tick

KNOWN = (
    BaseLatency(percentile=95, current=0.3, calm=0.3, time=0.0),
    ServiceDemand(seconds=0.009, requests=5000),
)
SLOW = {"bounds": (1.0, 2.0), "counts": (0, 200, 0)}
"""Every request takes 1 to 2 s."""
NUMBERS = "p95 is 1.9 s (usually 300 ms, objective 800 ms)"
CHECK = ": check the upstream's latency, rate limits and connection limits."
UPSTREAM = (
    f"{NUMBERS}. Requests spend 97 % of their time waiting for upstreams and the busiest event"
    " loop is 25 % busy (30 requests in flight). "
)


def pool(name: str = "anyio", *, waiting: float = 10.0, busy: float = 40.0) -> tuple[ThreadUse]:
    return (ThreadUse(name=name, limit=40, busy=busy, waiting=waiting),)


TABLE = [
    pytest.param(row(counts=(0, 0, 0)), None, "NoData", "", id="no latency"),
    pytest.param(row(), False, "LatencyNormal", "Latency is at its usual level.", id="normal"),
    pytest.param(
        row(**SLOW),
        True,
        "UpstreamSlow",
        f"{UPSTREAM}More workers or pods would not help{CHECK}",
        id="the upstream is slow",
    ),
    pytest.param(
        row(bounds=(0.1, 0.5, 0.75), counts=(0, 0, 200, 0)),
        True,
        "UpstreamSlow",
        UPSTREAM.replace("1.9 s", "740 ms") + f"More workers or pods would not help{CHECK}",
        id="within the objective, but twice the usual",
    ),
    pytest.param(
        row(bounds=(0.1, 0.5, 0.75), counts=(0, 0, 6, 0)),
        False,
        "LatencyNormal",
        "Latency is at its usual level.",
        id="twice the usual in a few requests",
    ),
    pytest.param(
        row(**SLOW, contended=True, waited=3.0),
        None,
        "CPUContended",
        "Workers wait for CPU, so waits are unclear.",
        id="workers wait for CPU",
    ),
    pytest.param(
        row(**SLOW, busiest=0.7),
        False,
        "EventLoopsBusy",
        "Latency is high and event loops are busy.",
        id="loops are busier than planned",
    ),
    pytest.param(
        row(**SLOW, busiest=0.63),
        True,
        "UpstreamSlow",
        UPSTREAM.replace("25 %", "63 %") + f"More workers or pods would not help{CHECK}",
        id="loops are about as busy as planned",
    ),
    pytest.param(
        (*row(29, **SLOW), tick(60.0, **SLOW, busiest=0.97)),
        True,
        "UpstreamSlow",
        UPSTREAM.replace("25 %", "49 %") + f"More workers or pods would not help{CHECK}",
        id="a loop is full in one tick, by chance",
    ),
    pytest.param(
        row(**SLOW, upstream=3.0),
        False,
        "WaitUnexplained",
        f"{NUMBERS}, but the busiest event loop is 25 % busy and upstreams explain only 10 % of"
        " the request time. Check locks, thread pools and clients that are not instrumented.",
        id="nothing explains it",
    ),
    pytest.param(
        row(**SLOW, upstream=3.0, threads=pool(waiting=0.0, busy=20.0)),
        False,
        "WaitUnexplained",
        f"{NUMBERS}, but the busiest event loop is 25 % busy and upstreams explain only 10 % of"
        " the request time. Most requests are in a thread (anyio): check the calls made there.",
        id="calls in threads are not measured",
    ),
    pytest.param(
        row(**SLOW, threads=pool()),
        False,
        "ThreadsBusy",
        f"{NUMBERS} because calls wait for a thread: 40 threads of the anyio pool are busy (40 per"
        " worker) and 10 calls are waiting. More workers add threads. Calls spend 72 % of their"
        " time waiting for upstreams. To need fewer workers, raise the thread limit (anyio's"
        " current_default_thread_limiter() in the app's lifespan) or use async def endpoints.",
        id="calls wait for a thread",
    ),
    pytest.param(
        row(**SLOW, upstream=0.0, threads=pool("wsgi")),
        False,
        "ThreadsBusy",
        f"{NUMBERS} because calls wait for a thread: 40 threads of the wsgi pool are busy (40 per"
        " worker) and 10 calls are waiting. More workers add threads. To need fewer workers, raise"
        " --threads (AIAPI_THREADS).",
        id="threads of a WSGI app compute",
    ),
    pytest.param(
        row(**SLOW, upstream=0.0, threads=pool("own")),
        False,
        "ThreadsBusy",
        f"{NUMBERS} because calls wait for a thread: 40 threads of the own pool are busy (40 per"
        " worker) and 10 calls are waiting. More workers add threads.",
        id="a pool without advice",
    ),
]


@pytest.mark.parametrize(("ticks", "status", "reason", "message"), TABLE)
def test_a_high_latency(
    ticks: tuple[Tick, ...], status: bool | None, reason: str, message: str
) -> None:
    found = check(facts(ticks, known=KNOWN), needed(1.0), size(1, 2))
    assert (found.type, found.status, found.reason) == ("DependencyBound", status, reason)
    assert found.message == (message or "No latency has been measured recently.")


@pytest.mark.parametrize(
    ("requirements", "more"),
    [
        (needed(4.0), "More workers or pods would not help"),
        (
            needed(4.0, binding=Binding.THREADS),
            "Workers are added for the threads that calls hold, but calls do not get faster",
        ),
    ],
)
def test_what_more_workers_would_do(requirements: Requirements, more: str) -> None:
    found = check(facts(row(**SLOW), known=KNOWN), requirements, size(1, 2))
    assert found.message == f"{UPSTREAM}{more}{CHECK}"


@pytest.mark.parametrize(
    ("cost", "reason"), [(0.2, "EventLoopsBusy"), (0.12, "EventLoopsBusy"), (0.1, "UpstreamSlow")]
)
def test_queueing_that_loops_cause_is_not_an_upstream(cost: float, reason: str) -> None:
    """At 60 %, a request of 100 ms queues for 450 ms: a bit less than a quarter of its latency."""
    costly = (KNOWN[0], ServiceDemand(seconds=cost, requests=5000))
    found = check(facts(row(**SLOW, busiest=0.6), known=costly), needed(1.0), size(1, 2))
    assert found.reason == reason


def test_without_a_base_the_usual_latency_is_not_mentioned() -> None:
    found = check(facts(row(**SLOW)), needed(1.0), size(1, 2))
    assert found.message.startswith("p95 is 1.9 s (objective 800 ms). Requests spend")


# The whole right-sizer


def sync(*, threads: int, tracked: bool, **changes: object) -> FleetModel:
    """Plain ``def`` endpoints: 0.3 s in a thread, hardly any loop time."""
    model = FleetModel(spec(**changes))
    model.service = 0.001
    model.threads = threads
    model.tracked = tracked
    return model


def starved(*, tracked: bool = True) -> FleetModel:
    """Calls wait for a thread, and no worker may be added.

    The model reuses a thread one step after it was released: 60 of 80 are always busy.
    """
    one = Bounds(min=1, max=1)
    model = sync(threads=40, tracked=tracked, workers=one, replicas=Bounds(min=2, max=2))
    model.rate = 200.0
    model.run(60)
    model.rate = 290.0
    model.run(30)
    return model


def slow(*, threads: int, tracked: bool = True) -> FleetModel:
    """The upstream takes four times as long, and there are threads for that."""
    model = sync(threads=threads, tracked=tracked)
    model.rate = 100.0
    model.run(60)
    model.upstream = 1.2
    model.run(60)
    return model


@pytest.mark.parametrize(
    ("model", "status", "reason", "part"),
    [
        pytest.param(
            starved,
            False,
            "ThreadsBusy",
            "More workers add threads. Calls spend 100 % of their time waiting for upstreams.",
            id="calls wait for threads",
        ),
        pytest.param(
            lambda: starved(tracked=False),
            False,
            "ThreadsBusy",
            "calls are waiting. More workers add threads. To need fewer workers, raise the",
            id="calls that are not measured wait for threads",
        ),
        pytest.param(
            lambda: slow(threads=40),
            True,
            "UpstreamSlow",
            "Workers are added for the threads that calls hold, but calls do not get faster",
            id="slow calls hold threads",
        ),
        pytest.param(
            lambda: slow(threads=0),
            True,
            "UpstreamSlow",
            "More workers or pods would not help: check the upstream's latency",
            id="slow calls are awaited",
        ),
        pytest.param(
            lambda: slow(threads=40, tracked=False),
            False,
            "WaitUnexplained",
            "Most requests are in a thread (anyio): check the calls made there.",
            id="slow calls in threads are not measured",
        ),
        pytest.param(
            lambda: slow(threads=0, tracked=False),
            False,
            "WaitUnexplained",
            "Check locks, thread pools and clients that are not instrumented.",
            id="nothing is measured",
        ),
    ],
)
def test_the_diagnosis_of_a_fleet(
    model: Callable[[], FleetModel], status: bool, reason: str, part: str
) -> None:
    last = model().last
    found = next(each for each in last.conditions if each.type == "DependencyBound")
    assert (found.status, found.reason) == (status, reason)
    assert part in found.message


def test_waiting_for_a_thread_is_not_part_of_the_base_latency() -> None:
    model = starved()
    assert model.last.load.latency is not None
    assert model.last.load.latency > 1.0
    status, message = condition(model.last, "ObjectiveInfeasible")
    assert status is False, message


def statuses(model: FleetModel, seconds: float) -> list[bool | None]:
    return [condition(decision, "DependencyBound")[0] for _, decision in model.run(seconds)]


@pytest.mark.parametrize("factor", [4, 6, 12])
@pytest.mark.parametrize("seed", range(5))
def test_a_step_of_the_load_is_no_slow_upstream(factor: int, seed: int) -> None:
    model = FleetModel(spec())
    model.noise, model.service = Random(seed), 0.03  # noqa: S311
    model.run(90)
    model.rate *= factor
    assert True not in statuses(model, 30)


@pytest.mark.parametrize("seed", range(5))
def test_a_slow_upstream_is_named_where_loops_are_as_busy_as_planned(seed: int) -> None:
    """Loops are 64 % busy, and in single ticks 75 %, by chance. In most ticks it is named."""
    one, four = Bounds(min=1, max=1), Bounds(min=4, max=4)
    model = FleetModel(spec(workers=one, replicas=four), replicas=4)
    model.noise, model.service, model.rate = Random(seed), 0.1, 25.6  # noqa: S311
    model.run(90)
    model.upstream = 4.0
    model.run(20)
    assert statuses(model, 60).count(True) > 20
