"""Resizes that are not granted: what pods get instead, what the right-sizer learns, and retries."""

import json
from dataclasses import replace
from typing import Any

import pytest
from engine_support.world import World

from aiapi_operator.api.quantity import parse_cores
from aiapi_operator.cluster.errors import Conflict, Forbidden, from_answer
from aiapi_operator.engine import grants, sizer
from aiapi_operator.sizing.decide import decide as real_decide
from aiapi_operator.sizing.decision import Decision
from aiapi_operator.sizing.inputs import Fleet, Refusal

ALWAYS = {"name": "always", "start": "* * * * *", "duration": "24h"}


@pytest.fixture
def fleets(monkeypatch: pytest.MonkeyPatch) -> list[Fleet]:
    """The fleets that the right-sizer was given."""
    seen: list[Fleet] = []

    def recorded(spec: Any, fleet: Fleet, *rest: Any) -> Decision:
        seen.append(fleet)
        return real_decide(spec, fleet, *rest)

    monkeypatch.setattr(sizer, "decide", recorded)
    return seen


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Fields of the next decisions, set by a test."""
    fields: dict[str, int] = {}

    def ordered(*arguments: Any) -> Decision:
        return replace(real_decide(*arguments), **fields)

    monkeypatch.setattr(sizer, "decide", ordered)
    return fields


async def wanting(workers: int, *, pods: int = 2, **spec: Any) -> World:
    """Two pods with one worker each, and a schedule that asks for more in each."""
    world = World(spec={"replicas": {"min": 2, "max": 40}, **spec})
    await world.settle()
    floor = {**ALWAYS, "minWorkers": workers, "minReplicas": pods}
    world.spec = {"replicas": {"min": 2, "max": 40}, "scaling": {"schedules": [floor]}, **spec}
    world.state.manifest["spec"] = world.spec
    return world


async def run(world: World, seconds: float) -> None:
    """Tick every 2 s; pods start and stop workers at once."""
    for _ in range(round(seconds / 2)):
        await world.tick()
        for pod, count in world.pods.set_workers:
            world.answer(pod, workers=count)
        world.pods.set_workers.clear()


def workers(world: World, pod: str) -> int:
    return int(world.pods.answers[pod].workers_wanted)


def granted(fleet: Fleet) -> dict[str, int]:
    return {each.pod: each.granted for each in fleet.refused}


def resizes(world: World, *kinds: str) -> list[tuple[str, ...]]:
    return [call for call in world.cluster.done if call[0] in (kinds or ("resize", "rejected"))]


@pytest.mark.parametrize(
    ("pending", "why"), [("Deferred", Refusal.DEFERRED), ("Infeasible", Refusal.INFEASIBLE)]
)
async def test_a_deferred_resize_is_no_capacity_within_ten_seconds(
    fleets: list[Fleet], pending: str, why: Refusal
) -> None:
    world = await wanting(4)
    world.cluster.room = {"a-1": "500m", "a-2": "500m"}
    world.cluster.pending = pending
    await run(world, 10)
    assert granted(fleets[-1]) == {"a-1": 1, "a-2": 1}
    assert {each.why for each in fleets[-1].refused} == {why}
    assert fleets[-1].refused[0].message == "Node didn't have enough resource: cpu"
    assert (workers(world, "a-1"), workers(world, "a-2")) == (1, 1), "no worker without its CPU"
    assert world.written["workers"] == 1
    assert world.cluster.objects["Deployment", "a"]["spec"]["replicas"] == 8
    assert world.condition("ResizeDeferred")["status"] == "True"


@pytest.mark.parametrize(("cpu", "fits"), [("500m", 1), ("1200m", 2), ("1500m", 3), ("3900m", 7)])
@pytest.mark.parametrize("obstacle", ["room", "limits"])
async def test_a_pod_gets_the_most_workers_that_fit(
    order: dict[str, int], obstacle: str, cpu: str, fits: int
) -> None:
    world = World()
    await world.settle()
    setattr(world.cluster, obstacle, {"a-1": cpu})
    order |= {"workers": 8, "replicas": 2}
    await run(world, 10)
    assert workers(world, "a-1") == fits
    assert workers(world, "a-2") == 8
    container = world.cluster.objects["Pod", "a-1"]["spec"]["containers"][0]
    assert parse_cores(container["resources"]["requests"]["cpu"]) == fits * 0.5


async def test_a_resize_that_limits_forbid_is_reported_at_once_with_what_to_change(
    fleets: list[Fleet],
) -> None:
    world = await wanting(8)
    world.cluster.limits = {"a-1": "1", "a-2": "1"}
    await run(world, 6)
    assert granted(fleets[-1]) == {"a-1": 2, "a-2": 2}
    assert world.written["workers"] == 2
    condition = world.condition("ResizeDeferred")
    assert condition["reason"] == "ResizeInvalid"
    assert "must be less than or equal to cpu limit 1" in condition["message"]
    assert "spec.podTemplate" in condition["message"]
    assert world.cluster.objects["Deployment", "a"]["spec"]["replicas"] == 8
    assert world.condition("Reconciled")["reason"] == "ActRefused"


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ("node didn't have enough allocatable resources: cpu", Refusal.INFEASIBLE),
        ("exceeded quota: team, requested: cpu=4", Refusal.FORBIDDEN),
    ],
)
async def test_a_forbidden_resize_is_classified_by_its_message(
    fleets: list[Fleet], message: str, why: Refusal
) -> None:
    world = await wanting(2)
    world.cluster.refuse["resize",] = Forbidden(message)
    await run(world, 4)
    assert {each.why for each in fleets[-1].refused} == {why}


@pytest.mark.parametrize(
    ("status", "message", "why"),
    [
        (
            403,
            "node didn't have enough allocatable resources: cpu, requested: 3000",
            Refusal.INFEASIBLE,
        ),
        (
            403,
            "exceeded quota: q, requested: requests.cpu=180m, used: requests.cpu=50m",
            Refusal.FORBIDDEN,
        ),
        (
            422,
            'Invalid value: "100m": must be less than or equal to cpu limit of 50m',
            Refusal.INVALID,
        ),
        (
            422,
            '"Guaranteed": Pod QOS Class may not change as a result of resizing',
            Refusal.INVALID,
        ),
    ],
)
def test_answers_of_kubernetes_1_36_are_told_apart(status: int, message: str, why: Refusal) -> None:
    answer = {"kind": "Status", "status": "Failure", "message": message, "code": status}
    found = grants.cause(from_answer(status, {}, json.dumps(answer).encode()))
    assert (found.why, found.message) == (why, message)


async def test_a_conflict_is_no_refusal_and_holds_up_no_other_pod(fleets: list[Fleet]) -> None:
    world = await wanting(2)
    world.cluster.refuse["resize", "a-1"] = Conflict("the object has been modified")
    await run(world, 4)
    assert fleets[-1].refused == ()
    assert workers(world, "a-2") == 2
    world.cluster.refuse.clear()
    await run(world, 4)
    assert workers(world, "a-1") == 2


async def test_a_resize_without_an_answer_counts_as_refused_after_ten_seconds(
    fleets: list[Fleet],
) -> None:
    world = await wanting(2)
    world.cluster.grants = False
    await run(world, 10)
    assert fleets[-1].refused == (), "just asked"
    await run(world, 4)
    assert granted(fleets[-1]) == {"a-1": 1, "a-2": 1}
    assert "has not carried out" in fleets[-1].refused[0].message


async def test_workers_come_once_the_node_has_room(fleets: list[Fleet]) -> None:
    world = await wanting(4)
    world.cluster.room = {"a-1": "500m", "a-2": "500m"}
    await run(world, 60)
    assert workers(world, "a-1") == 1
    world.cluster.room.clear()
    await run(world, 120)
    assert fleets[-1].refused == ()
    assert world.condition("ResizeDeferred")["status"] == "False"


@pytest.mark.parametrize(
    ("obstacle", "pending", "most"),
    [("limits", "", 14), ("room", "Infeasible", 14), ("room", "Deferred", 3600 // 20)],
)
async def test_retries_become_rare(obstacle: str, pending: str, most: int) -> None:
    world = await wanting(8)
    world.cluster.pending = pending
    setattr(world.cluster, obstacle, {"a-1": "500m", "a-2": "500m"})
    await run(world, 60)
    world.cluster.done.clear()
    await run(world, 3600)
    tries = [call for call in resizes(world) if call[1:] == ("a-1", "1")]
    assert 5 <= len(tries) <= most
    assert workers(world, "a-1") == 1


async def test_what_ends_by_itself_is_asked_for_again_within_30_seconds() -> None:
    world = await wanting(4)
    world.cluster.room = {"a-1": "500m", "a-2": "500m"}
    await run(world, 600)
    world.cluster.room.clear()
    await run(world, 28)
    assert (workers(world, "a-1"), workers(world, "a-2")) == (4, 4)


async def test_a_quota_that_was_raised_is_noticed_within_30_seconds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = await wanting(2)
    world.cluster.refuse["resize",] = Forbidden("exceeded quota: team, requested: cpu=1")
    await run(world, 600)
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 2, "one for each pod"
    world.cluster.refuse.clear()
    await run(world, 28)
    assert (workers(world, "a-1"), workers(world, "a-2")) == (2, 2)


async def test_a_failing_resize_for_the_same_workers_is_not_repeated_each_tick() -> None:
    world = World(spec={"workers": {"cpu": "500m"}})
    await world.settle()
    world.cluster.refuse["resize",] = Forbidden("exceeded quota: team")
    edited = {"spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": "1"}}}]}}
    world.cache.put(world.cluster.edit("Pod", "a-1", edited))
    tries = 0
    resize = world.cluster.resize

    async def counted(*arguments: Any) -> Any:
        nonlocal tries
        tries += 1
        return await resize(*arguments)

    world.cluster.resize = counted  # type: ignore[method-assign]
    await run(world, 60)
    assert 1 <= tries <= 8


async def test_a_new_leader_sees_what_the_node_deferred(fleets: list[Fleet]) -> None:
    world = await wanting(4)
    world.cluster.room = {"a-1": "500m", "a-2": "500m"}
    await world.tick()
    successor = World(spec=world.spec, status={"workers": 4})
    successor.cluster.objects = world.cluster.objects
    successor.cluster.room = world.cluster.room
    successor.pods.answers = world.pods.answers
    await run(successor, 2)
    assert granted(fleets[-1]) == {"a-1": 1, "a-2": 1}


async def test_a_new_pod_starts_without_the_workers_that_its_node_refuses() -> None:
    world = await wanting(4)
    world.cluster.room = {"a-3": "500m"}
    world.cache.put(world.cluster.add_pod("a-3", ready=False))
    confirmed: list[tuple[str, int]] = []
    for _ in range(5):
        world.now += 2
        world.pods.set_workers.clear()
        world.answer("a-3", ready=False)
        await world.tick_now()
        confirmed += [call for call in world.pods.set_workers if call[0] == "a-3"]
    assert confirmed == [("a-3", 1)], "once its resize is refused, so that it becomes ready"


async def test_refusals_of_deleted_pods_are_forgotten() -> None:
    world = await wanting(4)
    world.cluster.limits = {"a-1": "500m", "a-2": "500m"}
    await run(world, 10)
    assert set(world.state.grants.refusals) == {"Pod-a-1", "Pod-a-2"}
    world.cache.remove(world.cluster.objects.pop(("Pod", "a-1")))
    del world.pods.answers["a-1"]
    await world.tick()
    assert set(world.state.grants.refusals) == {"Pod-a-2"}


def test_the_search_halves_the_distance() -> None:
    refusal = grants.PodRefusal(
        cause=grants.Cause(Refusal.DEFERRED, ""),
        resources={},
        granted=1,
        refused=8,
        since=0.0,
        retry_at=10.0,
        delay=10.0,
    )
    assert refusal.halfway == 4
    assert refusal.known(now=9.0) == 4, "it is being asked for"
    assert refusal.known(now=10.0) == 1, "it was not granted in time"
