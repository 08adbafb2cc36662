"""Client retries, load shedding, and the effect of each fault."""

from dataclasses import replace

import numpy as np
import pytest

from aiapi_operator.simulate import admission
from aiapi_operator.simulate.admission import AdmissionWindow
from aiapi_operator.simulate.counters import Outcome
from aiapi_operator.simulate.faults import Faults, parse_fault
from aiapi_operator.simulate.fleet import FleetModel
from aiapi_operator.simulate.ground_truth import GroundTruth
from aiapi_operator.simulate.in_flight import ServedRequests
from aiapi_operator.simulate.measure import RunResult
from aiapi_operator.simulate.policies import catalogue
from aiapi_operator.simulate.policies.baselines import StaticPolicy
from aiapi_operator.simulate.requests import Requests, Workload
from aiapi_operator.simulate.retries import RetryingClients
from aiapi_operator.simulate.run import Simulation
from aiapi_operator.simulate.scenario import UpstreamModelSpec
from aiapi_operator.simulate.snapshot import FleetSnapshot
from aiapi_operator.simulate.upstream import UpstreamModel
from aiapi_operator.sizing.inputs import PodSample
from aiapi_operator.sizing.state import Size


class Fixed(StaticPolicy):
    """A fleet of a given size."""

    initial_size = Size(workers=2, replicas=2)


def simulate(load: Workload, spec, name: str = "fixed") -> RunResult:
    truth = GroundTruth(load, spec)
    policy = Fixed(truth) if name == "fixed" else catalogue.build(name, truth, pod_workers=2)
    result = Simulation(load, spec, policy).run()
    assert result.requests == load.trace.requests
    return result


def requests(*at: float, loop: float = 0.1, upstream: float = 1.0) -> Requests:
    come, none = np.array(at), np.zeros(len(at), dtype=np.int64)
    return Requests(come, np.full(len(at), loop), np.full(len(at), upstream), none, come, none)


def ended(some: Requests, outcome: Outcome, after: float = 1.0) -> ServedRequests:
    return ServedRequests(some, some.at + after, np.full(len(some), outcome))


NO_REQUESTS = requests()


def test_clients_retry_with_exponential_backoff_up_to_a_limit(make_load) -> None:
    clients = RetryingClients(make_load((60, 20)))
    first = clients.with_retries(requests(0.0), 2.0)
    assert len(clients.schedule_retries(ended(first, Outcome.SERVER_ERROR), 2.0).ended_at) == 0
    assert clients.max_step == pytest.approx(0.375)
    second = clients.with_retries(NO_REQUESTS, 60.0)
    # Not before the end of the step that was just served.
    assert second.at.tolist() == [2.0]
    assert (second.first_at.tolist(), second.prior_attempts.tolist()) == ([0.0], [1])
    assert len(clients.schedule_retries(ended(second, Outcome.SHED), 2.5).ended_at) == 0
    third = clients.with_retries(NO_REQUESTS, 60.0)
    assert 3.0 + 0.75 <= third.at[0] <= 3.0 + 1.0
    over = clients.schedule_retries(ended(third, Outcome.CANCELLED), 60.0)
    assert over.outcome.tolist() == [Outcome.CANCELLED]
    assert clients.retries == 2
    assert clients.abandon_retries() is None


def test_a_pending_retry_at_the_end_counts_by_its_last_outcome(make_load) -> None:
    clients = RetryingClients(make_load((60, 20)))
    clients.schedule_retries(
        ended(clients.with_retries(requests(0.0, 0.5), 2.0), Outcome.SHED), 2.0
    )
    rest = clients.abandon_retries()
    assert rest is not None
    assert rest.outcome.tolist() == [Outcome.SHED] * 2


def test_a_budget_limits_the_retries_of_all_clients(make_load) -> None:
    load = make_load((60, 20), service={"clients": {"retries": {"budget": 0.1}}})
    clients = RetryingClients(load)
    again = 0
    for second in range(30):
        first = clients.with_retries(requests(*(second + np.arange(20) / 20)), second + 1.0)
        again = clients.retries
        clients.schedule_retries(ended(first, Outcome.SERVER_ERROR), second + 1.0)
    # The budget saved over ten seconds, then a tenth of 20/s.
    assert 0.1 * 20 * 28 <= again <= 0.1 * 20 * 31 + 20


def test_retries_can_be_disabled(make_load) -> None:
    clients = RetryingClients(make_load((60, 20), service={"clients": {"retries": {"most": 0}}}))
    failed = ended(clients.with_retries(requests(0.0), 2.0), Outcome.SERVER_ERROR)
    assert len(clients.schedule_retries(failed, 2.0).ended_at) == 1
    assert clients.max_step == float("inf")


def window(some: Requests, *, end: float = 10.0) -> AdmissionWindow:
    empty = (np.empty(0), np.empty(0, dtype=np.int64))
    return AdmissionWindow(
        at=some.at,
        loop=some.loop,
        upstream=some.upstream,
        loop_id=np.zeros(len(some), dtype=np.int64),
        departures=empty,
        awaiting_upstream=empty,
        free_at=np.zeros(1),
        end=end,
    )


def test_a_worker_at_its_limit_rejects_until_a_request_ends() -> None:
    # Each uses the loop for 0.1 s and waits 1 s: the first ends at 1.1, the second at 1.2.
    some = requests(0.0, 0.0, 0.5, 1.15, 1.16, 1.35)
    upstream = UpstreamModel(UpstreamModelSpec(), Faults())
    assert admission.admits_all(window(some), 6)
    assert not admission.admits_all(window(some), 2)
    refused = admission.find_rejected(window(some), upstream, 2)
    assert refused.tolist() == [False, False, True, False, True, False]


def test_requests_already_in_flight_count_towards_the_limit() -> None:
    some = requests(0.0, 0.5, 1.5)
    loop_id = np.zeros(1, dtype=np.int64)
    before = replace(
        window(some),
        departures=(np.array([0.4]), loop_id),
        awaiting_upstream=(np.array([1.4]), loop_id),
    )
    upstream = UpstreamModel(UpstreamModelSpec(), Faults())
    assert admission.find_rejected(before, upstream, 2).tolist() == [True, False, False]


def test_rejected_requests_are_counted_by_the_pod_and_are_shed_without_retries(
    make_load, spec
) -> None:
    # 100/s x 0.3 s are 30 in flight, 7.5 per worker.
    service = {"pods": {"inFlight": 5}, "clients": {"retries": {"most": 0}}}
    load = make_load((120, 100), service=service)
    fleet = FleetModel(load, Size(workers=2, replicas=2), worker_cpu=0.5)
    minute = next(load.minutes())
    refused = sum(
        int((fleet.serve(minute.between(now, now + 1), now, now + 1).outcome == Outcome.SHED).sum())
        for now in map(float, range(60))
    )
    pods = [pod for pod in FleetSnapshot(fleet, 60.0).scrape().pods if isinstance(pod, PodSample)]
    assert sum(pod.shed for pod in pods) == pytest.approx(refused, abs=2)
    assert all(pod.in_flight <= 2 * 5 for pod in pods)
    result = simulate(load, spec)
    assert result.shed > 0.1 * result.requests
    assert result.failed == result.retries == 0
    assert result.attainment_requests <= 1 - result.shed / result.requests


def test_a_limit_that_is_not_reached_changes_nothing(make_load, spec) -> None:
    calm = make_load((120, 40))
    bounded = make_load((120, 40), service={"pods": {"inFlight": 60}})
    assert simulate(calm, spec).p99 == simulate(bounded, spec).p99


def test_retries_sustain_an_overload(make_load, spec) -> None:
    # Four workers serve 40/s; the load is 60/s for half a minute, then 34/s.
    phases = ((30, 20), (30, 60), (180, 34))
    loop = {"mean": "100ms"}
    once, often = (
        simulate(make_load(*phases, service={"loop": loop, "clients": clients}), spec)
        for clients in ({"deadline": "5s", "retries": {"most": 0}}, {"deadline": "5s"})
    )
    assert often.retries > once.failed
    assert sum(minute.in_time for minute in often.minutes[3:]) < 0.5 * sum(
        minute.in_time for minute in once.minutes[3:]
    )


def test_calls_fail_after_a_second_in_an_outage_and_are_retried(make_load, spec) -> None:
    calm, out = (
        make_load((300, 40), faults=Faults(tuple(map(parse_fault, faults))))
        for faults in ((), ("upstream-outage@60+120",))
    )
    before, after = simulate(calm, spec), simulate(out, spec)
    assert before.failed == before.retries == 0
    # Three attempts take under six seconds: all requests of the outage's first 114 s fail.
    assert 0.9 * 40 * 114 <= after.failed <= 1.1 * 40 * 120
    assert after.retries == pytest.approx(2 * after.failed, rel=0.1)
    assert [minute.in_time for minute in after.minutes[1:3]] == pytest.approx([0, 0], abs=300)
    assert after.minutes[4].in_time >= 0.99 * after.minutes[4].requests


@pytest.mark.parametrize(
    ("fault", "factor"), [("upstream-slow@60+120", 2.5), ("demand-doubled@60+120", 1.02)]
)
def test_a_slow_upstream_and_a_doubled_demand_raise_the_latency(
    make_load, spec, fault: str, factor: float
) -> None:
    injected = Faults((parse_fault(fault),))
    before, after = (
        simulate(make_load((240, 40)), spec),
        simulate(make_load((240, 40), faults=injected), spec),
    )
    for minute in (1, 2):
        was, became = before.minutes[minute].latency, after.minutes[minute].latency
        assert was is not None
        assert became is not None
        assert became >= factor * was
    assert after.minutes[0].latency == pytest.approx(before.minutes[0].latency, rel=0.02)


def test_a_blocking_handler_holds_one_loop_for_five_seconds(make_load) -> None:
    load = make_load((60, 40), faults=Faults((parse_fault("blocking-handler@10+40"),)))
    drawn = next(load.minutes())
    held = drawn.at[drawn.loop == 5.0]
    assert len(held) == 2
    assert held == pytest.approx([10, 40], abs=0.5)
    fleet = FleetModel(load, Size(workers=2, replicas=2), worker_cpu=0.5)
    fleet.serve(drawn.between(0, 13), 0, 13)
    pods = [pod for pod in FleetSnapshot(fleet, 13.0).scrape().pods if isinstance(pod, PodSample)]
    assert sorted(pod.workers_blocked for pod in pods) == [0, 1]
    assert {pod.blocked_at for pod in pods} == {"", "simulated.py:1 handler"}
    assert all(
        pod.workers_blocked == 0
        for pod in FleetSnapshot(fleet, 17.0).scrape().pods
        if isinstance(pod, PodSample)
    )


def test_slow_pods_take_a_minute(make_load) -> None:
    load = make_load((60, 20), faults=Faults((parse_fault("slow-pods@0+10"),)))
    fleet = FleetModel(load, Size(workers=1, replicas=1), worker_cpu=0.5)
    fleet.scale_to(Size(workers=1, replicas=2), 5.0)
    assert 5 + 48 <= fleet.next_change() <= 5 + 72
    fleet.scale_to(Size(workers=1, replicas=3), 20.0)
    assert 20 + 6.4 <= fleet.next_change() <= 20 + 9.6


def test_a_deadline_ends_the_request_but_not_the_work(make_load) -> None:
    service = {"clients": {"deadline": "1s", "retries": {"most": 0}}}
    load = make_load((60, 100), service=service)
    fleet = FleetModel(load, Size(workers=1, replicas=1), worker_cpu=0.5)
    minute = next(load.minutes())
    served = fleet.serve(minute.between(0, 20), 0, 20)
    late = served.outcome == Outcome.CANCELLED
    assert late.mean() > 0.8
    assert (served.ended_at - served.requests.at).max() <= 1 + 1e-9
    # The loop is busy all the time, and still has work left.
    assert fleet.loop_seconds(20.0).sum() == pytest.approx(20, rel=0.02)
