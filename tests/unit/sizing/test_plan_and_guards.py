"""The planner, the guards, the messages and the savings."""

from dataclasses import replace
from math import ceil

import pytest
from aiapi_operator.sizing.assess import UNKNOWN_LOAD, Assessment
from aiapi_operator.sizing.demand import Demand
from aiapi_operator.sizing.limits import ThreadPoolNeed
from unit.sizing.fleet_model import spec

from aiapi_operator.sizing import guards, need, plan, reasons, replica_moves
from aiapi_operator.sizing.capacity import UtilizationTarget
from aiapi_operator.sizing.decision import Binding, Need, Verdict
from aiapi_operator.sizing.guards import Move, MoveConstraints, StabilizedNeeds
from aiapi_operator.sizing.inputs import Bounds, SizingSpec
from aiapi_operator.sizing.plan import RequiredWorkers
from aiapi_operator.sizing.savings import add, savings
from aiapi_operator.sizing.state import (
    MoveHistory,
    PodOrder,
    ReplicaMove,
    ServiceDemand,
    Size,
    StabilizationWindows,
    Usage,
)

SEVEN = RequiredWorkers(7.0, 5.2)


def size(workers: int, replicas: int) -> Size:
    return Size(workers=workers, replicas=replicas)


def at(workers: int, replicas: int, **changes: object) -> MoveConstraints:
    usual = MoveConstraints(
        running=size(workers, replicas),
        ordered=0,
        ready=replicas,
        ready_workers=workers,
        may_shrink=True,
        more_pods=10,
    )
    return replace(usual, **changes)


def always(total: float, survivors: float = 0.0) -> StabilizedNeeds:
    carry = RequiredWorkers(total, survivors)
    return StabilizedNeeds(
        current=carry,
        soon=carry,
        workers=carry,
        replicas=carry,
        move=None,
        workers_floor=0,
        replicas_floor=0,
    )


def move(
    needs: StabilizedNeeds, situation: MoveConstraints, user_spec: SizingSpec | None = None
) -> Move:
    return guards.move(user_spec or spec(), needs, situation)


# Need


def wanted(
    *,
    loop: float = 0.0,
    in_flight: float = 0.0,
    limit: int = 0,
    threads: ThreadPoolNeed | None = None,
) -> need.WorkerNeed:
    return need.workers(
        demand=Demand(412.0, 0.0, 0.0, burst=False),
        load=need.MeasuredLoad(
            loop=loop,
            in_flight=in_flight,
            service=ServiceDemand(seconds=0.0091, idle=0.0, requests=1, confident=True),
            limit=limit,
            threads=threads,
        ),
        target=UtilizationTarget(0.61, infeasible=False),
        lead=3.0,
    )


def test_the_loop_need_is_demand_times_cost_over_target() -> None:
    found = wanted()
    assert found.total == pytest.approx(6.15, abs=0.01)
    assert found.survivors == pytest.approx(412 * 0.0091 / 0.95)
    assert found.binding is Binding.LOOP


def test_used_loop_time_counts_if_it_exceeds_the_forecast() -> None:
    assert wanted(loop=6.1).total == pytest.approx(10.0)


def test_concurrency_counts_only_with_a_limit() -> None:
    assert wanted(in_flight=10_000.0).binding is Binding.LOOP
    found = wanted(limit=100, in_flight=800.0)
    assert (found.total, found.binding) == (pytest.approx(10.0), Binding.CONCURRENCY)
    assert found.survivors == pytest.approx(8.0)


def test_threads_count_if_requests_need_them() -> None:
    found = wanted(threads=pool(limit=40, needed=320.0))
    assert (found.total, found.binding) == (pytest.approx(10.0), Binding.THREADS)
    assert (found.survivors, found.threads) == (pytest.approx(8.0), pytest.approx(320.0))
    assert wanted(threads=pool(limit=40, needed=60.0)).binding is Binding.LOOP
    both = wanted(limit=100, in_flight=800.0, threads=pool(limit=4, needed=40.0))
    assert (both.total, both.binding) == (pytest.approx(10 / 0.684), Binding.THREADS)


def pool(*, limit: int, needed: float) -> ThreadPoolNeed:
    return ThreadPoolNeed(
        name="anyio", limit=limit, needed=needed, busy=needed, waiting=0.0, utilization=0.5
    )


# Plan


def test_a_plan_survives_the_loss_of_a_pod() -> None:
    assert [plan.workers_for(SEVEN, pods) for pods in (1, 2, 3, 4, 7)] == [7, 6, 3, 2, 1]


def test_the_cheapest_plan_with_the_fewest_pods_is_chosen() -> None:
    assert plan.cheapest(spec(), SEVEN) == size(2, 4)


def test_expensive_pods_are_filled() -> None:
    assert plan.cheapest(spec(worker_cpu=0.05, worker_memory=2**20), SEVEN).replicas <= 3


def test_a_need_beyond_the_bounds_uses_the_largest_fleet() -> None:
    small = spec(workers=Bounds(min=1, max=2), replicas=Bounds(min=2, max=3))
    assert plan.cheapest(small, SEVEN) == size(2, 3)
    assert plan.fewest_replicas(small, SEVEN, at_least=2) == 3


def test_without_prices_cores_are_compared() -> None:
    free = spec(price=replace(spec().price, cpu_hour=0.0, memory_gib_hour=0.0))
    assert plan.cheapest(free, SEVEN) == plan.cheapest(spec(), SEVEN)


# Guards


def test_workers_grow_first() -> None:
    assert move(always(7.0, 5.2), at(2, 2)).size == size(6, 2)


def test_pods_are_added_when_workers_do_not_suffice() -> None:
    grown = move(always(20.0, 14.0), at(2, 2))
    assert grown.size == size(8, 3)


def test_pods_are_ordered_ahead_of_the_load() -> None:
    steep = replace(always(14.0, 7.0), soon=RequiredWorkers(20.0, 10.0))
    assert move(steep, at(7, 2)).size == size(7, 3), "14 are needed now, and run"
    assert move(replace(steep, soon=RequiredWorkers(16.5, 8.2)), at(7, 2)).size == size(7, 2), (
        "tolerance"
    )


def test_pods_that_are_not_ready_do_not_serve() -> None:
    assert move(always(9.0, 3.0), at(3, 3, ready=2)).size == size(5, 3)


def test_a_small_excess_changes_nothing() -> None:
    assert move(always(4.1), at(2, 2)).size == size(2, 2)
    assert move(always(4.3), at(2, 2)).size == size(3, 2)


def test_workers_are_kept_for_the_busiest_pod() -> None:
    uneven = move(always(4.0), at(3, 5, heaviest=1.9))
    assert uneven.size == size(2, 5)
    assert uneven.uneven
    even = move(always(4.0), at(3, 5, heaviest=1.0))
    assert even.size == size(1, 5)
    assert not even.uneven


def test_workers_scale_down_to_the_recent_need() -> None:
    assert move(always(4.1), at(3, 2)).size == size(3, 2)
    assert move(always(4.0), at(3, 2)).size == size(2, 2)


def test_a_silent_pod_prevents_scale_down() -> None:
    fewer = replace(always(1.0), move=ReplicaMove(before=6, after=2))
    assert move(fewer, at(6, 6, may_shrink=False)).size == size(6, 6)


def test_the_window_keeps_the_recent_need() -> None:
    recent = replace(
        always(1.0), workers=RequiredWorkers(8.0, 0.0), replicas=RequiredWorkers(8.0, 0.0)
    )
    kept = move(recent, at(4, 2))
    assert kept.size == size(4, 2)
    assert kept.workers_held


def test_the_running_size_is_a_floor_while_the_load_is_unknown() -> None:
    assert move(replace(always(1.0), workers_floor=5), at(6, 2)).size.workers == 5
    fewer = replace(always(1.0), replicas_floor=4, move=ReplicaMove(before=6, after=2))
    assert move(fewer, at(1, 6)).size.replicas == 4


def test_workers_are_added_before_pods_are_removed() -> None:
    fewer = replace(always(5.0, 3.6), move=ReplicaMove(before=12, after=3))
    first = move(fewer, at(1, 12))
    assert first.size == size(2, 12)
    second = move(fewer, at(2, 12))
    assert second.size == size(2, 3)


def test_a_replica_move_is_applied_once() -> None:
    more = replace(always(7.0, 5.2), move=ReplicaMove(before=2, after=4))
    assert move(more, at(6, 2)).size == size(4, 4)
    assert move(more, at(4, 4)).size == size(2, 4)
    assert move(more, at(6, 5)).size.replicas == 5, "a move planned for another size does not apply"


# Pods


def terms(workers: int, replicas: int, **changes: object) -> replica_moves.MoveTerms:
    usual = replica_moves.MoveTerms(
        running=size(workers, replicas), ready=replicas, lead=10.0, survivors=0.8 / 0.95, fewest=2
    )
    return replace(usual, **changes)


def after(seconds: int, *needs: float) -> replica_moves.Samples:
    """A need every ten seconds; the last one repeats."""
    samples: replica_moves.Samples = ()
    for step in range(seconds // 10):
        samples = replica_moves.add_sample(
            samples, needs[min(step, len(needs) - 1)], now=10.0 * step
        )
    return samples


def test_pods_move_once_the_excess_cost_equals_the_price_of_the_move() -> None:
    # 5 x 2 costs 0.7 cores more than 8 x 1, and three more pods with 2 workers 149 core-seconds.
    assert replica_moves.best_replicas(spec(), after(200, 7.2), terms(2, 5)) == 5
    assert replica_moves.best_replicas(spec(), after(250, 7.2), terms(2, 5)) == 8


def test_an_oscillating_need_moves_no_pods() -> None:
    turns = after(300, *(7.2 if step % 6 < 3 else 9.5 for step in range(30)))
    assert replica_moves.best_replicas(spec(), turns, terms(2, 5)) == 5


def test_pods_for_the_highest_need_are_kept() -> None:
    low = after(300, 2.0)
    assert replica_moves.best_replicas(spec(), low, terms(1, 10)) < 4
    assert replica_moves.best_replicas(spec(), low, terms(1, 10, fewest=6)) == 6


def test_no_pods_are_added_to_save_cost_while_some_are_starting() -> None:
    assert replica_moves.best_replicas(spec(), after(300, 7.2), terms(2, 5, ready=4)) == 5


def test_slow_pod_starts_raise_the_price_of_a_move() -> None:
    assert replica_moves.best_replicas(spec(), after(300, 7.2), terms(2, 5, lead=60.0)) == 5


def test_a_short_window_removes_pods_sooner() -> None:
    low = after(30, 2.0)
    assert replica_moves.best_replicas(spec(), low, terms(1, 4)) == 4
    soon = spec(replicas_down_after=10.0)
    assert replica_moves.best_replicas(soon, low, terms(1, 4)) < 4


def test_replica_moves_are_evaluated_every_few_seconds() -> None:
    samples = replica_moves.add_sample((), 3.0, now=100.0)
    assert not replica_moves.sample_due(samples, now=108.0)
    assert replica_moves.sample_due(samples, now=110.0)
    assert replica_moves.sample_due((), now=0.0)


def test_the_rate_limit_counts_a_minute() -> None:
    user_spec = spec(max_replicas_per_minute=4)
    orders = (PodOrder(time=0.0, added=3, replicas=5), PodOrder(time=50.0, added=1, replicas=6))
    assert guards.pods_allowed(orders, user_spec, now=59.0) == 0
    assert guards.pods_allowed(orders, user_spec, now=61.0) == 3
    limited = move(always(40.0, 30.0), at(8, 2, more_pods=1))
    assert (limited.size, limited.rate_limited) == (size(8, 3), True)


def test_stabilized_needs() -> None:
    recent = StabilizationWindows()
    for when, total in ((0.0, 6.0), (20.0, 2.0), (40.0, 3.0)):
        recent = guards.record_need(recent, spec(), total, now=when)
    found = guards.stabilized_needs(recent, RequiredWorkers(3.0, 1.5), RequiredWorkers(3.0, 1.5))
    assert found.workers == RequiredWorkers(3.0, 1.5)
    assert found.replicas == RequiredWorkers(6.0, 3.0)


# Sentences


def test_describe_change() -> None:
    assert reasons.describe_change(size(3, 2), size(4, 2)) == "2 pods x 3 -> 2 pods x 4"
    assert reasons.describe_change(size(3, 1), size(3, 1)) == "keeping 1 pod x 3 workers"


def test_only_some_silent_pods_are_listed() -> None:
    pods = tuple((f"p{i}", "timeout") for i in range(5))
    assert reasons.format_silent_pods(pods) == "p0: timeout, p1: timeout, p2: timeout and 2 more"


def assessment(
    user_spec: SizingSpec, threads: ThreadPoolNeed | None = None, **changes: float
) -> Assessment:
    demand = Demand(355.0, 0.7, 0.085, burst=False)
    service = ServiceDemand(seconds=0.0091, idle=0.0, requests=5000, confident=True)
    load = need.MeasuredLoad(
        loop=changes.get("loop", 3.2),
        in_flight=changes.get("in_flight", 0.0),
        service=service,
        limit=user_spec.max_concurrency,
        threads=threads,
    )
    target = UtilizationTarget(0.61, infeasible=False)
    workers = need.workers(demand=demand, load=load, target=target, lead=35.0)
    return Assessment(
        load=replace(UNKNOWN_LOAD, in_flight=load.in_flight),
        latency=None,
        loop=load.loop,
        limit=load.limit,
        threads=threads,
        demand=demand,
        service=service,
        target=target,
        workers=workers,
        soon=RequiredWorkers(0.0, 0.0),
        need=Need(
            workers=ceil(workers.total),
            binding=workers.binding,
            demand=412.0,
            service_demand=0.0091,
            target_utilization=0.61,
        ),
    )


def sentence(seen: Assessment, before: Size, after: Move, verdict: Verdict = Verdict.STEADY) -> str:
    return reasons.describe(spec(max_concurrency=100), seen, after, verdict=verdict, running=before)


def test_the_message_has_its_numbers() -> None:
    assert sentence(assessment(spec()), size(3, 2), Move(size=size(4, 2))) == (
        "7 workers needed: 412 rps expected in 35 s x 9.1 ms / 0.61; 2 pods x 3 -> 2 pods x 4"
    )


def test_the_message_mentions_the_tolerated_loss_of_a_pod() -> None:
    crowded = assessment(spec(), loop=5.6)
    assert sentence(crowded, size(6, 2), Move(size=size(6, 2))) == (
        "10 workers needed: event loops use 5.6 s per second / 0.61;"
        " keeping 2 pods x 6 workers (tolerates the loss of one pod)"
    )


def test_the_message_of_a_concurrency_limit() -> None:
    seen = assessment(spec(max_concurrency=100), in_flight=800.0)
    assert sentence(seen, size(6, 2), Move(size=size(6, 2))).startswith(
        "12 workers needed: 928 requests in flight expected / (100 per worker x 0.8)"
    )


def test_the_message_of_a_hold_explains_what_it_waits_for() -> None:
    held = Move(size=size(5, 3), workers_held=True, replicas_held=True)
    assert sentence(assessment(spec()), size(5, 3), held, Verdict.STABILIZING).endswith(
        "keeping 3 pods x 5 workers; workers scale down once the need has been lower for 30 s,"
        " pods scale down once the saving exceeds the cost of moving"
    )


# Savings


def test_savings_against_the_peak() -> None:
    user_spec = spec(price=replace(spec().price, cpu_hour=0.0334, memory_gib_hour=0.0))
    usage = add(Usage(), user_spec, size(5, 2), seconds=3000.0, decided=size(20, 2))
    usage = add(usage, user_spec, size(20, 2), seconds=600.0, decided=size(5, 2))
    found = savings(user_spec, usage)
    assert found is not None
    assert found.baseline == size(20, 2)
    assert found.baseline_is_peak
    assert found.worker_seconds == 15 * 3600
    assert found.baseline_worker_seconds == 40 * 3600
    assert found.percent == pytest.approx(61.9, abs=0.1)
    assert found.per_month == pytest.approx(0.4175 * 730, rel=0.001)


def test_a_baseline_of_the_spec_is_used() -> None:
    price = replace(spec().price, baseline_replicas=4, baseline_workers=3)
    usage = add(Usage(), spec(), size(2, 2), seconds=10.0, decided=size(2, 2))
    found = savings(spec(price=price), usage)
    assert found is not None
    assert found.baseline == size(3, 4)
    assert not found.baseline_is_peak


def test_without_measurements_there_are_no_savings() -> None:
    assert savings(spec(), Usage()) is None


def test_free_compute_saves_no_money() -> None:
    free = spec(price=replace(spec().price, cpu_hour=0.0, memory_gib_hour=0.0))
    usage = add(Usage(), free, size(1, 2), seconds=10.0, decided=size(2, 2))
    found = savings(free, usage)
    assert found is not None
    assert found.per_month == 0.0
    assert found.percent > 0


def test_the_accounting_restarts_after_a_move() -> None:
    first = replica_moves.next_history(MoveHistory(), 4, now=0.0)
    assert (first.replicas, first.patience) == (4, 1.0)
    assert replica_moves.next_history(first, 4, now=10.0) is first
    more = replica_moves.next_history(first, 5, now=100.0)
    assert (more.replicas, more.patience, more.up) == (5, 1.0, True)


def test_reversals_raise_the_price_of_a_move() -> None:
    history = replica_moves.next_history(MoveHistory(), 4, now=0.0)
    paid = []
    for turn, replicas in enumerate((5, 4, 5, 4, 3, 2)):
        history = replica_moves.next_history(history, replicas, now=100.0 * (turn + 1))
        paid.append(history.patience)
    assert paid == [1.0, 2.0, 4.0, 4.0, 2.0, 1.0]
    late = replica_moves.next_history(history, 3, now=10_000.0)
    assert late.patience == 1.0, "an old move is not a reversal"


def test_reversals_delay_the_next_move() -> None:
    assert replica_moves.best_replicas(spec(), after(250, 7.2), terms(2, 5)) == 8
    assert replica_moves.best_replicas(spec(), after(250, 7.2), terms(2, 5, patience=2.0)) == 5
