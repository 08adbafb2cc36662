"""Request memory: bytes per request in flight, and the pods that they need."""

from dataclasses import replace

import pytest
from msgspec import structs
from unit.sizing.fleet_model import FleetModel, spec
from unit.sizing.samples import facts, pod, tick

from aiapi_operator.sizing import peaks
from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.inputs import PodSample
from aiapi_operator.sizing.learners.request_memory import LEARNER, RequestMemory, learn
from aiapi_operator.sizing.state import Size

MIB = 2**20
POINTS = ((0, 100), (100, 110), (500, 150))


def held(
    in_flight: int, rss: float, *, workers: int = 1, limit: int = 512 * MIB, at: float = 0.0
) -> PodSample:
    return pod(
        at,
        in_flight=in_flight * workers,
        rss_bytes=int(rss * MIB) * workers,
        memory_limit_bytes=limit,
        workers_ready=workers,
    )


def add(
    known: RequestMemory | None, sample: PodSample, *, workers: int = 1, in_flight: float = 0.0
) -> RequestMemory | None:
    ticks = (tick(sample.time, in_flight=in_flight),)
    running = Size(workers=workers, replicas=2)
    return learn(known, facts(ticks, pods=(sample,), running=running))


def seen(
    *points: tuple[int, float], workers: int = 1, limit: int = 512 * MIB, times: int = 6
) -> RequestMemory | None:
    known: RequestMemory | None = None
    for _ in range(times):
        for in_flight, rss in points:
            known = add(known, held(in_flight, rss, workers=workers, limit=limit), workers=workers)
    return known


def pods(known: RequestMemory | None, *, in_flight: float, workers: int) -> float | None:
    at = 2.0
    found = add(known, held(0, 100, at=at), workers=workers, in_flight=in_flight)
    assert found is not None
    return peaks.peak(found.pods)


def test_the_worked_example() -> None:
    known = seen(*POINTS)
    assert known is not None
    assert known.request == pytest.approx(0.1 * MIB, rel=0.02)
    assert known.worker == pytest.approx(100 * MIB, rel=0.02)
    assert pods(known, in_flight=6000, workers=2) == 3


def test_senselessly_many_requests_need_a_million_pods_at_most() -> None:
    assert pods(seen(*POINTS), in_flight=1e15, workers=2) == 10**6


@pytest.mark.parametrize("workers", [1, 4])
def test_what_a_worker_has_counts_not_what_a_pod_has(workers: int) -> None:
    known = seen(*POINTS, workers=workers)
    assert known is not None
    assert known.request == pytest.approx(0.1 * MIB, rel=0.02)


def test_memory_released_late_does_not_hide_the_request_memory() -> None:
    known = seen(*POINTS)
    for _ in range(30):
        known = add(known, held(0, 150))
    assert known is not None
    assert known.request == pytest.approx(0.1 * MIB, rel=0.3)


def test_memory_counts_as_grown_by_a_share_of_its_time_only() -> None:
    known = seen((0, 100))
    for _ in range(30):
        known = add(known, held(0, 150))
    assert known is not None
    assert known.bins[0].rss == pytest.approx(100 * MIB * (1 + 2 / 600) ** 30)


def test_a_worker_that_grew_for_good_is_learned() -> None:
    known = seen(*POINTS)
    for _ in range(600):
        for in_flight, rss in POINTS:
            known = add(known, held(in_flight, rss + 100))
    assert known is not None
    assert known.worker == pytest.approx(200 * MIB, rel=0.05)


def test_without_a_memory_limit_no_pods_are_needed() -> None:
    assert seen(*POINTS, limit=0) is None


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(((0, 100), (5, 101), (9, 103)), id="within twenty requests"),
        pytest.param(((500, 150), (510, 151)), id="one bin"),
        pytest.param(((0, 150), (100, 120), (500, 100)), id="less with more in flight"),
    ],
)
def test_too_little_data_needs_no_pods(points: tuple[tuple[int, float], ...]) -> None:
    known = seen(*points)
    assert known is not None
    assert known.request == 0
    assert pods(known, in_flight=10**6, workers=1) == 0


def test_a_few_samples_are_no_fit() -> None:
    few = seen(*POINTS, times=4)
    assert few is not None
    assert few.request == 0


def test_workers_that_fill_the_memory_limit_need_no_pods() -> None:
    assert pods(seen(*POINTS), in_flight=6000, workers=8) == 0


def test_pods_are_held_for_their_window() -> None:
    known = add(seen(*POINTS), held(0, 100, at=2.0), workers=2, in_flight=6000.0)
    kept = add(known, held(0, 100, at=302.0), workers=2)
    gone = add(known, held(0, 100, at=304.0), workers=2)
    assert kept is not None
    assert gone is not None
    assert (peaks.peak(kept.pods), peaks.peak(gone.pods)) == (3, 0)


def test_the_checkpoint_is_for_people() -> None:
    known = RequestMemory(request=48.3 * 1024)
    assert LEARNER.checkpoint(known, {}) == {"requestMemory": "48Ki"}
    assert LEARNER.checkpoint(known, {"requestMemory": "50Ki"}) == {"requestMemory": "50Ki"}
    assert LEARNER.checkpoint(known, {"requestMemory": "none"}) == {"requestMemory": "48Ki"}
    assert LEARNER.checkpoint(RequestMemory(), {}) == {}
    assert LEARNER.restore({"requestMemory": "48Ki"}) is None


def test_binding_memory_adds_pods_and_is_reported() -> None:
    model = FleetModel(spec())
    model.run(20)
    known = seen(*POINTS)
    model.state = replace(model.state, memory={**model.state.memory, RequestMemory: known})
    model.rate = 20.0
    model.upstream = 120.0
    for _ in range(50):
        model.serve(2.0)
        fleet = model.fleet()
        limited = tuple(
            structs.replace(
                pod, memory_limit_bytes=200 * MIB, rss_bytes=100 * MIB + pod.in_flight * MIB // 10
            )
            for pod in fleet.pods
        )
        decision = decide(model.spec, replace(fleet, pods=limited), model.state, model.now)
        model.state = decision.state
    # 20 rps for 100 s in flight x 0.1 MiB are 200 MiB; a pod has 0.8 x 200 - 100 for requests.
    assert decision.replicas in (4, 5)
    assert decision.need.binding is Binding.MEMORY
    assert "pods for the memory of requests in flight" in decision.message
