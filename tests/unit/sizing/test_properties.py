"""Properties that hold for any input, valid or not."""

from collections import deque
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct, structs
from unit.sizing.fleet_model import BOUNDS, FleetModel, spec

from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.decision import Verdict
from aiapi_operator.sizing.inputs import (
    Bounds,
    Fleet,
    Histogram,
    PodSample,
    PodUnknown,
    SizingSpec,
)
from aiapi_operator.sizing.state import State

EXAMPLES = settings(max_examples=60, deadline=None)

bounds = st.builds(
    lambda low, more: Bounds(min=low, max=low + more), st.integers(1, 5), st.integers(0, 12)
)
user_spec = st.builds(
    lambda workers, replicas, limit, pods: spec(
        workers=workers,
        replicas=replicas,
        max_concurrency=limit,
        max_replicas_per_minute=pods,
    ),
    bounds,
    bounds,
    st.sampled_from([0, 0, 1, 10]),
    st.integers(1, 20),
)
loads = st.lists(
    st.tuples(st.floats(0, 2000), st.floats(0.0005, 0.2), st.floats(0.0, 3.0)),
    min_size=1,
    max_size=5,
)
number = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-5, 10**6),
    st.just(10**400),
    st.sampled_from([nan, inf, -inf, 0, -1, 1e308]),
)
histograms = st.one_of(
    st.just(Histogram(bounds=BOUNDS, counts=(0,) * 118, sum=0.0)),
    st.builds(
        Histogram,
        bounds=st.lists(number, max_size=4).map(tuple),
        counts=st.lists(number, max_size=5).map(tuple),
        sum=number,
    ),
)
garbage = st.builds(
    PodSample,
    **dict.fromkeys(PodSample.__struct_fields__, number)
    | {
        "pod": st.sampled_from("abc"),
        "instance": st.sampled_from("xy"),
        "ready": st.booleans(),
        "blocked_at": st.text(max_size=5),
        "failure": st.text(max_size=5),
        "latency": histograms,
    },
)
unknown = st.builds(PodUnknown, pod=st.sampled_from("abcd"), ready=st.booleans(), reason=st.text())


def busy(user_spec: SizingSpec, rate: float = 40.0) -> FleetModel:
    """A fleet within the bounds that has served for a while."""
    workers = (user_spec.workers.min + user_spec.workers.max) // 2
    model = FleetModel(user_spec, replicas=user_spec.replicas.max, workers=workers)
    model.rate = rate
    model.run(20)
    return model


@EXAMPLES
@given(user_spec, loads)
def test_within_bounds_and_deterministic(user_spec: SizingSpec, steps: list) -> None:
    model = FleetModel(user_spec)
    for rate, service, upstream in steps:
        model.rate, model.service, model.upstream = rate, service, upstream
        for _, decision in model.run(12):
            assert user_spec.workers.min <= decision.workers <= user_spec.workers.max
            assert user_spec.replicas.min <= decision.replicas <= user_spec.replicas.max
            assert decision.message
        again = decide(user_spec, model.fleet(), model.state, model.now)
        assert again == decide(user_spec, model.fleet(), model.state, model.now)


@EXAMPLES
@given(st.floats(1, 400), st.floats(1, 5), st.floats(0.001, 0.05))
def test_more_arrivals_never_need_fewer_workers(rate: float, more: float, cost: float) -> None:
    """Only the rate of the ticks differs; c and latency do not."""
    eight = Bounds(min=8, max=8)
    model = FleetModel(spec(workers=eight, replicas=eight), replicas=8)
    model.service = cost
    model.rate = rate
    model.run(30)
    few = model.state
    many = replace(few, ticks=tuple(replace(t, arrivals=t.arrivals * more) for t in few.ticks))
    model.serve(model.spec.interval)
    low = decide(model.spec, model.fleet(), few, model.now)
    high = decide(model.spec, model.busier(more), many, model.now)
    assert high.need.demand >= low.need.demand * 0.999
    assert high.need.workers >= low.need.workers


@EXAMPLES
@given(user_spec, st.floats(0, 500))
def test_idempotent_at_rest(user_spec: SizingSpec, rate: float) -> None:
    model = busy(user_spec, rate)
    first = decide(user_spec, model.fleet(), model.state, model.now)
    second = decide(user_spec, model.fleet(), first.state, model.now)
    assert (second.workers, second.replicas) == (first.workers, first.replicas)
    assert second.message == first.message
    assert second.conditions == first.conditions
    assert second.state.ticks == first.state.ticks


@EXAMPLES
@given(user_spec, st.lists(garbage | unknown, max_size=5), st.floats(0, 200), st.booleans())
def test_survives_garbage_without_shrinking(
    user_spec: SizingSpec, pods: list, later: float, known: bool
) -> None:
    model = busy(user_spec)
    size = model.size
    extra = model.fleet().pods if known else ()
    # One serving pod is always silent: the fleet must not shrink.
    silent = PodUnknown(pod="silent", ready=True, reason="timeout")
    fleet = Fleet(replicas=size[1], pods=(*extra, silent, *pods))
    state = model.state
    for step in range(3):
        decision = decide(user_spec, fleet, state, model.now + later + 2 * step)
        state = decision.state
        assert size[0] <= decision.workers <= user_spec.workers.max
        assert size[1] <= decision.replicas <= user_spec.replicas.max


@EXAMPLES
@given(st.lists(garbage | unknown, max_size=6), st.lists(number, min_size=1, max_size=5), number)
def test_survives_any_clock_and_any_fleet(pods: list, times: list, replicas: float) -> None:
    user_spec = spec()
    state = State()
    fleet = Fleet(replicas=int(replicas) if abs(replicas) < inf else 3, pods=tuple(pods))
    for now in times:
        if isinstance(now, int) and abs(now) > 10**300:
            continue
        decision = decide(user_spec, fleet, state, now)
        state = decision.state
        assert 1 <= decision.workers <= 8
        assert 2 <= decision.replicas <= 20


@EXAMPLES
@given(user_spec, st.integers(1, 100), st.floats(2, 400))
def test_never_shrinks_on_unknowns(user_spec: SizingSpec, ticks: int, apart: float) -> None:
    model = busy(user_spec)
    size = model.size
    state = model.state
    pods = tuple(PodUnknown(pod=pod.name, ready=True, reason="timeout") for pod in model.pods)
    for tick in range(1, ticks + 1):
        fleet = Fleet(replicas=size[1], pods=pods)
        decision = decide(user_spec, fleet, state, model.now + tick * apart)
        state = decision.state
        assert (decision.workers, decision.replicas) == size
        assert decision.verdict is Verdict.HOLDING


@EXAMPLES
@given(user_spec, st.floats(0, 1000), st.floats(-50, 50))
def test_the_first_decisions_after_a_start_keep_or_raise(
    user_spec: SizingSpec, rate: float, shift: float
) -> None:
    model = busy(user_spec, rate)
    model.state = State()
    model.now = max(0.0, model.now + shift)
    before = model.size
    for _, decision in model.run(8):
        assert decision.workers >= before[0]
        assert decision.replicas >= before[1]
        before = decision.workers, decision.replicas


def amount(value: object) -> int:
    """Numbers and texts in whatever is remembered."""
    if is_dataclass(value):
        return sum(amount(getattr(value, each.name)) for each in fields(value))
    if isinstance(value, Struct):
        return sum(amount(each) for each in structs.astuple(value))
    if isinstance(value, Mapping):
        return sum(map(amount, value.values()))
    if isinstance(value, tuple | list | set | frozenset | deque):
        return sum(map(amount, value))
    return 1


def remembered(state: State) -> dict[str, int]:
    """The size of each field of all that is remembered."""
    return {
        f"{kind.__name__}.{each.name}": amount(getattr(known, each.name))
        for kind, known in state.memory.items()
        if known is not None
        for each in fields(known)
    }


@pytest.mark.property
def test_memory_is_bounded() -> None:
    model = FleetModel(spec(learn_resources=True, replicas=Bounds(min=3, max=3)), replicas=3)
    model.limit, model.threads, model.memory_limit = 50, 40, 512 * 2**20
    sizes = []
    for turn in range(42):
        model.rate = 20.0 * (1 + turn % 7)
        model.outage = turn % 14 == 13
        model.run(60)
        sizes.append(remembered(model.state))
    assert len(model.state.ticks) == 30
    assert len(model.state.samples) == len(model.pods)
    for name, size in sizes[-1].items():
        first = max(each.get(name, 0) for each in sizes[14:28])
        assert size <= max(4, 1.25 * first), f"{name} grows while the same load repeats"


@EXAMPLES
@given(user_spec, st.floats(1, 400), st.lists(st.floats(-300, 300), min_size=1, max_size=6))
def test_clock_jumps_stay_within_bounds_and_shrink_nothing(
    user_spec: SizingSpec, rate: float, jumps: list
) -> None:
    model = busy(user_spec, rate)
    for jump in jumps:
        model.now = max(0.0, model.now + jump)
        before = model.size
        decision = model.decide()
        assert user_spec.workers.min <= decision.workers <= user_spec.workers.max
        assert user_spec.replicas.min <= decision.replicas <= user_spec.replicas.max
        if jump < 0:
            assert (decision.workers, decision.replicas) >= before
        model.run(4)


@EXAMPLES
@given(user_spec, st.floats(1, 400), st.integers(0, 4))
def test_pods_reported_twice_change_nothing(user_spec: SizingSpec, rate: float, which: int) -> None:
    model = busy(user_spec, rate)
    model.serve(2)
    fleet = model.fleet()
    again = fleet.pods[which % len(fleet.pods)]
    twice = replace(fleet, pods=(*fleet.pods, again))
    one = decide(user_spec, fleet, model.state, model.now)
    two = decide(user_spec, twice, model.state, model.now)
    assert (two.workers, two.replicas) == (one.workers, one.replicas)
    assert two.need == one.need


@EXAMPLES
@given(user_spec, st.floats(1, 400), st.integers(0, 4), st.sampled_from([0, 1, 10**6]))
def test_decreased_counters_are_a_restart_not_load(
    user_spec: SizingSpec, rate: float, which: int, left: int
) -> None:
    model = busy(user_spec, rate)
    before = decide(user_spec, model.fleet(), model.state, model.now).need.demand
    model.serve(2)
    fleet = model.fleet()
    index = which % len(fleet.pods)
    back = structs.replace(
        fleet.pods[index], succeeded=0, loop_seconds=0.0, worker_seconds=float(left), in_flight=0
    )
    pods = (*fleet.pods[:index], back, *fleet.pods[index + 1 :])
    decision = decide(user_spec, replace(fleet, pods=pods), model.state, model.now)
    # Counters are integers: each pod may show one earlier request in a tick.
    whole = len(pods) / user_spec.interval
    assert decision.need.demand <= 2 * before + 2 + 1.3 * whole


@EXAMPLES
@given(user_spec, st.floats(10, 400))
def test_latencies_beyond_the_last_bucket_stay_within_bounds(
    user_spec: SizingSpec, rate: float
) -> None:
    model = busy(user_spec, rate)
    state = model.state
    for step in range(1, 11):
        model.serve(2)
        pods = tuple(
            structs.replace(
                pod,
                latency=structs.replace(
                    pod.latency, counts=(*pod.latency.counts[:-1], 10_000 * step), sum=inf
                ),
            )
            for pod in model.fleet().pods
        )
        decision = decide(user_spec, replace(model.fleet(), pods=pods), state, model.now)
        state = decision.state
        assert user_spec.workers.min <= decision.workers <= user_spec.workers.max
        assert user_spec.replicas.min <= decision.replicas <= user_spec.replicas.max
